#!/usr/bin/env bash
# The browser's story on the Docker runtime: the project's own Compose file, on a daemon that is taken away at the end.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
daemon=$root/scripts/test-daemon.sh
folder=/var/tmp/streamify-test-story-$$
trap '"$daemon" stop "$folder"' EXIT
DOCKER_HOST=$("$daemon" start "$folder")
export DOCKER_HOST STREAMIFY_RUNTIME=docker STREAMIFY_DOCKERFILE=templates/Dockerfile.binary
unset DOCKER_CONTEXT
"$root/scripts/stand-in-images.sh" "$root/target/debug/streamify"
"$root/scripts/image-binary.sh" "$root/target/debug/streamify"
./run.sh "${@:-story.spec.ts}"
