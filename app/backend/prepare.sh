#!/usr/bin/env bash
# Writes .sqlx: what the compiler needs to check every query without a database.
# With --check it writes nothing, and fails when what is committed is not what the queries and migrations say.
set -euo pipefail
cd "$(dirname "$0")"

binaries=$(pg_config --bindir 2>/dev/null || true)
[ -x "$binaries/initdb" ] || binaries=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "$binaries/initdb" ] || { echo "prepare: there is no PostgreSQL server on this machine" >&2; exit 1; }

scratch=$(mktemp -d)
as=()
if [ "$(id -u)" -eq 0 ]; then
  # PostgreSQL refuses to run as root.
  user=$(id -un postgres 2>/dev/null || echo nobody)
  chown "$user" "$scratch"
  as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi
end() {
  "${as[@]}" "$binaries/pg_ctl" -D "$scratch/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$scratch" "${fresh:-}"
}
trap end EXIT

cd_scratch() { (cd "$scratch" && "${as[@]}" "$@"); }
cd_scratch "$binaries/initdb" -D "$scratch/data" -U streamify -A trust --no-sync >/dev/null
# Only a socket in the scratch folder: no port to choose, and nobody else reaches it.
cd_scratch "$binaries/pg_ctl" -D "$scratch/data" -w -l "$scratch/log" \
  -o "-c listen_addresses='' -c fsync=off -k $scratch" start >/dev/null
socket=(-h "$scratch" -U streamify)
"$binaries/createdb" "${socket[@]}" streamify
for migration in migrations/*.up.sql; do
  "$binaries/psql" "${socket[@]}" -q -v ON_ERROR_STOP=1 -d streamify -f "$migration"
done

fresh=$(mktemp -d)
# The macros run only when the crate is compiled anew.
touch src/lib.rs
export DATABASE_URL="postgres://streamify@localhost/streamify?host=$scratch"
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$fresh" cargo check --quiet -p streamify-backend
if [ "${1:-}" = "--check" ]; then
  diff -r "$fresh" .sqlx >/dev/null || { echo "prepare: .sqlx is out of date: run app/backend/prepare.sh" >&2; exit 1; }
else
  mkdir -p .sqlx
  rm -f .sqlx/*.json
  cp "$fresh"/*.json .sqlx/
fi
