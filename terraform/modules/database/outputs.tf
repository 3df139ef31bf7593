output "host" {
  description = "Where to connect to."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port to connect to."
  value       = aws_db_instance.this.port
}

output "name" {
  description = "The database in it."
  value       = aws_db_instance.this.db_name
}

output "username" {
  description = "The user whom RDS made."
  value       = aws_db_instance.this.username
}

output "password_secret_arn" {
  description = "ARN of the secret in Secrets Manager, JSON with `username` and `password`. A task takes the password by `ARN:password::`, for which its execution role needs this secret and `kms_key`."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "security_group" {
  description = "Id of the database's security group."
  value       = aws_security_group.this.id
}

output "identifier" {
  description = "The instance's identifier, as metrics name it."
  value       = aws_db_instance.this.identifier
}

output "kms_key" {
  description = "ARN of the key that encrypts the database and its password."
  # Never null: said so that a module which counts by that can be planned before the key is there.
  value = coalesce(local.kms_key)
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}
