# shellcheck shell=bash
# Sourced by the host's own programs of backups: where things are, and what more than one of them does.
# shellcheck source=/dev/null # written beside this file
. "$(dirname "${BASH_SOURCE[0]}")/host.conf"

# Files that the container's user is to read are written here too, and a hardened host's log-ins give nothing to others.
umask 022

# A secret of .env, as the module env_file quotes it.
secret() { sed -n "s/^$1='\\(.*\\)'\$/\\1/p" "$STACK/.env" | tail -n 1; }

# The container of the slot that serves, or nothing.
serving() { docker ps --format '{{.Names}}' | grep -xE "$PROJECT-api-(blue|green)" | head -n 1 || true; }

# works SAID -- what `moorage db current --json` said, as a verdict.
works() { if grep -q '"works": true' <<<"$1"; then echo works; else tail -n 5 <<<"$1"; fi; }
