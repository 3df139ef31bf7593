output "brokers" {
  description = "Where to connect to, `host:9098,…`, with SASL by IAM over TLS."
  value       = local.brokers
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = local.cluster_arn
}

output "cluster_name" {
  description = "Name of the cluster, as metrics name it."
  value       = var.name
}

output "security_group" {
  description = "Id of the brokers' security group."
  value       = aws_security_group.this.id
}

output "topic_arn_prefix" {
  description = "What a topic's name stands behind in policies: `…:topic/NAME/UUID/`."
  value       = local.topic_arn_prefix
}

output "group_arn_prefix" {
  description = "What a consumer group's name stands behind in policies: `…:group/NAME/UUID/`."
  value       = local.group_arn_prefix
}

output "client_statements" {
  description = "What lets the app make its topics, write, read and commit on this cluster, as `sid`, `actions` and `resources`. The idempotent producer is in it."
  value       = local.client_statements
}

output "client_policy_json" {
  description = "The same as an IAM policy."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in local.client_statements : {
        Sid      = statement.sid
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      }
    ]
  })
}

output "kms_key" {
  description = "ARN of the key that encrypts disks and logs; null for a serverless cluster without one."
  value       = local.kms_key
}

output "alarm_names" {
  description = "Names of the alarms; a serverless cluster has none."
  value = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.cluster : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.disk : alarm.alarm_name],
  ))
}
