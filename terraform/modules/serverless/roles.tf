locals {
  topic = "${var.kafka.topic_arn_prefix}${var.kafka.topic}"
  group = "${var.kafka.group_arn_prefix}${var.name}-events"

  common = concat(
    [
      # No resource is known for these: they are of network interfaces that are not there yet, and of traces.
      {
        Sid = "NetworkAndTraces", Effect = "Allow", Resource = ["*"]
        Action = [
          "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
          "ec2:UnassignPrivateIpAddresses", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
        ]
      },
      # What Lambda does on behalf of a function to its network, the function itself never does.
      {
        Sid = "NotFromWithin", Effect = "Deny", Resource = ["*"]
        Action = [
          "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Condition = {
          ArnLike = { "lambda:SourceFunctionArn" = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}-*" }
        }
      },
      { Sid = "Kafka", Effect = "Allow", Resource = [var.kafka.cluster_arn], Action = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"] },
    ],
    length(var.secret_arns.parameters) == 0 ? [] : [
      { Sid = "ReadParameters", Effect = "Allow", Resource = var.secret_arns.parameters, Action = ["ssm:GetParameters"] },
    ],
    length(var.secret_arns.secrets) == 0 ? [] : [
      { Sid = "ReadSecrets", Effect = "Allow", Resource = var.secret_arns.secrets, Action = ["secretsmanager:GetSecretValue"] },
    ],
    [{
      Sid = "Decrypt", Effect = "Allow", Resource = concat([var.kms_key], var.secret_arns.kms_keys), Action = ["kms:Decrypt"]
    }],
  )

  post = {
    Sid      = "Post", Effect = "Allow", Action = ["execute-api:ManageConnections"]
    Resource = ["${aws_apigatewayv2_api.websocket.execution_arn}/${local.stage}/*/@connections/*"]
  }

  own = {
    http = [
      { Sid = "Publish", Effect = "Allow", Resource = [var.kafka.cluster_arn], Action = ["kafka-cluster:WriteDataIdempotently"] },
      { Sid = "Topic", Effect = "Allow", Resource = [local.topic], Action = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"] },
      { Sid = "Upload", Effect = "Allow", Resource = ["${aws_s3_bucket.this["uploads"].arn}/uploads/*"], Action = ["s3:GetObject", "s3:PutObject"] },
    ]
    websocket = [
      { Sid = "Topic", Effect = "Allow", Resource = [local.topic], Action = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"] },
      { Sid = "Connections", Effect = "Allow", Resource = [aws_dynamodb_table.connections.arn], Action = ["dynamodb:DeleteItem", "dynamodb:UpdateItem"] },
      local.post,
    ]
    events = [
      { Sid = "Publish", Effect = "Allow", Resource = [var.kafka.cluster_arn], Action = ["kafka-cluster:WriteDataIdempotently"] },
      {
        Sid    = "Topic", Effect = "Allow", Resource = [local.topic]
        Action = ["kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", "kafka-cluster:WriteData"]
      },
      { Sid = "Group", Effect = "Allow", Resource = [local.group], Action = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"] },
      {
        Sid    = "EventSource", Effect = "Allow", Resource = [var.kafka.cluster_arn]
        Action = ["kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"]
      },
      { Sid = "Connections", Effect = "Allow", Resource = [aws_dynamodb_table.connections.arn], Action = ["dynamodb:DeleteItem", "dynamodb:Scan"] },
      local.post,
    ]
  }
}

resource "aws_iam_role" "this" {
  for_each = local.functions

  name        = "${var.name}-${each.key}"
  description = "${each.value.description}, of ${var.name}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_290: network interfaces that are not there yet have no resource; the program itself is denied them
  # checkov:skip=CKV_AWS_355: the same
  for_each = local.functions

  name = each.key
  role = aws_iam_role.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.common, local.own[each.key], [{
      Sid      = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
    }])
  })
}
