output "name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.this.name

  # A service that names a capacity provider is refused by a cluster that has none yet.
  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.this.arn

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "deploys_table" {
  description = "Name of the table of the lock and the history."
  value       = aws_dynamodb_table.deploys.name
}

output "deploys_table_arn" {
  description = "ARN of the table of the lock and the history."
  value       = aws_dynamodb_table.deploys.arn
}

output "namespace" {
  description = "DNS name under which services are found in the VPC."
  value       = aws_service_discovery_private_dns_namespace.this.name
}

output "namespace_id" {
  description = "Id of the Cloud Map namespace."
  value       = aws_service_discovery_private_dns_namespace.this.id
}

output "namespace_arn" {
  description = "ARN of the Cloud Map namespace, for Service Connect."
  value       = aws_service_discovery_private_dns_namespace.this.arn
}

output "exec_log_group" {
  description = "Name of the log group of shells in tasks."
  value       = aws_cloudwatch_log_group.exec.name
}
