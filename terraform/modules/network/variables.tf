variable "name" {
  description = "What everything is named by, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "A name has 2 to 51 small letters, digits and dashes, a letter first."
  }
}

variable "zone_count" {
  description = "Availability zones, 2 or 3."
  type        = number
  default     = 3

  validation {
    condition     = contains([2, 3], var.zone_count)
    error_message = "The network spans 2 or 3 zones: the load balancer and RDS need two."
  }
}

variable "cidr" {
  description = "The VPC's block of IPv4 addresses, /16 to /19. It should overlap with no network that it may be joined with one day."
  type        = string
  default     = "10.20.0.0/16"

  # A load balancer needs a public subnet of /27 or larger, which a /19 just gives.
  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 19, false)
    error_message = "The block is IPv4, and of /16 to /19: AWS takes none that is larger, and a load balancer fits into no smaller one."
  }
}

variable "single_nat_gateway" {
  description = "Whether all zones share one NAT gateway. Cheaper, but they lose their way out together with its zone."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "Whether ECR, CloudWatch Logs, SSM and Secrets Manager are reached by endpoints in the VPC and not through NAT."
  type        = bool
  default     = true
}

variable "flow_log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.flow_log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 days or certain longer times."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts the flow logs; CloudWatch Logs must be allowed to use it for `/NAME/*`. Null: CloudWatch's own encryption."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
