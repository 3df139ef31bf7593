mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1c", "eu-west-1a", "eu-west-1b"] }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/streamify-test/network/flow" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/flow-logs" }
  }
}

variables {
  name = "streamify-test"
}

run "spans_three_zones_each_with_its_own_way_out" {
  assert {
    condition     = length(output.public_subnets) == 3 && length(output.private_subnets) == 3 && length(output.database_subnets) == 3
    error_message = "Each zone has a subnet of each kind."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "Each zone has a NAT gateway unless one is asked for."
  }
  assert {
    condition = alltrue([
      for zone, route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this[zone].id
    ])
    error_message = "A zone goes out by its own NAT gateway, or it depends on another zone."
  }
  assert {
    condition     = output.zones == tolist(["eu-west-1a", "eu-west-1b", "eu-west-1c"])
    error_message = "Zones are in the order of their names, whatever order AWS tells them in."
  }
}

run "blocks_are_apart_and_as_large_as_said" {
  assert {
    condition = [for zone in output.zones : aws_subnet.private[zone].cidr_block] == [
      "10.20.0.0/20", "10.20.16.0/20", "10.20.32.0/20",
    ]
    error_message = "Private subnets have 4,096 addresses each."
  }
  assert {
    condition = [for zone in output.zones : aws_subnet.public[zone].cidr_block] == [
      "10.20.48.0/24", "10.20.49.0/24", "10.20.50.0/24",
    ]
    error_message = "Public subnets come behind the private ones."
  }
  assert {
    condition = [for zone in output.zones : aws_subnet.database[zone].cidr_block] == [
      "10.20.52.0/24", "10.20.53.0/24", "10.20.54.0/24",
    ]
    error_message = "Database subnets come behind the public ones."
  }
}

run "nothing_is_open_by_accident" {
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Nothing gets a public address for where it was put."
  }
  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default security group must have no rules."
  }
  assert {
    condition     = alltrue([for route in concat([aws_route.internet], values(aws_route.nat)) : route.route_table_id != aws_route_table.database.id])
    error_message = "Databases must have no route out."
  }
  assert {
    condition     = alltrue([for association in aws_route_table_association.database : association.route_table_id == aws_route_table.database.id])
    error_message = "Every database subnet must be on the table without a route out."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443
    error_message = "The endpoints take HTTPS from this VPC alone."
  }
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.log_destination == aws_cloudwatch_log_group.flow.arn
    error_message = "All traffic must be in the flow logs."
  }
}

run "reaches_aws_inside_of_the_vpc" {
  assert {
    condition = toset([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name]) == toset([
      for service in ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssm", "ssmmessages"] : "com.amazonaws.eu-west-1.${service}"
    ])
    error_message = "A task starts, logs, reads secrets and is looked into without NAT."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "Clients must find the endpoints by AWS's own names."
  }
}

run "staging_is_cheap" {
  variables {
    zone_count          = 2
    single_nat_gateway  = true
    interface_endpoints = false
    cidr                = "10.30.0.0/19"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 2
    error_message = "One NAT gateway serves both zones."
  }
  assert {
    condition     = alltrue([for route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this["eu-west-1a"].id])
    error_message = "Both zones go out by the one gateway."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_vpc_endpoint.gateway) == 2
    error_message = "Only the endpoints that cost nothing are left."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : tonumber(split("/", subnet.cidr_block)[1]) <= 27])
    error_message = "The smallest VPC must still have room for a load balancer."
  }
}

run "refuses_what_can_not_stand" {
  command = plan

  variables {
    zone_count              = 1
    cidr                    = "10.30.0.0/20"
    flow_log_retention_days = 31
    name                    = "Streamify"
  }

  expect_failures = [var.zone_count, var.cidr, var.flow_log_retention_days, var.name]
}
