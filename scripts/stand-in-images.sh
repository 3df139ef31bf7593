#!/usr/bin/env bash
# Makes sure that a Docker daemon has every image that docker-compose.yml runs and templates/Dockerfile.binary starts
# from. Where a registry answers they are pulled. Where none does, images of the same names are built from Debian's
# packages and Maven's jars: the real software, behind the variables and paths of the official images that the Compose
# file uses. What is slow is kept in ~/.cache/streamify, and what is there is not made again.
#   DOCKER_HOST=… stand-in-images.sh [BINARY]     BINARY serves the Kafka panel [target/debug/streamify]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")
binary=${1:-$project/target/debug/streamify}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify
: "${DOCKER_HOST:?give the daemon, as scripts/test-daemon.sh prints it}"
case $DOCKER_HOST in
  unix://*) socket=${DOCKER_HOST#unix://} ;;
  *) echo "stand-in-images: only a daemon on this machine is filled, and $DOCKER_HOST is not one" >&2; exit 1 ;;
esac
for program in curl tar busybox; do
  command -v "$program" >/dev/null || { echo "stand-in-images: $program is missing: make setup-tests" >&2; exit 1; }
done

# The names and tags are the Compose file's own.
tag_of() {
  local found
  found=$(sed -n "s|^ *image: *\($1:[^ ]*\)$|\1|p" "$project/docker-compose.yml" | head -1)
  [ -n "$found" ] || { echo "stand-in-images: docker-compose.yml runs no image $1" >&2; exit 1; }
  echo "$found"
}
postgres=$(tag_of postgres)
zookeeper=$(tag_of zookeeper)
kafka=$(tag_of confluentinc/cp-kafka)
kraft=$(tag_of apache/kafka)
panel=$(tag_of ghcr.io/kafbat/kafka-ui)
runtime=$(sed -n 's/^ARG RUNTIME=//p' "$project/templates/Dockerfile.binary")

api() { curl -sS --fail-with-body --unix-socket "$socket" "$@"; }
is_there() { api -o /dev/null "http://docker/images/$1/json" 2>/dev/null; }

