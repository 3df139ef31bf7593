#!/usr/bin/env bash
# The browser's story on a stack of its own, with ports of its own, that is taken away at the end.
set -euo pipefail
cd "$(dirname "$0")"
. ../support/stack.sh
# Tests register more often than people do.
export STREAMIFY_LOGINS_PER_MINUTE=1000
# A Docker daemon may run on this machine; this story is of the embedded runtime unless another one is asked for.
export STREAMIFY_RUNTIME=${STREAMIFY_RUNTIME:-embedded}

[ -d node_modules ] && [ ! package-lock.json -nt node_modules/.package-lock.json ] || npm ci --no-fund --no-audit --loglevel error
"$binary" -C "$project" dev up --detach --port auto
STREAMIFY_PAGE_URL=$(address frontend)
STREAMIFY_API_URL=$(address backend)
export STREAMIFY_PAGE_URL STREAMIFY_API_URL
npx playwright test "$@"
