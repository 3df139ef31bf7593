/** What `environments.ENV.variables` of streamify.yaml changes, each as it does in Terraform's roots. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Match } from 'aws-cdk-lib/assertions';

import { all, flat, make, one, policies, STAGING } from './support.ts';

test('cidr: the block of the VPC, its subnets, and who reaches the endpoints', () => {
  const { template } = make({ cidr: '10.99.0.0/18' });
  template.hasResourceProperties('AWS::EC2::VPC', { CidrBlock: '10.99.0.0/18' });
  const blocks = Object.values(all(template, 'AWS::EC2::Subnet')).map(({ Properties }) => String(Properties['CidrBlock']));
  assert.deepEqual([...new Set(blocks.map((block) => block.split('/')[1]))].sort(), ['22', '26']);
  const group = one(template, 'AWS::EC2::SecurityGroup', 'NetworkEndpoints').Properties['SecurityGroupIngress'];
  assert.equal((group as { CidrIp: string }[])[0]?.CidrIp, '10.99.0.0/18');
});

test('interface_endpoints: without them what costs nothing is left', () => {
  make({ interface_endpoints: false }).template.resourceCountIs('AWS::EC2::VPCEndpoint', 2);
  make({ ...STAGING, interface_endpoints: true }).template.resourceCountIs('AWS::EC2::VPCEndpoint', 8);
});

test('zone_id: the record of the domain, and the certificate is validated in the zone', () => {
  const { template } = make({ zone_id: 'Z0123', certificate_arn: null });
  template.hasResourceProperties('AWS::Route53::RecordSet', {
    HostedZoneId: 'Z0123', Name: 'streamify.example.com.', Type: 'A', AliasTarget: Match.objectLike({ EvaluateTargetHealth: true }),
  });
  template.hasResourceProperties('AWS::CertificateManager::Certificate', {
    DomainValidationOptions: [{ DomainName: 'streamify.example.com', HostedZoneId: 'Z0123' }],
  });
  make().template.resourceCountIs('AWS::Route53::RecordSet', 0);
});

test('firewall: before the load balancer in prod, and off by null', () => {
  const { template } = make({ firewall: { requests_per_five_minutes: 500, log_days: 30 } });
  const { Rules } = one(template, 'AWS::WAFv2::WebACL').Properties as { Rules: { Name: string; Statement: unknown }[] };
  assert.deepEqual(Rules.map(({ Name }) => Name), ['AWSManagedRulesAmazonIpReputationList', 'AWSManagedRulesKnownBadInputsRuleSet', 'rate']);
  assert.deepEqual(Rules[2]?.Statement, { RateBasedStatement: { AggregateKeyType: 'IP', Limit: 500 } });
  template.hasResourceProperties('AWS::Logs::LogGroup', { LogGroupName: 'aws-waf-logs-streamify-prod', RetentionInDays: 30 });
  template.resourceCountIs('AWS::WAFv2::WebACLAssociation', 1);
  make({ firewall: null }).template.resourceCountIs('AWS::WAFv2::WebACL', 0);
  make(STAGING).template.resourceCountIs('AWS::WAFv2::WebACL', 0);
});

test('protect: what AWS refuses to delete, and what stays behind', () => {
  for (const [change, isProtected] of [[{}, true], [{ protect: false }, false]] as const) {
    const { stack, template } = make(change);
    assert.equal(stack.terminationProtection, isProtected);
    const stays = isProtected ? 'Retain' : 'Delete';
    for (const type of ['AWS::KMS::Key', 'AWS::DynamoDB::GlobalTable', 'AWS::ECR::Repository']) {
      assert.equal(one(template, type).DeletionPolicy, stays, type);
    }
    assert.equal(one(template, 'AWS::KMS::Key').Properties['PendingWindowInDays'], isProtected ? 30 : 7);
    const { LoadBalancerAttributes } = one(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    const deletion = (LoadBalancerAttributes as { Key: string; Value: string }[]).find(({ Key }) => Key === 'deletion_protection.enabled');
    assert.equal(deletion?.Value, String(isProtected));
    // The database says so itself.
    assert.equal(one(template, 'AWS::RDS::DBInstance').Properties['DeletionProtection'], true);
  }
});

test('create_repositories: another environment makes them, and tasks pull from them all the same', () => {
  const { template } = make({ create_repositories: false });
  template.resourceCountIs('AWS::ECR::Repository', 0);
  const pulls = policies(template, 'ServicebackendExecutionRole').filter(({ Action }) => Action.includes('ecr:BatchGetImage'));
  assert.match(pulls.flatMap(({ Resource }) => Resource.map(flat)).join(), /:repository\/streamify\/app$/);
});

test('exec and service_discovery: shells off, and names in the VPC', () => {
  const { template } = make({ exec: false, service_discovery: true });
  for (const { Properties } of Object.values(all(template, 'AWS::ECS::Service'))) {
    assert.equal(Properties['EnableExecuteCommand'], false);
    assert.equal((Properties['ServiceRegistries'] as unknown[]).length, 1);
  }
  assert.deepEqual(policies(template, 'ServicebackendTaskRole').filter(({ Action }) => Action.join().includes('ssmmessages')), []);
  template.hasResourceProperties('AWS::ServiceDiscovery::Service', { Name: 'backend', DnsConfig: { DnsRecords: [{ TTL: 10, Type: 'A' }] } });
});

test('capacity: how tasks are spread over what is paid for in two ways', () => {
  const { template } = make({ capacity: { FARGATE: { base: 1 }, FARGATE_SPOT: { weight: 3 } } });
  template.hasResourceProperties('AWS::ECS::Service', {
    CapacityProviderStrategy: [
      { CapacityProvider: 'FARGATE', Base: 1, Weight: 1 },
      { CapacityProvider: 'FARGATE_SPOT', Base: 0, Weight: 3 },
    ],
  });
});

test('autoscaling: from replicas or min to max, and off by null', () => {
  const { template } = make({ autoscaling: { max: 1, min: 1, scale_in_seconds: 60 } });
  template.allResourcesProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 1, MaxCapacity: 1 });
  template.hasResourceProperties('AWS::ApplicationAutoScaling::ScalingPolicy', {
    TargetTrackingScalingPolicyConfiguration: Match.objectLike({ ScaleInCooldown: 60, ScaleOutCooldown: 60 }),
  });
  make({ autoscaling: null }).template.resourceCountIs('AWS::ApplicationAutoScaling::ScalableTarget', 0);
});

test('database and messaging: names, versions and sizes', () => {
  const { template } = make({
    database: { name: 'films', username: 'film', engine_version: '16', max_allocated_storage: 900 },
    messaging: { broker_count: 6, kafka_version: '3.8.x' },
  });
  template.hasResourceProperties('AWS::RDS::DBInstance', { DBName: 'films', EngineVersion: '16', MaxAllocatedStorage: 900 });
  template.hasResourceProperties('AWS::RDS::DBParameterGroup', { Family: 'postgres16' });
  template.hasResourceProperties('AWS::MSK::Cluster', { NumberOfBrokerNodes: 6, KafkaVersion: '3.8.x' });
  const properties = String(one(template, 'AWS::MSK::Configuration').Properties['ServerProperties']);
  assert.match(properties, /replication\.factor=3\n[^]*insync\.replicas=2\n/);
});

test('final_snapshot: what is protected always leaves one', () => {
  const policy = (database: object): unknown => one(make({ database }).template, 'AWS::RDS::DBInstance').DeletionPolicy;
  assert.equal(policy({ deletion_protection: false }), 'Snapshot');
  assert.equal(policy({ deletion_protection: false, final_snapshot: false }), 'Delete');
  assert.equal(policy({ final_snapshot: false }), 'Snapshot');
});

test('routes: a service without a path is not behind the load balancer, and is rolled out by itself', () => {
  const deploy = { strategy: 'canary', minimum_healthy_percent: 100, maximum_percent: 200 };
  const { template } = make({ deploy, routes: { frontend: ['/*'] } });
  const services = Object.values(all(template, 'AWS::ECS::Service')).map(({ Properties }) => [
    Properties['ServiceName'],
    (Properties['DeploymentConfiguration'] as { Strategy: string }).Strategy,
    ((Properties['LoadBalancers'] ?? []) as unknown[]).length,
  ]);
  assert.deepEqual(services, [['streamify-prod-backend', 'ROLLING', 0], ['streamify-prod-frontend', 'CANARY', 1]]);
});

test('log_retention_days and github_environment', () => {
  const { template } = make({ log_retention_days: 7, github_environment: 'production' });
  assert.equal(one(template, 'AWS::Logs::LogGroup', 'Servicebackend').Properties['RetentionInDays'], 7);
  const trust = JSON.stringify(one(template, 'AWS::IAM::Role', 'DeliveryRole').Properties['AssumeRolePolicyDocument']);
  assert.match(trust, /repo:example\/streamify:environment:production/);
});
