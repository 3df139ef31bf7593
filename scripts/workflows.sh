#!/usr/bin/env bash
# Checks the workflows of .github: their syntax and the shell in them (actionlint), and what an attacker could make of
# them (zizmor). Both are had once, into ~/.cache/streamify.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/go.sh

actionlint=v1.7.12
zizmor=1.32.0
tools=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/workflows-$actionlint-$zizmor
if [ ! -f "$tools/done" ]; then
  echo "workflows: getting actionlint and zizmor" >&2
  # One that was left half installed begins again.
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "zizmor==$zizmor"
  need_go go1.26.8
  GOBIN=$tools/bin "$go" install "github.com/rhysd/actionlint/cmd/actionlint@$actionlint"
  touch "$tools/done"
fi
"$tools/bin/actionlint" .github/workflows/*.yml
"$tools/bin/zizmor" --quiet --offline --persona pedantic .github/workflows
