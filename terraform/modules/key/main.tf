data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  log_groups = [for group in var.log_groups : "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${group}"]

  # The account's own statement makes IAM policies count for this key, and keeps it from being locked out of forever.
  # Written as JSON here, not as a policy document's data source: a test without AWS can then look into it.
  administration = {
    Sid       = "AccountAdministersByItsOwnPolicies"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
    Action    = "kms:*"
    Resource  = "*"
  }

  logs = {
    Sid       = "CloudWatchLogsEncryptsTheseGroups"
    Effect    = "Allow"
    Principal = { Service = "logs.${local.region}.amazonaws.com" }
    Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    Resource  = "*"
    Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = local.log_groups } }
  }

  publishers = {
    Sid       = "ServicesPublishToEncryptedTopics"
    Effect    = "Allow"
    Principal = { Service = sort(var.publishers) }
    Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
    Resource  = "*"
    Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
  }
}

resource "aws_kms_key" "this" {
  description             = var.description
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_window_days
  tags                    = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.administration],
      [for statement in [local.logs] : statement if length(var.log_groups) > 0],
      [for statement in [local.publishers] : statement if length(var.publishers) > 0],
    )
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
