variable "name" {
  description = "Name of the ECS service, such as `streamify-prod-backend`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,48}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 50 small letters, digits and dashes, a letter first: with -infrastructure it names a role, of 64 characters at most."
  }
}

variable "container" {
  description = "Name of the container in its tasks: the service's in streamify.yaml."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.container))
    error_message = "A container's name has letters, digits, dashes and underscores."
  }
}

variable "cluster_arn" {
  description = "ARN of the cluster."
  type        = string
}

variable "cluster_name" {
  description = "Name of the cluster."
  type        = string
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnets" {
  description = "Ids of the subnets that tasks run in."
  type        = list(string)

  validation {
    condition     = length(var.subnets) > 0
    error_message = "Tasks need a subnet."
  }
}

variable "assign_public_ip" {
  description = "Whether tasks have a public address: only where there is no NAT."
  type        = bool
  default     = false
}

variable "port" {
  description = "TCP port that the program listens on; null: it takes no requests."
  type        = number
  default     = null

  validation {
    condition     = var.port == null || try(var.port >= 1 && var.port <= 65535, false)
    error_message = "A port is from 1 to 65535."
  }
}

variable "health_path" {
  description = "Path that answers 200 when the program can take requests."
  type        = string
  default     = null

  validation {
    condition     = var.health_path == null || try(startswith(var.health_path, "/"), false)
    error_message = "A path begins with a slash."
  }
}

variable "cpu" {
  description = "ECS units of processor; 1024 are one."
  type        = number

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "Fargate has 256, 512, 1024, 2048, 4096, 8192 or 16384 units."
  }
}

variable "memory" {
  description = "Memory in MiB."
  type        = number

  validation {
    condition     = var.memory >= 512 && var.memory <= 122880 && (var.memory == 512 || var.memory % 1024 == 0)
    error_message = "Fargate has 512 MiB, or whole GiB up to 120."
  }
  # Which sizes go with which processor: 0.25 to 0.5, 1 to 2 GiB and so on, as Fargate's table says.
  validation {
    condition = try(
      var.memory >= { 256 = 512, 512 = 1024, 1024 = 2048, 2048 = 4096, 4096 = 8192, 8192 = 16384, 16384 = 32768 }[tostring(var.cpu)] &&
      var.memory <= { 256 = 2048, 512 = 4096, 1024 = 8192, 2048 = 16384, 4096 = 30720, 8192 = 61440, 16384 = 122880 }[tostring(var.cpu)],
      false,
    )
    error_message = "Fargate does not have this memory with this processor: from twice to eight times as many MiB as units."
  }
}

variable "architecture" {
  description = "Processor: `X86_64` or `ARM64`."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "An architecture is X86_64 or ARM64."
  }
}

variable "replicas" {
  description = "Tasks that the service has by streamify.yaml: the least that auto scaling goes down to, unless it says its own."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 0
    error_message = "There is no negative number of tasks."
  }
}

variable "exec" {
  description = "Whether `streamify exec` may open a shell in its tasks."
  type        = bool
  default     = false

  validation {
    condition     = !var.exec || var.exec_log_group != null
    error_message = "Shells are logged: give exec_log_group."
  }
}

variable "exec_log_group" {
  description = "Name of the log group of shells, of the module cluster."
  type        = string
  default     = null
}

variable "log_group" {
  description = "Name of the log group that the program's output goes to."
  type        = string
}

variable "repository_arns" {
  description = "ARNs of the ECR repositories that its images may come from."
  type        = list(string)
  default     = []
}

variable "secrets" {
  description = "ARNs of what tasks are given when they start: SSM parameters, Secrets Manager's secrets, and the KMS keys that encrypt them."
  type = object({
    parameters = optional(list(string), [])
    secrets    = optional(list(string), [])
    kms_keys   = optional(list(string), [])
  })
  default = {}
}

variable "task_statements" {
  description = "What the program itself may do: statements of its role's policy."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
  }))
  default = []

  validation {
    condition     = alltrue([for statement in var.task_statements : !contains(statement.actions, "*")])
    error_message = "A program that may do everything is no least privilege: name the actions."
  }
}

variable "reaches" {
  description = "What tasks connect to besides HTTPS: what it is → port and security group."
  type = map(object({
    port           = number
    security_group = string
  }))
  default = {}
}

variable "https_cidrs" {
  description = "IPv4 networks that tasks reach by HTTPS: AWS's own services, and what the program calls."
  type        = set(string)
  default     = ["0.0.0.0/0"]
}

