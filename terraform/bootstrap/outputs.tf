output "bucket" {
  description = "Name of the bucket of states, for `environments.ENV.state` in streamify.yaml."
  value       = module.state.bucket
}

output "region" {
  description = "Region of the bucket."
  value       = module.state.region
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts the states."
  value       = module.state.kms_key_arn
}

output "github_provider_arn" {
  description = "ARN of GitHub's provider; null where it is not made here."
  value       = one(aws_iam_openid_connect_provider.github[*].arn)
}
