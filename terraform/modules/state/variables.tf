variable "bucket" {
  description = "Name of the bucket, unique in all of AWS: the account's number in it makes it so."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 small letters, digits and dashes. A dot in it would break TLS."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts the states; null makes one."
  type        = string
  default     = null
}

variable "versions_kept" {
  description = "Old versions of each state that stay however old they are."
  type        = number
  default     = 20

  validation {
    condition     = var.versions_kept >= 1 && var.versions_kept <= 100
    error_message = "S3 keeps 1 to 100 versions by number."
  }
}

variable "version_days" {
  description = "Days that every old version stays, before only `versions_kept` of them do."
  type        = number
  default     = 90

  validation {
    condition     = var.version_days >= 1
    error_message = "Old versions stay for a day at least."
  }
}

variable "force_destroy" {
  description = "Whether a destroy deletes the bucket with the states in it. False: it refuses, which is what you want outside of tests."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
