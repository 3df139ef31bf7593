data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:Only the first zone_count names are taken, and a new zone comes with a later letter.
  state = "available"

  # Local and wavelength zones have neither Fargate nor RDS.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  region = data.aws_region.current.region
  zones  = slice(sort(data.aws_availability_zones.available.names), 0, var.zone_count)
  number = { for index, zone in local.zones : zone => index }

  # Of a /16: private subnets are a /20 each, for tasks are many; public and database ones a /24. There is room for a
  # third zone from the beginning, so that adding it moves nothing.
  private_cidrs  = { for zone, index in local.number : zone => cidrsubnet(var.cidr, 4, index) }
  public_cidrs   = { for zone, index in local.number : zone => cidrsubnet(var.cidr, 8, 48 + index) }
  database_cidrs = { for zone, index in local.number : zone => cidrsubnet(var.cidr, 8, 52 + index) }

  nat_zones = var.single_nat_gateway ? slice(local.zones, 0, 1) : local.zones
}

resource "aws_vpc" "this" {
  cidr_block = var.cidr
  # Private names of the interface endpoints and of service discovery.
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Without rules: what forgets to name its own group can neither talk nor be talked to.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_subnet" "public" {
  for_each = local.public_cidrs

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  # The load balancer and the NAT gateways have addresses of their own; nothing else belongs here.
  map_public_ip_on_launch = false
  tags                    = merge(var.tags, { Name = "${var.name}-public-${each.key}" })
}

resource "aws_subnet" "private" {
  for_each = local.private_cidrs

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_subnet" "database" {
  for_each = local.database_cidrs

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${var.name}-database-${each.key}" })
}
