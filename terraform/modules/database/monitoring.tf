locals {
  log_exports = toset(["postgresql", "upgrade"])

  # GiB of memory by size; classes of families that begin with r have twice as much.
  memory_of_size = { micro = 1, small = 2, medium = 4, large = 8, xlarge = 16, "2xlarge" = 32, "4xlarge" = 64, "8xlarge" = 128, "12xlarge" = 192, "16xlarge" = 256, "24xlarge" = 384 }
  class          = regex("^db\\.(?P<family>[a-z])[a-z0-9]*\\.(?P<size>[a-z0-9]+)$", var.instance_class)
  memory         = lookup(local.memory_of_size, local.class.size, 16) * (local.class.family == "r" ? 2 : 1)
  # RDS' own rule: the memory in bytes by 9531392, and 5000 at most.
  maximum_connections = min(5000, floor(local.memory * pow(1024, 3) / 9531392))

  alarms = {
    cpu = {
      metric      = "CPUUtilization"
      statistic   = "Average"
      comparison  = "GreaterThanThreshold"
      threshold   = 80
      periods     = 15
      description = "The database's processor is more than 80 % busy for 15 minutes: look at the top statements in Performance Insights, then at a larger instance_class."
    }
    storage = {
      metric      = "FreeStorageSpace"
      statistic   = "Minimum"
      comparison  = "LessThanThreshold"
      threshold   = floor(var.allocated_storage * pow(1024, 3) * 0.1)
      periods     = 5
      description = "The database has less than a tenth of ${var.allocated_storage} GiB left. It grows by itself to max_allocated_storage, but only once in six hours: raise it, or find what grows."
    }
    connections = {
      metric      = "DatabaseConnections"
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = floor(local.maximum_connections * 0.7)
      periods     = 5
      description = "The database has more than seven tenths of the connections that ${var.instance_class} allows (${local.maximum_connections}, a little less in truth): fewer in each task's pool, or a larger instance_class."
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:Statements may hold people's data, so logs are kept as long as log_retention_days says and no longer.
  for_each = local.log_exports

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key
  tags              = var.tags
}

resource "aws_iam_role" "monitoring" {
  name_prefix = "${substr(var.name, 0, 26)}-monitoring-"
  description = "Sends the operating system's figures of the database ${var.name}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-database-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = aws_db_instance.this.identifier }
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.periods
  # A database that is away tells nothing: that is seen by what can't reach it.
  treat_missing_data = "missing"
  alarm_actions      = var.alarm_topics
  ok_actions         = var.alarm_topics
  tags               = var.tags
}
