#!/usr/bin/env bash
# A Docker daemon of the tests' own: its data, socket and process are apart from every other daemon's.
#   test-daemon.sh start [FOLDER] [apart]   starts one (or finds it running) and prints its DOCKER_HOST; `apart`: with a
#                                   network of its own, whose ports nobody else can reach. Daemons that share one change
#                                   the packet filter under each other's hands whenever one of them starts
#   test-daemon.sh stop [FOLDER]    stops it and removes what it kept; containers end with it
#   test-daemon.sh kill [FOLDER]    ends it as a crash would; what it kept stays, and `start` goes on with it
set -euo pipefail
command=${1:?start, stop or kill}
folder=${2:-${STREAMIFY_TEST_DAEMON:-/var/tmp/streamify-test-daemon}}
socket=$folder/docker.sock
namespace=stfy-$(printf '%s' "$folder" | cksum | cut -d' ' -f1)
inside=()
if [ "${3:-}" = apart ]; then
  ip netns list | grep -q "^$namespace\b" || ip netns add "$namespace"
fi
if [ -e "/run/netns/$namespace" ]; then inside=(nsenter "--net=/run/netns/$namespace"); fi

# By pid file, and only where it is still that daemon.
pid() {
  local found
  found=$(cat "$folder/docker.pid" 2>/dev/null) || return 1
  case "$(tr '\0' ' ' 2>/dev/null <"/proc/$found/cmdline")" in
    *"--data-root $folder/data "*) echo "$found" ;;
    *) return 1 ;;
  esac
}

answers() { curl -fsS --max-time 2 --unix-socket "$socket" http://docker/_ping >/dev/null 2>&1; }

# A bridge of its own: the default one belongs to the machine's own daemon, where there is one.
bridge="stfy$(printf '%s' "$folder" | cksum | cut -c1-6)"

# An image for tests of the engine: Debian's static busybox and nothing else. It needs no registry.
image() {
  local name=streamify-test/box:1
  curl -fsS --unix-socket "$socket" "http://docker/images/$name/json" >/dev/null 2>&1 && return
  local busybox root
  busybox=$(command -v busybox) || { echo "there is no busybox: apt-get install busybox-static" >&2; exit 1; }
  root=$(mktemp -d)
  mkdir -p "$root"/{bin,etc,proc,run,tmp,var,data}
  cp "$busybox" "$root/bin/busybox"
  "$root/bin/busybox" --list | while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  # The daemon may hang up on an upload once it has all that it wants: what counts is whether the image is there.
  tar -C "$root" -c . | curl -fsS --unix-socket "$socket" -X POST -T - -o /dev/null \
    "http://docker/images/create?fromSrc=-&repo=${name%:*}&tag=${name#*:}&changes=CMD%20%5B%22sh%22%5D" || true
  rm -rf "$root"
  curl -fsS --unix-socket "$socket" -o /dev/null "http://docker/images/$name/json"
}

start() {
  if pid >/dev/null && answers; then image; echo "unix://$socket"; return; fi
  command -v dockerd >/dev/null || { echo "there is no dockerd: apt-get install docker.io" >&2; exit 1; }
  [ "$(id -u)" = 0 ] || { echo "a daemon needs root" >&2; exit 1; }
  mkdir -p "$folder"
  # Two that start at once get into each other's way in the packet filter.
  exec 9>"$(dirname "$folder")/.streamify-test-daemon.lock"
  flock 9
  rm -f "$folder/docker.pid"
  # After a crash a process id may still be listed as one that has ended and that nobody has asked about.
  local containerd
  containerd=$(cat "$folder/exec/containerd/containerd.pid" 2>/dev/null || true)
  if [ -n "$containerd" ] && [ -z "$(tr '\0' ' ' <"/proc/$containerd/cmdline" 2>/dev/null)" ]; then
    rm -f "$folder/exec/containerd/containerd.pid"
  fi
  # Loopback in containers needs forwarding, which dockerd itself turns on.
  "${inside[@]}" ip link set lo up
  "${inside[@]}" ip link show "$bridge" >/dev/null 2>&1 || "${inside[@]}" ip link add "$bridge" type bridge
  local number=$((0x$(printf '%s' "$folder" | md5sum | cut -c1-2) % 200 + 20))
  [ -n "$("${inside[@]}" ip -4 -oneline address show dev "$bridge")" ] ||
    "${inside[@]}" ip address add "10.213.$number.1/24" dev "$bridge"
  "${inside[@]}" ip link set "$bridge" up
  # A limit of its own: an inherited low one would stop a hundred containers.
  ulimit -n 1048576 2>/dev/null || true
  # A daemon that is at work may change the packet filter under the hands of one that starts, which then gives up.
  local daemon
  for _ in 1 2 3 4 5; do
    setsid "${inside[@]}" dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/docker.pid" \
      --host "unix://$socket" --bridge "$bridge" --default-address-pool "base=10.${number}.0.0/16,size=24" \
      --log-level warn >>"$folder/dockerd.log" 2>&1 </dev/null 9>&- &
    daemon=$!
    for _ in $(seq 150); do
      if answers; then image; echo "unix://$socket"; return; fi
      kill -0 "$daemon" 2>/dev/null || break
      sleep 0.2
    done
    rm -f "$folder/docker.pid"
  done
  tail -20 "$folder/dockerd.log" >&2
  exit 1
}

stop() {
  if answers; then
    # What runs in it ends first: shims would outlive it.
    curl -fsS --unix-socket "$socket" 'http://docker/containers/json?all=1' | grep -o '"Id":"[0-9a-f]*"' | cut -d'"' -f4 |
      xargs -r -P 8 -I{} curl -fsS -o /dev/null -X DELETE --unix-socket "$socket" "http://docker/containers/{}?force=1&v=1" || true
  fi
  local daemon
  if daemon=$(pid); then
    kill "$daemon"
    for _ in $(seq 100); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.1; done
  fi
  # Where it had been killed, what it had started may still be there: known by the folder in its arguments.
  local process
  for process in /proc/[0-9]*; do
    case "$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null)" in
      *"$folder/exec/"*) kill -9 "${process#/proc/}" 2>/dev/null || true ;;
    esac
  done
  "${inside[@]}" ip link delete "$bridge" 2>/dev/null || true
  [ ${#inside[@]} = 0 ] || ip netns delete "$namespace"
  grep -o " $folder/[^ ]*" /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
  rm -rf "$folder"
}

case $command in
  start) start ;;
  stop) stop ;;
  kill) daemon=$(pid) && kill -9 "$daemon" ;;
  *) echo "start, stop or kill, not $command" >&2; exit 2 ;;
esac
