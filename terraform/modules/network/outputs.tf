output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "The VPC's block of addresses."
  value       = aws_vpc.this.cidr_block
}

output "zones" {
  description = "Names of the availability zones, in the order of the subnets."
  value       = local.zones
}

output "public_subnets" {
  description = "Ids of the public subnets, for the load balancer."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]

  # What is put there counts on the way out.
  depends_on = [aws_route.internet, aws_route_table_association.public]
}

output "private_subnets" {
  description = "Ids of the private subnets, for tasks and brokers."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]

  # A task that starts before its way to the registry is there fails.
  depends_on = [
    aws_route.nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "database_subnets" {
  description = "Ids of the database subnets, which have no route out."
  value       = [for zone in local.zones : aws_subnet.database[zone].id]

  depends_on = [aws_route_table_association.database]
}

output "endpoint_security_group" {
  description = "Id of the interface endpoints' security group, which takes HTTPS from the whole VPC."
  value       = aws_security_group.endpoints.id
}

output "nat_addresses" {
  description = "Public addresses that everything inside is seen by from outside, for lists of others."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}
