# What an environment of Streamify is made of is in the module; what this one chooses is in variables.tf.
module "environment" {
  source = "../../modules/environment"

  project             = var.project
  environment         = var.environment
  repositories        = var.repositories
  secrets             = var.secrets
  services            = var.services
  deploy              = var.deploy
  domain              = var.domain
  certificate_arn     = var.certificate_arn
  zone_id             = var.zone_id
  database            = var.database
  messaging           = var.messaging
  routes              = var.routes
  data_services       = var.data_services
  autoscaling         = var.autoscaling
  capacity            = var.capacity
  exec                = var.exec
  service_discovery   = var.service_discovery
  firewall            = var.firewall
  create_repositories = var.create_repositories
  github_repository   = var.github_repository
  github_environment  = var.github_environment
  state               = var.state
  alarm_email         = var.alarm_email
  log_retention_days  = var.log_retention_days
  protect             = var.protect
  placeholder_image   = var.placeholder_image

  network = {
    cidr                = var.cidr
    zone_count          = var.zone_count
    single_nat_gateway  = var.single_nat_gateway
    interface_endpoints = var.interface_endpoints
  }
}
