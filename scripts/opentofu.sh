#!/usr/bin/env bash
# Builds OpenTofu from its Go module, once, and prints the program's path: tests run roots with it as with Terraform. Five
# minutes of processor and a program of 115 MB, kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v1.12.6

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/opentofu-$version
program=$cache/tofu

build() {
  local source
  # Its go.mod replaces a module, so that it can't be installed by its name alone.
  source=$("$go" mod download -json "github.com/opentofu/opentofu@$version" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  cd "$source"
  "$go" build -mod=readonly -buildvcs=false -trimpath -ldflags="-s -w -X github.com/opentofu/opentofu/version.dev=no" -o "$work/tofu" ./cmd/tofu
}

build_once opentofu "OpenTofu $version (five minutes of two cores, once)" "$cache" "$program" build
echo "$program"
