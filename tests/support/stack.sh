# Sourced by the scripts that test a running stack: one of their own, taken away at the end.

root=$(cd ../.. && pwd)
binary=${STREAMIFY_BINARY:-$root/target/debug/streamify}
project=$(mktemp -d)
# A Docker daemon may run on this machine; the embedded runtime is meant unless the other one is asked for.
export STREAMIFY_RUNTIME=${STREAMIFY_RUNTIME:-embedded}
case $STREAMIFY_RUNTIME in
  embedded) dev() { "$binary" -C "$project" dev "$@"; } ;;
  # The project's own Compose file, under a name and with ports and secrets of its own.
  docker) dev() { "$binary" -C "$root" dev --project-name "story$$" --env-file "$project/.env" "$@"; } ;;
  *) echo "STREAMIFY_RUNTIME is embedded or docker, not $STREAMIFY_RUNTIME" >&2; exit 2 ;;
esac
end_stack() { dev down --volumes --yes >/dev/null 2>&1 || true; rm -rf "$project"; }
trap end_stack EXIT

start_stack() {
  if [ "$STREAMIFY_RUNTIME" = embedded ]; then
    dev up --detach --port auto
    return
  fi
  # Compose files say their ports: free ones, from the system.
  local variable
  for variable in FRONTEND BACKEND POSTGRES ZOOKEEPER KAFKA KAFKA_UI; do
    export "${variable}_PORT=$(python3 -c 'import socket; one = socket.socket(); one.bind(("127.0.0.1", 0)); print(one.getsockname()[1])')"
  done
  "$binary" -C "$project" --quiet init --secrets >/dev/null
  dev up --detach
}

# The address of a service that is up.
address() {
  dev ps --output json |
    python3 -c 'import json, sys; print(next(one["address"] for one in json.load(sys.stdin) if one["service"] == sys.argv[1]))' "$1"
}
