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
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:streamify-test-alarms" }
  }
  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:one" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:one" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/collector" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/streamify-test-collector:1" }
  }
  mock_resource "aws_service_discovery_service" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1" }
  }
}

variables {
  name                     = "streamify-test"
  environment              = "test"
  cluster_name             = "streamify-test"
  load_balancer_arn_suffix = "app/streamify-test/0123456789abcdef"
  database_identifier      = "streamify-test"
  services = {
    backend  = { metrics_port = 9464 }
    frontend = { log_group = "/elsewhere/page" }
    worker   = { load_balanced = false }
  }
  target_groups = {
    backend  = { blue = "targetgroup/backend-blue/1", green = "targetgroup/backend-green/2" }
    frontend = { blue = "targetgroup/frontend/3" }
    worker   = {}
  }
}

run "logs_are_encrypted_and_end_some_day" {
  assert {
    condition     = output.log_groups == { backend = "/streamify-test/backend", frontend = "/elsewhere/page", worker = "/streamify-test/worker" }
    error_message = "Each service has a log group, by its own name or the one that is given."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.service : group.retention_in_days == 30 && group.kms_key_id == output.kms_key])
    error_message = "Logs must be encrypted and end some day."
  }
  assert {
    condition     = alltrue([for filter in aws_cloudwatch_log_metric_filter.errors : filter.pattern == "{ $.level = \"ERROR\" }"])
    error_message = "Errors are counted as the program's JSON names them."
  }
}

run "alarms_reach_people" {
  variables {
    alarm_email = "team@example.com"
  }

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == output.kms_key && output.kms_key != "alias/aws/sns"
    error_message = "The topic is encrypted, with a key that alarms may use."
  }
  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "team@example.com" && aws_sns_topic_subscription.email[0].protocol == "email"
    error_message = "Alarms go to the address."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement :
      statement.Effect == "Deny" || try(statement.Condition.StringEquals["aws:SourceAccount"], "") == "123456789012"
    ])
    error_message = "Only this account's alarms may publish."
  }
  assert {
    condition = alltrue([
      for alarm in concat(
        [aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.latency],
        values(aws_cloudwatch_metric_alarm.unhealthy), values(aws_cloudwatch_metric_alarm.no_task),
      ) : alarm.alarm_actions == toset([output.topic_arn]) && alarm.ok_actions == toset([output.topic_arn])
    ])
    error_message = "Every alarm tells that it rings, and that it is over."
  }
}

run "watches_what_people_meet" {
  assert {
    condition = output.alarm_names == tolist([
      "streamify-test-backend-no-task", "streamify-test-backend-unhealthy", "streamify-test-errors",
      "streamify-test-frontend-no-task", "streamify-test-frontend-unhealthy", "streamify-test-latency", "streamify-test-worker-no-task",
    ])
    error_message = "Errors, latency, unhealthy tasks of what is load balanced, and services without a task are watched."
  }
  assert {
    condition = toset([
      for query in aws_cloudwatch_metric_alarm.errors.metric_query : query.metric[0].metric_name if length(query.metric) > 0
    ]) == toset(["HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count", "RequestCount"])
    error_message = "A request that no task could take is an error too."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.latency.extended_statistic == "p99" && aws_cloudwatch_metric_alarm.latency.threshold == 1
    error_message = "The slowest hundredth counts, not the mean."
  }
  assert {
    condition = toset([
      for query in aws_cloudwatch_metric_alarm.unhealthy["backend"].metric_query : query.metric[0].dimensions["TargetGroup"] if length(query.metric) > 0
    ]) == toset(["targetgroup/backend-blue/1", "targetgroup/backend-green/2"])
    error_message = "A service that swaps target groups is watched in both."
  }
  assert {
    condition = one([
      for query in aws_cloudwatch_metric_alarm.no_task["worker"].metric_query : query.expression if query.return_data == true
    ]) == "IF(desired > 0 AND running < 1, 1, 0)"
    error_message = "A service that is to have no task must not ring."
  }
}

