#!/usr/bin/env bash
# Builds OpenTofu from its Go module, once, and prints the program's path: tests run roots with it as with Terraform. Five
# minutes of processor and a program of 115 MB, kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v1.12.6

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/opentofu-$version
program=$cache/tofu
if [ ! -x "$program" ]; then
  mkdir -p "$cache"
  # Tests run side by side: one builds, the others wait.
  exec 9>"$cache/lock"
  flock 9
fi
if [ ! -x "$program" ]; then
  need_go go1.26.8
  echo "opentofu: building OpenTofu $version (five minutes of two cores, once)" >&2
  log=$cache/build.log
  work=$cache/build
  rm -rf "$work" && mkdir -p "$work"
  {
    # Its go.mod replaces a module, so that it can't be installed by its name alone.
    source=$(cd "$work" && "$go" mod download -json "github.com/opentofu/opentofu@$version" |
      python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
    cd "$source"
    "$go" build -mod=readonly -buildvcs=false -trimpath -ldflags="-s -w -X github.com/opentofu/opentofu/version.dev=no" -o "$work/tofu" ./cmd/tofu
  } >"$log" 2>&1 || { tail -20 "$log" >&2; echo "opentofu: the build failed; the whole log is $log" >&2; exit 1; }
  mv "$work/tofu" "$program"
  rm -rf "$work"
fi
echo "$program"
