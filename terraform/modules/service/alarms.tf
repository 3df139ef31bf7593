# Alarms that stop a rollout and take it back. They look at both target groups, since either may have the traffic, and
# the output `streamify` tells them to `streamify deploy`.

locals {
  rollout_alarms = concat(
    [for alarm in aws_cloudwatch_metric_alarm.errors : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.latency : alarm.alarm_name],
    sort(var.rollout_alarms),
  )

  dimensions = {
    for colour, group in aws_lb_target_group.this :
    colour => { LoadBalancer = var.load_balancer.arn_suffix, TargetGroup = group.arn_suffix }
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  count = local.balanced ? 1 : 0

  alarm_name          = "${var.name}-rollout-errors"
  alarm_description   = "More than ${var.alarms.error_percent} % of the requests to ${var.name} end in a server error: what was rolled out last is taken back."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.error_percent
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags

  # Of a handful of requests a single error is no sign.
  metric_query {
    id          = "percent"
    label       = "server errors, percent"
    return_data = true
    expression  = "IF(FILL(blue,0)+FILL(green,0) < ${var.alarms.least_requests}, 0, 100*(FILL(blue5xx,0)+FILL(green5xx,0))/(FILL(blue,0)+FILL(green,0)))"
  }

  dynamic "metric_query" {
    for_each = local.dimensions
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = "RequestCount"
        stat        = "Sum"
        period      = 60
        dimensions  = metric_query.value
      }
    }
  }

  dynamic "metric_query" {
    for_each = local.dimensions
    content {
      id = "${metric_query.key}5xx"
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = "HTTPCode_Target_5XX_Count"
        stat        = "Sum"
        period      = 60
        dimensions  = metric_query.value
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  count = local.balanced ? 1 : 0

  alarm_name          = "${var.name}-rollout-latency"
  alarm_description   = "One in a hundred requests to ${var.name} takes longer than ${var.alarms.latency_seconds} s: what was rolled out last is taken back."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.latency_seconds
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags

  metric_query {
    id          = "worst"
    label       = "99th percentile, seconds"
    return_data = true
    expression  = "MAX([FILL(blue,0), FILL(green,0)])"
  }

  dynamic "metric_query" {
    for_each = local.dimensions
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = "TargetResponseTime"
        stat        = "p99"
        period      = 60
        dimensions  = metric_query.value
      }
    }
  }
}
