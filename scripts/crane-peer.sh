#!/usr/bin/env bash
# Builds crane from its Go module, once, and prints the program's path: tests let it look at images, and figures hold
# this project against it. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail

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
  go=$(command -v go || ls /usr/local/go/bin/go /usr/lib/go-*/bin/go 2>/dev/null | tail -1) || true
  if [ -z "$go" ]; then
    echo "crane-peer: crane is built with Go, which is missing; install golang (Debian's name)" >&2
    exit 1
  fi
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
