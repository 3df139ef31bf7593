output "kms_key_arn" {
  description = "ARN of the key that encrypts the secrets."
  # Never null: said so that a module which counts by that can be planned before the key is there.
  value = coalesce(local.kms_key)
}

output "kms_key_alias" {
  description = "Alias of the key that was made here, null for a given one. It may stand in streamify.yaml as `secrets.kms_key`."
  value       = one(module.key[*].alias)
}

output "read_policy_json" {
  description = "IAM policy that reads all names in both stores, null without names."
  value       = local.policies["*"]
}

output "read_policies" {
  description = "IAM policy of each of `readers`, for its own names alone; null for one without names."
  value       = { for reader, policy in local.policies : reader => policy if reader != "*" }
}

output "arns" {
  description = "Name → the ARN it has in each store, as `ssm` and `secrets_manager`; the second is a pattern."
  value       = local.arns
}

output "write_arn" {
  description = "Pattern of the ARNs of everything below the prefix in the store where new ones are written, for the policy of whoever runs `streamify secrets`."
  value       = var.store == "ssm" ? "${local.parameters}${var.prefix}*" : "${local.managed}:${var.prefix}*"
}
