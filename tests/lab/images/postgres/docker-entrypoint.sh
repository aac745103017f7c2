#!/bin/bash
# The official image's entry point, as far as anything here uses it: POSTGRES_PASSWORD(_FILE), POSTGRES_USER,
# POSTGRES_DB, POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD and /docker-entrypoint-initdb.d/*.{sql,sh}.
set -euo pipefail

[[ ${1:-} == -* ]] && set -- postgres "$@"
[[ ${1:-} == postgres ]] || exec "$@"

if [[ $(id -u) == 0 ]]; then
    install -d -o postgres -g postgres -m 0700 "$PGDATA"
    chown -R postgres:postgres "$PGDATA" /run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

initialise() {
    local user=${POSTGRES_USER:-postgres} password=${POSTGRES_PASSWORD:-} script
    if [[ -n ${POSTGRES_PASSWORD_FILE:-} ]]; then password=$(<"$POSTGRES_PASSWORD_FILE"); fi
    if [[ -z $password && ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]]; then
        echo "Error: Database is uninitialized and superuser password is not specified (POSTGRES_PASSWORD)." >&2
        exit 1
    fi
    # shellcheck disable=SC2086  # several arguments in one variable, as in the official image
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    PGUSER=$user pg_ctl -D "$PGDATA" -w start -o "$(printf '%q ' "$@" -c listen_addresses= )"
    export PGUSER=$user PGPASSWORD=$password PGHOST=
    if [[ ${POSTGRES_DB:-$user} != postgres ]]; then
        psql -v ON_ERROR_STOP=1 --no-psqlrc -d postgres -v name="${POSTGRES_DB:-$user}" \
            <<<'CREATE DATABASE :"name";'
    fi
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) bash "$script" ;;
            *.sql) psql -v ON_ERROR_STOP=1 --no-psqlrc -d "${POSTGRES_DB:-$user}" -f "$script" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGUSER PGPASSWORD PGHOST
}

[[ -s $PGDATA/PG_VERSION ]] || initialise "${@:2}"
exec "$@"
