# The rules of Terraform itself. The rule set for AWS is a plugin of its own, which not every place can fetch; what it would
# find, `terraform validate` with the provider, checkov and trivy find.
tflint {
  required_version = ">= 0.60"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Each concern has a file of its own beside main.tf: roles.tf, network.tf, alarms.tf.
rule "terraform_standard_module_structure" {
  enabled = true
}
