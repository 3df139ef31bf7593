#!/usr/bin/env bash
# Builds crane from its Go module, once, and prints the program's path: tests let it look at images, and figures hold
# this project against it. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v0.22.1

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/crane-$version
program=$cache/crane

build() { GOBIN=$work "$go" install -trimpath "github.com/google/go-containerregistry/cmd/crane@$version"; }

build_once crane-peer "crane $version" "$cache" "$program" build
echo "$program"
