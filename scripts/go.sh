# Sourced by scripts that build a tool from its Go module: `need_go VERSION`, such as go1.26.8, sets `go` to a Go that is
# at least as new. Where the one that is here is older, the new one is fetched as the module that Go publishes its
# toolchains as. `build_once` is what such a script does with it.

need_go() {
  local wanted=$1 found work
  go=$(command -v go || ls /usr/local/go/bin/go /usr/lib/go-*/bin/go 2>/dev/null | tail -1) || true
  if [ -z "$go" ]; then
    echo "Go is missing; install golang (Debian's name)" >&2
    return 1
  fi
  found=$(GOTOOLCHAIN=local "$go" env GOVERSION)
  if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -1)" = "$wanted" ]; then
    export GOTOOLCHAIN=local
  elif [ "$(printf '%s\n' go1.21 "$found" | sort -V | head -1)" = go1.21 ]; then
    export GOTOOLCHAIN=$wanted
  else
    # Before 1.21 Go does not change to another toolchain by itself, and leaves the module's programs not executable.
    work=$(mktemp -d)
    (cd "$work" && "$go" mod init toolchain >/dev/null 2>&1)
    export GOROOT
    GOROOT=$(cd "$work" &&
      "$go" mod download -json "golang.org/toolchain@v0.0.1-$wanted.$("$go" env GOOS)-$("$go" env GOARCH)" |
      sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
    rm -rf "$work"
    chmod -R u+w "$GOROOT/bin" "$GOROOT/pkg/tool"
    chmod +x "$GOROOT"/bin/* "$GOROOT"/pkg/tool/*/*
    go=$GOROOT/bin/go
    export GOTOOLCHAIN=local
  fi
}

# build_once NAME WHAT CACHE PROGRAM BUILD: where there is no PROGRAM yet, runs the function BUILD in $work, an empty folder
# in which it leaves the program under PROGRAM's last name, and moves it there. Says "building WHAT", and keeps the log in
# CACHE. Tests run side by side: one builds, the others wait, until the script that builds has ended.
build_once() {
  local name=$1 what=$2 cache=$3 program=$4 build=$5 log work
  [ ! -x "$program" ] || return 0
  mkdir -p "$cache" "$(dirname "$program")"
  exec 9>"$cache/lock"
  flock 9
  if [ ! -x "$program" ]; then
    need_go go1.26.8
    echo "$name: building $what" >&2
    log=$cache/build.log
    work=$cache/build
    rm -rf "$work" && mkdir -p "$work"
    (cd "$work" && "$build") >"$log" 2>&1 ||
      { tail -20 "$log" >&2; echo "$name: the build failed; the whole log is $log" >&2; exit 1; }
    mv "$work/$(basename "$program")" "$program"
    # What Go has downloaded there can't be written to.
    chmod -R u+w "$work" && rm -rf "$work"
  fi
}
