output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id

  # A state must not be written before the bucket encrypts, keeps versions and refuses plain HTTP.
  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "region" {
  description = "Region of the bucket."
  value       = aws_s3_bucket.this.region
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts the states: whoever plans needs `kms:Decrypt` on it, whoever applies `kms:GenerateDataKey` too."
  value       = local.kms_key
}
