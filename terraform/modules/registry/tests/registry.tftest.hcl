mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  repositories = ["streamify/app", "streamify/tools"]
  kms_key      = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "repositories_keep_tags_and_are_scanned" {
  assert {
    condition     = toset(keys(aws_ecr_repository.this)) == toset(["streamify/app", "streamify/tools"])
    error_message = "Each name must be a repository."
  }
  assert {
    condition = alltrue([
      for repository in aws_ecr_repository.this :
      repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push && !repository.force_delete
    ])
    error_message = "Tags must never move, pushes must be scanned, and images must not go with a destroy."
  }
  assert {
    condition = alltrue([
      for repository in aws_ecr_repository.this : repository.encryption_configuration[0].kms_key == var.kms_key
    ])
    error_message = "Images must be encrypted with the given key."
  }
}

run "the_newest_images_stay" {
  variables {
    keep_images = 50
  }
  assert {
    condition = alltrue([
      for policy in aws_ecr_lifecycle_policy.this :
      jsondecode(policy.policy).rules[0].selection == { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 50 }
    ])
    error_message = "Images must be counted, whatever their tags and age."
  }
}

run "other_accounts_pull_only_where_asked" {
  assert {
    condition     = length(aws_ecr_repository_policy.this) == 0
    error_message = "No other account may pull by default."
  }
}

run "an_account_that_is_named_pulls_and_never_pushes" {
  variables {
    pull_accounts = ["210987654321"]
  }
  assert {
    condition = alltrue([
      for policy in aws_ecr_repository_policy.this :
      jsondecode(policy.policy).Statement[0].Principal.AWS == ["arn:aws:iam::210987654321:root"]
      && !anytrue([for action in jsondecode(policy.policy).Statement[0].Action : strcontains(action, "Put") || strcontains(action, "Upload")])
    ]) && length(aws_ecr_repository_policy.this) == 2
    error_message = "The other account must be able to pull, and only that."
  }
}

run "refuses_a_name_that_ecr_would" {
  command = plan

  variables {
    repositories = ["Streamify/App"]
  }

  expect_failures = [var.repositories]
}