variable "load_balancer" {
  description = "The load balancer that it stands behind; null: none. `paths`: at most five patterns; `priority`: the lowest number is asked first."
  type = object({
    listener_arn   = string
    security_group = string
    arn_suffix     = string
    paths          = list(string)
    priority       = number
  })
  default = null

  validation {
    condition     = var.load_balancer == null || var.port != null
    error_message = "A service behind the load balancer needs a port."
  }
  validation {
    condition     = var.load_balancer == null || try(length(var.load_balancer.paths) >= 1 && length(var.load_balancer.paths) <= 5, false)
    error_message = "A rule has one to five paths."
  }
  validation {
    condition     = var.load_balancer == null || try(var.load_balancer.priority >= 1 && var.load_balancer.priority <= 50000, false)
    error_message = "A rule's priority is from 1 to 50000."
  }
}

variable "namespace_id" {
  description = "Id of the Cloud Map namespace in which other services find it as `CONTAINER.NAMESPACE`; null: nobody has to."
  type        = string
  default     = null
}

variable "capacity" {
  description = "Capacity provider → how many tasks it has first (`base`), and its share of the rest (`weight`)."
  type = map(object({
    base   = optional(number, 0)
    weight = optional(number, 1)
  }))
  default = { FARGATE = {} }

  validation {
    condition     = length(var.capacity) > 0 && alltrue([for provider in keys(var.capacity) : contains(["FARGATE", "FARGATE_SPOT"], provider)])
    error_message = "Capacity is of FARGATE, FARGATE_SPOT, or both."
  }
  validation {
    condition     = length([for provider in values(var.capacity) : provider if provider.base > 0]) <= 1
    error_message = "Only one provider can have a base."
  }
}

variable "deploy" {
  description = "How the shell is rolled out until `streamify deploy` says it: strategy, and percentages of tasks meanwhile."
  type = object({
    strategy                = optional(string, "rolling")
    minimum_healthy_percent = optional(number, 100)
    maximum_percent         = optional(number, 200)
  })
  default = {}

  validation {
    condition     = contains(["rolling", "blue-green", "linear", "canary"], var.deploy.strategy)
    error_message = "A strategy is rolling, blue-green, linear or canary."
  }
  validation {
    condition     = var.deploy.strategy == "rolling" || var.load_balancer != null
    error_message = "Only a load balancer can move traffic: without one the strategy is rolling."
  }
}

variable "health_check_grace_seconds" {
  description = "Seconds after a task's start in which the load balancer's health check does not count."
  type        = number
  default     = 60
}

variable "deregistration_seconds" {
  description = "Seconds that a task which goes may finish its requests."
  type        = number
  default     = 30

  validation {
    condition     = var.deregistration_seconds >= 0 && var.deregistration_seconds <= 3600
    error_message = "A load balancer waits for up to 3600 seconds."
  }
}

variable "autoscaling" {
  description = "Number of tasks by load; null: none. `min` is `replicas` unless it is given."
  type = object({
    min                 = optional(number)
    max                 = number
    cpu_percent         = optional(number, 60)
    memory_percent      = optional(number, 75)
    requests_per_minute = optional(number)
    scale_out_seconds   = optional(number, 60)
    scale_in_seconds    = optional(number, 300)
  })
  default = null

  validation {
    condition = var.autoscaling == null || try(
      var.autoscaling.cpu_percent > 0 && var.autoscaling.cpu_percent <= 100 &&
      var.autoscaling.memory_percent > 0 && var.autoscaling.memory_percent <= 100,
      false,
    )
    error_message = "Percentages are from 1 to 100."
  }
}

variable "alarms" {
  description = "When a rollout is stopped: percentage of server errors, of at least so many requests a minute, and seconds that one in a hundred requests takes."
  type = object({
    error_percent   = optional(number, 5)
    least_requests  = optional(number, 20)
    latency_seconds = optional(number, 2)
  })
  default = {}
}

variable "rollout_alarms" {
  description = "Names of further alarms that stop a rollout."
  type        = list(string)
  default     = []
}

variable "alarm_topics" {
  description = "ARNs of the SNS topics that are told of an alarm."
  type        = list(string)
  default     = []
}

variable "placeholder_image" {
  description = "Image of the task definition that stands there before the first deploy. It is never started."
  type        = string
  default     = "public.ecr.aws/docker/library/busybox:stable"
}

variable "tags" {
  description = "Tags of everything that is made here, and of the tasks."
  type        = map(string)
  default     = {}
}
