data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  name   = "${var.project}-${var.environment}"
  prefix = "/${local.name}/"

  # Behind the load balancer: who has both a port and paths.
  routed = { for name, service in var.services : name => service if service.port != null && length(lookup(var.routes, name, [])) > 0 }
  # Whoever takes every path is asked last.
  priorities = merge(
    { for index, name in sort([for name in keys(local.routed) : name if !contains(var.routes[name], "/*")]) : name => 100 + index * 10 },
    { for index, name in sort([for name in keys(local.routed) : name if contains(var.routes[name], "/*")]) : name => 40000 + index * 10 },
  )

  # Who uses the database and Kafka: whoever reads a secret, unless it is said. A service that only serves a page does
  # neither.
  clients = var.data_services == null ? toset([for name, service in var.services : name if length(service.secrets) > 0]) : var.data_services

  # The password is RDS' own and no parameter of the environment.
  secrets       = { for name, service in var.services : name => setsubtract(service.secrets, ["DATABASE_PASSWORD"]) }
  log_groups    = { for name in keys(var.services) : name => "${local.prefix}${name}" }
  service_names = { for name in keys(var.services) : name => "${local.name}-${name}" }

  # Of the repositories that another environment of this account makes, only the names are known here.
  repository_arns = [
    for name in sort(var.repositories) :
    "arn:${data.aws_partition.current.partition}:ecr:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:repository/${name}"
  ]
}

# One for what the environment keeps; the secrets have their own.
module "key" {
  source = "../key"

  name        = local.name
  description = "Images, data and logs of ${local.name}"
  log_groups  = ["${local.prefix}*", "/aws/rds/instance/${local.name}/*", "aws-waf-logs-${local.name}"]
  publishers  = ["cloudwatch.amazonaws.com"]

  deletion_window_days = var.protect ? 30 : 7
}

module "network" {
  source = "../network"

  name                    = local.name
  cidr                    = var.network.cidr
  zone_count              = var.network.zone_count
  single_nat_gateway      = var.network.single_nat_gateway
  interface_endpoints     = var.network.interface_endpoints
  flow_log_retention_days = var.log_retention_days
  kms_key                 = local.kms_key
}

module "registry" {
  source = "../registry"

  repositories = var.create_repositories ? var.repositories : []
  kms_key      = local.kms_key
  force_delete = !var.protect
}

module "secrets" {
  source = "../secrets"

  name    = local.name
  store   = var.secrets.store
  prefix  = var.secrets.prefix
  kms_key = var.secrets.kms_key
  names   = setunion(values(local.secrets)...)
}

module "cluster" {
  source = "../cluster"

  name                = local.name
  vpc_id              = module.network.vpc_id
  kms_key             = local.kms_key
  log_prefix          = local.prefix
  deletion_protection = var.protect
}

module "load_balancer" {
  source = "../load-balancer"

  name                = local.name
  vpc_id              = module.network.vpc_id
  subnets             = module.network.public_subnets
  domain              = var.domain
  certificate_arn     = var.certificate_arn
  zone_id             = var.zone_id
  firewall            = var.firewall
  kms_key             = local.kms_key
  deletion_protection = var.protect
  force_destroy       = !var.protect
}

module "database" {
  source = "../database"

  name                    = local.name
  vpc_id                  = module.network.vpc_id
  subnets                 = module.network.database_subnets
  allowed_security_groups = { for name in local.clients : name => module.service[name].security_group }
  database_name           = var.database.name
  username                = var.database.username
  engine_version          = var.database.engine_version
  instance_class          = var.database.instance_class
  allocated_storage       = var.database.allocated_storage
  max_allocated_storage   = var.database.max_allocated_storage
  multi_az                = var.database.multi_az
  deletion_protection     = var.database.deletion_protection
  # One that is protected can't be without.
  skip_final_snapshot = !var.database.final_snapshot && !var.database.deletion_protection
  backup_days         = var.database.backup_days
  log_retention_days  = var.log_retention_days
  kms_key             = local.kms_key
  alarm_topics        = [module.observability.topic_arn]
}

module "messaging" {
  source = "../messaging"

