#!/usr/bin/env bash
# Builds the page into app/frontend/dist, which the binary embeds. Nothing is done when it is newer than its sources.
set -euo pipefail
cd "$(dirname "$0")/../app/frontend"
shell=dist/200.html
[ -f "$shell" ] || shell=dist/index.html
if [ -f "$shell" ] && [ -z "$(find . -path ./node_modules -prune -o -path ./.nuxt -prune -o -path ./.output -prune \
  -o -path ./dist -prune -o -type f -newer "$shell" -print -quit)" ]; then
  exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
  echo "page: there is no npm on this machine: install Node.js 20 or newer, then run this again" >&2
  exit 1
fi
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "page: installing its packages"
  npm ci --no-fund --no-audit --loglevel error
fi
echo "page: building"
npm run --silent build
