#!/usr/bin/env bash
# Checks what describes production besides Terraform, without a network and without AWS: infra/cdk (types, tests,
# cdk-nag, synthesis of both environments) and infra/serverless (packaged, and its template tested), and both templates
# with cfn-lint. Says nothing but a line of counts when all is well.
set -euo pipefail
cd "$(dirname "$0")/.."

cfn_lint=1.58.0
tools=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/cfn-lint-$cfn_lint
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for program in npm node python3; do
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "cdk: there is no $program on this machine: install Node.js 20 or newer and Python 3, then run this again" >&2
    exit 1
  fi
done
scripts/node-packages.sh infra/cdk infra/serverless
if [ ! -f "$tools/done" ]; then
  echo "cdk: getting cfn-lint" >&2
  # One that was left half installed begins again.
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "cfn-lint==$cfn_lint"
  touch "$tools/done"
fi

# Runs a command whose output is shown only when it fails.
quietly() {
  local what=$1 log=$work/${1//[^a-z]/-}.log
  shift
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "cdk: $what failed" >&2
    exit 1
  fi
}

# Nothing here may ask AWS, or tell anybody that it ran.
unset AWS_PROFILE AWS_ENDPOINT_URL
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_EC2_METADATA_DISABLED=true
export SLS_TELEMETRY_DISABLED=1 SLS_NOTIFICATIONS_MODE=off CDK_DISABLE_CLI_TELEMETRY=1

# The example is prod's; staging's is the same with its own name, no domain, and the defaults of staging.
cp infra/cdk/streamify.example.json "$work/streamify.prod.json"
node -e '
  const [from, to] = process.argv.slice(1), fs = require("fs"), example = JSON.parse(fs.readFileSync(from, "utf8"));
  const staging = { ...example, environment: "staging", domain: null, certificate_arn: null, account: null };
  staging.secrets.prefix = "/streamify/staging/";
  fs.writeFileSync(to, JSON.stringify(staging));
' infra/cdk/streamify.example.json "$work/streamify.staging.json"

cdk() {
  cd infra/cdk
  quietly "the types of infra/cdk" npx --no-install tsc --noEmit
  quietly "the tests of infra/cdk" npm run --silent test
}
synthesis() {
  cd infra/cdk
  for environment in prod staging; do
    quietly "the synthesis of $environment" npx --no-install cdk synth --no-notices --quiet --ci \
      -c "environment=$environment" -c "folder=$work" --output "$work/$environment"
  done
  # What implies an order is written as one too, by the CDK.
  quietly "cfn-lint of infra/cdk" "$tools/bin/cfn-lint" --ignore-checks W3005 -- "$work"/{prod,staging}/*.template.json
}
serverless() {
  cd infra/serverless
  # The program's place is taken by a file: what is looked at is the template.
  printf '#!/bin/sh\nexit 1\n' >"$work/bootstrap"
  python3 -m zipfile -c "$work/bootstrap.zip" "$work/bootstrap"
  STREAMIFY_SERVERLESS_ENVIRONMENT=./environment.example.json STREAMIFY_SERVERLESS_ZIP=$work/bootstrap.zip \
    quietly "osls package" npx --no-install osls package --stage prod --package "$work/serverless"
  STREAMIFY_SERVERLESS_TEMPLATE=$work/serverless/cloudformation-template-update-stack.json \
    quietly "the tests of infra/serverless" node --test tests/package.test.mjs
  # The same of the framework.
  quietly "cfn-lint of infra/serverless" "$tools/bin/cfn-lint" --ignore-checks W3005 -- \
    "$work/serverless/cloudformation-template-update-stack.json"
}

# Two at once; each ends the script when it fails.
(cdk) & first=$!
(synthesis && cd ../.. && serverless) & second=$!
failed=0
wait "$first" || failed=1
wait "$second" || failed=1
[ "$failed" = 0 ] || exit 1

passed() {
  sed -n 's/^# pass //p' "$1"
}
resources() {
  node -p 'Object.keys(JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).Resources).length' "$1"
}
echo "cdk: $(passed "$work/the-tests-of-infra-cdk.log") tests, prod of $(resources "$work"/prod/*.template.json) and" \
  "staging of $(resources "$work"/staging/*.template.json) resources;" \
  "serverless: $(passed "$work/the-tests-of-infra-serverless.log") tests," \
  "$(resources "$work/serverless/cloudformation-template-update-stack.json") resources; cfn-lint finds nothing"
