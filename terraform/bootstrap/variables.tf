variable "project" {
  description = "Name of the project, `name` in streamify.yaml."
  type        = string
  default     = "streamify"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.project))
    error_message = "A project has up to 21 small letters, digits and dashes, a letter first."
  }
}

variable "region" {
  description = "AWS region of the states."
  type        = string
}

variable "account" {
  description = "The one account that this may be applied to, of twelve digits; null: whichever the credentials are for."
  type        = string
  default     = null

  validation {
    condition     = var.account == null || can(regex("^[0-9]{12}$", var.account))
    error_message = "An account has twelve digits."
  }
}

variable "bucket" {
  description = "Name of the bucket of states; null: `PROJECT-terraform-state-ACCOUNT`."
  type        = string
  default     = null
}

variable "github" {
  description = "Whether GitHub's tokens shall count. False where the account has that provider already."
  type        = bool
  default     = true
}

variable "force_destroy" {
  description = "Whether a destroy deletes the bucket with the states in it. For tests."
  type        = bool
  default     = false
}
