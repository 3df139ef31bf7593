variable "name" {
  description = "What everything is named by, such as `streamify-prod`; the dashboard has this name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "A name has 2 to 51 small letters, digits and dashes, a letter first."
  }
}

variable "environment" {
  description = "The environment's name in streamify.yaml, for the commands that alarms tell."
  type        = string
}

variable "services" {
  description = <<-TEXT
    The services, by their names in streamify.yaml.
    `log_group`: default `/NAME/SERVICE`. `ecs_service`: the ECS service's name, default `NAME-SERVICE`.
    `metrics_port`: where its tasks tell Prometheus' figures, for the collector.
    `load_balanced`: whether people reach it, so that `rollout_alarms` are for it.
  TEXT
  type = map(object({
    log_group     = optional(string)
    ecs_service   = optional(string)
    metrics_port  = optional(number)
    load_balanced = optional(bool, true)
  }))
  default = {}
}

variable "retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 days or certain longer times."
  }
}

variable "cluster_name" {
  description = "Name of the ECS cluster. Its Container Insights must be on: the count of running tasks is theirs."
  type        = string
}

variable "load_balancer_arn_suffix" {
  description = "What metrics name the load balancer by: `app/NAME/ID`."
  type        = string
  nullable    = false
}

variable "target_groups" {
  description = "Service → its target groups, each a name of your choice → the ARN's suffix. A service that swaps two has both."
  type        = map(map(string))
  default     = {}
}

variable "database_identifier" {
  description = "The RDS instance's identifier; null: no database on the dashboard."
  type        = string
  default     = null
}

variable "alarm_email" {
  description = "Address that alarms are sent to; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@[:space:]]+@[^@[:space:]]+\\.[^@[:space:]]+$", var.alarm_email))
    error_message = "An address is such as team@example.com."
  }
}

variable "error_percent" {
  description = "Percent of requests that may fail."
  type        = number
  default     = 5

  validation {
    condition     = var.error_percent > 0 && var.error_percent < 100
    error_message = "Between 0 and 100 percent."
  }
}

variable "least_requests" {
  description = "Requests in a minute below which errors are not counted."
  type        = number
  default     = 20
}

variable "latency_seconds" {
  description = "Seconds that 99 of 100 requests may take."
  type        = number
  default     = 1

  validation {
    condition     = var.latency_seconds > 0
    error_message = "More than no time."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts logs and alarms. CloudWatch Logs and CloudWatch's alarms must be allowed to use it. Null makes one."
  type        = string
  default     = null
}

variable "key_log_groups" {
  description = "Further log groups that are encrypted with the key that is made here, beside those below `/NAME/`."
  type        = list(string)
  default     = []
}

variable "collector" {
  description = "Whether a collector of traces and figures runs in the cluster."
  type        = bool
  default     = false
}

variable "collector_network" {
  description = "Where the collector runs, and where it is found: `collector.NAMESPACE`."
  type = object({
    cluster_arn  = string
    vpc_id       = string
    vpc_cidr     = string
    subnets      = list(string)
    namespace    = string
    namespace_id = string
  })
  default = null

  validation {
    condition     = !var.collector || var.collector_network != null
    error_message = "A collector needs collector_network."
  }
}

variable "collector_image" {
  description = "The collector's image; by digest where you have compared it."
  type        = string
  default     = "public.ecr.aws/aws-observability/aws-otel-collector:v0.48.0"

  validation {
    condition     = can(regex("(:v?[0-9][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", var.collector_image))
    error_message = "Name a version or a digest: what `latest` is, changes by itself."
  }
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
