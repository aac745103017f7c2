#!/bin/sh
# Unpacks Compose v2 from a newer Debian's package; apt fetches and verifies it, and its sources are left as they are.
# usage: moorage-compose-plugin THIS_RELEASE NEWER_RELEASE TARGET
set -eu
this=$1 newer=$2 target=$3

# shellcheck disable=SC2016 # apt's own placeholders
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
    awk -v release="$this" '$2 == release { print $1; exit }')
if [ -z "$mirror" ]; then
    echo "apt has no source for $this to take the mirror from; see /etc/apt/sources.list" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
mkdir -p "$work/lists/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $newer main" >"$work/sources.list"
apart() {
    apt-get -q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root "$@"
}
apart update
cd "$work"
apart download docker-compose
dpkg-deb --extract docker-compose_*.deb tree
mkdir -p "$(dirname "$target")"
install -m 0755 "$(find tree -type f -path '*/cli-plugins/docker-compose')" "$target.new"
mv "$target.new" "$target"
