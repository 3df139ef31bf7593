variable "name" {
  description = "What everything is named by, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "A name has 2 to 41 small letters, digits and dashes, a letter first: with the account's number it names buckets."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnets" {
  description = "Ids of the private subnets that functions reach the database and Kafka from."
  type        = list(string)

  validation {
    condition     = length(var.subnets) > 0
    error_message = "Functions need a subnet."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts logs, variables and the table; its policy lets CloudWatch Logs use it for `/NAME/*`."
  type        = string
}

variable "architecture" {
  description = "Processor: `x86_64` or `arm64`."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "An architecture is x86_64 or arm64."
  }
}

variable "memory" {
  description = "Memory of a function in MiB; its share of a processor goes with it."
  type        = number
  default     = 512

  validation {
    condition     = var.memory >= 128 && var.memory <= 10240
    error_message = "A function has 128 to 10240 MiB."
  }
}

variable "concurrency" {
  description = "The most copies of each function at once; each holds up to three connections to PostgreSQL. -1: no bound."
  type        = number
  default     = 20

  validation {
    condition     = var.concurrency == -1 || var.concurrency >= 1
    error_message = "At least one copy, or -1 for no bound."
  }
}

variable "environment" {
  description = "Variables of all functions, in plain text: where the database and Kafka are."
  type        = map(string)
  default     = {}

  validation {
    condition     = !anytrue([for name in keys(var.environment) : strcontains(name, "PASSWORD") || strcontains(name, "KEYS")])
    error_message = "A secret stands in `secrets`, by its place, never by its value."
  }
}

variable "secrets" {
  description = "Variable → where its value is: a parameter's path, or a secret's ARN, with `:KEY::` one key of it."
  type        = map(string)
  default     = {}
}

variable "secret_arns" {
  description = "ARNs of what `secrets` names, for the functions' roles."
  type = object({
    parameters = optional(list(string), [])
    secrets    = optional(list(string), [])
    kms_keys   = optional(list(string), [])
  })
  default = {}
}

variable "reaches" {
  description = "What functions connect to besides HTTPS: what it is → port and security group."
  type = map(object({
    port           = number
    security_group = string
  }))
  default = {}
}

variable "kafka" {
  description = "The cluster whose events are posted, of the module messaging, and the topic."
  type = object({
    cluster_arn      = string
    topic_arn_prefix = string
    group_arn_prefix = string
    topic            = optional(string, "video.created")
  })
}

variable "throttling" {
  description = "Requests that each API takes: on average a second, and at once."
  type = object({
    requests_per_second = optional(number, 200)
    burst               = optional(number, 400)
  })
  default = {}
}

variable "domain" {
  description = "Name of the page; null: CloudFront's own."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null || var.certificate_arn != null
    error_message = "A domain needs certificate_arn, of a certificate in us-east-1: CloudFront takes no other."
  }
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate in us-east-1 for the domain."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:[a-z-]+:acm:us-east-1:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "CloudFront takes certificates of us-east-1 alone."
  }
}

variable "web_acl_arn" {
  description = "ARN of a WAF web ACL of scope CLOUDFRONT; null: none."
  type        = string
  default     = null
}

variable "access_log_bucket" {
  description = "Domain name of a bucket with ACLs for CloudFront's access logs; null: none."
  type        = string
  default     = null
}

variable "retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 90
}

variable "force_destroy" {
  description = "Whether a destroy deletes the page and the uploads."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
