data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  here      = "${local.region}:${local.account}"
  issuer    = "token.actions.githubusercontent.com"

  # An account has one provider for GitHub; terraform/bootstrap makes it.
  provider_arn = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.issuer}"
  subject      = coalesce(var.subject, "repo:${var.repository}:environment:${var.environment}")

  arn = {
    cluster      = "arn:${local.partition}:ecs:${local.here}:cluster/${var.cluster_name}"
    services     = "arn:${local.partition}:ecs:${local.here}:service/${var.cluster_name}/*"
    deployments  = "arn:${local.partition}:ecs:${local.here}:service-deployment/${var.cluster_name}/*/*"
    revisions    = "arn:${local.partition}:ecs:${local.here}:service-revision/${var.cluster_name}/*/*"
    tasks        = "arn:${local.partition}:ecs:${local.here}:task/${var.cluster_name}/*"
    definitions  = [for name in sort(var.service_names) : "arn:${local.partition}:ecs:${local.here}:task-definition/${name}:*"]
    repositories = [for name in sort(var.repositories) : "arn:${local.partition}:ecr:${local.here}:repository/${name}"]
    log_groups   = [for name in sort(var.log_groups) : "arn:${local.partition}:logs:${local.here}:log-group:${name}:*"]
    parameters   = "arn:${local.partition}:ssm:${local.here}:parameter${var.secrets_prefix}*"
    secrets      = "arn:${local.partition}:secretsmanager:${local.here}:secret:${var.secrets_prefix}*"
  }
  in_cluster = { ArnEquals = { "ecs:cluster" = local.arn.cluster } }
  state_arn  = var.state == null ? null : "arn:${local.partition}:s3:::${var.state.bucket}"

  statements = concat(
    [
      # Calls that know no resource. They look, except for two: a task definition that is registered starts nothing, and
      # a token for ECR can do no more than the other statements allow.
      {
        Sid = "Look", Effect = "Allow", Resource = ["*"]
        Action = [
          "cloudwatch:DescribeAlarms", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ecr:GetAuthorizationToken",
          "ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth", "logs:DescribeLogGroups", "secretsmanager:BatchGetSecretValue",
          "secretsmanager:ListSecrets", "servicequotas:GetServiceQuota", "ssm:DescribeParameters",
        ]
      },
      { Sid = "RegisterTaskDefinitions", Effect = "Allow", Action = ["ecs:RegisterTaskDefinition"], Resource = local.arn.definitions },
      {
        Sid      = "TagWhatIsRegisteredAndRun", Effect = "Allow", Action = ["ecs:TagResource"]
        Resource = concat(local.arn.definitions, [local.arn.tasks])
        Condition = {
          StringEquals = { "ecs:CreateAction" = ["RegisterTaskDefinition", "RunTask"] }
        }
      },
      { Sid = "LookAtTheCluster", Effect = "Allow", Action = ["ecs:DescribeClusters"], Resource = [local.arn.cluster] },
      {
        Sid      = "RollOut", Effect = "Allow"
        Action   = ["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"]
        Resource = [local.arn.services]
      },
      {
        Sid      = "WatchRollouts", Effect = "Allow"
        Action   = ["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions", "ecs:StopServiceDeployment"]
        Resource = [local.arn.deployments, local.arn.revisions]
      },
      {
        Sid       = "RunMigrations", Effect = "Allow", Action = ["ecs:RunTask"], Resource = local.arn.definitions
        Condition = local.in_cluster
      },
      {
        Sid       = "WatchTasks", Effect = "Allow", Action = ["ecs:DescribeTasks", "ecs:StopTask"], Resource = [local.arn.tasks]
        Condition = local.in_cluster
      },
      # Asked for by its cluster; the resource is the container instances' on EC2, of which there are none.
      { Sid = "ListTasks", Effect = "Allow", Action = ["ecs:ListTasks"], Resource = ["*"], Condition = local.in_cluster },
      {
        Sid      = "KeepLockAndHistory", Effect = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = [var.deploys_table_arn]
      },
      # `verify` reads secrets as tasks will, so that one with a missing key is found before a rollout.
      {
        Sid      = "ReadParameters", Effect = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
        Resource = [local.arn.parameters]
      },
      {
        Sid      = "ReadSecrets", Effect = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = concat([local.arn.secrets], var.secret_arns)
      },
      { Sid = "Decrypt", Effect = "Allow", Action = ["kms:Decrypt"], Resource = var.kms_keys },
      { Sid = "LookAtRoles", Effect = "Allow", Action = ["iam:GetRole"], Resource = var.role_arns },
      # To ECS' tasks alone: the same role given to another service would be a way to its rights.
      {
        Sid       = "GiveRolesToTasks", Effect = "Allow", Action = ["iam:PassRole"], Resource = var.role_arns
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid    = "ReadLogs", Effect = "Allow", Resource = local.arn.log_groups
        Action = ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"]
      },
    ],
    length(var.repositories) == 0 ? [] : [{
      Sid = "PushImages", Effect = "Allow", Resource = local.arn.repositories
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository",
        "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload",
        "ecr:PutImage", "ecr:PutLifecyclePolicy", "ecr:UploadLayerPart",
      ]
    }],
    flatten([
      for state in var.state[*] : [
        { Sid = "ReadTheState", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.state_arn}/${state.key}"] },
        {
          Sid       = "FindTheState", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.state_arn]
          Condition = { StringEquals = { "s3:prefix" = [state.key] } }
        },
      ]
    ]),
    [
      for key in var.state[*].kms_key :
      { Sid = "DecryptTheState", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [key] } if key != null
    ],
    length(var.function_arns) == 0 ? [] : [{
      Sid      = "RollOutFunctions", Effect = "Allow"
      Resource = flatten([for arn in var.function_arns : [arn, "${arn}:*"]])
      Action = [
        "lambda:GetAlias", "lambda:GetFunction", "lambda:GetFunctionConfiguration", "lambda:InvokeFunction",
        "lambda:ListVersionsByFunction", "lambda:PublishVersion", "lambda:UpdateAlias", "lambda:UpdateFunctionCode",
      ]
    }],
  )
}

# Taken on by workflows of one environment of one repository, with a token that lives for minutes. GitHub gives that
# environment to a job only after its own rules (reviewers, branches) are met.
resource "aws_iam_role" "this" {
  # checkov:skip=CKV_AWS_393: audience and subject are compared whole, which the tests hold; checkov does not see through the local value
  name                 = "${var.name}-deploy"
  description          = "Deploys ${var.environment} from ${var.repository}"
  max_session_duration = 7200
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = local.subject
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_355: the statement Look is for calls that know no resource, and ListTasks is bound to the cluster
  # checkov:skip=CKV_AWS_290: the same
  # checkov:skip=CKV_AWS_288: batch reads of secrets are bound by the rights on each secret
  name   = "deploy"
  role   = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
