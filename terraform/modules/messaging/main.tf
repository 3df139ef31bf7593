locals {
  provisioned = var.kind == "provisioned"
  # SASL by IAM over TLS: the one listener that there is.
  port = 9098

  cluster_arn = local.provisioned ? one(aws_msk_cluster.this[*].arn) : one(aws_msk_serverless_cluster.this[*].arn)
  brokers     = local.provisioned ? one(aws_msk_cluster.this[*].bootstrap_brokers_sasl_iam) : one(aws_msk_serverless_cluster.this[*].bootstrap_brokers_sasl_iam)

  # Topics and groups have no ARN of their own to ask for: theirs is the cluster's, by MSK's rule.
  topic_arn_prefix = "${replace(local.cluster_arn, ":cluster/", ":topic/")}/"
  group_arn_prefix = "${replace(local.cluster_arn, ":cluster/", ":group/")}/"

  client_statements = [
    {
      sid       = "ConnectToKafka"
      actions   = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"]
      resources = [local.cluster_arn]
    },
    {
      # CreateTopic and AlterTopic are for the app's own command, which makes what it needs.
      sid = "UseTopics"
      actions = [
        "kafka-cluster:AlterTopic", "kafka-cluster:AlterTopicDynamicConfiguration", "kafka-cluster:CreateTopic",
        "kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration",
        "kafka-cluster:ReadData", "kafka-cluster:WriteData",
      ]
      resources = ["${local.topic_arn_prefix}*"]
    },
    {
      sid       = "UseGroups"
      actions   = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"]
      resources = ["${local.group_arn_prefix}*"]
    },
  ]
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-kafka-"
  description = "Kafka of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-kafka" })

  lifecycle {
    create_before_destroy = true
  }
}

# From the named groups alone. Nothing out: brokers speak to each other on AWS's side of their interfaces.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.allowed_security_groups

  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value
  description                  = "Kafka from ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = var.tags
}

resource "aws_msk_serverless_cluster" "this" {
  count = local.provisioned ? 0 : 1

  cluster_name = var.name
  tags         = var.tags

  vpc_config {
    subnet_ids         = var.subnets
    security_group_ids = [aws_security_group.this.id]
  }

  client_authentication {
    sasl {
      iam {
        enabled = true
      }
    }
  }
}
