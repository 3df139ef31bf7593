#!/usr/bin/env bash
# Installs what the stack and the tests need, where that is allowed, and names it where it is not.
set -euo pipefail

# A command that must be there, and Debian's package that brings it.
wanted=(
  "cc:build-essential" "perl:perl" "make:make"
  "java:openjdk-17-jre-headless" "mvn:maven" "kcat:kcat" "psql:postgresql-client"
)
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry##*:}")
done
if ! command -v pg_config >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  missing+=("postgresql")
fi
command -v cargo >/dev/null 2>&1 || { echo "setup: there is no Rust toolchain: install one with rustup" >&2; exit 1; }
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    echo "setup: missing, and may not be installed here: ${missing[*]}" >&2
    echo "setup: install them with: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "setup: missing: ${missing[*]} (Debian's names); install them with this system's package manager" >&2
  exit 1
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
