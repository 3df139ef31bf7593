locals {
  # ECS alone takes these roles on, and only for this account: another account's service can't be led to use them.
  trusts_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account}:*" }
      }
    }]
  })

  log_group_arn  = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${var.log_group}"
  exec_group_arn = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${coalesce(var.exec_log_group, "none")}"

  execution_statements = concat(
    [
      # The one call of ECR's that knows no resource.
      { Sid = "LogInToTheRegistry", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      { Sid = "WriteTheLog", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${local.log_group_arn}:*"] },
    ],
    length(var.repository_arns) == 0 ? [] : [{
      Sid      = "PullImages", Effect = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = var.repository_arns
    }],
    length(var.secrets.parameters) == 0 ? [] : [{
      Sid = "ReadParameters", Effect = "Allow", Action = ["ssm:GetParameters"], Resource = var.secrets.parameters
    }],
    length(var.secrets.secrets) == 0 ? [] : [{
      Sid = "ReadSecrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = var.secrets.secrets
    }],
    length(var.secrets.kms_keys) == 0 ? [] : [{
      Sid = "DecryptThem", Effect = "Allow", Action = ["kms:Decrypt"], Resource = var.secrets.kms_keys
      Condition = {
        StringLike = { "kms:ViaService" = ["ssm.${local.region}.amazonaws.com", "secretsmanager.${local.region}.amazonaws.com"] }
      }
    }],
  )

  task_statements = concat(
    [for statement in var.task_statements : {
      Sid = statement.sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources
    }],
    !var.exec ? [] : [
      {
        Sid = "OpenShells", Effect = "Allow", Resource = ["*"]
        Action = [
          "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
        ]
      },
      { Sid = "FindTheLogOfShells", Effect = "Allow", Action = ["logs:DescribeLogGroups"], Resource = ["*"] },
      {
        Sid      = "WriteTheLogOfShells", Effect = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = ["${local.exec_group_arn}:*"]
      },
    ],
  )
}

# Pulls the image, reads the secrets, writes the log: before and beside the program, which never has it.
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Starts the tasks of ${var.name}"
  assume_role_policy = local.trusts_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  # checkov:skip=CKV_AWS_290: only ecr:GetAuthorizationToken has no resource, and it writes nothing
  # checkov:skip=CKV_AWS_355: the same
  name   = "start-tasks"
  role   = aws_iam_role.execution.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}

# What the program itself may do.
resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "What the program of ${var.name} may do"
  assume_role_policy = local.trusts_tasks
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  # checkov:skip=CKV_AWS_290: the channels of shells have no resource; without exec there is none of this
  # checkov:skip=CKV_AWS_355: the same
  count = length(local.task_statements) > 0 ? 1 : 0

  name   = "program"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.task_statements })
}

# With it ECS moves the traffic in blue/green rollouts: of this service's rule and target groups, and nothing else.
resource "aws_iam_role" "infrastructure" {
  count = local.balanced ? 1 : 0

  name        = "${var.name}-infrastructure"
  description = "Moves the traffic of ${var.name} in blue/green rollouts"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "infrastructure" {
  # checkov:skip=CKV_AWS_355: looking at load balancers knows no resource
  count = local.balanced ? 1 : 0

  name = "move-traffic"
  role = aws_iam_role.infrastructure[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid = "Look", Effect = "Allow", Resource = ["*"]
        Action = [
          "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
        ]
      },
      {
        Sid      = "MoveTargets", Effect = "Allow"
        Action   = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
        Resource = [for group in aws_lb_target_group.this : group.arn]
      },
      {
        Sid      = "MoveTraffic", Effect = "Allow"
        Action   = ["elasticloadbalancing:ModifyRule"]
        Resource = [aws_lb_listener_rule.this[0].arn]
      },
    ]
  })
}
