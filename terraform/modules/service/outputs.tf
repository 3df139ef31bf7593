output "name" {
  description = "Name of the ECS service."
  value       = aws_ecs_service.this.name
}

output "execution_role_arn" {
  description = "ARN of the role that starts tasks."
  value       = aws_iam_role.execution.arn
}

output "task_role_arn" {
  description = "ARN of the role of the program."
  value       = aws_iam_role.task.arn
}

output "security_group" {
  description = "Id of the security group of the tasks."
  value       = aws_security_group.this.id
}

output "target_group_arn" {
  description = "ARN of the target group that has the traffic at first; null without a load balancer."
  value       = local.balanced ? aws_lb_target_group.this["blue"].arn : null
}

output "target_group_suffixes" {
  description = "What metrics name the target groups by; empty without a load balancer."
  value       = { for colour, group in aws_lb_target_group.this : colour => group.arn_suffix }
}

output "rollout_alarms" {
  description = "Names of the alarms that stop a rollout."
  value       = local.rollout_alarms
}
