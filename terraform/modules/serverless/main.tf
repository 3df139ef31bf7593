data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  alias     = "live"
  prefix    = "/${var.name}/"

  # One program, three functions. A migration takes as long as it takes; API Gateway waits for 30 s.
  functions = {
    http      = { timeout = 29, description = "Answers the HTTP API" }
    websocket = { timeout = 29, description = "The protocol of /ws, message by message" }
    events    = { timeout = 900, description = "Posts events to connections, publishes what is left, migrates" }
  }
}

# What stands before the first deploy. Code, versions and where the alias points belong to `streamify deploy`.
resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_116: nothing invokes these asynchronously but the schedule, which comes again in a minute
  # checkov:skip=CKV_AWS_272: the deploy's own role is the one that may write code, and the zip's hash is in its history
  # checkov:skip=CKV_AWS_115: the bound is a variable, since an account's own limit may be lower than any bound
  for_each = local.functions

  function_name                  = "${var.name}-${each.key}"
  description                    = each.value.description
  role                           = aws_iam_role.this[each.key].arn
  filename                       = "${path.module}/placeholder.zip"
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  memory_size                    = var.memory
  timeout                        = each.value.timeout
  publish                        = true
  reserved_concurrent_executions = var.concurrency
  kms_key_arn                    = var.kms_key
  tags                           = var.tags

  environment {
    variables = merge(
      {
        STREAMIFY_LOG_FORMAT = "json"
        # The WebSocket API is another origin than the page.
        STREAMIFY_ALLOWED_ORIGINS = "https://${coalesce(var.domain, aws_cloudfront_distribution.this.domain_name)}"
      },
      var.environment,
      # Where the values are, never the values: a function reads them when it starts.
      { for name, place in var.secrets : "STREAMIFY_SECRET_${name}" => place },
      {
        STREAMIFY_LAMBDA            = each.key
        STREAMIFY_CONNECTIONS_TABLE = aws_dynamodb_table.connections.name
      },
    )
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  tracing_config {
    mode = "Active"
  }

  vpc_config {
    subnet_ids         = var.subnets
    security_group_ids = [aws_security_group.this.id]
  }

  lifecycle {
    ignore_changes = [filename, source_code_hash, s3_bucket, s3_key, s3_object_version]
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_alias" "live" {
  for_each = aws_lambda_function.this

  name             = local.alias
  description      = "What everything invokes"
  function_name    = each.value.function_name
  function_version = each.value.version

  lifecycle {
    ignore_changes = [function_version, routing_config]
  }
}

resource "aws_cloudwatch_log_group" "function" {
  # checkov:skip=CKV_AWS_338: logs name people by ids and addresses, and are kept as long as retention_days says
  for_each = local.functions

  name              = "${local.prefix}${each.key}"
  retention_in_days = var.retention_days
  kms_key_id        = var.kms_key
  tags              = var.tags
}

# Who is connected, by `id`; docs/decisions/0018-lambda.md says what is in a row.
resource "aws_dynamodb_table" "connections" {
  name         = "${var.name}-connections"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  tags         = var.tags

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

resource "aws_security_group" "this" {
  name        = "${var.name}-functions"
  description = "Functions of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-functions" })
}

# AWS's services have no fixed addresses; HTTPS alone leaves, as of the services on ECS.
# trivy:ignore:AWS-0104
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "AWS by HTTPS"
  cidr_ipv4         = "0.0.0.0/0"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = var.reaches

  security_group_id            = aws_security_group.this.id
  description                  = each.key
  referenced_security_group_id = each.value.security_group
  from_port                    = each.value.port
  to_port                      = each.value.port
  ip_protocol                  = "tcp"
  tags                         = var.tags
}

# Kafka's records come to the alias, so that a deploy moves them as it moves requests.
resource "aws_lambda_event_source_mapping" "kafka" {
  event_source_arn = var.kafka.cluster_arn
  function_name    = aws_lambda_alias.live["events"].arn
  topics           = [var.kafka.topic]
  # Connections are told what happens from now on.
  starting_position                  = "LATEST"
  batch_size                         = 100
  maximum_batching_window_in_seconds = 1
  tags                               = var.tags

  amazon_managed_kafka_event_source_config {
    consumer_group_id = "${var.name}-events"
  }
}

# What a function could not publish before it was frozen, and connections whose token is over.
resource "aws_cloudwatch_event_rule" "sweep" {
  name                = "${var.name}-sweep"
  description         = "Publishes what is left in the outbox of ${var.name}"
  schedule_expression = "rate(1 minute)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "sweep" {
  rule  = aws_cloudwatch_event_rule.sweep.name
  arn   = aws_lambda_alias.live["events"].arn
  input = jsonencode({ streamify = "sweep" })
}

resource "aws_lambda_permission" "this" {
  for_each = {
    http      = { principal = "apigateway.amazonaws.com", source = "${aws_apigatewayv2_api.http.execution_arn}/*" }
    websocket = { principal = "apigateway.amazonaws.com", source = "${aws_apigatewayv2_api.websocket.execution_arn}/*" }
    events    = { principal = "events.amazonaws.com", source = aws_cloudwatch_event_rule.sweep.arn }
  }

  function_name = aws_lambda_function.this[each.key].function_name
  qualifier     = aws_lambda_alias.live[each.key].name
  action        = "lambda:InvokeFunction"
  principal     = each.value.principal
  source_arn    = each.value.source
}
