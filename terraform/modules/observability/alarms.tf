# What a person should know of. What stops a rollout of one service alone is beside that service; these look at what
# people meet, the load balancer, and at what nobody asks for but somebody misses.

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.name}-errors"
  alarm_description   = "More than ${var.error_percent} % of all requests to ${var.name} end in a server error, of a task or of the load balancer that has no healthy one. What tasks say: streamify logs ${var.environment} --since 10m."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.error_percent
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  # Nobody asks: nothing is wrong.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
  tags               = var.tags

  # A request that no task could take is in the second figure alone, and no request of the first; of a handful of
  # requests a single error is no sign.
  metric_query {
    id          = "percent"
    label       = "server errors, percent"
    return_data = true
    expression  = "IF(FILL(requests,0)+FILL(balancer,0) < ${var.least_requests}, 0, 100*(FILL(tasks,0)+FILL(balancer,0))/(FILL(requests,0)+FILL(balancer,0)))"
  }

  dynamic "metric_query" {
    for_each = {
      requests = "RequestCount"
      tasks    = "HTTPCode_Target_5XX_Count"
      balancer = "HTTPCode_ELB_5XX_Count"
    }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        stat        = "Sum"
        period      = 60
        dimensions  = { LoadBalancer = var.load_balancer_arn_suffix }
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  alarm_name          = "${var.name}-latency"
  alarm_description   = "One in a hundred requests to ${var.name} takes longer than ${var.latency_seconds} s. The dashboard ${var.name} tells whether tasks, the database or the load have changed."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "TargetResponseTime"
  dimensions          = { LoadBalancer = var.load_balancer_arn_suffix }
  extended_statistic  = "p99"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.latency_seconds
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 4
  # Of few requests the slowest is by chance the hundredth.
  evaluate_low_sample_count_percentiles = "ignore"
  treat_missing_data                    = "notBreaching"
  alarm_actions                         = [aws_sns_topic.alarms.arn]
  ok_actions                            = [aws_sns_topic.alarms.arn]
  tags                                  = var.tags
}

resource "aws_cloudwatch_metric_alarm" "unhealthy" {
  for_each = { for name, groups in var.target_groups : name => groups if length(groups) > 0 }

  alarm_name          = "${var.name}-${each.key}-unhealthy"
  alarm_description   = "Tasks of ${each.key} have answered its health check badly for ten minutes, which is longer than any rollout starts them: streamify status ${var.environment}."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 10
  datapoints_to_alarm = 10
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  # A service that swaps two target groups has tasks in either.
  metric_query {
    id          = "worst"
    label       = "unhealthy tasks"
    return_data = true
    expression  = "MAX([${join(", ", [for index in range(length(each.value)) : "FILL(group${index},0)"])}])"
  }

  dynamic "metric_query" {
    for_each = { for index, colour in sort(keys(each.value)) : "group${index}" => each.value[colour] }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = "UnHealthyHostCount"
        stat        = "Maximum"
        period      = 60
        dimensions  = { LoadBalancer = var.load_balancer_arn_suffix, TargetGroup = metric_query.value }
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "no_task" {
  for_each = local.ecs_services

  alarm_name          = "${var.name}-${each.key}-no-task"
  alarm_description   = "No task of ${each.key} runs, though some should: streamify status ${var.environment} tells why the last ones stopped."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  treat_missing_data  = "missing"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  # Before the first deploy, and where somebody has scaled it to nothing, none is wanted.
  metric_query {
    id          = "missing"
    label       = "no task though some are wanted"
    return_data = true
    expression  = "IF(desired > 0 AND running < 1, 1, 0)"
  }

  dynamic "metric_query" {
    for_each = { desired = "DesiredTaskCount", running = "RunningTaskCount" }
    content {
      id = metric_query.key
      metric {
        namespace   = "ECS/ContainerInsights"
        metric_name = metric_query.value
        stat        = "Maximum"
        period      = 60
        dimensions  = { ClusterName = var.cluster_name, ServiceName = each.value }
      }
    }
  }
}

locals {
  alarms = concat(
    [aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.latency],
    values(aws_cloudwatch_metric_alarm.unhealthy),
    values(aws_cloudwatch_metric_alarm.no_task),
  )
}
