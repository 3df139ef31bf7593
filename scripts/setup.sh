#!/usr/bin/env bash
# Installs what the app needs, and with the argument `tests` what the tests need as well, where that is allowed.
# Where it is not, names it.
set -euo pipefail

# A command that must be there, and Debian's package that brings it.
wanted=(cc:build-essential perl:perl java:openjdk-17-jre-headless mvn:maven psql:postgresql-client node:nodejs npm:npm)
if [ "${1:-}" = tests ]; then
  wanted+=(javac:openjdk-17-jdk-headless kcat:kcat chromium:chromium curl:curl python3:python3 go:golang
    dockerd:docker.io iptables:iptables mmdebstrap:mmdebstrap docker-registry:docker-registry openssl:openssl git:git)
fi
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry##*:}")
done
server() { command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
server || missing+=(postgresql)
[ "${1:-}" != tests ] || python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
# The static one: it is all that is in the image that the Docker tests use.
[ "${1:-}" != tests ] || [ -e /usr/share/doc/busybox-static ] || missing+=(busybox-static)
command -v cargo >/dev/null 2>&1 || { echo "setup: there is no Rust toolchain: install one with rustup" >&2; exit 1; }

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing: ${missing[*]} (Debian's names); install them with this system's package manager" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      echo "setup: missing, and may not be installed here; run: sudo apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo -n)
  fi
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if [[ " ${missing[*]} " == *" docker-registry "* ]] && [ -d /run/systemd/system ]; then
    # The tests start their own; the package's would listen on every interface from now on.
    "${as_root[@]}" systemctl mask --quiet docker-registry.service
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ "${1:-}" = tests ] && ! command -v cargo-deny >/dev/null 2>&1; then
  echo "setup: building cargo-deny"
  # It runs for a second: optimising it would take longer than it ever does.
  cargo install --quiet --locked --debug cargo-deny
fi

if [ "${1:-}" = tests ] && ! command -v terraform >/dev/null 2>&1; then
  echo "setup: there is no terraform, and Debian has no package of it: install Terraform 1.10 or newer" >&2
  exit 1
fi

if [ "${1:-}" = tests ]; then
  "$(dirname "$0")/compose-peer.sh" >/dev/null
  "$(dirname "$0")/aws-emulators.sh" install >/dev/null
  "$(dirname "$0")/crane-peer.sh" >/dev/null
  "$(dirname "$0")/node-packages.sh" infra/cdk infra/serverless
fi
