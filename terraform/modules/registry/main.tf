locals {
  # By number and not by age: what runs may be old. No rule for images without a tag: lists of contents and the platforms
  # of an index have none. `streamify image push` gives the same rule to a repository that it makes.
  lifecycle = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "keep the newest ${var.keep_images}"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.keep_images }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_ecr_repository" "this" {
  for_each = var.repositories

  name                 = each.value
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_delete
  tags                 = var.tags

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key
  }

  lifecycle {
    # Encryption is chosen when a repository is made and never again. One that `streamify image push` made and that is
    # imported here keeps its own, where a plan would otherwise delete it with its images.
    ignore_changes = [encryption_configuration]
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy     = local.lifecycle
}

# Accounts that run what is pushed here, such as production's beside the one that builds.
resource "aws_ecr_repository_policy" "this" {
  for_each = length(var.pull_accounts) > 0 ? aws_ecr_repository.this : {}

  repository = each.value.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OtherAccountsPull"
      Effect    = "Allow"
      Principal = { AWS = [for account in sort(var.pull_accounts) : "arn:${data.aws_partition.current.partition}:iam::${account}:root"] }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages"]
    }]
  })
}

data "aws_partition" "current" {}
