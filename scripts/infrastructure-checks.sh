#!/usr/bin/env bash
# What must hold of terraform/: its form, that the real provider takes it, that its tests pass, and that tflint, checkov and,
# where it is there, trivy find nothing that is not explained beside the resource. Tools are had once, into
# ~/.cache/streamify. Ends with one line of counts.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/go.sh

tflint=v0.64.0
checkov=3.3.30
cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify
tools=$cache/infrastructure-$tflint-$checkov

command -v terraform >/dev/null || { echo "infrastructure: terraform is missing; https://developer.hashicorp.com/terraform/install has it" >&2; exit 1; }

if [ ! -f "$tools/done" ]; then
  mkdir -p "$cache"
  # Checks run side by side: one installs, the others wait.
  exec 9>"$tools.lock"
  flock 9
  if [ ! -f "$tools/done" ]; then
    echo "infrastructure: getting tflint and checkov (three minutes, once)" >&2
    # One that was left half installed begins again.
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "checkov==$checkov"
    need_go go1.26.8
    GOBIN=$tools/bin "$go" install "github.com/terraform-linters/tflint@$tflint"
    touch "$tools/done"
  fi
  exec 9>&-
fi

# A person's own settings of Terraform never change what is checked.
unset "${!TF_@}"
TF_CLI_CONFIG_FILE=$(scripts/terraform-provider.sh)
export TF_CLI_CONFIG_FILE TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
terraform fmt -check -recursive -diff terraform >&2

# In a copy: what init leaves is none of the tree's, and a run beside this one is not disturbed.
cp -r terraform "$work/terraform"
find "$work/terraform" \( -name .terraform -o -name '*.tfstate*' -o -name '*.tfplan' -o -name '.terraform.lock.hcl' -o -name '*_override.tf' \) -prune -exec rm -rf {} +
mapfile -t folders < <(cd "$work/terraform" && ls -d modules/*/ environments/*/ bootstrap/ | sed 's#/$##')

one() {
  local folder=$1 log
  log=$work/$(tr / - <<<"$folder").log
  if (
    cd "$work/terraform/$folder"
    terraform init -backend=false -input=false -no-color
    terraform validate -no-color
    # A folder without tests of its own is held by those of what uses it.
    if ls tests/*.tftest.hcl >/dev/null 2>&1; then terraform test -no-color; fi
  ) >"$log" 2>&1; then
    touch "$log.good"
  else
    echo "infrastructure: terraform/$folder:" >&2
    grep -vE '^ +run .*pass$' "$log" >&2
  fi
}
export -f one
export work
# Two at once: each starts a provider of some 300 MB.
printf '%s\n' "${folders[@]}" | xargs -P 2 -I{} bash -c 'one {}'
[ "$(find "$work" -maxdepth 1 -name '*.good' | wc -l)" = "${#folders[@]}" ] || exit 1
tests=$(cat "$work"/*.log | sed -n 's/^Success! \([0-9]*\) passed.*/\1/p' | awk '{ all += $1 } END { print all + 0 }')

"$tools/bin/tflint" --chdir=terraform --recursive --config="$PWD/terraform/.tflint.hcl" --minimum-failure-severity=warning >&2

"$tools/bin/checkov" --directory terraform --framework terraform --quiet --compact --skip-download --output json \
  >"$work/checkov.json" 2>"$work/checkov.log" || true
read -r passed failed explained < <(python3 - "$work/checkov.json" <<'PYTHON'
import json
import sys

report = json.load(open(sys.argv[1]))
results = report.get("results", {})
for check in results.get("failed_checks", []):
    first, last = check["file_line_range"]
    print(f"infrastructure: {check['check_id']}: {check['check_name']}: {check['resource']}, "
          f"terraform{check['file_path']}:{first}-{last}", file=sys.stderr)
summary = report["summary"]
print(summary["passed"], summary["failed"], summary["skipped"])
PYTHON
)
[ "$failed" = 0 ] || { echo "infrastructure: checkov failed $failed checks: mend them, or explain them in the resource: # checkov:skip=ID: why" >&2; exit 1; }

trivy=$(command -v trivy || ls "$cache"/trivy-*/trivy 2>/dev/null | tail -1) || true
if [ -n "$trivy" ]; then
  "$trivy" config --skip-check-update --skip-version-check --quiet --exit-code 1 --severity HIGH,CRITICAL terraform >&2
  with_trivy="trivy found nothing"
else
  with_trivy="without trivy (scripts/trivy.sh builds it)"
fi

echo "infrastructure: ${#folders[@]} modules and roots are valid, $tests tests passed, tflint found nothing," \
  "checkov passed $passed checks with $explained explained, $with_trivy"
