# What Terraform ignores after the first apply is looked at in a state of its own.

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

run "a_worker_has_no_load_balancer" {
  variables {
    name          = "streamify-prod-worker"
    container     = "worker"
    port          = null
    health_path   = null
    load_balancer = null
    namespace_id  = "ns-0123456789abcdef"
  }
  assert {
    condition     = length(aws_lb_target_group.this) == 0 && length(aws_iam_role.infrastructure) == 0 && output.target_group_arn == null && length(aws_ecs_service.this.alarms) == 0
    error_message = "What takes no requests needs neither target groups nor their alarms."
  }
  assert {
    condition     = length(aws_ecs_service.this.service_registries) == 1 && aws_service_discovery_service.this[0].name == "worker"
    error_message = "Others must find it by its name."
  }
}
