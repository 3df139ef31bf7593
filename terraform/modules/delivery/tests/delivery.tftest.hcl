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
}

variables {
  name              = "streamify-prod"
  repository        = "example/streamify"
  environment       = "prod"
  cluster_name      = "streamify-prod"
  service_names     = ["streamify-prod-backend"]
  deploys_table_arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/streamify-prod-deploys"
  repositories      = ["streamify/app"]
  log_groups        = ["/streamify-prod/backend"]
  role_arns         = ["arn:aws:iam::123456789012:role/streamify-prod-backend-task"]
  secrets_prefix    = "/streamify/prod/"
  kms_keys          = ["arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"]
}

run "only_this_environment_of_this_repository" {
  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == {
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = "repo:example/streamify:environment:prod"
      }
    }
    error_message = "Audience and subject must be compared whole."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Federated == "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    error_message = "It must trust the account's own provider for GitHub."
  }
}

run "no_right_is_wider_than_it_has_to_be" {
  assert {
    condition = toset([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid if contains(statement.Resource, "*")
    ]) == toset(["Look", "ListTasks"])
    error_message = "Only what knows no resource may have none."
  }
  assert {
    condition     = !anytrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action]) : strcontains(action, "*")])
    error_message = "Every action must be named."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition if statement.Sid == "GiveRolesToTasks"
    ]) == { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    error_message = "Roles may be given to ECS' tasks alone."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if statement.Sid == "ReadParameters"
    ]) == ["arn:aws:ssm:eu-west-1:123456789012:parameter/streamify/prod/*"]
    error_message = "Only this environment's secrets may be read."
  }
  assert {
    condition     = length(aws_iam_role_policy.this.policy) < 10240
    error_message = "A role's own policies have 10240 characters at most."
  }
}

run "the_state_is_read_and_never_written" {
  variables {
    state = { bucket = "streamify-state", key = "prod/terraform.tfstate" }
  }
  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action]) :
      !startswith(action, "s3:") || contains(["s3:GetObject", "s3:ListBucket"], action)
    ])
    error_message = "A deploy never writes the state."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if statement.Sid == "ReadTheState"
    ]) == ["arn:aws:s3:::streamify-state/prod/terraform.tfstate"]
    error_message = "Only this environment's state may be read."
  }
}

run "functions_are_rolled_out_where_there_are_some" {
  variables {
    function_arns = ["arn:aws:lambda:eu-west-1:123456789012:function:streamify-prod-http"]
  }
  assert {
    condition = contains(one([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if statement.Sid == "RollOutFunctions"
    ]), "arn:aws:lambda:eu-west-1:123456789012:function:streamify-prod-http:*")
    error_message = "Versions and aliases belong to the function."
  }
}

run "refuses_a_pattern_of_repositories" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}

run "refuses_a_pattern_of_environments" {
  command = plan

  variables {
    environment = "*"
  }

  expect_failures = [var.environment]
}
