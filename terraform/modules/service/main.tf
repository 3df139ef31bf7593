data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  balanced  = var.load_balancer != null
  # A placeholder has to name a port where a load balancer sends to one.
  ports = var.port == null ? [] : [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]

  strategy = { rolling = "ROLLING", blue-green = "BLUE_GREEN", linear = "LINEAR", canary = "CANARY" }[var.deploy.strategy]
}

# What stands before the first deploy: ECS makes no service without a task definition. No task of it is ever started,
# as the service begins with none.
resource "aws_ecs_task_definition" "placeholder" {
  # checkov:skip=CKV_AWS_336: the same as that of the tasks that a deploy makes; this one never runs
  family                   = "${var.name}-placeholder"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  container_definitions = jsonencode([{
    name                   = var.container
    image                  = var.placeholder_image
    essential              = true
    readonlyRootFilesystem = true
    portMappings           = local.ports
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = var.log_group
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = var.container
      }
    }
  }])
}

# The shell of the service. What runs in it, how many of it and how it is rolled out belongs to `streamify deploy`.
resource "aws_ecs_service" "this" {
  # checkov:skip=CKV_AWS_333: a task has a public address only where the environment has no NAT, and takes connections from the load balancer alone
  name                              = var.name
  cluster                           = var.cluster_arn
  task_definition                   = aws_ecs_task_definition.placeholder.arn
  desired_count                     = 0
  enable_execute_command            = var.exec
  enable_ecs_managed_tags           = true
  propagate_tags                    = "SERVICE"
  health_check_grace_period_seconds = local.balanced ? var.health_check_grace_seconds : null
  tags                              = var.tags
  # The provider asks for it where the capacity providers change; every other change of the shell starts a rollout anyway.
  force_new_deployment = true

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity
    content {
      capacity_provider = capacity_provider_strategy.key
      base              = capacity_provider_strategy.value.base
      weight            = capacity_provider_strategy.value.weight
    }
  }

  network_configuration {
    subnets          = var.subnets
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.assign_public_ip
  }

  dynamic "load_balancer" {
    for_each = local.balanced ? [true] : []
    content {
      target_group_arn = aws_lb_target_group.this["blue"].arn
      container_name   = var.container
      container_port   = var.port

      # Ready for blue/green, linear and canary rollouts from the start: a deploy may choose them at any time.
      advanced_configuration {
        alternate_target_group_arn = aws_lb_target_group.this["green"].arn
        production_listener_rule   = aws_lb_listener_rule.this[0].arn
        role_arn                   = aws_iam_role.infrastructure[0].arn
      }
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this
    content {
      registry_arn = service_registries.value.arn
    }
  }

  deployment_minimum_healthy_percent = var.deploy.minimum_healthy_percent
  deployment_maximum_percent         = var.deploy.maximum_percent

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  deployment_configuration {
    strategy             = local.strategy
    bake_time_in_minutes = local.strategy == "ROLLING" ? null : "5"

    dynamic "linear_configuration" {
      for_each = local.strategy == "LINEAR" ? [true] : []
      content {
        step_percent              = 10
        step_bake_time_in_minutes = "5"
      }
    }

    dynamic "canary_configuration" {
      for_each = local.strategy == "CANARY" ? [true] : []
      content {
        canary_percent              = 10
        canary_bake_time_in_minutes = "5"
      }
    }
  }

  dynamic "alarms" {
    for_each = local.balanced || length(var.rollout_alarms) > 0 ? [true] : []
    content {
      alarm_names = local.rollout_alarms
      enable      = true
      rollback    = true
    }
  }

  lifecycle {
    # One writer for each thing. `streamify deploy` writes the task definition, the number of tasks and how a rollout
    # goes; blue/green turns the target groups about; auto scaling changes the number of tasks.
    ignore_changes = [
      task_definition,
      desired_count,
      deployment_minimum_healthy_percent,
      deployment_maximum_percent,
      deployment_circuit_breaker,
      deployment_configuration,
      alarms,
      load_balancer,
    ]
  }

  # ECS refuses a target group that no listener knows, and a role that may not yet do what it has to.
  depends_on = [
    aws_lb_listener_rule.this,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_iam_role_policy.infrastructure,
  ]
}

resource "aws_service_discovery_service" "this" {
  count = var.namespace_id == null ? 0 : 1

  name = var.container
  tags = var.tags

  dns_config {
    namespace_id   = var.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}
