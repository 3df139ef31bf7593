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
  mock_resource "aws_msk_configuration" {
    defaults = { arn = "arn:aws:kafka:eu-west-1:123456789012:configuration/streamify-test/00000000-0000-0000-0000-000000000000-1", latest_revision = 1 }
  }
  mock_resource "aws_msk_cluster" {
    defaults = {
      arn                        = "arn:aws:kafka:eu-west-1:123456789012:cluster/streamify-test/22222222-2222-2222-2222-222222222222-2"
      bootstrap_brokers          = "b-1.plain.example:9092"
      bootstrap_brokers_sasl_iam = "b-1.test.kafka.eu-west-1.amazonaws.com:9098,b-2.test.kafka.eu-west-1.amazonaws.com:9098"
    }
  }
  mock_resource "aws_msk_serverless_cluster" {
    defaults = {
      arn                        = "arn:aws:kafka:eu-west-1:123456789012:cluster/streamify-test/11111111-1111-1111-1111-111111111111-s1"
      bootstrap_brokers_sasl_iam = "boot-test.c1.kafka-serverless.eu-west-1.amazonaws.com:9098"
    }
  }
}

variables {
  name                    = "streamify-test"
  vpc_id                  = "vpc-0123456789abcdef0"
  subnets                 = ["subnet-00000000000000001", "subnet-00000000000000002", "subnet-00000000000000003"]
  allowed_security_groups = { backend = "sg-0123456789abcdef0" }
}

run "serverless_takes_iam_alone" {
  assert {
    condition     = aws_msk_serverless_cluster.this[0].client_authentication[0].sasl[0].iam[0].enabled
    error_message = "Clients must prove who they are by IAM."
  }
  assert {
    condition     = length(aws_msk_cluster.this) == 0 && length(module.key) == 0 && length(aws_cloudwatch_log_group.brokers) == 0 && length(output.alarm_names) == 0
    error_message = "A serverless cluster has no brokers, keys, logs or alarms of its own."
  }
  assert {
    condition     = output.brokers == "boot-test.c1.kafka-serverless.eu-west-1.amazonaws.com:9098"
    error_message = "The brokers are those of the cluster that was made."
  }
}

run "only_named_groups_reach_the_one_listener" {
  assert {
    condition = alltrue([
      for rule in aws_vpc_security_group_ingress_rule.clients : rule.cidr_ipv4 == null && rule.from_port == 9098 && rule.to_port == 9098
    ]) && aws_vpc_security_group_ingress_rule.clients["backend"].referenced_security_group_id == "sg-0123456789abcdef0"
    error_message = "Only named security groups, and only SASL by IAM over TLS."
  }
}

run "policies_are_of_this_cluster_alone" {
  assert {
    condition     = output.topic_arn_prefix == "arn:aws:kafka:eu-west-1:123456789012:topic/streamify-test/11111111-1111-1111-1111-111111111111-s1/"
    error_message = "A topic's ARN has the cluster's name and id in it."
  }
  assert {
    condition     = output.group_arn_prefix == "arn:aws:kafka:eu-west-1:123456789012:group/streamify-test/11111111-1111-1111-1111-111111111111-s1/"
    error_message = "A group's ARN has the cluster's name and id in it."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(output.client_policy_json).Statement : strcontains(one(statement.Resource), "streamify-test/11111111")
    ])
    error_message = "No statement may be for another cluster."
  }
  assert {
    condition     = !strcontains(output.client_policy_json, "DeleteTopic") && !strcontains(output.client_policy_json, "kafka-cluster:*")
    error_message = "Tasks can't delete topics."
  }
  assert {
    condition     = strcontains(output.client_policy_json, "kafka-cluster:WriteDataIdempotently")
    error_message = "The producer is idempotent, which needs a right of its own."
  }
}

run "brokers_of_ones_own_take_tls_and_iam_alone" {
  variables {
    kind         = "provisioned"
    alarm_topics = ["arn:aws:sns:eu-west-1:123456789012:alarms"]
  }

  assert {
    condition     = aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].client_broker == "TLS" && aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].in_cluster
    error_message = "Nothing may be said in plain text, not among brokers either."
  }
  assert {
    condition     = !aws_msk_cluster.this[0].client_authentication[0].unauthenticated && aws_msk_cluster.this[0].client_authentication[0].sasl[0].iam && !aws_msk_cluster.this[0].client_authentication[0].sasl[0].scram
    error_message = "IAM alone opens the cluster."
  }
  assert {
    condition     = aws_msk_cluster.this[0].broker_node_group_info[0].connectivity_info[0].public_access[0].type == "DISABLED"
    error_message = "Brokers must not be public."
  }
  assert {
    condition     = aws_msk_cluster.this[0].encryption_info[0].encryption_at_rest_kms_key_arn == output.kms_key && aws_cloudwatch_log_group.brokers[0].kms_key_id == output.kms_key
    error_message = "Disks and logs are encrypted with the module's key."
  }
  assert {
    condition     = output.brokers == "b-1.test.kafka.eu-west-1.amazonaws.com:9098,b-2.test.kafka.eu-west-1.amazonaws.com:9098"
    error_message = "Clients get the listener with IAM, not the plain one."
  }
  assert {
    condition = alltrue([
      for line in ["auto.create.topics.enable=false", "default.replication.factor=3", "min.insync.replicas=2", "unclean.leader.election.enable=false"] :
      strcontains(aws_msk_configuration.this[0].server_properties, line)
    ])
    error_message = "An acknowledged event is on two brokers, and topics are made by nobody by mistake."
  }
  assert {
    condition     = length(output.alarm_names) == 5 && contains(output.alarm_names, "streamify-test-kafka-disk-3")
    error_message = "The cluster and each broker's disk are watched."
  }
  assert {
    condition     = aws_appautoscaling_target.storage[0].max_capacity == 1000 && aws_appautoscaling_policy.storage[0].target_tracking_scaling_policy_configuration[0].disable_scale_in
    error_message = "Storage grows by itself, and never asks to shrink."
  }
}

run "a_small_cluster_can_do_without_one_broker_of_two" {
  variables {
    kind            = "provisioned"
    broker_count    = 2
    subnets         = ["subnet-00000000000000001", "subnet-00000000000000002"]
    max_storage_gib = 0
    kms_key         = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this[0].server_properties, "min.insync.replicas=1")
    error_message = "With two brokers one must be able to write alone while the other restarts."
  }
  assert {
    condition     = length(module.key) == 0 && output.kms_key == "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    error_message = "A given key must be used, and no second one made."
  }
  assert {
    condition     = length(aws_appautoscaling_target.storage) == 0
    error_message = "Storage that may not grow has no rule for it."
  }
}

run "refuses_brokers_that_can_not_be_shared_out" {
  command = plan

  variables {
    kind         = "provisioned"
    broker_count = 4
  }

  expect_failures = [aws_msk_cluster.this]
}

run "refuses_what_msk_would_refuse" {
  command = plan

  variables {
    kind          = "cloud"
    subnets       = ["subnet-00000000000000001"]
    instance_type = "express.m7g.large"
    kafka_version = "latest"
  }

  expect_failures = [var.kind, var.subnets, var.instance_type, var.kafka_version]
}
