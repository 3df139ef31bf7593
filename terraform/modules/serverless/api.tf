locals {
  stage = "live"
}

resource "aws_apigatewayv2_api" "http" {
  name          = "${var.name}-http"
  description   = "The API of ${var.name}"
  protocol_type = "HTTP"
  tags          = var.tags
}

resource "aws_apigatewayv2_api" "websocket" {
  name          = "${var.name}-websocket"
  description   = "The events of ${var.name}"
  protocol_type = "WEBSOCKET"
  # Each message says what it is in `type`; all of them go to one function.
  route_selection_expression = "$request.body.type"
  tags                       = var.tags
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = { http = aws_apigatewayv2_api.http.id, websocket = aws_apigatewayv2_api.websocket.id }

  api_id                 = each.value
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = aws_lambda_alias.live[each.key].invoke_arn
  payload_format_version = each.key == "http" ? "2.0" : "1.0"
  timeout_milliseconds   = each.key == "http" ? 30000 : 29000
}

resource "aws_apigatewayv2_route" "http" {
  # checkov:skip=CKV_AWS_309: the program itself asks for a token at everything that is not on its short public list
  api_id    = aws_apigatewayv2_api.http.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.this["http"].id}"
}

resource "aws_apigatewayv2_route" "websocket" {
  # checkov:skip=CKV_AWS_309: a browser can't send a header with a WebSocket; its first message has the token
  for_each = toset(["$connect", "$disconnect", "$default"])

  api_id    = aws_apigatewayv2_api.websocket.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.this["websocket"].id}"
}

resource "aws_cloudwatch_log_group" "api" {
  # checkov:skip=CKV_AWS_338: logs name people by ids and addresses, and are kept as long as retention_days says
  for_each = toset(["http", "websocket"])

  name              = "${local.prefix}api-${each.key}"
  retention_in_days = var.retention_days
  kms_key_id        = var.kms_key
  tags              = var.tags
}

resource "aws_apigatewayv2_stage" "this" {
  # checkov:skip=CKV2_AWS_51: the clients are browsers, which have no certificates
  for_each = { http = aws_apigatewayv2_api.http.id, websocket = aws_apigatewayv2_api.websocket.id }

  api_id      = each.value
  name        = each.key == "http" ? "$default" : local.stage
  auto_deploy = true
  tags        = var.tags

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api[each.key].arn
    format = jsonencode({
      time   = "$context.requestTime", id = "$context.requestId", route = "$context.routeKey", status = "$context.status",
      source = "$context.identity.sourceIp", milliseconds = "$context.responseLatency"
    })
  }

  default_route_settings {
    throttling_rate_limit  = var.throttling.requests_per_second
    throttling_burst_limit = var.throttling.burst
  }

  depends_on = [aws_apigatewayv2_route.http, aws_apigatewayv2_route.websocket]
}
