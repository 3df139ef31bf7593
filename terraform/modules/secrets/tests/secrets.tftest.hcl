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
  mock_data "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
}

variables {
  name    = "streamify-prod"
  prefix  = "/streamify/prod/"
  readers = { backend = ["JWT_KEYS", "mail/password"], frontend = [] }
}

run "opens_the_named_secrets_alone" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(output.read_policies["backend"]).Statement : statement.Resource
      ])) == toset([
      "arn:aws:ssm:eu-west-1:123456789012:parameter/streamify/prod/JWT_KEYS",
      "arn:aws:ssm:eu-west-1:123456789012:parameter/streamify/prod/mail/password",
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:/streamify/prod/JWT_KEYS-??????",
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:/streamify/prod/mail/password-??????",
      "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000",
    ])
    error_message = "A reader gets exactly its names in both stores, and the key."
  }
  assert {
    condition     = !can(regex("parameter/streamify/prod/\\*|\"Resource\":\"\\*\"", output.read_policies["backend"]))
    error_message = "No policy may open everything below the prefix."
  }
  assert {
    condition = one([
      for statement in jsondecode(output.read_policies["backend"]).Statement : statement.Condition.StringEquals["kms:ViaService"]
      if contains(statement.Action, "kms:Decrypt")
    ]) == ["ssm.eu-west-1.amazonaws.com", "secretsmanager.eu-west-1.amazonaws.com"]
    error_message = "The key decrypts for the two stores alone."
  }
  assert {
    condition     = output.read_policies["frontend"] == null
    error_message = "Who reads nothing gets no policy: IAM refuses an empty one."
  }
  assert {
    condition     = toset(keys(output.arns)) == toset(["JWT_KEYS", "mail/password"])
    error_message = "What readers name is known without being named twice."
  }
}

run "makes_a_key_for_its_own_alias" {
  variables {
    kms_key = "alias/streamify-prod-secrets"
  }

  assert {
    condition     = length(module.key) == 1 && output.kms_key_alias == "alias/streamify-prod-secrets"
    error_message = "The module's own alias is no key of somebody else."
  }
}

run "takes_a_key_by_alias" {
  variables {
    kms_key = "alias/shared"
  }

  assert {
    condition     = length(module.key) == 0 && output.kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    error_message = "A given key must be used by its ARN, and no second one made."
  }
}

run "writes_where_the_store_is" {
  command = plan

  variables {
    store = "secrets-manager"
  }

  assert {
    condition     = output.write_arn == "arn:aws:secretsmanager:eu-west-1:123456789012:secret:/streamify/prod/*"
    error_message = "Whoever writes is allowed in the store of new secrets."
  }
}

run "refuses_patterns_and_slashes" {
  command = plan

  variables {
    names   = ["*"]
    readers = { backend = ["/other/project/KEY"] }
    prefix  = "streamify"
    store   = "vault"
  }

  expect_failures = [var.names, var.readers, var.prefix, var.store]
}
