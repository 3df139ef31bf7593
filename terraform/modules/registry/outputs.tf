output "urls" {
  description = "Repository → its address, as `REGISTRY/NAME`."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "arns" {
  description = "Repository → its ARN."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.arn }
}
