#!/usr/bin/env bash
# Fuzzes the HTTP API from its own OpenAPI document, on a stack that is taken away at the end.
set -euo pipefail
cd "$(dirname "$0")"
export STREAMIFY_RUNTIME=embedded
. ../support/stack.sh
version=4.32.5
export STREAMIFY_LOGINS_PER_MINUTE=1000000

tools=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/schemathesis-$version
if [ ! -x "$tools/bin/st" ]; then
  echo "fuzz: installing schemathesis $version"
  # One that was left half installed begins again.
  rm -rf "$tools" && python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" || { rm -rf "$tools"; exit 1; }
fi

dev up backend --detach --port auto
api=$(address backend)

account='{"email": "fuzz@example.com", "password": "long enough", "name": "Fuzz"}'
post() { curl --silent --show-error --fail -H 'content-type: application/json' -d "$2" "$api$1"; }
post /api/auth/register "$account" >/dev/null
login='{"email": "fuzz@example.com", "password": "long enough"}'
token=$(post /api/auth/login "$login" | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')

# What a schema can't say (a cursor is one that the server gave; a name has no control characters) is refused all the
# same: positive_data_acceptance would call that a defect.
# The token is this run's alone, and its stack is gone with it. A fixed seed makes a failure come again.
"$tools/bin/st" run "$api/openapi.json" --header "Authorization: Bearer $token" \
  --exclude-checks positive_data_acceptance --max-examples "${FUZZ_EXAMPLES:-60}" --seed 7 --workers 2 \
  --exclude-path /ws --request-timeout 20 --suppress-health-check all --warnings off --no-color --continue-on-failure
