variable "name" {
  description = "What the role is named by, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "A name has 2 to 51 small letters, digits and dashes, a letter first."
  }
}

variable "repository" {
  description = "The repository on GitHub, `OWNER/NAME`."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "A repository is OWNER/NAME, without a pattern: a star would let others deploy."
  }
}

variable "environment" {
  description = "The environment on GitHub that a job has to be in."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.environment))
    error_message = "An environment is a plain name, without a pattern."
  }
}

variable "subject" {
  description = "The token's subject, where the organisation has changed how GitHub writes it; null: `repo:OWNER/NAME:environment:ENVIRONMENT`."
  type        = string
  default     = null

  validation {
    condition     = var.subject == null || !can(regex("[*?]", var.subject))
    error_message = "A subject with a pattern would let others deploy."
  }
}

variable "cluster_name" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "service_names" {
  description = "Names of the ECS services, which are the families of their task definitions too."
  type        = set(string)
}

variable "deploys_table_arn" {
  description = "ARN of the table of the lock and the history."
  type        = string
}

variable "repositories" {
  description = "Names of the ECR repositories that are pushed to."
  type        = set(string)
}

variable "log_groups" {
  description = "Names of the services' log groups, which a failed rollout is explained from."
  type        = set(string)
}

variable "role_arns" {
  description = "ARNs of the services' execution and task roles."
  type        = list(string)
}

variable "secrets_prefix" {
  description = "What stands before the names of secrets, such as `/streamify/prod/`."
  type        = string

  validation {
    condition     = can(regex("^/([A-Za-z0-9_.-]+/)+$", var.secrets_prefix))
    error_message = "A prefix begins and ends with a slash."
  }
}

variable "secret_arns" {
  description = "ARNs of further secrets that tasks are given, such as the database's password."
  type        = list(string)
  default     = []
}

variable "kms_keys" {
  description = "ARNs of the KMS keys that encrypt secrets and the table."
  type        = list(string)
}

variable "state" {
  description = "Where Terraform's state is, for `terraform output`; null: a deploy is given its outputs as a file."
  type = object({
    bucket  = string
    key     = string
    kms_key = optional(string)
  })
  default = null
}

variable "function_arns" {
  description = "ARNs of the Lambda functions that are rolled out, without a version."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
