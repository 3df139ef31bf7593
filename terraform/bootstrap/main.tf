# What an account needs once, before any environment: where states are kept, and that GitHub's tokens count.

data "aws_caller_identity" "current" {}

module "state" {
  source = "../modules/state"

  bucket        = coalesce(var.bucket, "${var.project}-terraform-state-${data.aws_caller_identity.current.account_id}")
  force_destroy = var.force_destroy
}

# An account can have only one for GitHub. Roles that trust it are made by the environments.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.github ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
  # No thumbprints: AWS knows GitHub's authority itself.
}
