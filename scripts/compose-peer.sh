#!/usr/bin/env bash
# Builds Docker Compose from its Go module, once, and prints the program's path: tests and figures hold this project
# against it. Kept outside of the clone, in ~/.cache/streamify.
set -euo pipefail

version=v5.6.0
# The Go that this version asks for. An older one fetches it as the module that Go publishes its toolchains as.
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
  go=$(command -v go || ls /usr/local/go/bin/go /usr/lib/go-*/bin/go 2>/dev/null | tail -1) || true
  if [ -z "$go" ]; then
    echo "compose-peer: Docker Compose is built with Go, which is missing; install golang (Debian's name)" >&2
    exit 1
  fi
  echo "compose-peer: building Docker Compose $version" >&2
  work=$cache/build
  rm -rf "$work" && mkdir -p "$work" && cd "$work"
  found=$(GOTOOLCHAIN=local "$go" env GOVERSION)
  if [ "$(printf '%s\n' go1.21 "$found" | sort -V | head -1)" != go1.21 ]; then
    # Before 1.21 Go does not change to another toolchain by itself, and leaves the module's programs not executable.
    "$go" mod init toolchain >/dev/null 2>&1
    export GOROOT
    GOROOT=$("$go" mod download -json "golang.org/toolchain@v0.0.1-$toolchain.$("$go" env GOOS)-$("$go" env GOARCH)" |
      sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
    chmod -R u+w "$GOROOT/bin" "$GOROOT/pkg/tool"
    chmod +x "$GOROOT"/bin/* "$GOROOT"/pkg/tool/*/*
    go=$GOROOT/bin/go
    export GOTOOLCHAIN=local
    rm -f go.mod
  else
    export GOTOOLCHAIN=$toolchain
    # The one that is there may be enough, and need not be fetched then.
    if [ "$(printf '%s\n' "$toolchain" "$found" | sort -V | head -1)" = "$toolchain" ]; then GOTOOLCHAIN=local; fi
  fi
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
