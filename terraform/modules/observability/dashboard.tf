locals {
  # CloudWatch lays widgets out by a grid of 24 columns; four rows of height 6 look well on a laptop.
  balancer = ["LoadBalancer", var.load_balancer_arn_suffix]

  # Service and target group, one for each that there is.
  groups = flatten([
    for name, groups in var.target_groups : [
      for colour in sort(keys(groups)) : { label = length(groups) > 1 ? "${name} ${colour}" : name, suffix = groups[colour] }
    ]
  ])

  graphs = concat(
    [
      {
        title = "Requests, and those that failed"
        unit  = "a minute"
        stat  = "Sum"
        metrics = [
          concat(["AWS/ApplicationELB", "RequestCount"], local.balancer, [{ label = "requests" }]),
          concat(["AWS/ApplicationELB", "HTTPCode_Target_4XX_Count"], local.balancer, [{ label = "refused (4xx)" }]),
          concat(["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"], local.balancer, [{ label = "failed in a task (5xx)" }]),
          concat(["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"], local.balancer, [{ label = "failed before a task (5xx)" }]),
        ]
      },
      {
        title = "Time until an answer"
        unit  = "seconds"
        stat  = "p99"
        metrics = concat(
          [
            concat(["AWS/ApplicationELB", "TargetResponseTime"], local.balancer, [{ label = "half of all", stat = "p50" }]),
            concat(["AWS/ApplicationELB", "TargetResponseTime"], local.balancer, [{ label = "99 of 100", stat = "p99" }]),
          ],
          [
            for group in local.groups :
            concat(["AWS/ApplicationELB", "TargetResponseTime", "TargetGroup", group.suffix], local.balancer, [{ label = "99 of 100, ${group.label}" }])
          ],
        )
      },
      {
        title   = "Open connections"
        unit    = "connections"
        stat    = "Sum"
        metrics = [concat(["AWS/ApplicationELB", "ActiveConnectionCount"], local.balancer, [{ label = "to the load balancer" }])]
      },
    ],
    [
      for graph in [{
        title = "Healthy tasks"
        unit  = "tasks"
        stat  = "Minimum"
        metrics = [
          for group in local.groups :
          concat(["AWS/ApplicationELB", "HealthyHostCount", "TargetGroup", group.suffix], local.balancer, [{ label = group.label }])
        ]
      }] : graph if length(local.groups) > 0
    ],
    [for graph in [
      {
        title = "Running tasks"
        unit  = "tasks"
        stat  = "Average"
        metrics = [
          for name, service in local.ecs_services :
          ["ECS/ContainerInsights", "RunningTaskCount", "ServiceName", service, "ClusterName", var.cluster_name, { label = name }]
        ]
      },
      {
        title = "Processor of the tasks"
        unit  = "percent"
        stat  = "Average"
        metrics = [
          for name, service in local.ecs_services :
          ["AWS/ECS", "CPUUtilization", "ServiceName", service, "ClusterName", var.cluster_name, { label = name }]
        ]
      },
      {
        title = "Memory of the tasks"
        unit  = "percent"
        stat  = "Average"
        metrics = [
          for name, service in local.ecs_services :
          ["AWS/ECS", "MemoryUtilization", "ServiceName", service, "ClusterName", var.cluster_name, { label = name }]
        ]
      },
      {
        title   = "Logged errors"
        unit    = "a minute"
        stat    = "Sum"
        metrics = [for name in keys(var.services) : [var.name, "${name}-logged-errors", { label = name }]]
      },
    ] : graph if length(var.services) > 0],
    [
      for graph in [
        { title = "Database: processor", unit = "percent", stat = "Average", metrics = ["CPUUtilization"] },
        { title = "Database: connections", unit = "connections", stat = "Maximum", metrics = ["DatabaseConnections"] },
        { title = "Database: free storage", unit = "bytes", stat = "Minimum", metrics = ["FreeStorageSpace"] },
        { title = "Database: time of a read and a write", unit = "seconds", stat = "Average", metrics = ["ReadLatency", "WriteLatency"] },
        ] : {
        title   = graph.title
        unit    = graph.unit
        stat    = graph.stat
        metrics = [for metric in graph.metrics : ["AWS/RDS", metric, "DBInstanceIdentifier", var.database_identifier, { label = metric }]]
      } if var.database_identifier != null
    ],
  )

  widgets = concat(
    [{
      type       = "alarm"
      x          = 0
      y          = 0
      width      = 24
      height     = 3
      properties = { title = "Alarms", alarms = [for alarm in local.alarms : alarm.arn] }
    }],
    [
      for index, graph in local.graphs : {
        type   = "metric"
        x      = index % 3 * 8
        y      = 3 + floor(index / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = graph.title
          region  = local.region
          view    = "timeSeries"
          period  = 60
          stat    = graph.stat
          metrics = graph.metrics
          yAxis   = { left = { min = 0, label = graph.unit, showUnits = false } }
        }
      }
    ],
    [for widget in [{
      type   = "log"
      x      = 0
      y      = 3 + ceil(length(local.graphs) / 3) * 6
      width  = 24
      height = 8
      properties = {
        title  = "Newest errors"
        region = local.region
        view   = "table"
        query  = "${join(" | ", [for group in values(local.log_groups) : "SOURCE '${group}'"])} | fields @timestamp, @log, message, error, span.trace_id | filter level = \"ERROR\" | sort @timestamp desc | limit 50"
      }
    }] : widget if length(var.services) > 0],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ start = "-PT3H", periodOverride = "inherit", widgets = local.widgets })
}