# One try answers for all: a registry that can't be reached takes its time to say so.
registry=unknown
pull() {
  [ "$registry" != none ] || return 1
  local answer
  answer=$(api --max-time "$([ "$registry" = there ] && echo 900 || echo 20)" -X POST \
    "http://docker/images/create?fromImage=${1%:*}&tag=${1##*:}" 2>/dev/null) || { registry=none; return 1; }
  if is_there "$1"; then registry=there; return; fi
  [ "$registry" = there ] || registry=none
  echo "stand-in-images: $1 can't be pulled: $(tail -1 <<<"$answer")" >&2
  return 1
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$cache"
# Runs side by side fill the cache once.
exec 9>"$cache/stand-in.lock"
flock 9

# Debian with PostgreSQL and Java, as an archive.
debian_version=1
debian=$cache/stand-in-debian-$debian_version.tar
make_debian() {
  [ ! -f "$debian" ] || return 0
  command -v mmdebstrap >/dev/null || { echo "stand-in-images: mmdebstrap is missing: make setup-tests" >&2; exit 1; }
  echo "stand-in-images: making a Debian root (once)" >&2
  # Documentation is removed at the end only: packages' own scripts want its folders. No cluster is made: the image
  # makes its own.
  mmdebstrap --quiet --variant=minbase \
    --include=ca-certificates,netcat-openbsd,openjdk-17-jre-headless,postgresql-15,busybox-static \
    --essential-hook='mkdir -p "$1/etc/postgresql-common"' \
    --essential-hook='echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook='cd "$1" && rm -rf var/cache/apt/* var/lib/apt/lists/* usr/share/{doc,man,locale}/*' \
    bookworm "$debian.new.tar" >&2
  mv "$debian.new.tar" "$debian"
}

# Jars of a pom, as the tests have them too.
jars() {
  local pom=$1 version folder
  version=$(sed -n '/kafka_2.13</,/<version>/s|.*<version>\(.*\)</version>.*|\1|p' "$pom")
  folder=$cache/$2-$version
  if [ ! -d "$folder" ]; then
    echo "stand-in-images: fetching Kafka $version (once)" >&2
    mvn -q -B -C -f "$pom" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DoutputDirectory="$folder.new.$$" -DincludeScope=runtime >&2
    mv "$folder.new.$$" "$folder"
  fi
  echo "$folder"
}

# An archive becomes an image; Dockerfile instructions follow.
import() {
  local name=$1 query= instruction
  shift
  for instruction; do
    instruction=${instruction//%/%25} instruction=${instruction// /%20}
    query+="&changes=${instruction//=/%3D}"
  done
  api -o /dev/null -X POST -T - "http://docker/images/create?fromSrc=-&repo=${name%:*}&tag=${name##*:}$query"
}
# A folder with a Dockerfile becomes an image.
build() {
  local answer
  answer=$(tar -C "$1" -c . | api -X POST -T - -H 'Content-Type: application/x-tar' "http://docker/build?t=$2&rm=1&q=1") || {
    echo "stand-in-images: $2: $answer" >&2
    exit 1
  }
  is_there "$2" || { echo "stand-in-images: $2 was not built: $answer" >&2; exit 1; }
}

base=streamify-stand-in/debian:$debian_version
need_base() {
  is_there "$base" && return
  make_debian
  import "$base" <"$debian"
}

stand_in() { # NAME FUNCTION
  is_there "$1" && return
  pull "$1" && return
  echo "stand-in-images: building a stand-in of $1" >&2
  local folder=$temporary/$2
  mkdir -p "$folder"
  cp "$here/stand-in/"* "$folder/"
  "$2" "$folder" "$1"
}

make_postgres() {
  need_base
  cat >"$1/Dockerfile" <<END
FROM $base
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
RUN chmod 755 /usr/local/bin/docker-entrypoint.sh && mkdir -p /var/lib/postgresql/data /var/run/postgresql \
    /docker-entrypoint-initdb.d \
 && chown postgres:postgres /var/lib/postgresql/data /var/run/postgresql
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
END
  build "$1" "$2"
}

make_zookeeper() {
  need_base
  cp -r "$(jars "$project/tests/support/zookeeper-kafka.xml" test-kafka-zookeeper)" "$1/libs"
  cat >"$1/Dockerfile" <<END
FROM $base
COPY libs /opt/zookeeper
COPY zookeeper.sh /docker-entrypoint.sh
RUN chmod 755 /docker-entrypoint.sh && useradd --system --uid 1000 zookeeper && mkdir -p /conf /data /datalog /logs \
 && chown zookeeper /conf /data /datalog /logs
VOLUME ["/data", "/datalog", "/logs"]
EXPOSE 2181
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["zkServer.sh", "start-foreground"]
END
  build "$1" "$2"
}

kafka_image() { # FOLDER NAME JARS COMMAND
  need_base
  cp -r "$3" "$1/libs"
  cat >"$1/Dockerfile" <<END
FROM $base
COPY libs /opt/kafka/libs
COPY kafka.sh $4
RUN chmod 755 $4 && useradd --system --uid 1000 appuser && mkdir -p /var/lib/kafka/data /etc/kafka /opt/kafka/config \
 && chown -R appuser /var/lib/kafka /etc/kafka /opt/kafka/config
USER appuser
VOLUME /var/lib/kafka/data
EXPOSE 9092
CMD ["$4"]
END
  build "$1" "$2"
}
make_kafka() {
  kafka_image "$1" "$2" "$(jars "$project/tests/support/zookeeper-kafka.xml" test-kafka-zookeeper)" /etc/confluent/docker/run
}
make_kraft() {
  kafka_image "$1" "$2" "$(jars "$project/templates/kafka/pom.xml" test-kafka-kraft)" /etc/kafka/docker/run
}

# Kafka UI is not to be had as a package: this project's own panel stands on its port.
make_panel() {
  need_base
  [ -x "$binary" ] || { echo "stand-in-images: there is no $binary: cargo build" >&2; exit 1; }
  cp "$binary" "$1/streamify"
  cat >"$1/Dockerfile" <<END
FROM $base
COPY streamify /usr/local/bin/streamify
COPY panel.sh /panel.sh
RUN chmod 755 /panel.sh && ln -s /bin/busybox /usr/local/bin/wget && useradd --system kafkaui
USER kafkaui
EXPOSE 8080
CMD ["/panel.sh"]
END
  build "$1" "$2"
}

# The C library, certificates and a user: no shell, as in the official one.
make_runtime() {
  make_debian
  local root=$1/root
  mkdir -p "$root"
  # The folders above are links into /usr.
  tar -C "$root" -xf "$debian" --wildcards ./lib ./lib64 './usr/lib64/ld-*' ./etc/ssl/certs ./usr/share/ca-certificates \
    './usr/lib/*-linux-gnu/'{ld-,libc.,libdl.,libgcc_s.,libm.,libnss_,libpthread.,libresolv.,librt.}'*'
  mkdir -p "$root"/{tmp,home/nonroot,usr/local/bin} && chmod 1777 "$root/tmp"
  echo 'root:x:0:0:root:/root:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >"$root/etc/passwd"
  echo 'root:x:0:
nonroot:x:65532:' >"$root/etc/group"
  tar -C "$root" -c . | import "$2" 'USER 65532' 'WORKDIR /home/nonroot' \
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
}

stand_in "$postgres" make_postgres
stand_in "$zookeeper" make_zookeeper
stand_in "$kafka" make_kafka
stand_in "$kraft" make_kraft
stand_in "$runtime" make_runtime
stand_in "$panel" make_panel
