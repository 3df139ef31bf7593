variable "name" {
  description = "The database's identifier, such as `streamify-prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9]|-[a-z0-9]){1,39}$", var.name))
    error_message = "A database's name has small letters, digits and single dashes, 40 at most, a letter first and no dash last."
  }
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
}

variable "subnets" {
  description = "Ids of two or more subnets in different zones, without a route out."
  type        = list(string)

  validation {
    condition     = length(var.subnets) >= 2
    error_message = "RDS needs subnets in two zones, even for an instance in one."
  }
}

variable "allowed_security_groups" {
  description = "Who may connect: a name → the id of a security group."
  type        = map(string)
  default     = {}
}

variable "engine_version" {
  description = "PostgreSQL's version. A major one alone, `17`, leaves minor ones to RDS."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^(1[4-9]|[2-9][0-9])(\\.[0-9]+)?$", var.engine_version))
    error_message = "The engine's version is a major one from 14 on, such as 17, or with its minor one, 17.6."
  }
}

variable "instance_class" {
  description = "The instance's class."
  type        = string
  default     = "db.t4g.medium"

  validation {
    condition     = can(regex("^db\\.[a-z][a-z0-9]*\\.[a-z0-9]+$", var.instance_class))
    error_message = "A class is such as db.t4g.medium."
  }
}

variable "allocated_storage" {
  description = "GiB of storage to begin with. RDS can enlarge it, never make it smaller."
  type        = number
  default     = 20

  validation {
    condition     = var.allocated_storage >= 20 && var.allocated_storage <= 65536
    error_message = "Storage of type gp3 has 20 to 65536 GiB."
  }
}

variable "max_allocated_storage" {
  description = "GiB up to which the storage grows by itself; 0: it does not."
  type        = number
  default     = 200

  validation {
    condition     = var.max_allocated_storage == 0 || var.max_allocated_storage >= var.allocated_storage * 1.1
    error_message = "RDS takes a limit that is a tenth above allocated_storage at least, or 0."
  }
}

variable "multi_az" {
  description = "Whether a standby in a second zone takes over when the first is lost. It doubles the price."
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the database."
  type        = bool
  default     = true
}

variable "skip_final_snapshot" {
  description = "Whether the database is deleted without a last snapshot, and its backups with it. For tests and staging."
  type        = bool
  default     = false

  validation {
    condition     = !(var.skip_final_snapshot && var.deletion_protection)
    error_message = "A database that is protected from deletion does not skip its last snapshot: choose one."
  }
}

variable "backup_days" {
  description = "Days back to which the database can be restored, to the second."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "RDS keeps backups for 1 to 35 days; 0 would turn them off."
  }
}

variable "backup_window" {
  description = "Hours (UTC) in which the daily backup begins."
  type        = string
  default     = "01:00-02:00"

  validation {
    condition     = can(regex("^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$", var.backup_window))
    error_message = "A window is such as 01:00-02:00."
  }
}

variable "maintenance_window" {
  description = "Hours (UTC) of the week in which RDS may restart the database. Must not overlap the backup's."
  type        = string
  default     = "mon:03:00-mon:04:00"

  validation {
    condition     = can(regex("^(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]$", var.maintenance_window))
    error_message = "A window is such as mon:03:00-mon:04:00."
  }
}

variable "apply_immediately" {
  description = "Whether changes that restart the database are made at once and not in the maintenance window."
  type        = bool
  default     = false
}

variable "allow_major_version_upgrade" {
  description = "Whether another major `engine_version` upgrades the database in place, which takes it away for minutes and can't be undone."
  type        = bool
  default     = false
}

variable "database_name" {
  description = "The database that is made in it."
  type        = string
  default     = "streamify"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "A database's name has 1 to 63 small letters, digits and underscores, a letter first."
  }
}

variable "username" {
  description = "The user whom RDS makes."
  type        = string
  default     = "streamify"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.username)) && !contains(["admin", "postgres", "rdsadmin"], var.username) && !startswith(var.username, "pg_")
    error_message = "A user's name has small letters, digits and underscores, a letter first, and is none of PostgreSQL's or RDS' own."
  }
}

variable "password_rotation_days" {
  description = "Days after which RDS changes the password. Services must be restarted then: they are given it at their start."
  type        = number
  default     = 365

  validation {
    condition     = var.password_rotation_days >= 1 && var.password_rotation_days <= 1000
    error_message = "Secrets Manager rotates after 1 to 1000 days."
  }
}

variable "slow_statement_milliseconds" {
  description = "Milliseconds from which on a statement is logged."
  type        = number
  default     = 500

  validation {
    condition     = var.slow_statement_milliseconds >= 1
    error_message = "0 would log every statement, with a disk full of them."
  }
}

variable "log_retention_days" {
  description = "Days that PostgreSQL's logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 days or certain longer times."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts storage, backups, password, insights and logs; CloudWatch Logs must be allowed to use it. Null makes one. Another key makes a new database."
  type        = string
  default     = null
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
