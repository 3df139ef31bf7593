# What `streamify infra render` writes, from streamify.yaml.

variable "project" {
  description = "Name of the project, `name` in streamify.yaml."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.project))
    error_message = "A project has up to 21 small letters, digits and dashes, a letter first: it begins the names of everything."
  }
}

variable "environment" {
  description = "Name of the environment in streamify.yaml."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}$", var.environment))
    error_message = "An environment has up to 15 small letters, digits and dashes, a letter first."
  }
}

variable "region" {
  description = "AWS region."
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

variable "repositories" {
  description = "Names of the ECR repositories that images come from, such as `streamify/app`."
  type        = set(string)
}

variable "secrets" {
  description = "Where the environment's secrets are: the store (`ssm` or `secrets-manager`), what stands before their names, and the key; without one, one is made."
  type = object({
    store   = string
    prefix  = string
    kms_key = optional(string)
  })
}

variable "services" {
  description = "The services of streamify.yaml. `cpu` in ECS units (1024 are one), `memory` in MiB; `secrets`: names in the environment's store that its tasks may read."
  type = map(object({
    port         = optional(number)
    health_path  = optional(string)
    cpu          = number
    memory       = number
    replicas     = number
    architecture = string
    secrets      = list(string)
  }))
}

variable "deploy" {
  description = "How services are rolled out."
  type = object({
    strategy                = string
    minimum_healthy_percent = number
    maximum_percent         = number
  })
}

# What is set in streamify.yaml below `environments.ENV.variables`.

variable "domain" {
  description = "Name under which the app is reached; null: plain HTTP under the load balancer's own name, for tests and staging alone."
  type        = string
  default     = null
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate for the domain; null makes one, for which `zone_id` is needed."
  type        = string
  default     = null
}

variable "zone_id" {
  description = "Id of the Route 53 zone that the domain is in; null: its record is made elsewhere."
  type        = string
  default     = null
}

variable "zone_count" {
  description = "Availability zones, 2 or 3."
  type        = number
  default     = 2
}

variable "cidr" {
  description = "The VPC's block of IPv4 addresses."
  type        = string
  default     = "10.21.0.0/16"
}

variable "single_nat_gateway" {
  description = "Whether all zones share one NAT gateway: cheaper, and they lose their way out together with its zone."
  type        = bool
  default     = true
}

variable "interface_endpoints" {
  description = "Whether AWS's services are reached by endpoints in the VPC and not through NAT."
  type        = bool
  default     = false
}

variable "database" {
  description = "PostgreSQL on RDS. Storage in GiB. `final_snapshot`: whether a destroy leaves one, and the automatic backups."
  type = object({
    name                  = optional(string, "streamify")
    username              = optional(string, "streamify")
    engine_version        = optional(string, "17")
    instance_class        = optional(string, "db.t4g.micro")
    allocated_storage     = optional(number, 20)
    max_allocated_storage = optional(number, 50)
    multi_az              = optional(bool, false)
    deletion_protection   = optional(bool, false)
    final_snapshot        = optional(bool, false)
    backup_days           = optional(number, 1)
  })
  default = {}
}

variable "messaging" {
  description = "Kafka on MSK: `serverless` or `provisioned`. `broker_count`: one in each zone unless it is said; storage in GiB for each broker."
  type = object({
    kind          = optional(string, "serverless")
    broker_count  = optional(number)
    instance_type = optional(string, "kafka.t3.small")
    storage_gib   = optional(number, 100)
    kafka_version = optional(string, "3.9.x.kraft")
  })
  default = {}
}

variable "routes" {
  description = "Service → the paths that go to it, five at most. Whoever has `/*` gets what nobody else takes."
  type        = map(list(string))
  default = {
    backend  = ["/api/*", "/ws", "/openapi.json", "/docs*"]
    frontend = ["/*"]
  }
}

variable "data_services" {
  description = "Services that reach the database and Kafka; null: those that read a secret."
  type        = set(string)
  default     = null

  validation {
    condition     = var.data_services == null || length(setsubtract(coalesce(var.data_services, []), keys(var.services))) == 0
    error_message = "data_services names a service that streamify.yaml does not have."
  }
}

variable "autoscaling" {
  description = "Number of each service's tasks by load, from its replicas to `max`; null: none."
  type = object({
    min                 = optional(number)
    max                 = optional(number, 10)
    cpu_percent         = optional(number, 60)
    memory_percent      = optional(number, 75)
    requests_per_minute = optional(number, 6000)
    scale_out_seconds   = optional(number, 60)
    scale_in_seconds    = optional(number, 300)
  })
  default = null
}

variable "capacity" {
  description = "FARGATE or FARGATE_SPOT → how many tasks of a service it has first (`base`), and its share of the rest (`weight`). AWS takes Spot's away with two minutes' notice."
  type = map(object({
    base   = optional(number, 0)
    weight = optional(number, 1)
  }))
  default = { FARGATE_SPOT = {} }
}

variable "exec" {
  description = "Whether `streamify exec` may open shells in tasks. What is typed is logged."
  type        = bool
  default     = true
}

variable "service_discovery" {
  description = "Whether services find each other in the VPC as `SERVICE.PROJECT-ENVIRONMENT.internal`."
  type        = bool
  default     = false
}

variable "firewall" {
  description = "AWS WAF before the load balancer; null: none."
  type = object({
    requests_per_five_minutes = optional(number, 3000)
    log_days                  = optional(number, 365)
  })
  default = null
}

variable "create_repositories" {
  description = "Whether this environment makes the repositories. Of several in one account and region, one does."
  type        = bool
  default     = true
}

variable "github_repository" {
  description = "The repository on GitHub that deploys, `OWNER/NAME`; null: none does."
  type        = string
  default     = null
}

variable "github_environment" {
  description = "The environment on GitHub that deploys; null: of the same name."
  type        = string
  default     = null
}

variable "state" {
  description = "Where the state is, so that GitHub's role may read its outputs; null: it may not."
  type = object({
    bucket  = string
    key     = string
    kms_key = optional(string)
  })
  default = null
}

variable "alarm_email" {
  description = "Address that alarms are sent to; null: none."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 14
}

variable "protect" {
  description = "Whether AWS refuses to delete the load balancer and the table of deploys, and a destroy stops at images and access logs."
  type        = bool
  default     = false
}

variable "placeholder_image" {
  description = "Image of the task definition that stands there before the first deploy. It is never started."
  type        = string
  default     = "public.ecr.aws/docker/library/busybox:stable"
}
