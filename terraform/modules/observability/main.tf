data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region

  makes_key = var.kms_key == null
  kms_key   = local.makes_key ? one(module.key[*].arn) : var.kms_key

  log_groups   = { for name, service in var.services : name => coalesce(service.log_group, "/${var.name}/${name}") }
  ecs_services = { for name, service in var.services : name => coalesce(service.ecs_service, "${var.name}-${name}") }
}

module "key" {
  source = "../key"
  count  = local.makes_key ? 1 : 0

  name        = "${var.name}-observability"
  description = "Logs and alarms of ${var.name}"
  log_groups  = distinct(concat(["/${var.name}/*"], values(local.log_groups), var.key_log_groups))
  # Alarms can't publish to a topic that is encrypted with AWS's own key for SNS: nobody can let them use it.
  publishers = ["cloudwatch.amazonaws.com"]
  tags       = var.tags
}

resource "aws_cloudwatch_log_group" "service" {
  #checkov:skip=CKV_AWS_338:Logs name people by their ids and addresses, so they are kept as long as retention_days says and no longer.
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.retention_days
  kms_key_id        = local.kms_key
  tags              = merge(var.tags, { Service = each.key })
}

# Errors that no request has shown: of the relay, the consumer, a job.
resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each = aws_cloudwatch_log_group.service

  name           = "errors"
  log_group_name = each.value.name
  pattern        = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace     = var.name
    name          = "${each.key}-logged-errors"
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = local.kms_key
  tags              = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# Whoever has the address confirms it by the letter that AWS sends.
resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}
