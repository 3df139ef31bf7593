output "role_arn" {
  description = "ARN of the role that a workflow takes on."
  value       = aws_iam_role.this.arn
}

output "subject" {
  description = "The subject of the tokens that it trusts."
  value       = local.subject
}
