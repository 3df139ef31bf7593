variable "repositories" {
  description = "Names of the repositories, such as `streamify/app`."
  type        = set(string)

  validation {
    condition = alltrue([
      for name in var.repositories : length(name) >= 2 && length(name) <= 256 && can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", name))
    ])
    error_message = "A repository's name has small letters and digits, with a dot, dash, underscore or slash between them."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts the images."
  type        = string
}

variable "keep_images" {
  description = "Newest images that stay; older ones are removed."
  type        = number
  default     = 1000

  validation {
    condition     = var.keep_images >= 10
    error_message = "Fewer than 10 images would leave nothing to roll back to."
  }
}

variable "pull_accounts" {
  description = "Further accounts, of twelve digits, that may pull."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.pull_accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "An account has twelve digits."
  }
}

variable "force_delete" {
  description = "Whether a destroy deletes repositories that still have images."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