run "stops_rollouts_of_what_people_reach" {
  assert {
    condition = jsonencode(output.rollout_alarms) == jsonencode({
      backend  = ["streamify-test-errors", "streamify-test-latency"]
      frontend = ["streamify-test-errors", "streamify-test-latency"]
      worker   = []
    })
    error_message = "The load balancer's alarms stop rollouts of services behind it, and no others."
  }
}

run "shows_everything_on_one_page" {
  assert {
    condition = length(setsubtract(
      ["Requests, and those that failed", "Time until an answer", "Healthy tasks", "Running tasks", "Processor of the tasks", "Logged errors", "Database: connections"],
      [for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.properties.title],
    )) == 0
    error_message = "The dashboard has requests, time, tasks, errors and the database."
  }
  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24
    ])
    error_message = "Every widget lies within the grid of 24 columns."
  }
  assert {
    condition = length(distinct([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : "${widget.x},${widget.y}"
    ])) == length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets)
    error_message = "No widget lies on another one."
  }
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
        for metric in try(widget.properties.metrics, []) : length([for part in metric : part if can(tostring(part))]) % 2 == 0
      ]
    ]))
    error_message = "A metric is a namespace, a name, and pairs of a dimension and its value."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "SOURCE '/streamify-test/backend' | SOURCE '/elsewhere/page'")
    error_message = "Errors of every service are listed."
  }
}

run "no_collector_unless_asked_for" {
  assert {
    condition     = length(aws_ecs_service.collector) == 0 && length(aws_iam_role.collector) == 0 && output.collector == null
    error_message = "Without a collector there is nothing of it."
  }
}

run "a_collector_takes_traces_and_asks_for_figures" {
  variables {
    collector = true
    collector_network = {
      cluster_arn  = "arn:aws:ecs:eu-west-1:123456789012:cluster/streamify-test"
      vpc_id       = "vpc-0123456789abcdef0"
      vpc_cidr     = "10.20.0.0/16"
      subnets      = ["subnet-00000000000000001"]
      namespace    = "streamify-test.internal"
      namespace_id = "ns-1"
    }
  }

  assert {
    condition     = output.collector.endpoint == "http://collector.streamify-test.internal:4318"
    error_message = "Services find it by its name in Cloud Map."
  }
  assert {
    condition = jsondecode(one([
      for variable in jsondecode(aws_ecs_task_definition.collector["this"].container_definitions)[0].environment : variable.value if variable.name == "AOT_CONFIG_CONTENT"
    ])).receivers.prometheus.config.scrape_configs[0].dns_sd_configs[0] == { names = ["backend.streamify-test.internal"], type = "A", port = 9464, refresh_interval = "30s" }
    error_message = "Every task of the backend is asked for its figures."
  }
  assert {
    condition = alltrue(flatten([
      for pipeline in values(jsondecode(local.collector_configuration["this"]).service.pipelines) : [
        for receiver in pipeline.receivers : contains(keys(jsondecode(local.collector_configuration["this"]).receivers), receiver)
      ]
    ]))
    error_message = "A pipeline may use only receivers that are there, or the collector does not start."
  }
  assert {
    condition     = !aws_ecs_service.collector["this"].network_configuration[0].assign_public_ip && alltrue([for rule in aws_vpc_security_group_ingress_rule.collector : rule.cidr_ipv4 == "10.20.0.0/16"])
    error_message = "Only the VPC reaches the collector."
  }
}

run "refuses_what_can_not_work" {
  command = plan

  variables {
    alarm_email     = "nobody"
    retention_days  = 31
    collector       = true
    collector_image = "public.ecr.aws/aws-observability/aws-otel-collector:latest"
  }

  expect_failures = [var.alarm_email, var.retention_days, var.collector_network, var.collector_image]
}
