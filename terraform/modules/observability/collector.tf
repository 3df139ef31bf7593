# AWS's build of the OpenTelemetry collector, as one service of its own: takes OTLP and sends traces to X-Ray, asks the
# tasks for Prometheus' figures and sends them to CloudWatch.

locals {
  collectors = var.collector ? { this = var.collector_network } : {}
  scraped    = { for name, service in var.services : name => service.metrics_port if service.metrics_port != null }

  collector_log_group = "/${var.name}/collector"
  metrics_log_group   = "/${var.name}/metrics"

  # Ports of OTLP by gRPC and by HTTP.
  otlp_ports = { grpc = 4317, http = 4318 }

  # JSON is YAML. Every task of a service is an address of its name in Cloud Map.
  collector_configuration = {
    for key, network in local.collectors : key => jsonencode({
      extensions = { health_check = { endpoint = "0.0.0.0:13133" } }
      receivers = merge(
        { otlp = { protocols = { for name, port in local.otlp_ports : name => { endpoint = "0.0.0.0:${port}" } } } },
        { for name, receiver in {
          prometheus = {
            config = {
              scrape_configs = [
                for name, port in local.scraped : {
                  job_name        = name
                  scrape_interval = "60s"
                  dns_sd_configs  = [{ names = ["${name}.${network.namespace}"], type = "A", port = port, refresh_interval = "30s" }]
                }
              ]
            }
          }
        } : name => receiver if length(local.scraped) > 0 },
      )
      processors = {
        memory_limiter = { check_interval = "1s", limit_percentage = 80, spike_limit_percentage = 20 }
        batch          = {}
      }
      exporters = {
        awsxray = {}
        awsemf = {
          namespace               = var.name
          log_group_name          = local.metrics_log_group
          dimension_rollup_option = "NoDimensionRollup"
        }
      }
      service = {
        extensions = ["health_check"]
        pipelines = {
          traces = { receivers = ["otlp"], processors = ["memory_limiter", "batch"], exporters = ["awsxray"] }
          metrics = {
            receivers  = concat(["otlp"], length(local.scraped) == 0 ? [] : ["prometheus"])
            processors = ["memory_limiter", "batch"]
            exporters  = ["awsemf"]
          }
        }
      }
    })
  }
}

resource "aws_cloudwatch_log_group" "collector" {
  #checkov:skip=CKV_AWS_338:The collector's own log, and figures that CloudWatch keeps by itself for fifteen months.
  for_each = var.collector ? toset([local.collector_log_group, local.metrics_log_group]) : toset([])

  name              = each.value
  retention_in_days = min(var.retention_days, 14)
  kms_key_id        = local.kms_key
  tags              = var.tags
}

resource "aws_security_group" "collector" {
  for_each = local.collectors

  name_prefix = "${var.name}-collector-"
  description = "The telemetry collector of ${var.name}"
  vpc_id      = each.value.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-collector" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "collector" {
  for_each = var.collector ? local.otlp_ports : {}

  security_group_id = aws_security_group.collector["this"].id
  description       = "OTLP by ${each.key} from this VPC"
  cidr_ipv4         = var.collector_network.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "collector_aws" {
  for_each = local.collectors

  security_group_id = aws_security_group.collector[each.key].id
  description       = "HTTPS to CloudWatch and X-Ray"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "collector_scrape" {
  for_each = var.collector ? local.scraped : {}

  security_group_id = aws_security_group.collector["this"].id
  description       = "Figures of ${each.key}"
  cidr_ipv4         = var.collector_network.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  tags              = var.tags
}

resource "aws_iam_role" "collector" {
  for_each = var.collector ? toset(["task", "execution"]) : toset([])

  name_prefix = "${substr(var.name, 0, 16)}-collector-${each.key}-"
  description = "The telemetry collector of ${var.name}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "collector_task" {
  for_each = local.collectors

  name = "send"
  role = aws_iam_role.collector["task"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Traces"
        Effect = "Allow"
        Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
        # X-Ray has no resources to name.
        Resource = "*"
      },
      {
        Sid      = "Figures"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.collector[local.metrics_log_group].arn}:*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "collector_execution" {
  for_each = local.collectors

  name = "log"
  role = aws_iam_role.collector["execution"].id

  # Its image is public, so it pulls without a right to do so.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.collector[local.collector_log_group].arn}:*"
    }]
  })
}

resource "aws_ecs_task_definition" "collector" {
  for_each = local.collectors

  family                   = "${var.name}-collector"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.collector["execution"].arn
  task_role_arn            = aws_iam_role.collector["task"].arn
  tags                     = var.tags

  container_definitions = jsonencode([{
    name                   = "collector"
    image                  = var.collector_image
    essential              = true
    readonlyRootFilesystem = true
    environment            = [{ name = "AOT_CONFIG_CONTENT", value = local.collector_configuration[each.key] }]
    portMappings           = [for port in values(local.otlp_ports) : { containerPort = port, hostPort = port, protocol = "tcp" }]
    healthCheck            = { command = ["CMD", "/healthcheck"], interval = 10, timeout = 5, retries = 3, startPeriod = 10 }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.collector[local.collector_log_group].name
        awslogs-region        = local.region
        awslogs-stream-prefix = "collector"
      }
    }
  }])
}

resource "aws_service_discovery_service" "collector" {
  for_each = local.collectors

  name = "collector"
  tags = var.tags

  dns_config {
    namespace_id   = each.value.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_ecs_service" "collector" {
  for_each = local.collectors

  name                               = "${var.name}-collector"
  cluster                            = each.value.cluster_arn
  task_definition                    = aws_ecs_task_definition.collector[each.key].arn
  desired_count                      = 1
  launch_type                        = "FARGATE"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = each.value.subnets
    security_groups  = [aws_security_group.collector[each.key].id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.collector[each.key].arn
  }

  depends_on = [aws_iam_role_policy.collector_execution, aws_iam_role_policy.collector_task]
}
