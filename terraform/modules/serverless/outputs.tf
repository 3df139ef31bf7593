output "lambda" {
  description = "The key `lambda` of the output `streamify`; docs/decisions/0018-lambda.md says what is in it."
  value = {
    functions     = { for name, function in aws_lambda_function.this : name => function.function_name }
    alias         = local.alias
    page_bucket   = aws_s3_bucket.this["page"].id
    distribution  = aws_cloudfront_distribution.this.id
    websocket_url = "${aws_apigatewayv2_api.websocket.api_endpoint}/${local.stage}"
  }

  depends_on = [aws_lambda_alias.live]
}

output "address" {
  description = "The app's address in a browser."
  value       = "https://${coalesce(var.domain, aws_cloudfront_distribution.this.domain_name)}"
}

output "function_arns" {
  description = "ARNs of the functions, for the module delivery."
  value       = [for function in aws_lambda_function.this : function.arn]
}

output "security_group" {
  description = "Id of the functions' security group, which the database and Kafka let in."
  value       = aws_security_group.this.id
}

output "uploads_bucket" {
  description = "Name of the bucket of uploads, which are shown below /uploads/."
  value       = aws_s3_bucket.this["uploads"].id
}

output "connections_table" {
  description = "Name of the table of the WebSocket API's connections."
  value       = aws_dynamodb_table.connections.name
}
