# What exists only with brokers of one's own.

locals {
  makes_key = local.provisioned && var.kms_key == null
  kms_key   = local.makes_key ? one(module.key[*].arn) : var.kms_key

  # A copy in each of as many brokers as there are, up to three; one of them may be away, unless there are but two.
  copies = min(3, var.broker_count)

  alarms = local.provisioned ? {
    controller = {
      metric      = "ActiveControllerCount"
      statistic   = "Maximum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      description = "Kafka has had no controller for five minutes: no partition gets a new leader. Look at the broker logs, and at MSK's own events."
    }
    offline = {
      metric      = "OfflinePartitionsCount"
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      description = "Partitions are without a leader: nothing can be read from or written to them. Events wait in the outbox."
    }
  } : {}
}

module "key" {
  source = "../key"
  count  = local.makes_key ? 1 : 0

  name        = "${var.name}-messaging"
  description = "Kafka's data and logs of ${var.name}"
  log_groups  = ["/${var.name}/messaging/*"]
  tags        = var.tags
}

resource "aws_cloudwatch_log_group" "brokers" {
  #checkov:skip=CKV_AWS_338:Broker logs help for days, not for years; log_retention_days says how long.
  count = local.provisioned ? 1 : 0

  name              = "/${var.name}/messaging/brokers"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key
  tags              = var.tags
}

resource "aws_msk_configuration" "this" {
  count = local.provisioned ? 1 : 0

  name        = var.name
  description = "Brokers of ${var.name}"
  # Topics are made by `streamify`, with the partitions that they need; a typing mistake must not make one.
  server_properties = <<-PROPERTIES
    auto.create.topics.enable=false
    default.replication.factor=${local.copies}
    delete.topic.enable=true
    log.retention.hours=${var.retention_hours}
    min.insync.replicas=${max(1, local.copies - 1)}
    num.partitions=6
    unclean.leader.election.enable=false
  PROPERTIES
}

resource "aws_msk_cluster" "this" {
  count = local.provisioned ? 1 : 0

  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.broker_count
  enhanced_monitoring    = "PER_BROKER"
  tags                   = var.tags

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.subnets
    security_groups = [aws_security_group.this.id]

    storage_info {
      ebs_storage_info {
        volume_size = var.storage_gib
      }
    }

    connectivity_info {
      public_access {
        type = "DISABLED"
      }
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this[0].arn
    revision = aws_msk_configuration.this[0].latest_revision
  }

  client_authentication {
    unauthenticated = false

    sasl {
      iam   = true
      scram = false
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = local.kms_key

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers[0].name
      }
    }
  }

  lifecycle {
    # Grown by itself, see below; it can't be made smaller.
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]

    precondition {
      condition     = var.broker_count % length(var.subnets) == 0
      error_message = "MSK puts the same number of brokers into each subnet: broker_count (${var.broker_count}) is no multiple of ${length(var.subnets)} subnets."
    }
  }
}

resource "aws_appautoscaling_target" "storage" {
  count = local.provisioned && var.max_storage_gib > var.storage_gib ? 1 : 0

  service_namespace  = "kafka"
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  resource_id        = aws_msk_cluster.this[0].arn
  min_capacity       = 1
  max_capacity       = var.max_storage_gib
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "storage" {
  count = length(aws_appautoscaling_target.storage)

  name               = "${var.name}-kafka-storage"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.storage[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.storage[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.storage[0].resource_id

  target_tracking_scaling_policy_configuration {
    # Kafka's volumes never shrink.
    disable_scale_in = true
    target_value     = 60

    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "cluster" {
  for_each = local.alarms

  alarm_name          = "${var.name}-kafka-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Kafka"
  metric_name         = each.value.metric
  dimensions          = { "Cluster Name" = aws_msk_cluster.this[0].cluster_name }
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = 5
  # A new cluster tells its figures only after some minutes.
  treat_missing_data = "missing"
  alarm_actions      = var.alarm_topics
  ok_actions         = var.alarm_topics
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "disk" {
  count = local.provisioned ? var.broker_count : 0

  alarm_name          = "${var.name}-kafka-disk-${count.index + 1}"
  alarm_description   = "The disk of Kafka's broker ${count.index + 1} is more than 85 % full. It grows by itself up to max_storage_gib (${var.max_storage_gib}), but only once in six hours: raise it, or keep topics for a shorter time."
  namespace           = "AWS/Kafka"
  metric_name         = "KafkaDataLogsDiskUsed"
  dimensions          = { "Cluster Name" = aws_msk_cluster.this[0].cluster_name, "Broker ID" = tostring(count.index + 1) }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 85
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "missing"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags
}
