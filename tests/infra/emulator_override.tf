# For tests and demos alone. Copied beside a root's files as `emulator_override.tf`, it lets the root run against what plays
# AWS on this machine, with keys that are good for nothing else, and keeps the state in a file. Never under terraform/: a
# file of this name there would be taken by every plan.
#
# Where AWS is played is said by the environment, as to the AWS SDKs: AWS_ENDPOINT_URL for all services, and
# AWS_ENDPOINT_URL_ECS or AWS_ENDPOINT_URL_ECR for one that something else plays. The roots ask: acm,
# application auto scaling, cloudwatch, dynamodb, ec2, ecr, ecs, elbv2, iam, kafka, kms, logs, rds, route53, s3,
# secretsmanager, servicediscovery, sns, ssm, sts and wafv2. moto plays them as scripts/aws-emulators.sh starts it, but for
# cloudwatch: the provider asks that in CBOR, which MiniStack answers where cbor2 is installed (AWS_ENDPOINT_URL_CLOUDWATCH).
#
# What an environment protects has to be let go of for a destroy: `protect = false` and
# `database = { deletion_protection = false }` in a `.auto.tfvars.json` beside it.

terraform {
  backend "local" {}
}

provider "aws" {
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  # With an account the provider asks S3's control plane for tags, by a host name that no emulator on a loopback address has.
  skip_requesting_account_id = true
  allowed_account_ids        = null
  skip_metadata_api_check    = true
  skip_region_validation     = true
  s3_use_path_style          = true
  # What an emulator lacks it answers with errors of a kind that is asked again and again.
  max_retries = 3
}
