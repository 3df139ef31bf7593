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

run "alarms_stop_a_rollout" {
  variables {
    rollout_alarms = ["streamify-prod-database"]
  }
  assert {
    condition     = toset(one(aws_ecs_service.this.alarms).alarm_names) == toset(["streamify-prod-backend-rollout-errors", "streamify-prod-backend-rollout-latency", "streamify-prod-database"]) && one(aws_ecs_service.this.alarms).rollback
    error_message = "Its own alarms and the given ones must take a rollout back."
  }
  assert {
    condition     = length([for query in aws_cloudwatch_metric_alarm.errors[0].metric_query : query if length(query.metric) > 0]) == 4
    error_message = "Errors are counted in both target groups."
  }
}
