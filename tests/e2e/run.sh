#!/usr/bin/env bash
# The browser's story on a stack of its own, with ports of its own, that is taken away at the end.
set -euo pipefail
cd "$(dirname "$0")"
. ../support/stack.sh
# Tests register more often than people do.
export STREAMIFY_LOGINS_PER_MINUTE=1000
[ -d node_modules ] && [ ! package-lock.json -nt node_modules/.package-lock.json ] || npm ci --no-fund --no-audit --loglevel error
start_stack
STREAMIFY_PAGE_URL=$(address frontend)
STREAMIFY_API_URL=$(address backend)
export STREAMIFY_PAGE_URL STREAMIFY_API_URL
npx playwright test "$@"
