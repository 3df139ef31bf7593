# Sourced by the scripts that test a running stack: one of their own, taken away at the end.

binary=${STREAMIFY_BINARY:-$PWD/../../target/debug/streamify}
project=$(mktemp -d)
end_stack() { "$binary" -C "$project" dev down --volumes --yes >/dev/null 2>&1 || true; rm -rf "$project"; }
trap end_stack EXIT

# The address of a service that is up.
address() {
  "$binary" -C "$project" dev ps --output json |
    python3 -c 'import json, sys; print(next(one["address"] for one in json.load(sys.stdin) if one["service"] == sys.argv[1]))' "$1"
}
