#!/usr/bin/env bash
# Builds crane from its Go module, once, and prints the program's path: tests let it look at images, and figures hold
# this project against it. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v0.22.1

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/crane-$version
program=$cache/crane
if [ ! -x "$program" ]; then
  mkdir -p "$cache"
  # Tests run side by side: one builds, the others wait.
  exec 9>"$cache/lock"
  flock 9
fi
if [ ! -x "$program" ]; then
  need_go go1.26.8
  echo "crane-peer: building crane $version" >&2
  log=$cache/build.log
  work=$cache/build
  rm -rf "$work" && mkdir -p "$work"
  GOBIN=$work "$go" install -trimpath "github.com/google/go-containerregistry/cmd/crane@$version" >"$log" 2>&1 ||
    { tail -20 "$log" >&2; echo "crane-peer: the build failed; the whole log is $log" >&2; exit 1; }
  mv "$work/crane" "$program"
  rm -rf "$work"
fi
echo "$program"
