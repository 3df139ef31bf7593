#!/usr/bin/env bash
# The browser's story on a stack of its own, with ports of its own, that is taken away at the end.
set -euo pipefail
cd "$(dirname "$0")"
binary=${STREAMIFY_BINARY:-$PWD/../../target/debug/streamify}
# Tests register more often than people do.
export STREAMIFY_LOGINS_PER_MINUTE=1000

project=$(mktemp -d)
end() { "$binary" -C "$project" dev down --volumes --yes >/dev/null 2>&1 || true; rm -rf "$project"; }
trap end EXIT

[ -d node_modules ] && [ ! package-lock.json -nt node_modules/.package-lock.json ] || npm ci --no-fund --no-audit --loglevel error
"$binary" -C "$project" dev up --detach --port auto
address() {
  "$binary" -C "$project" dev ps --output json |
    node -e 'const all = JSON.parse(require("fs").readFileSync(0)); console.log(all.find(one => one.service === process.argv[1]).address)' "$1"
}
STREAMIFY_PAGE_URL=$(address frontend)
STREAMIFY_API_URL=$(address backend)
export STREAMIFY_PAGE_URL STREAMIFY_API_URL
npx playwright test "$@"
