data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  https      = var.domain != null || var.certificate_arn != null
  certifies  = var.domain != null && var.certificate_arn == null
  has_record = var.domain != null && var.zone_id != null
  ports      = local.https ? { http = 80, https = 443 } : { http = 80 }
  # Names of load balancers have 32 characters at most.
  name = length(var.name) <= 32 ? var.name : "${trimsuffix(substr(var.name, 0, 25), "-")}-${substr(sha1(var.name), 0, 6)}"
}

resource "aws_security_group" "this" {
  name        = "${var.name}-load-balancer"
  description = "Who reaches the load balancer of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-load-balancer" })
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  # checkov:skip=CKV_AWS_260: it is the public entrance; port 80 answers with a redirect alone as soon as there is a domain
  for_each = { for pair in setproduct(keys(local.ports), sort(var.allowed_cidrs)) : "${pair[0]} ${pair[1]}" => pair }

  security_group_id = aws_security_group.this.id
  description       = "${each.value[0]} from ${each.value[1]}"
  cidr_ipv4         = each.value[1]
  from_port         = local.ports[each.value[0]]
  to_port           = local.ports[each.value[0]]
  ip_protocol       = "tcp"
  tags              = var.tags
}

# What it may send to stands beside the services, one rule for each.

# People reach the app here; `internal` is for those who want no such thing.
# trivy:ignore:AWS-0053
resource "aws_lb" "this" {
  # checkov:skip=CKV2_AWS_76: firewall.tf has AWSManagedRulesKnownBadInputsRuleSet; checkov does not unfold its dynamic rules
  # checkov:skip=CKV2_AWS_28: the firewall is a choice of the environment; prod has it
  name               = local.name
  internal           = var.internal
  load_balancer_type = "application"
  security_groups    = [aws_security_group.this.id]
  subnets            = var.subnets
  tags               = var.tags

  # WebSockets are silent for long; the app's own ping comes every half a minute, and what is dead is noticed by that.
  idle_timeout               = var.idle_timeout
  enable_deletion_protection = var.deletion_protection
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "defensive"

  access_logs {
    bucket  = aws_s3_bucket.logs.id
    enabled = true
  }

  # It writes a test file when its logs are switched on.
  depends_on = [aws_s3_bucket_policy.logs, aws_s3_bucket_server_side_encryption_configuration.logs]
}

# HTTP answers with a redirect as soon as there is a domain, for which a certificate can be had.
# trivy:ignore:AWS-0054
resource "aws_lb_listener" "http" {
  # checkov:skip=CKV_AWS_2: HTTP answers with a redirect as soon as there is a domain, for which a certificate can be had
  # checkov:skip=CKV_AWS_103: the same
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"
  tags              = var.tags

  default_action {
    type = local.https ? "redirect" : "fixed-response"

    dynamic "redirect" {
      for_each = local.https ? [true] : []
      content {
        port        = "443"
        protocol    = "HTTPS"
        status_code = "HTTP_301"
      }
    }

    dynamic "fixed_response" {
      for_each = local.https ? [] : [true]
      content {
        content_type = "text/plain"
        message_body = "There is nothing here."
        status_code  = "404"
      }
    }
  }
}

resource "aws_lb_listener" "https" {
  count = local.https ? 1 : 0

  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.tls_policy
  certificate_arn   = local.certifies ? aws_acm_certificate_validation.this[0].certificate_arn : var.certificate_arn
  tags              = var.tags

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "There is nothing here."
      status_code  = "404"
    }
  }

  routing_http_response_strict_transport_security_header_value = "max-age=31536000"
  routing_http_response_server_enabled                         = false
}
