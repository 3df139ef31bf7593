# For tests and demos alone. Copied beside a root's files, it lets the root run against what plays AWS on this machine, with
# keys that are good for nothing else. Never under terraform/: a file of this name there would be taken by every plan.
#
# Where AWS is played is said by the environment, as to the AWS SDKs: AWS_ENDPOINT_URL for all services, and for one that
# something else plays AWS_ENDPOINT_URL_ECS and the like. The roots ask: acm, application auto scaling, cloudwatch, dynamodb,
# ec2, ecr, ecs, elbv2, iam, kafka, kms, logs, rds, route53, s3, s3control, secretsmanager, servicediscovery, sns, ssm, sts
# and wafv2. moto plays them as scripts/aws-emulators.sh starts it, but for cloudwatch, which the provider asks in CBOR:
# MiniStack answers that. S3's control plane is asked at ACCOUNT.HOST, a name that a loopback address does not have:
# HTTP_PROXY, with moto's address, finds it.
#
# What an environment protects has to be let go of for a destroy: `protect = false` and
# `database = { deletion_protection = false, final_snapshot = false }` among its variables.

provider "aws" {
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_use_path_style           = true
  # What an emulator lacks it answers with errors of a kind that is asked again and again.
  max_retries = 3
}
