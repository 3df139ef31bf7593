mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/monitoring" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      address = "streamify-test.abc.eu-west-1.rds.amazonaws.com"
      master_user_secret = [{
        kms_key_id    = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
        secret_arn    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-AbCdEf"
        secret_status = "active"
      }]
    }
  }
}

variables {
  name                    = "streamify-test"
  vpc_id                  = "vpc-0123456789abcdef0"
  subnets                 = ["subnet-00000000000000001", "subnet-00000000000000002"]
  allowed_security_groups = { backend = "sg-0123456789abcdef0" }
}

run "is_never_public_and_speaks_tls_alone" {
  assert {
    condition     = !aws_db_instance.this.publicly_accessible
    error_message = "The database must never be public."
  }
  assert {
    condition     = one([for parameter in aws_db_parameter_group.this.parameter : parameter.value if parameter.name == "rds.force_ssl"]) == "1"
    error_message = "Connections without TLS must be refused."
  }
  assert {
    condition     = aws_db_instance.this.parameter_group_name == aws_db_parameter_group.this.name
    error_message = "The instance must use the group that forces TLS."
  }
  assert {
    condition     = aws_db_parameter_group.this.family == "postgres17"
    error_message = "The group's family follows the engine's version."
  }
  assert {
    condition = alltrue([
      for rule in aws_vpc_security_group_ingress_rule.clients :
      rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.from_port == 5432 && rule.to_port == 5432
    ]) && aws_vpc_security_group_ingress_rule.clients["backend"].referenced_security_group_id == "sg-0123456789abcdef0"
    error_message = "Only security groups that are named may connect, and to PostgreSQL's port alone."
  }
}

run "is_encrypted_with_one_key_of_its_own" {
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == output.kms_key
    error_message = "Storage and backups must be encrypted."
  }
  assert {
    condition     = aws_db_instance.this.master_user_secret_kms_key_id == output.kms_key && aws_db_instance.this.performance_insights_kms_key_id == output.kms_key
    error_message = "Password and insights must be encrypted with the same key."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.kms_key_id == output.kms_key && group.retention_in_days == 30])
    error_message = "Logs must be encrypted and end some day."
  }
}

run "keeps_its_password_out_of_the_state" {
  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "RDS must make the password, so that Terraform never knows it."
  }
  assert {
    condition     = output.password_secret_arn == "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-AbCdEf"
    error_message = "Tasks get the secret that RDS made."
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.password.rotation_rules[0].automatically_after_days == 365 && !aws_secretsmanager_secret_rotation.password.rotate_immediately
    error_message = "Without a rule of its own RDS changes the password every seven days under running tasks."
  }
}

run "is_safe_by_default" {
  assert {
    condition     = aws_db_instance.this.deletion_protection && aws_db_instance.this.multi_az
    error_message = "A database that nothing was said about is protected and has a standby."
  }
  assert {
    condition     = !aws_db_instance.this.skip_final_snapshot && startswith(aws_db_instance.this.final_snapshot_identifier, "streamify-test-final-2")
    error_message = "A database leaves a last snapshot, with a name that the next one of its name does not want."
  }
  assert {
    condition     = aws_db_instance.this.backup_retention_period == 14 && !aws_db_instance.this.delete_automated_backups && aws_db_instance.this.copy_tags_to_snapshot
    error_message = "Backups are kept, past the database too."
  }
  assert {
    condition     = aws_db_instance.this.auto_minor_version_upgrade && !aws_db_instance.this.allow_major_version_upgrade && !aws_db_instance.this.apply_immediately
    error_message = "Minor versions come by themselves in the window, major ones only when asked for."
  }
}

run "tells_when_something_is_wrong" {
  variables {
    instance_class    = "db.r7g.large"
    allocated_storage = 100
    alarm_topics      = ["arn:aws:sns:eu-west-1:123456789012:alarms"]
  }

  assert {
    condition     = toset(output.alarm_names) == toset(["streamify-test-database-connections", "streamify-test-database-cpu", "streamify-test-database-storage"])
    error_message = "Processor, storage and connections are watched."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["storage"].threshold == 10737418240
    error_message = "The alarm on storage rings at a tenth, in bytes."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["connections"].threshold == 1261
    error_message = "The alarm on connections follows the memory of the class: 16 GiB allow 1802."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:alarms"])])
    error_message = "Alarms go to the topics."
  }
  assert {
    condition     = aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.monitoring_interval == 60
    error_message = "Insights and the operating system's figures are on."
  }
  assert {
    condition     = toset(aws_db_instance.this.enabled_cloudwatch_logs_exports) == toset(["postgresql", "upgrade"])
    error_message = "PostgreSQL's logs go to CloudWatch."
  }
}

run "staging_is_cheap_and_goes_without_a_trace" {
  variables {
    instance_class        = "db.t4g.micro"
    multi_az              = false
    deletion_protection   = false
    skip_final_snapshot   = true
    backup_days           = 1
    max_allocated_storage = 0
  }

  assert {
    condition     = !aws_db_instance.this.multi_az && aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.delete_automated_backups
    error_message = "What is made for a while is deleted whole."
  }
  assert {
    condition     = aws_db_instance.this.final_snapshot_identifier != null
    error_message = "The name of a last snapshot is there even where none is made: one that is asked for later needs it."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["connections"].threshold == 78
    error_message = "1 GiB allows 112 connections."
  }
}

run "refuses_to_be_protected_and_forgotten_at_once" {
  command = plan

  variables {
    deletion_protection = true
    skip_final_snapshot = true
  }

  expect_failures = [var.skip_final_snapshot]
}

run "refuses_what_rds_would_refuse_minutes_later" {
  command = plan

  variables {
    subnets               = ["subnet-00000000000000001"]
    engine_version        = "9.6"
    allocated_storage     = 100
    max_allocated_storage = 100
    backup_days           = 0
    username              = "postgres"
  }

  expect_failures = [var.subnets, var.engine_version, var.max_allocated_storage, var.backup_days, var.username]
}
