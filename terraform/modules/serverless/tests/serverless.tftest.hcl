mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/streamify-prod-http" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:streamify-prod-http", version = "1" }
  }
  mock_resource "aws_lambda_alias" {
    defaults = {
      arn        = "arn:aws:lambda:eu-west-1:123456789012:function:streamify-prod-http:live"
      invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:streamify-prod-http:live/invocations"
    }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/streamify-prod/http" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:rule/streamify-prod-sweep" }
  }
  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/streamify-prod-connections" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { api_endpoint = "wss://abc.execute-api.eu-west-1.amazonaws.com", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:abc" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::streamify-prod", bucket_regional_domain_name = "streamify-prod.s3.eu-west-1.amazonaws.com" }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:distribution/E1", domain_name = "d1.cloudfront.net" }
  }
  mock_resource "aws_cloudfront_function" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:function/streamify-prod-page" }
  }
}

variables {
  name    = "streamify-prod"
  vpc_id  = "vpc-0123456789abcdef0"
  subnets = ["subnet-0123456789abcdef0"]
  kms_key = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  kafka = {
    cluster_arn      = "arn:aws:kafka:eu-west-1:123456789012:cluster/streamify-prod/00000000-0000-0000-0000-000000000000-1"
    topic_arn_prefix = "arn:aws:kafka:eu-west-1:123456789012:topic/streamify-prod/00000000-0000-0000-0000-000000000000-1/"
    group_arn_prefix = "arn:aws:kafka:eu-west-1:123456789012:group/streamify-prod/00000000-0000-0000-0000-000000000000-1/"
  }
  secrets     = { JWT_KEYS = "/streamify/prod/JWT_KEYS" }
  secret_arns = { parameters = ["arn:aws:ssm:eu-west-1:123456789012:parameter/streamify/prod/JWT_KEYS"] }
}

run "one_program_is_three_functions" {
  assert {
    condition = {
      for name, function in aws_lambda_function.this : name => function.environment[0].variables.STREAMIFY_LAMBDA
    } == { http = "http", websocket = "websocket", events = "events" }
    error_message = "Each function must be told which it is."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.runtime == "provided.al2023" && function.publish && function.handler == "bootstrap"])
    error_message = "Functions must have a version for the alias to point to."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.environment[0].variables.STREAMIFY_SECRET_JWT_KEYS == "/streamify/prod/JWT_KEYS"])
    error_message = "Secrets must be named by their place."
  }
}

run "everything_invokes_the_alias" {
  assert {
    condition     = alltrue([for integration in aws_apigatewayv2_integration.this : strcontains(integration.integration_uri, ":live/invocations")])
    error_message = "Both APIs must invoke the alias."
  }
  assert {
    condition     = endswith(aws_lambda_event_source_mapping.kafka.function_name, ":live") && endswith(aws_cloudwatch_event_target.sweep.arn, ":live")
    error_message = "Kafka and the schedule must invoke the alias."
  }
  assert {
    condition     = alltrue([for permission in aws_lambda_permission.this : permission.qualifier == "live"])
    error_message = "Only the alias may be invoked."
  }
}

run "connections_have_the_table_that_the_program_expects" {
  assert {
    condition     = aws_dynamodb_table.connections.hash_key == "id" && aws_dynamodb_table.connections.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.connections.server_side_encryption[0].enabled
    error_message = "Rows are found by `id` and end by `expires_at`."
  }
  assert {
    condition     = aws_lambda_function.this["websocket"].environment[0].variables.STREAMIFY_CONNECTIONS_TABLE == "streamify-prod-connections"
    error_message = "The program must know the table."
  }
}

run "the_page_is_read_by_cloudfront_alone" {
  assert {
    condition = alltrue([
      for policy in aws_s3_bucket_policy.this : alltrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" || try(statement.Condition.StringEquals["aws:SourceArn"], "") == "arn:aws:cloudfront::123456789012:distribution/E1"
      ])
    ])
    error_message = "Only this distribution may read."
  }
  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.restrict_public_buckets && block.block_public_policy])
    error_message = "No bucket may be public."
  }
  assert {
    condition     = toset([for behavior in aws_cloudfront_distribution.this.ordered_cache_behavior : behavior.path_pattern if behavior.target_origin_id == "api"]) == toset(["/api/*", "/openapi.json", "/docs*", "/health/*"])
    error_message = "The API must have the page's own address."
  }
}

run "each_function_does_its_own_alone" {
  assert {
    condition     = !anytrue([for statement in jsondecode(aws_iam_role_policy.this["http"].policy).Statement : contains(["Post", "Connections", "Group"], statement.Sid)])
    error_message = "The HTTP API has nothing to do with connections and groups."
  }
  assert {
    condition = toset(flatten([
      for role in aws_iam_role_policy.this : [
        for statement in jsondecode(role.policy).Statement : statement.Sid if statement.Effect == "Allow" && contains(statement.Resource, "*")
      ]
    ])) == toset(["NetworkAndTraces"])
    error_message = "Only what knows no resource may have none."
  }
}

run "refuses_a_secret_in_plain_text" {
  command = plan

  variables {
    environment = { DATABASE_PASSWORD = "not here" }
  }

  expect_failures = [var.environment]
}

run "refuses_a_domain_without_a_certificate" {
  command = plan

  variables {
    domain = "app.example.com"
  }

  expect_failures = [var.domain]
}
