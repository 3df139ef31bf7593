mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name         = "streamify-prod-backend"
  container    = "backend"
  cluster_arn  = "arn:aws:ecs:eu-west-1:123456789012:cluster/streamify-prod"
  cluster_name = "streamify-prod"
  vpc_id       = "vpc-0123456789abcdef0"
  subnets      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  port         = 3001
  health_path  = "/health/ready"
  cpu          = 512
  memory       = 1024
  replicas     = 2
  log_group    = "/streamify/prod/backend"
  load_balancer = {
    listener_arn   = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/streamify-prod/0123456789abcdef/0123456789abcdef"
    security_group = "sg-0123456789abcdef9"
    arn_suffix     = "app/streamify-prod/0123456789abcdef"
    paths          = ["/api/*", "/ws"]
    priority       = 100
  }
}

run "the_shell_begins_empty_and_takes_itself_back" {
  assert {
    condition     = aws_ecs_service.this.desired_count == 0 && strcontains(aws_ecs_service.this.task_definition, "placeholder")
    error_message = "Nothing may run before the first deploy."
  }
  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "The circuit breaker must be on from the start."
  }
  assert {
    condition     = one(aws_ecs_service.this.capacity_provider_strategy).capacity_provider == "FARGATE"
    error_message = "Unless told otherwise tasks are not Spot's."
  }
  assert {
    condition     = aws_ecs_service.this.deployment_configuration[0].strategy == "ROLLING" && aws_ecs_service.this.deployment_maximum_percent == 200
    error_message = "Rollouts are rolling unless told otherwise."
  }
}

run "traffic_can_be_moved_between_two_target_groups" {
  assert {
    condition     = toset(keys(aws_lb_target_group.this)) == toset(["blue", "green"]) && length(one(aws_ecs_service.this.load_balancer).advanced_configuration) == 1
    error_message = "Blue/green needs a second target group that the service knows."
  }
  assert {
    condition     = [for group in aws_lb_listener_rule.this[0].action[0].forward[0].target_group : group.weight if group.weight > 0] == [100]
    error_message = "One of the target groups must have all of the traffic."
  }
  assert {
    condition     = toset(one(one(aws_lb_listener_rule.this[0].condition).path_pattern).values) == toset(["/api/*", "/ws"])
    error_message = "The rule must be that of the service's paths."
  }
  assert {
    condition = alltrue([
      for group in aws_lb_target_group.this :
      !group.stickiness[0].enabled && group.target_type == "ip" && group.health_check[0].path == "/health/ready" && length(group.name) <= 32
    ])
    error_message = "Sockets go to any replica; health is the service's own word."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.infrastructure[0].policy).Statement :
      statement.Resource != ["*"] || alltrue([for action in statement.Action : strcontains(action, ":Describe")])
    ])
    error_message = "ECS may change this service's rule and target groups alone."
  }
}

run "the_network_opens_between_the_two_security_groups_alone" {
  variables {
    reaches = { PostgreSQL = { port = 5432, security_group = "sg-0123456789abcdef5" } }
  }
  assert {
    condition = alltrue([
      aws_vpc_security_group_ingress_rule.load_balancer[0].referenced_security_group_id == "sg-0123456789abcdef9",
      aws_vpc_security_group_ingress_rule.load_balancer[0].from_port == 3001,
      aws_vpc_security_group_egress_rule.load_balancer[0].security_group_id == "sg-0123456789abcdef9",
    ])
    error_message = "Requests come from the load balancer, to the port, and from nowhere else."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.this["PostgreSQL"].to_port == 5432 && aws_vpc_security_group_egress_rule.this["PostgreSQL"].referenced_security_group_id == "sg-0123456789abcdef5"
    error_message = "The database must be reached, at its port."
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.from_port == 443 && rule.to_port == 443])
    error_message = "Only HTTPS leaves."
  }
}

run "roles_have_the_least" {
  variables {
    repository_arns = ["arn:aws:ecr:eu-west-1:123456789012:repository/streamify/app"]
    secrets = {
      parameters = ["arn:aws:ssm:eu-west-1:123456789012:parameter/streamify/prod/JWT_KEYS"]
      secrets    = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-abcdef"]
      kms_keys   = ["arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"]
    }
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement :
      statement.Resource != ["*"] || statement.Action == ["ecr:GetAuthorizationToken"]
    ])
    error_message = "Only the login to ECR has no resource."
  }
  assert {
    condition = alltrue([
      for sid, resource in {
        PullImages     = "arn:aws:ecr:eu-west-1:123456789012:repository/streamify/app"
        ReadParameters = "arn:aws:ssm:eu-west-1:123456789012:parameter/streamify/prod/JWT_KEYS"
        ReadSecrets    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-abcdef"
        WriteTheLog    = "arn:aws:logs:eu-west-1:123456789012:log-group:/streamify/prod/backend:*"
      } :
      one([for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Sid == sid]) == [resource]
    ])
    error_message = "Each right must be for what was given, and nothing else."
  }
  assert {
    condition     = length(aws_iam_role_policy.task) == 0
    error_message = "A program that needs nothing may do nothing."
  }
  assert {
    condition     = jsondecode(aws_iam_role.task.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "Another account's tasks must not take the role on."
  }
}

run "shells_need_channels_and_a_log" {
  variables {
    exec           = true
    exec_log_group = "/streamify/prod/exec"
  }
  assert {
    condition     = aws_ecs_service.this.enable_execute_command
    error_message = "Exec must be on."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.task[0].policy).Statement : statement.Resource if statement.Sid == "WriteTheLogOfShells"
    ]) == ["arn:aws:logs:eu-west-1:123456789012:log-group:/streamify/prod/exec:*"]
    error_message = "Shells must be logged to their own group."
  }
}

run "load_changes_the_number_of_tasks" {
  variables {
    autoscaling = { max = 6, requests_per_minute = 3000 }
  }
  assert {
    condition     = aws_appautoscaling_target.this[0].min_capacity == 2 && aws_appautoscaling_target.this[0].max_capacity == 6
    error_message = "It goes from the service's own replicas to the given most."
  }
  assert {
    condition = {
      for name, policy in aws_appautoscaling_policy.this :
      name => policy.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type
      } == {
      cpu = "ECSServiceAverageCPUUtilization", memory = "ECSServiceAverageMemoryUtilization", requests = "ALBRequestCountPerTarget"
    }
    error_message = "Processor, memory and requests must each scale."
  }
  assert {
    condition     = aws_appautoscaling_policy.this["requests"].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].resource_label == "app/streamify-prod/0123456789abcdef/targetgroup/streamify-prod-backend/0123456789abcdef"
    error_message = "Requests are counted in this service's target group."
  }
}

run "refuses_a_size_that_fargate_does_not_have" {
  command = plan

  variables {
    cpu    = 256
    memory = 4096
  }

  expect_failures = [var.memory]
}

run "refuses_to_move_traffic_without_a_load_balancer" {
  command = plan

  variables {
    load_balancer = null
    deploy        = { strategy = "canary" }
  }

  expect_failures = [var.deploy]
}

run "refuses_shells_without_a_log" {
  command = plan

  variables {
    exec = true
  }

  expect_failures = [var.exec]
}
