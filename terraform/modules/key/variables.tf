variable "name" {
  description = "Name of the key; its alias is `alias/NAME`."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9/_-]{1,200}$", var.name)) && !startswith(var.name, "aws/")
    error_message = "A key's name is of letters, digits, slashes, underscores and dashes, and does not begin with aws/."
  }
}

variable "description" {
  description = "What the key encrypts, for people who find it in the console."
  type        = string
}

variable "log_groups" {
  description = "Names of CloudWatch log groups of this account and region that are encrypted with the key; `*` stands for any text."
  type        = list(string)
  default     = []
}

variable "publishers" {
  description = "Services that publish to encrypted SNS topics, such as `cloudwatch.amazonaws.com`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.publishers : can(regex("^[a-z0-9.-]+\\.amazonaws\\.com$", service))])
    error_message = "A publisher is a service's principal, such as cloudwatch.amazonaws.com."
  }
}

variable "deletion_window_days" {
  description = "Days between the key's deletion and the moment when nothing that it encrypted can be read any more."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "KMS waits for 7 to 30 days."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
