#!/usr/bin/env bash
# Builds trivy from its Go module, once, and prints the program's path: infrastructure-checks.sh uses it where it is there.
# Twelve minutes on two cores. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v0.74.0

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/trivy-$version
program=$cache/trivy
if [ ! -x "$program" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
fi
if [ ! -x "$program" ]; then
  need_go go1.26.8
  echo "trivy: building trivy $version (twelve minutes, once)" >&2
  log=$cache/build.log
  work=$cache/build
  rm -rf "$work" && mkdir -p "$work"
  {
    cd "$work"
    # It needs the experiment, and a module of its own: its dependencies are pinned there.
    export GOEXPERIMENT=jsonv2 GOBIN=$work
    "$go" mod init trivy
    "$go" get -tool "github.com/aquasecurity/trivy/cmd/trivy@$version"
    "$go" install github.com/aquasecurity/trivy/cmd/trivy
  } >"$log" 2>&1 || { tail -20 "$log" >&2; echo "trivy: the build failed; the whole log is $log" >&2; exit 1; }
  mv "$work/trivy" "$program"
  chmod -R u+w "$work" && rm -rf "$work"
fi
echo "$program"
