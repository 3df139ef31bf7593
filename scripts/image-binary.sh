#!/usr/bin/env bash
# Puts a built binary, without what only a debugger reads, where templates/Dockerfile.binary takes it from.
#   image-binary.sh [BINARY]     [target/release/streamify]
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:-target/release/streamify}
staged=target/image/streamify
# Left alone where it is the same already: its time is part of what a builder compares.
[ "$staged" -nt "$binary" ] && exit 0
mkdir -p target/image
strip -o "$staged.$$" "$binary"
mv "$staged.$$" "$staged"
