#!/bin/bash
# This project's Kafka panel, for the first cluster of Kafka UI's variables.
exec streamify kafka ui --listen 0.0.0.0:8080 \
  --brokers "${KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS:?give the brokers in KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS}"
