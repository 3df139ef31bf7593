#!/usr/bin/env bash
# Builds Docker Compose from its Go module, once, and prints the program's path: tests and figures hold this project
# against it. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail
. "$(dirname "$0")/go.sh"

version=v5.6.0

cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/docker-compose-$version
program=$cache/docker-compose

build() {
  "$go" mod init compose-peer
  "$go" get -tool "github.com/docker/compose/v5/cmd@$version"
  "$go" build -trimpath -ldflags "-s -w -X github.com/docker/compose/v5/internal.Version=$version" \
    -o docker-compose github.com/docker/compose/v5/cmd
}

build_once compose-peer "Docker Compose $version" "$cache" "$program" build
echo "$program"
