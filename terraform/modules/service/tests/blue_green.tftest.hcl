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

run "blue_green_does_not_scale_by_requests" {
  variables {
    deploy      = { strategy = "blue-green" }
    autoscaling = { max = 6, requests_per_minute = 3000 }
  }
  assert {
    condition     = toset(keys(aws_appautoscaling_policy.this)) == toset(["cpu", "memory"])
    error_message = "The target group that counts requests changes with every rollout."
  }
  assert {
    condition     = aws_ecs_service.this.deployment_configuration[0].strategy == "BLUE_GREEN"
    error_message = "The strategy must be the one that was asked for."
  }
}
