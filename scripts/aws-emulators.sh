#!/usr/bin/env bash
# AWS played on this machine, for tests and demos: MiniStack (a registry, tasks as real containers where a Docker daemon
# is) and moto (wider). Both listen on loopback only. Installed once, outside of the clone, in ~/.cache/streamify.
#   aws-emulators.sh install                    installs both and prints their folder
#   aws-emulators.sh run ministack|moto PORT    runs one in the foreground
#   aws-emulators.sh start ministack|moto       starts one on a free port and prints its address
#   aws-emulators.sh stop ministack|moto        stops the one that was started
set -euo pipefail
ministack=1.5.33
moto=5.2.1
# How the SDK speaks with CloudWatch.
cbor=5.6.5
account=123456789012

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify
tools=$cache/aws-emulators-$ministack-$moto-$cbor

install() {
  if [ ! -e "$tools/complete" ]; then
    mkdir -p "$cache"
    # Tests run side by side: one installs, the others wait.
    exec 9>"$tools.lock"
    flock 9
    if [ ! -e "$tools/complete" ]; then
      echo "aws-emulators: installing MiniStack $ministack and moto $moto" >&2
      # One that was left half installed begins again.
      rm -rf "$tools" && python3 -m venv "$tools"
      "$tools/bin/pip" install --quiet --disable-pip-version-check \
        "ministack==$ministack" docker requests "cbor2==$cbor" "moto[server]==$moto" >&2
      touch "$tools/complete"
    fi
    exec 9>&-
  fi
}

run() {
  install
  # Credentials of a person never reach what only plays AWS.
  unset "${!AWS_@}"
  case $1 in
    ministack)
      # Without the two switches it opens ports on every interface.
      export BIND_HOST=127.0.0.1 GATEWAY_PORT=$2 IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 MINISTACK_ACCOUNT_ID=$account
      exec "$tools/bin/python" "$here/../tests/support/ministack_server.py"
      ;;
    moto)
      # Roles of AWS's own policies, and services that run two tasks.
      export MOTO_IAM_LOAD_MANAGED_POLICIES=true MOTO_ECS_SERVICE_RUNNING=2 MOTO_ACCOUNT_ID=$account
      exec "$tools/bin/python" "$here/../tests/support/moto_server.py" -H 127.0.0.1 -p "$2"
      ;;
    *) echo "aws-emulators: there is ministack and moto, not $1" >&2; exit 2 ;;
  esac
}

# By pid file, and only where it is still that process.
pid() {
  local found
  found=$(cat "$cache/$1.pid" 2>/dev/null) || return 1
  case "$(tr '\0' ' ' 2>/dev/null <"/proc/$found/cmdline")" in
    *"$tools/bin/"*) echo "$found" ;;
    *) return 1 ;;
  esac
}

answers() { python3 -c "import socket,sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)" "$1" 2>/dev/null; }

start() {
  install
  if pid "$1" >/dev/null; then echo "http://127.0.0.1:$(cat "$cache/$1.port")"; return; fi
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  setsid "$0" run "$1" "$port" >"$cache/$1.log" 2>&1 </dev/null &
  echo $! >"$cache/$1.pid"
  echo "$port" >"$cache/$1.port"
  for _ in $(seq 300); do
    if answers "$port"; then echo "http://127.0.0.1:$port"; return; fi
    kill -0 "$(cat "$cache/$1.pid")" 2>/dev/null || break
    sleep 0.1
  done
  tail -20 "$cache/$1.log" >&2
  exit 1
}

stop() {
  local found
  # The whole group: it was started as the leader of one.
  if found=$(pid "$1"); then kill -- "-$found" 2>/dev/null || true; fi
  rm -f "$cache/$1.pid" "$cache/$1.port"
}

case ${1:-} in
  install) install && echo "$tools" ;;
  run | start | stop) "$1" "${2:?ministack or moto}" "${3:-}" ;;
  *) echo "usage: aws-emulators.sh install | run NAME PORT | start NAME | stop NAME" >&2; exit 2 ;;
esac