  name                    = local.name
  vpc_id                  = module.network.vpc_id
  subnets                 = module.network.private_subnets
  allowed_security_groups = { for name in local.clients : name => module.service[name].security_group }
  kind                    = var.messaging.kind
  broker_count            = coalesce(var.messaging.broker_count, var.network.zone_count)
  instance_type           = var.messaging.instance_type
  storage_gib             = var.messaging.storage_gib
  kafka_version           = var.messaging.kafka_version
  kms_key                 = local.kms_key
  log_retention_days      = var.log_retention_days
  alarm_topics            = [module.observability.topic_arn]
}

module "service" {
  source   = "../service"
  for_each = var.services

  name              = local.service_names[each.key]
  container         = each.key
  cluster_arn       = module.cluster.arn
  cluster_name      = module.cluster.name
  vpc_id            = module.network.vpc_id
  subnets           = module.network.private_subnets
  port              = each.value.port
  health_path       = each.value.health_path
  cpu               = each.value.cpu
  memory            = each.value.memory
  architecture      = each.value.architecture
  replicas          = each.value.replicas
  exec              = var.exec
  exec_log_group    = module.cluster.exec_log_group
  log_group         = module.observability.log_groups[each.key]
  repository_arns   = local.repository_arns
  capacity          = var.capacity
  deploy            = contains(keys(local.routed), each.key) ? var.deploy : merge(var.deploy, { strategy = "rolling" })
  autoscaling       = var.autoscaling
  alarm_topics      = [module.observability.topic_arn]
  namespace_id      = var.service_discovery ? module.cluster.namespace_id : null
  placeholder_image = var.placeholder_image

  load_balancer = !contains(keys(local.routed), each.key) ? null : {
    listener_arn   = module.load_balancer.listener_arn
    security_group = module.load_balancer.security_group
    arn_suffix     = module.load_balancer.arn_suffix
    paths          = var.routes[each.key]
    priority       = local.priorities[each.key]
  }

  secrets = {
    parameters = [for name in local.secrets[each.key] : module.secrets.arns[name].ssm]
    secrets = concat(
      [for name in local.secrets[each.key] : module.secrets.arns[name].secrets_manager],
      contains(local.clients, each.key) ? [module.database.password_secret_arn] : [],
    )
    kms_keys = concat(
      length(each.value.secrets) > 0 ? [module.secrets.kms_key_arn] : [],
      contains(local.clients, each.key) ? [local.kms_key] : [],
    )
  }

  reaches = contains(local.clients, each.key) ? {
    PostgreSQL = { port = 5432, security_group = module.database.security_group }
    Kafka      = { port = 9098, security_group = module.messaging.security_group }
  } : {}

  task_statements = contains(local.clients, each.key) ? module.messaging.client_statements : []
}

module "observability" {
  source = "../observability"

  name                     = local.name
  environment              = var.environment
  cluster_name             = module.cluster.name
  load_balancer_arn_suffix = module.load_balancer.arn_suffix
  target_groups            = { for name in keys(local.routed) : name => module.service[name].target_group_suffixes }
  database_identifier      = module.database.identifier
  retention_days           = var.log_retention_days
  alarm_email              = var.alarm_email
  kms_key                  = local.kms_key

  services = {
    for name in keys(var.services) : name => {
      log_group     = local.log_groups[name]
      ecs_service   = local.service_names[name]
      load_balanced = contains(keys(local.routed), name)
    }
  }
}

module "delivery" {
  source = "../delivery"
  count  = var.github_repository == null ? 0 : 1

  name              = local.name
  repository        = var.github_repository
  environment       = coalesce(var.github_environment, var.environment)
  cluster_name      = module.cluster.name
  service_names     = values(local.service_names)
  deploys_table_arn = module.cluster.deploys_table_arn
  repositories      = var.repositories
  log_groups        = values(local.log_groups)
  role_arns         = flatten([for service in module.service : [service.execution_role_arn, service.task_role_arn]])
  secrets_prefix    = var.secrets.prefix
  secret_arns       = [module.database.password_secret_arn]
  kms_keys          = [local.kms_key, module.secrets.kms_key_arn]
  state             = var.state
}

locals {
  # Never null: said so that modules which count by that can be planned before the key is there.
  kms_key = coalesce(module.key.arn)
}
