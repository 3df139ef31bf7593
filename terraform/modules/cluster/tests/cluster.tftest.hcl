mock_provider "aws" {
  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/streamify-prod" }
  }
  mock_resource "aws_service_discovery_private_dns_namespace" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-0123456789abcdef" }
  }
}

variables {
  name       = "streamify-prod"
  vpc_id     = "vpc-0123456789abcdef0"
  kms_key    = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  log_prefix = "/streamify/prod/"
}

run "tasks_run_on_fargate_and_on_spot" {
  assert {
    condition     = toset(aws_ecs_cluster_capacity_providers.this.capacity_providers) == toset(["FARGATE", "FARGATE_SPOT"])
    error_message = "Both providers must be there for services to choose."
  }
  assert {
    condition     = one(aws_ecs_cluster_capacity_providers.this.default_capacity_provider_strategy).capacity_provider == "FARGATE"
    error_message = "A one-off task, such as a migration, must not be taken away by Spot."
  }
}

run "shells_are_logged" {
  assert {
    condition = alltrue([
      for command in aws_ecs_cluster.this.configuration[0].execute_command_configuration :
      command.logging == "OVERRIDE"
      && command.log_configuration[0].cloud_watch_log_group_name == "/streamify/prod/exec"
      && command.log_configuration[0].cloud_watch_encryption_enabled
    ])
    error_message = "What is typed in shells must go to the encrypted log group."
  }
  assert {
    condition     = aws_cloudwatch_log_group.exec.kms_key_id == var.kms_key && aws_cloudwatch_log_group.exec.retention_in_days == 365
    error_message = "The log of shells must be encrypted and kept for a year."
  }
}

run "deploys_have_the_table_that_the_tool_expects" {
  assert {
    condition     = aws_dynamodb_table.deploys.hash_key == "id" && aws_dynamodb_table.deploys.range_key == null && one(aws_dynamodb_table.deploys.attribute).type == "S"
    error_message = "The key must be `id`, a text, alone."
  }
  assert {
    condition     = aws_dynamodb_table.deploys.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.deploys.ttl[0].enabled
    error_message = "Items must expire by `expires_at`."
  }
  assert {
    condition     = aws_dynamodb_table.deploys.point_in_time_recovery[0].enabled && aws_dynamodb_table.deploys.server_side_encryption[0].kms_key_arn == var.kms_key && aws_dynamodb_table.deploys.deletion_protection_enabled
    error_message = "The history must be recoverable, encrypted and protected."
  }
  assert {
    condition     = output.deploys_table == "streamify-prod-deploys"
    error_message = "The table must be named by its environment."
  }
}

run "services_are_found_by_name" {
  assert {
    condition     = output.namespace == "streamify-prod.internal" && aws_ecs_cluster.this.service_connect_defaults[0].namespace == output.namespace_arn
    error_message = "The namespace must be the cluster's own, and the default of Service Connect."
  }
}

run "refuses_a_retention_that_cloudwatch_would" {
  command = plan

  variables {
    retention_days = 100
  }

  expect_failures = [var.retention_days]
}
