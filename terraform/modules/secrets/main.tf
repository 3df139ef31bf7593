data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  alias = "alias/${var.name}-secrets"

  # streamify.yaml may name this module's own alias, so that `streamify secrets set` encrypts with the key that is made
  # here: that is no key that somebody else has made.
  makes_key = var.kms_key == null || var.kms_key == local.alias
  kms_key   = local.makes_key ? one(module.key[*].arn) : one(data.aws_kms_key.given[*].arn)

  parameters = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter"
  managed    = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret"

  names = toset(flatten([tolist(var.names), [for names in values(var.readers) : tolist(names)]]))
  # Everybody's, under a name that no service can have.
  readers = merge(var.readers, { "*" = local.names })

  arns = {
    for name in local.names : name => {
      ssm = "${local.parameters}${var.prefix}${name}"
      # Secrets Manager puts a dash and six letters of its own behind the name.
      secrets_manager = "${local.managed}:${var.prefix}${name}-??????"
    }
  }

  statements = {
    for reader, names in local.readers : reader => [
      {
        Sid      = "ReadParameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameters"]
        Resource = sort([for name in names : local.arns[name].ssm])
      },
      {
        Sid      = "ReadSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = sort([for name in names : local.arns[name].secrets_manager])
      },
      {
        Sid      = "DecryptThroughTheStores"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [local.kms_key]
        Condition = {
          StringEquals = {
            "kms:ViaService" = [
              "ssm.${local.region}.amazonaws.com",
              "secretsmanager.${local.region}.amazonaws.com",
            ]
          }
        }
      },
    ]
  }

  # IAM refuses a policy without a resource, so who reads nothing gets none.
  policies = {
    for reader, names in local.readers : reader => length(names) == 0 ? null : jsonencode({
      Version   = "2012-10-17"
      Statement = local.statements[reader]
    })
  }
}

module "key" {
  source = "../key"
  count  = local.makes_key ? 1 : 0

  name        = trimprefix(local.alias, "alias/")
  description = "Secrets below ${var.prefix}"
  tags        = var.tags
}

# An id or an alias is as good as an ARN to whoever encrypts; a policy needs the ARN.
data "aws_kms_key" "given" {
  count = local.makes_key ? 0 : 1

  key_id = var.kms_key
}
