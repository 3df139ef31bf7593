#!/bin/bash
# Starts PostgreSQL as the official image does: as `postgres`, the first time with a cluster, user and database of
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, and with what lies in /docker-entrypoint-initdb.d.
set -euo pipefail
[ "${1:-}" = postgres ] || [ "${1#-}" != "${1:-}" ] || exec "$@"
[ "${1#-}" = "${1:-}" ] || set -- postgres "$@"
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA"
  chmod 700 "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "the database has no password: set POSTGRES_PASSWORD" >&2; exit 1; }
  user=${POSTGRES_USER:-postgres}
  initdb --username "$user" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local trust --auth-host scram-sha-256
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # On its socket only, so that nobody takes the half-made database for ready.
  pg_ctl -w start -o "-c listen_addresses=''"
  database=${POSTGRES_DB:-$user}
  [ "$database" = postgres ] || createdb --username "$user" "$database"
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sql) psql -v ON_ERROR_STOP=1 --username "$user" --dbname "$database" --file "$file" ;;
      *.sh) . "$file" ;;
    esac
  done
  pg_ctl -m fast -w stop
fi
exec "$@" -c listen_addresses='*'
