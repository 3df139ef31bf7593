data "aws_partition" "current" {}

locals {
  port  = 5432
  major = split(".", var.engine_version)[0]

  makes_key = var.kms_key == null
  kms_key   = local.makes_key ? one(module.key[*].arn) : var.kms_key
}

module "key" {
  source = "../key"
  count  = local.makes_key ? 1 : 0

  name        = "${var.name}-database"
  description = "Storage, backups, password, insights and logs of the database ${var.name}"
  log_groups  = ["/aws/rds/instance/${var.name}/*"]
  tags        = var.tags
}

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Subnets of the database ${var.name}"
  subnet_ids  = var.subnets
  tags        = var.tags
}

# A new major version needs a new group, which must be there before the old one goes.
resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-postgres${local.major}-"
  description = "PostgreSQL ${local.major} of ${var.name}"
  family      = "postgres${local.major}"
  tags        = var.tags

  # Whoever does not speak TLS is refused.
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # Milliseconds: what takes longer is in the log, without its parameters, which may be people's data.
  parameter {
    name  = "log_min_duration_statement"
    value = tostring(var.slow_statement_milliseconds)
  }

  parameter {
    name  = "log_parameter_max_length"
    value = "0"
  }

  parameter {
    name  = "log_lock_waits"
    value = "1"
  }

  # Milliseconds: a transaction that was forgotten open holds its locks, and vacuum back.
  parameter {
    name  = "idle_in_transaction_session_timeout"
    value = "60000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "this" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.engine_version
  instance_class = var.instance_class
  db_name        = var.database_name
  username       = var.username
  port           = local.port

  # RDS makes the password and keeps it in Secrets Manager: it is in no plan and no state.
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = local.kms_key
  iam_database_authentication_enabled = true

  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = local.kms_key
  allocated_storage     = var.allocated_storage
  max_allocated_storage = var.max_allocated_storage

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  multi_az               = var.multi_az

  parameter_group_name        = aws_db_parameter_group.this.name
  auto_minor_version_upgrade  = true
  allow_major_version_upgrade = var.allow_major_version_upgrade
  apply_immediately           = var.apply_immediately
  maintenance_window          = var.maintenance_window

  backup_retention_period  = var.backup_days
  backup_window            = var.backup_window
  copy_tags_to_snapshot    = true
  deletion_protection      = var.deletion_protection
  skip_final_snapshot      = var.skip_final_snapshot
  delete_automated_backups = var.skip_final_snapshot
  # Made once, see below, so that two databases of one name can both leave a last snapshot; and made even for one that
  # leaves none, because it may be told to later.
  final_snapshot_identifier = "${var.name}-final-${formatdate("YYYYMMDDhhmmss", plantimestamp())}"

  performance_insights_enabled          = true
  performance_insights_kms_key_id       = local.kms_key
  performance_insights_retention_period = 7
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = [for export in local.log_exports : export]

  tags = var.tags

  lifecycle {
    ignore_changes = [final_snapshot_identifier]
  }

  depends_on = [
    # RDS would make them itself, for ever and unencrypted.
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy_attachment.monitoring,
  ]
}

# RDS changes the password every seven days unless told otherwise. Tasks are given it when they start, so with the next
# connection after a change they are refused until they are started anew.
resource "aws_secretsmanager_secret_rotation" "password" {
  #checkov:skip=CKV_AWS_304:Each change needs a restart of the services, so its time is the team's to choose: password_rotation_days.
  secret_id          = one(aws_db_instance.this.master_user_secret[*].secret_arn)
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = var.password_rotation_days
  }
}
