locals {
  # With blue/green the requests change the target group that they are counted in with every rollout, and a policy holds
  # one: there the processor and the memory alone scale.
  by_requests = local.balanced && var.deploy.strategy == "rolling" && try(var.autoscaling.requests_per_minute, null) != null

  targets = var.autoscaling == null ? {} : merge(
    { cpu = { metric = "ECSServiceAverageCPUUtilization", value = var.autoscaling.cpu_percent, label = null } },
    { memory = { metric = "ECSServiceAverageMemoryUtilization", value = var.autoscaling.memory_percent, label = null } },
    local.by_requests ? {
      requests = {
        metric = "ALBRequestCountPerTarget"
        value  = var.autoscaling.requests_per_minute
        label  = "${var.load_balancer.arn_suffix}/${aws_lb_target_group.this["blue"].arn_suffix}"
      }
    } : {},
  )
  # Keys that are known before anything is there.
  policies = var.autoscaling == null ? toset([]) : toset(concat(["cpu", "memory"], local.by_requests ? ["requests"] : []))
}

resource "aws_appautoscaling_target" "this" {
  count = var.autoscaling == null ? 0 : 1

  service_namespace  = "ecs"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.this.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = coalesce(var.autoscaling.min, var.replicas)
  max_capacity       = max(var.autoscaling.max, coalesce(var.autoscaling.min, var.replicas))
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.policies

  name               = "${var.name}-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = local.targets[each.key].value
    scale_out_cooldown = var.autoscaling.scale_out_seconds
    scale_in_cooldown  = var.autoscaling.scale_in_seconds

    predefined_metric_specification {
      predefined_metric_type = local.targets[each.key].metric
      resource_label         = local.targets[each.key].label
    }
  }
}
