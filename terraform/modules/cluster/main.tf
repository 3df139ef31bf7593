resource "aws_cloudwatch_log_group" "exec" {
  name              = "${var.log_prefix}exec"
  retention_in_days = var.retention_days
  kms_key_id        = var.kms_key
  tags              = var.tags
}

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_224: the log is encrypted with the key; the session is TLS, and `streamify exec` speaks no second encryption
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = var.container_insights
  }

  configuration {
    # What is typed in a shell of a task is kept: who did what in production is a question that comes. No KMS key for
    # the session itself: it is TLS, and `streamify exec` speaks no second encryption.
    execute_command_configuration {
      logging = "OVERRIDE"

      log_configuration {
        cloud_watch_encryption_enabled = true
        cloud_watch_log_group_name     = aws_cloudwatch_log_group.exec.name
      }
    }
  }

  service_connect_defaults {
    namespace = aws_service_discovery_private_dns_namespace.this.arn
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]

  # For one-off tasks and services that name nothing of their own.
  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = 0
    weight            = 1
  }
}

# Services find each other as SERVICE.NAMESPACE, by DNS or by Service Connect.
resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = coalesce(var.namespace, "${var.name}.internal")
  description = "Services of ${var.name}"
  vpc         = var.vpc_id
  tags        = var.tags
}

# The lock and the history of deploys. `streamify deploy` writes it; docs/decisions/0010-rollouts.md says what.
resource "aws_dynamodb_table" "deploys" {
  name                        = "${var.name}-deploys"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key
  }
}
