output "streamify" {
  description = "What `streamify deploy` takes; docs/decisions/0008-environments.md says what each key is."
  value = {
    cluster          = module.cluster.name
    subnets          = module.network.private_subnets
    assign_public_ip = false
    deploys_table    = module.cluster.deploys_table

    # The password never passes through Terraform: tasks take it from where RDS keeps it.
    secrets = { DATABASE_PASSWORD = "${module.database.password_secret_arn}:password::" }

    # For the services that reach the data.
    environment = {
      DATABASE_HOST  = module.database.host
      DATABASE_PORT  = tostring(module.database.port)
      DATABASE_NAME  = module.database.name
      DATABASE_USER  = module.database.username
      KAFKA_BROKERS  = module.messaging.brokers
      KAFKA_SECURITY = "msk-iam"
      # Requests come by the load balancer alone, which says whose they are.
      STREAMIFY_TRUSTED_PROXIES = "1"
    }

    services = {
      for name, service in module.service : name => {
        name            = service.name
        execution_role  = service.execution_role_arn
        task_role       = service.task_role_arn
        security_groups = [service.security_group]
        target_group    = service.target_group_arn
        log_group       = module.observability.log_groups[name]
        container       = name
        # They stop its rollout, besides those that streamify.yaml names (`deploy.alarms`).
        alarms       = service.rollout_alarms
        reaches_data = contains(local.clients, name)
      }
    }
  }
}

output "address" {
  description = "The app's address in a browser."
  value       = module.load_balancer.address
}

output "load_balancer" {
  description = "The load balancer's own name, to which a domain that is kept elsewhere points."
  value       = module.load_balancer.dns_name
}

output "database_endpoint" {
  description = "Where PostgreSQL is, as HOST:PORT, from within the VPC."
  value       = "${module.database.host}:${module.database.port}"
}

output "kafka_brokers" {
  description = "Where Kafka is, from within the VPC."
  value       = module.messaging.brokers
}

output "repositories" {
  description = "Repository → its address. Empty where another environment makes them."
  value       = module.registry.urls
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = module.observability.dashboard_name
}

output "alarm_topic" {
  description = "ARN of the SNS topic that alarms go to."
  value       = module.observability.topic_arn
}

output "rollout_alarms" {
  description = "Service → names of the alarms that stop its rollout."
  value       = { for name, service in module.service : name => service.rollout_alarms }
}

output "deploy_role" {
  description = "ARN of the role with which GitHub deploys; null without a repository."
  value       = one(module.delivery[*].role_arn)
}

output "nat_addresses" {
  description = "Public addresses that tasks are seen by from outside."
  value       = module.network.nat_addresses
}
