#!/usr/bin/env bash
# Installs the npm packages of folders, such as `scripts/node-packages.sh infra/cdk`, where they are missing or older than
# the folder's package-lock.json. Tests and checks run side by side: one installs, the others wait.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v npm >/dev/null 2>&1 || { echo "node-packages: there is no npm on this machine: install Node.js 20 or newer" >&2; exit 1; }
fresh() { [ -f "$1/node_modules/.package-lock.json" ] && [ ! "$1/package-lock.json" -nt "$1/node_modules/.package-lock.json" ]; }
for folder in "$@"; do
  fresh "$folder" && continue
  # On the lock file itself: it is there and stays.
  exec 9<"$folder/package-lock.json"
  flock 9
  if ! fresh "$folder"; then
    echo "node-packages: installing the packages of $folder" >&2
    npm ci --prefix "$folder" --no-fund --no-audit --loglevel error >&2
    # As new as the lock file, even where a checkout has just written that.
    touch "$folder/node_modules/.package-lock.json"
  fi
  exec 9<&-
done
