#!/bin/bash
# Starts ZooKeeper as the official image does: as `zookeeper`, configured by ZOO_* variables, data in /data and /datalog.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
  chown -R zookeeper /data /datalog /logs /conf
  exec setpriv --reuid zookeeper --regid zookeeper --init-groups "$0" "$@"
fi
if [ ! -f /conf/zoo.cfg ]; then
  cat >/conf/zoo.cfg <<END
dataDir=/data
dataLogDir=/datalog
clientPort=2181
tickTime=${ZOO_TICK_TIME:-2000}
initLimit=${ZOO_INIT_LIMIT:-5}
syncLimit=${ZOO_SYNC_LIMIT:-2}
autopurge.snapRetainCount=${ZOO_AUTOPURGE_SNAPRETAINCOUNT:-3}
autopurge.purgeInterval=${ZOO_AUTOPURGE_PURGEINTERVAL:-0}
maxClientCnxns=${ZOO_MAX_CLIENT_CNXNS:-60}
standaloneEnabled=${ZOO_STANDALONE_ENABLED:-true}
admin.enableServer=${ZOO_ADMINSERVER_ENABLED:-true}
4lw.commands.whitelist=${ZOO_4LW_COMMANDS_WHITELIST:-srvr}
END
fi
exec java "-Xmx${ZK_SERVER_HEAP:-1000}m" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp '/opt/zookeeper/*' \
  org.apache.zookeeper.server.quorum.QuorumPeerMain /conf/zoo.cfg
