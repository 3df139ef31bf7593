#!/usr/bin/env bash
# Builds Docker Compose from its Go module, once, and prints the program's path: tests and figures hold this project
# against it. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v5.6.0
# The Go that this version asks for.
toolchain=go1.26.8

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/docker-compose-$version
program=$cache/docker-compose
if [ ! -x "$program" ]; then
  mkdir -p "$cache"
  # Tests run side by side: one builds, the others wait.
  exec 9>"$cache/lock"
  flock 9
fi
if [ ! -x "$program" ]; then
  need_go "$toolchain"
  echo "compose-peer: building Docker Compose $version" >&2
  work=$cache/build
  rm -rf "$work" && mkdir -p "$work" && cd "$work"
  log=$cache/build.log
  {
    "$go" mod init compose-peer
    "$go" get -tool "github.com/docker/compose/v5/cmd@$version"
    "$go" build -trimpath -ldflags "-s -w -X github.com/docker/compose/v5/internal.Version=$version" \
      -o "$program.new" github.com/docker/compose/v5/cmd
  } >"$log" 2>&1 || { tail -20 "$log" >&2; echo "compose-peer: the build failed; the whole log is $log" >&2; exit 1; }
  mv "$program.new" "$program"
  cd / && rm -rf "$work"
fi
echo "$program"
