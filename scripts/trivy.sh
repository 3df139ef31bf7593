#!/usr/bin/env bash
# Builds trivy from its Go module, once, and prints the program's path: infrastructure-checks.sh uses it where it is there.
# Twelve minutes on two cores. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v0.74.0

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/trivy-$version
program=$cache/trivy

build() {
  # It needs the experiment, and a module of its own: its dependencies are pinned there.
  export GOEXPERIMENT=jsonv2 GOBIN=$work
  "$go" mod init trivy
  "$go" get -tool "github.com/aquasecurity/trivy/cmd/trivy@$version"
  "$go" install github.com/aquasecurity/trivy/cmd/trivy
}

build_once trivy "trivy $version (twelve minutes, once)" "$cache" "$program" build
echo "$program"
