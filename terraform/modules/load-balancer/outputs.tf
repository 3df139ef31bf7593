output "arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.this.arn
}

output "arn_suffix" {
  description = "What metrics name the load balancer by."
  value       = aws_lb.this.arn_suffix
}

output "listener_arn" {
  description = "ARN of the listener that services hang their rules on: HTTPS, or HTTP without a domain."
  value       = local.https ? aws_lb_listener.https[0].arn : aws_lb_listener.http.arn
}

output "security_group" {
  description = "Id of its security group."
  value       = aws_security_group.this.id
}

output "dns_name" {
  description = "Its own name, to which a domain that is kept elsewhere points."
  value       = aws_lb.this.dns_name
}

output "address" {
  description = "The app's address in a browser."
  value       = var.domain != null ? "https://${var.domain}" : "${local.https ? "https" : "http"}://${aws_lb.this.dns_name}"
}

output "log_bucket" {
  description = "Name of the bucket of access logs."
  value       = aws_s3_bucket.logs.id
}
