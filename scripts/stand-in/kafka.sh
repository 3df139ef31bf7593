#!/bin/bash
# Starts Kafka as the official images do: every KAFKA_SOME_NAME is the property some.name. With roles it is KRaft, whose
# storage is formatted the first time; without, it goes to ZooKeeper.
set -euo pipefail
file=/opt/kafka/config/server.properties
[ -n "${KAFKA_LOG_DIRS:-}" ] || echo 'log.dirs=/var/lib/kafka/data' >"$file.new"
env -0 | while IFS= read -r -d '' variable; do
  name=${variable%%=*}
  case $name in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_* | KAFKA_LOG4J_* | KAFKA_VERSION) continue ;;
    KAFKA_*) ;;
    *) continue ;;
  esac
  # Three underscores are a hyphen, two are an underscore, one is a dot.
  key=$(tr '[:upper:]' '[:lower:]' <<<"${name#KAFKA_}" | sed 's/___/-/g; s/__/\x01/g; s/_/./g; s/\x01/_/g')
  printf '%s=%s\n' "$key" "${variable#*=}"
done >>"$file.new"
mv "$file.new" "$file"
run=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp '/opt/kafka/libs/*')
if [ -n "${KAFKA_PROCESS_ROLES:-}" ]; then
  "${run[@]}" -Xmx128m kafka.tools.StorageTool format --ignore-formatted -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$file"
fi
# shellcheck disable=SC2086 # several words are meant
exec "${run[@]}" ${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G} ${KAFKA_OPTS:-} kafka.Kafka "$file"
