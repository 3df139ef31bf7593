output "streamify" {
  description = "What `streamify deploy` takes; docs/decisions/0008-environments.md says what each key is."
  value       = module.environment.streamify
}

output "address" {
  description = "The app's address in a browser."
  value       = module.environment.address
}

output "load_balancer" {
  description = "The load balancer's own name, to which a domain that is kept elsewhere points."
  value       = module.environment.load_balancer
}

output "database_endpoint" {
  description = "Where PostgreSQL is, as HOST:PORT, from within the VPC."
  value       = module.environment.database_endpoint
}

output "kafka_brokers" {
  description = "Where Kafka is, from within the VPC."
  value       = module.environment.kafka_brokers
}

output "repositories" {
  description = "Repository → its address. Empty where another environment makes them."
  value       = module.environment.repositories
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = module.environment.dashboard
}

output "alarm_topic" {
  description = "ARN of the SNS topic that alarms go to."
  value       = module.environment.alarm_topic
}

output "rollout_alarms" {
  description = "Service → names of the alarms that stop its rollout."
  value       = module.environment.rollout_alarms
}

output "deploy_role" {
  description = "ARN of the role with which GitHub deploys; null without a repository."
  value       = module.environment.deploy_role
}

output "nat_addresses" {
  description = "Public addresses that tasks are seen by from outside."
  value       = module.environment.nat_addresses
}
