mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  project      = "streamify"
  environment  = "prod"
  repositories = ["streamify/app"]
  secrets      = { store = "ssm", prefix = "/streamify/prod/" }
  services = {
    backend  = { port = 3001, health_path = "/health/ready", cpu = 512, memory = 1024, replicas = 2, architecture = "X86_64", secrets = ["JWT_KEYS"] }
    frontend = { port = 3000, health_path = "/health/live", cpu = 256, memory = 512, replicas = 2, architecture = "X86_64", secrets = [] }
    worker   = { cpu = 256, memory = 512, replicas = 1, architecture = "X86_64", secrets = [] }
  }
  deploy             = { strategy = "blue-green", minimum_healthy_percent = 100, maximum_percent = 200 }
  network            = { cidr = "10.20.0.0/16", zone_count = 2, single_nat_gateway = true, interface_endpoints = false }
  database           = { deletion_protection = true }
  messaging          = { kind = "serverless" }
  autoscaling        = null
  capacity           = { FARGATE = {} }
  firewall           = null
  protect            = true
  log_retention_days = 30
  github_repository  = "example/streamify"
}

run "a_deploy_gets_everything_that_it_needs" {
  assert {
    condition     = toset(keys(output.streamify.services)) == toset(["backend", "frontend", "worker"])
    error_message = "Each service of streamify.yaml must be there, and none besides."
  }
  assert {
    condition     = output.streamify.services["backend"].name == "streamify-prod-backend" && output.streamify.services["backend"].log_group == "/streamify-prod/backend" && output.streamify.services["backend"].container == "backend"
    error_message = "A service's name, log group and container must be known."
  }
  assert {
    condition     = output.streamify.services["worker"].target_group == null && output.streamify.services["frontend"].target_group != null
    error_message = "Only what has a port and paths stands behind the load balancer."
  }
  assert {
    condition     = output.streamify.secrets == { DATABASE_PASSWORD = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-AbCdEf:password::" }
    error_message = "The password must be named by its place and its key."
  }
  assert {
    condition     = output.streamify.environment.KAFKA_SECURITY == "msk-iam" && output.streamify.environment.DATABASE_PORT == "5432" && output.streamify.deploys_table == "streamify-prod-deploys"
    error_message = "Tasks must be told where the database and Kafka are."
  }
}

run "the_rest_goes_to_whoever_takes_every_path" {
  assert {
    condition     = local.priorities["frontend"] > local.priorities["backend"]
    error_message = "A rule for every path must be asked last."
  }
}

run "only_who_reads_secrets_reaches_the_data" {
  assert {
    condition     = local.clients == toset(["backend"])
    error_message = "A page needs no database."
  }
  assert {
    condition     = [for name, service in output.streamify.services : name if service.reaches_data] == ["backend"]
    error_message = "A deploy must know who is told where the database and Kafka are."
  }
}

run "who_reaches_the_data_can_be_said" {
  variables {
    data_services = ["worker"]
  }
  assert {
    condition     = local.clients == toset(["worker"])
    error_message = "What is said counts."
  }
}

run "refuses_a_service_that_is_not_there" {
  command = plan

  variables {
    data_services = ["nobody"]
  }

  expect_failures = [var.data_services]
}
