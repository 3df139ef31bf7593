variable "name" {
  description = "What the key is named by, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "A name has 2 to 51 small letters, digits and dashes, a letter first."
  }
}

variable "prefix" {
  description = "What stands before the names in both stores, such as `/streamify/prod/`."
  type        = string

  validation {
    condition     = can(regex("^/([A-Za-z0-9_.-]+/)+$", var.prefix))
    error_message = "A prefix begins and ends with a slash."
  }
}

variable "store" {
  description = "Where new secrets are written, `ssm` or `secrets-manager`. Reading is allowed in both, as `streamify` looks in both."
  type        = string
  default     = "ssm"

  validation {
    condition     = contains(["ssm", "secrets-manager"], var.store)
    error_message = "A store is ssm or secrets-manager."
  }
}

variable "kms_key" {
  description = "ARN, id or alias of the KMS key that encrypts the secrets; null, or this module's own alias, makes one."
  type        = string
  default     = null
}

variable "names" {
  description = "Names below the prefix that services read."
  type        = set(string)
  default     = []

  # No wildcard: a name that is a pattern would open more than itself.
  validation {
    condition     = alltrue([for name in var.names : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", name))])
    error_message = "A secret's name has letters, digits, underscores, dots, dashes and slashes within; no pattern, no leading slash."
  }
}

variable "readers" {
  description = "Who reads which names: a policy is made for each, beside the one for all names."
  type        = map(set(string))
  default     = {}

  validation {
    condition = alltrue([
      for name in flatten([for names in values(var.readers) : tolist(names)]) :
      can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", name))
    ])
    error_message = "A secret's name has letters, digits, underscores, dots, dashes and slashes within; no pattern, no leading slash."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
