# Who reaches the tasks, what they reach, and how requests come to them.

resource "aws_security_group" "this" {
  name        = var.name
  description = "Tasks of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = var.name })

  lifecycle {
    # Running tasks hold it.
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer" {
  count = local.balanced ? 1 : 0

  security_group_id            = aws_security_group.this.id
  description                  = "Requests from the load balancer"
  referenced_security_group_id = var.load_balancer.security_group
  from_port                    = var.port
  to_port                      = var.port
  ip_protocol                  = "tcp"
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  count = local.balanced ? 1 : 0

  security_group_id            = var.load_balancer.security_group
  description                  = "Requests to ${var.name}"
  referenced_security_group_id = aws_security_group.this.id
  from_port                    = var.port
  to_port                      = var.port
  ip_protocol                  = "tcp"
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = var.https_cidrs

  security_group_id = aws_security_group.this.id
  description       = "AWS and the internet by HTTPS"
  cidr_ipv4         = each.value
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = var.reaches

  security_group_id            = aws_security_group.this.id
  description                  = each.key
  referenced_security_group_id = each.value.security_group
  from_port                    = each.value.port
  to_port                      = each.value.port
  ip_protocol                  = "tcp"
  tags                         = var.tags
}

# Two: blue/green rollouts move the traffic from one to the other and, next time, back.
resource "aws_lb_target_group" "this" {
  # checkov:skip=CKV_AWS_378: TLS ends at the load balancer; the way from there is within the VPC, between two security groups
  for_each = local.balanced ? toset(["blue", "green"]) : toset([])

  # Names have 32 characters at most.
  name        = length(var.name) <= 26 ? "${var.name}-${each.key}" : "${trimsuffix(substr(var.name, 0, 19), "-")}-${substr(sha1(var.name), 0, 6)}-${each.key}"
  target_type = "ip"
  protocol    = "HTTP"
  # Only a default, which each task overrides by its own port: a change of the service's port replaces nothing here.
  port                 = 80
  vpc_id               = var.vpc_id
  deregistration_delay = var.deregistration_seconds
  # Open sockets weigh; taking turns would leave a new task empty for hours.
  load_balancing_algorithm_type = "least_outstanding_requests"
  tags                          = var.tags

  # Every replica can take every request; sockets resume by their last event.
  stickiness {
    enabled = false
    type    = "lb_cookie"
  }

  health_check {
    path                = coalesce(var.health_path, "/")
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener_rule" "this" {
  count = local.balanced ? 1 : 0

  listener_arn = var.load_balancer.listener_arn
  priority     = var.load_balancer.priority
  tags         = merge(var.tags, { Name = var.name })

  condition {
    path_pattern {
      values = var.load_balancer.paths
    }
  }

  action {
    type = "forward"

    forward {
      target_group {
        arn    = aws_lb_target_group.this["blue"].arn
        weight = 100
      }
      target_group {
        arn    = aws_lb_target_group.this["green"].arn
        weight = 0
      }
      stickiness {
        enabled  = false
        duration = 1
      }
    }
  }

  lifecycle {
    # A blue/green rollout turns the weights about.
    ignore_changes = [action]
  }
}
