output "log_groups" {
  description = "Service → the name of its log group."
  value       = { for name, group in aws_cloudwatch_log_group.service : name => group.name }
}

output "topic_arn" {
  description = "ARN of the SNS topic of alarms."
  value       = aws_sns_topic.alarms.arn

  # An alarm that rings before the topic takes it is lost.
  depends_on = [aws_sns_topic_policy.alarms]
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = sort([for alarm in local.alarms : alarm.alarm_name])
}

output "rollout_alarms" {
  description = "Service → names of the alarms that stop its rollout: those of the load balancer, for services that are behind it. They depend on no target group, so the module service may take them."
  value = {
    for name, service in var.services : name => service.load_balanced ? sort([
      aws_cloudwatch_metric_alarm.errors.alarm_name,
      aws_cloudwatch_metric_alarm.latency.alarm_name,
    ]) : []
  }
}

output "kms_key" {
  description = "ARN of the key that encrypts logs and alarms."
  # Never null: said so that a module which counts by that can be planned before the key is there.
  value = coalesce(local.kms_key)
}

output "collector" {
  description = "The collector: `endpoint` for OTLP by HTTP, and `security_group`, which the services let in where they tell their figures. Null without one."
  value = var.collector ? {
    endpoint       = "http://collector.${var.collector_network.namespace}:${local.otlp_ports.http}"
    security_group = aws_security_group.collector["this"].id
  } : null
}
