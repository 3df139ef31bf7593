variable "name" {
  description = "Name of the cluster, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "A name has 2 to 51 small letters, digits and dashes, a letter first."
  }
}

variable "vpc_id" {
  description = "Id of the VPC in which services find each other by name."
  type        = string
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts the table and the log of shells; its policy lets CloudWatch Logs use it."
  type        = string
}

variable "namespace" {
  description = "DNS name under which services are found in the VPC; null is `NAME.internal`."
  type        = string
  default     = null
}

variable "log_prefix" {
  description = "What stands before the name of the log group of shells (`exec`), such as `/streamify/prod/`."
  type        = string

  validation {
    condition     = can(regex("^/([A-Za-z0-9_.-]+/)+$", var.log_prefix))
    error_message = "A prefix begins and ends with a slash."
  }
}

variable "retention_days" {
  description = "Days that what was typed in shells is kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.retention_days)
    error_message = "CloudWatch Logs keeps 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827 days."
  }
}

variable "container_insights" {
  description = "Metrics of tasks and containers: `enhanced`, `enabled` or `disabled`."
  type        = string
  default     = "enhanced"

  validation {
    condition     = contains(["enhanced", "enabled", "disabled"], var.container_insights)
    error_message = "Container insights are enhanced, enabled or disabled."
  }
}

variable "deletion_protection" {
  description = "Whether the table of deploys refuses to be deleted."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
