variable "name" {
  description = "Name of the load balancer, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,36}$", var.name))
    error_message = "A name has 2 to 37 small letters, digits and dashes, a letter first: with the account's number it names a bucket."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnets" {
  description = "Ids of public subnets in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.subnets) >= 2
    error_message = "A load balancer needs subnets in two zones or more."
  }
}

variable "domain" {
  description = "Name under which the app is reached, such as `app.example.com`; null: no HTTPS, and the load balancer's own name."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "A domain is a host's name, such as app.example.com, without a scheme or a path."
  }
  validation {
    condition     = var.domain == null || var.certificate_arn != null || var.zone_id != null
    error_message = "A domain needs a certificate_arn, or the zone_id of its Route 53 zone, in which one is validated."
  }
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate of this region; null makes one for `domain`."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "A certificate's ARN is as arn:aws:acm:REGION:ACCOUNT:certificate/ID."
  }
}

variable "zone_id" {
  description = "Id of the Route 53 zone that `domain` is in: its record is made there. Null: it is made elsewhere."
  type        = string
  default     = null
}

variable "tls_policy" {
  description = "TLS versions and ciphers, by AWS's name."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  validation {
    condition     = can(regex("TLS13-1-[23]", var.tls_policy))
    error_message = "TLS 1.2 is the oldest that is spoken: a policy of TLS13-1-2 or TLS13-1-3."
  }
}

variable "internal" {
  description = "Whether it is reached from within the VPC alone."
  type        = bool
  default     = false
}

variable "allowed_cidrs" {
  description = "IPv4 networks that may connect."
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "At least one network, such as 192.0.2.0/24."
  }
}

variable "idle_timeout" {
  description = "Seconds that a silent connection stays open. Long, for WebSockets."
  type        = number
  default     = 3600

  validation {
    condition     = var.idle_timeout >= 60 && var.idle_timeout <= 4000
    error_message = "A load balancer waits for 4000 seconds at most, and WebSockets need 60 or more."
  }
}

variable "firewall" {
  description = "AWS WAF before it: known attackers and attacks, and a limit of requests by address; null: none. `log_days`: how long what it blocked is kept."
  type = object({
    requests_per_five_minutes = optional(number, 3000)
    log_days                  = optional(number, 365)
  })
  default = null

  validation {
    condition     = var.firewall == null || try(var.firewall.requests_per_five_minutes >= 10, false)
    error_message = "WAF counts from 10 requests in five minutes."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts the firewall's log; its policy lets CloudWatch Logs use it for `aws-waf-logs-NAME`."
  type        = string
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete it."
  type        = bool
  default     = true
}

variable "log_days" {
  description = "Days that access logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_days >= 1
    error_message = "Logs stay for a day at least."
  }
}

variable "force_destroy" {
  description = "Whether a destroy deletes the access logs."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
