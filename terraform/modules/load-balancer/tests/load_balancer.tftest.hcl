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
  mock_resource "aws_lb" {
    defaults = {
      arn        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/streamify-prod/0123456789abcdef"
      arn_suffix = "app/streamify-prod/0123456789abcdef"
      dns_name   = "streamify-prod-1234567890.eu-west-1.elb.amazonaws.com"
      zone_id    = "Z32O12XQLNTSW2"
    }
  }
  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/streamify-prod/0123456789abcdef/0123456789abcdef" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::streamify-prod-access-logs-123456789012", id = "streamify-prod-access-logs-123456789012" }
  }
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
      domain_validation_options = [{
        domain_name           = "app.example.com"
        resource_record_name  = "_a.app.example.com"
        resource_record_type  = "CNAME"
        resource_record_value = "_b.acm-validations.aws"
      }]
    }
  }
  mock_resource "aws_acm_certificate_validation" {
    defaults = { certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/streamify-prod/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:aws-waf-logs-streamify-prod" }
  }
}

variables {
  name    = "streamify-prod"
  vpc_id  = "vpc-0123456789abcdef0"
  subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  kms_key = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "without_a_domain_it_is_plain_http" {
  assert {
    condition     = length(aws_lb_listener.https) == 0 && aws_lb_listener.http.default_action[0].type == "fixed-response"
    error_message = "Without a domain there is no certificate, and a path without a service is not found."
  }
  assert {
    condition     = output.address == "http://streamify-prod-1234567890.eu-west-1.elb.amazonaws.com"
    error_message = "The address must be the load balancer's own."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.this : rule.from_port] == [80]
    error_message = "Port 443 must not be open where nothing listens."
  }
}

run "sockets_stay_and_requests_are_logged" {
  assert {
    condition     = aws_lb.this.idle_timeout == 3600 && aws_lb.this.drop_invalid_header_fields && aws_lb.this.enable_deletion_protection
    error_message = "Silent WebSockets must stay, malformed headers go, and a deletion be refused."
  }
  assert {
    condition     = aws_lb.this.access_logs[0].enabled && aws_lb.this.access_logs[0].bucket == output.log_bucket
    error_message = "Requests must be logged to the module's own bucket."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.logs.policy).Statement :
      statement.Effect == "Allow" && try(statement.Principal.Service, "") == "logdelivery.elasticloadbalancing.amazonaws.com"
      && statement.Resource == "arn:aws:s3:::streamify-prod-access-logs-123456789012/AWSLogs/123456789012/*"
    ])
    error_message = "The load balancer must be able to write its logs, below this account's prefix alone."
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.logs.restrict_public_buckets && aws_s3_bucket_public_access_block.logs.block_public_policy
    error_message = "The logs must not be public."
  }
}

run "a_domain_brings_https_and_a_redirect" {
  variables {
    domain  = "app.example.com"
    zone_id = "Z0123456789ABCDEFGHIJ"
  }
  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "HTTP must redirect."
  }
  assert {
    condition     = aws_lb_listener.https[0].certificate_arn == aws_acm_certificate_validation.this[0].certificate_arn && startswith(aws_lb_listener.https[0].ssl_policy, "ELBSecurityPolicy-TLS13-1-2")
    error_message = "HTTPS must wait for the validated certificate, and speak TLS 1.2 at least."
  }
  assert {
    condition     = aws_route53_record.this[0].name == "app.example.com" && aws_route53_record.this[0].alias[0].name == aws_lb.this.dns_name && output.address == "https://app.example.com"
    error_message = "The domain must point here."
  }
}

run "a_given_certificate_is_used" {
  variables {
    domain          = "app.example.com"
    certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/11111111-1111-1111-1111-111111111111"
  }
  assert {
    condition     = length(aws_acm_certificate.this) == 0 && aws_lb_listener.https[0].certificate_arn == var.certificate_arn && length(aws_route53_record.this) == 0
    error_message = "A given certificate must be used, and a zone that is not given left alone."
  }
}

run "a_firewall_limits_and_logs_without_tokens" {
  variables {
    firewall = { requests_per_five_minutes = 500 }
  }
  assert {
    condition     = aws_wafv2_web_acl_association.this[0].resource_arn == aws_lb.this.arn
    error_message = "The firewall must stand before this load balancer."
  }
  assert {
    condition = one([
      for rule in aws_wafv2_web_acl.this[0].rule : rule.statement[0].rate_based_statement[0].limit if rule.name == "rate"
    ]) == 500
    error_message = "Requests must be limited by address."
  }
  assert {
    condition = toset([
      for field in aws_wafv2_web_acl_logging_configuration.this[0].redacted_fields : field.single_header[0].name
    ]) == toset(["authorization", "cookie"])
    error_message = "Tokens must not reach the log."
  }
}

run "refuses_a_domain_without_a_certificate" {
  command = plan

  variables {
    domain = "app.example.com"
  }

  expect_failures = [var.domain]
}

run "refuses_an_idle_timeout_that_cuts_sockets" {
  command = plan

  variables {
    idle_timeout = 30
  }

  expect_failures = [var.idle_timeout]
}
