variable "name" {
  description = "The cluster's name, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "A name has 2 to 51 small letters, digits and dashes, a letter first."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnets" {
  description = "Ids of two or three subnets in different zones."
  type        = list(string)

  validation {
    condition     = length(var.subnets) >= 2
    error_message = "MSK needs subnets in two zones at least."
  }
}

variable "allowed_security_groups" {
  description = "Who may connect: a name → the id of a security group."
  type        = map(string)
  default     = {}
}

variable "kind" {
  description = "`serverless`: AWS keeps the brokers, paid by use. `provisioned`: brokers of one's own. Another kind makes a new cluster, without the old one's data."
  type        = string
  default     = "serverless"

  validation {
    condition     = contains(["serverless", "provisioned"], var.kind)
    error_message = "A cluster is serverless or provisioned."
  }
}

variable "broker_count" {
  description = "Brokers, a multiple of the number of subnets. Only provisioned."
  type        = number
  default     = 3

  validation {
    condition     = var.broker_count >= 2 && var.broker_count <= 30 && floor(var.broker_count) == var.broker_count
    error_message = "A cluster has 2 to 30 brokers."
  }
}

variable "instance_type" {
  description = "Type of the brokers. kafka.t3.small takes four new connections a second, enough for staging. Only provisioned."
  type        = string
  default     = "kafka.m7g.large"

  validation {
    condition     = can(regex("^kafka\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "A broker's type is such as kafka.m7g.large. Express brokers have no storage to say, and are not made here."
  }
}

variable "storage_gib" {
  description = "GiB of each broker to begin with; later ones come by themselves, up to `max_storage_gib`. Only provisioned."
  type        = number
  default     = 100

  validation {
    condition     = var.storage_gib >= 1 && var.storage_gib <= 16384
    error_message = "A broker has 1 to 16384 GiB."
  }
}

variable "max_storage_gib" {
  description = "GiB up to which the storage of each broker grows by itself; no more than `storage_gib`: it does not. Only provisioned."
  type        = number
  default     = 1000

  validation {
    condition     = var.max_storage_gib <= 16384
    error_message = "A broker has 16384 GiB at most."
  }
}

variable "kafka_version" {
  description = "Kafka's version as MSK names it. A newer one is rolled out broker by broker; there is no way back. Only provisioned."
  type        = string
  default     = "3.9.x.kraft"

  validation {
    condition     = can(regex("^[3-9]\\.[0-9]+\\.(x|[0-9]+)(\\.kraft)?$", var.kafka_version))
    error_message = "MSK's versions are such as 3.9.x.kraft."
  }
}

variable "retention_hours" {
  description = "Hours that events stay in topics which say nothing of it. Only provisioned; a serverless topic says its own."
  type        = number
  default     = 168

  validation {
    condition     = var.retention_hours >= 1
    error_message = "Events stay for an hour at least."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts disks and broker logs; CloudWatch Logs must be allowed to use it. Null makes one. Only provisioned: a serverless cluster is encrypted with AWS's own."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days that broker logs are kept. Only provisioned."
  type        = number
  default     = 14

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 days or certain longer times."
  }
}

variable "alarm_topics" {
  description = "ARNs of the SNS topics that alarms go to."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
