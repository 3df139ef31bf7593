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
}

variables {
  name        = "streamify-test"
  description = "A key of the tests"
}

run "rotates_and_lets_the_account_alone_administer" {
  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key must rotate."
  }
  assert {
    condition     = [for statement in jsondecode(aws_kms_key.this.policy).Statement : statement.Sid] == ["AccountAdministersByItsOwnPolicies"]
    error_message = "Without log groups and publishers no service may use the key."
  }
  assert {
    condition     = output.alias == "alias/streamify-test"
    error_message = "The alias is made of the name."
  }
}

run "lets_services_use_it_only_for_what_is_named" {
  variables {
    log_groups = ["/streamify/test/*"]
    publishers = ["cloudwatch.amazonaws.com"]
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_kms_key.this.policy).Statement : statement.Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"]
      if statement.Sid == "CloudWatchLogsEncryptsTheseGroups"
    ]) == ["arn:aws:logs:eu-west-1:123456789012:log-group:/streamify/test/*"]
    error_message = "CloudWatch Logs may use the key for the named groups of this account alone."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_kms_key.this.policy).Statement : statement.Condition.StringEquals["aws:SourceAccount"]
      if statement.Sid == "ServicesPublishToEncryptedTopics"
    ]) == "123456789012"
    error_message = "Publishers of other accounts must not use the key."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key.this.policy).Statement : !contains(flatten([try(statement.Principal.AWS, [])]), "*")
    ])
    error_message = "No statement may be for everybody."
  }
}

run "refuses_a_deletion_without_a_pause" {
  command = plan

  variables {
    deletion_window_days = 1
  }

  expect_failures = [var.deletion_window_days]
}
