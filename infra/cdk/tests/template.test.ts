import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Match, type Template } from 'aws-cdk-lib/assertions';

import { all, flat, type Json, make, one, policies, STAGING, statements } from './support.ts';

const prod = make().template;
const staging = make(STAGING).template;
const canary = make({ deploy: { strategy: 'canary', minimum_healthy_percent: 100, maximum_percent: 200 } }).template;

/** The subnets whose route table has a way to the internet or to a NAT gateway. */
function subnetsWithAWayOut(template: Template): Set<string> {
  const routes = Object.values(all(template, 'AWS::EC2::Route'));
  const tables = new Set(routes.map(({ Properties }) => flat(Properties['RouteTableId'])));
  const associations = Object.values(all(template, 'AWS::EC2::SubnetRouteTableAssociation'));
  const leading = associations.filter(({ Properties }) => tables.has(flat(Properties['RouteTableId'])));
  return new Set(leading.map(({ Properties }) => flat(Properties['SubnetId'])));
}

test('network: a NAT gateway in every zone of prod, one in staging, flow logs in both', () => {
  prod.resourceCountIs('AWS::EC2::NatGateway', 3);
  prod.resourceCountIs('AWS::EC2::Subnet', 9);
  staging.resourceCountIs('AWS::EC2::NatGateway', 1);
  staging.resourceCountIs('AWS::EC2::Subnet', 6);
  for (const template of [prod, staging]) {
    template.hasResourceProperties('AWS::EC2::FlowLog', { TrafficType: 'ALL', LogDestinationType: 'cloud-watch-logs' });
    for (const { Properties } of Object.values(all(template, 'AWS::EC2::Subnet'))) {
      assert.notEqual(Properties['MapPublicIpOnLaunch'], true);
    }
  }
});

test("network: prod's tasks reach AWS's services without the NAT gateways, staging's only those that are free", () => {
  const services = (template: Template): string[] =>
    Object.values(all(template, 'AWS::EC2::VPCEndpoint'))
      .map(({ Properties }) => flat(Properties['ServiceName']).replace(/^com\.amazonaws\.(eu-west-1|<AWS::Region>)\./, ''))
      .sort();
  assert.deepEqual(services(prod), ['dynamodb', 'ecr.api', 'ecr.dkr', 'logs', 's3', 'secretsmanager', 'ssm', 'ssmmessages']);
  assert.deepEqual(services(staging), ['dynamodb', 's3']);
});

test('database: not public, encrypted, with TLS alone, and without a way out of its subnets', () => {
  for (const template of [prod, staging]) {
    template.hasResourceProperties('AWS::RDS::DBInstance', {
      PubliclyAccessible: false,
      StorageEncrypted: true,
      KmsKeyId: Match.anyValue(),
      EnablePerformanceInsights: true,
      PerformanceInsightsKMSKeyId: Match.anyValue(),
      EnableCloudwatchLogsExports: ['postgresql', 'upgrade'],
      CopyTagsToSnapshot: true,
    });
    template.hasResourceProperties('AWS::RDS::DBParameterGroup', {
      Family: 'postgres17',
      Parameters: Match.objectLike({ 'rds.force_ssl': '1' }),
    });
    assert.equal(one(template, 'AWS::RDS::DBInstance').DeletionPolicy, template === prod ? 'Snapshot' : 'Delete');
    const { SubnetIds } = one(template, 'AWS::RDS::DBSubnetGroup').Properties as { SubnetIds: unknown[] };
    const open = subnetsWithAWayOut(template);
    assert.equal(open.size, SubnetIds.length * 2, 'public and private subnets have a way out');
    assert.deepEqual(SubnetIds.map(flat).filter((subnet) => open.has(subnet)), []);
  }
});

test('database: in two zones and protected in prod, cheap in staging', () => {
  prod.hasResourceProperties('AWS::RDS::DBInstance', {
    MultiAZ: true, DeletionProtection: true, BackupRetentionPeriod: 14, DBInstanceClass: 'db.m7g.large',
  });
  staging.hasResourceProperties('AWS::RDS::DBInstance', {
    MultiAZ: false, DeletionProtection: false, BackupRetentionPeriod: 1, DBInstanceClass: 'db.t4g.micro',
  });
});

test('database: its password is made by Secrets Manager and is in no template', () => {
  const { MasterUserPassword } = one(prod, 'AWS::RDS::DBInstance').Properties;
  assert.match(flat(MasterUserPassword), /^\{\{resolve:secretsmanager:<.*>:SecretString:password::\}\}$/);
  const { GenerateSecretString, SecretString } = one(prod, 'AWS::SecretsManager::Secret').Properties;
  assert.ok(GenerateSecretString);
  assert.equal(SecretString, undefined);
});

test('who reads a secret is let in to database and broker, and nobody else, unless it is said', () => {
  for (const [template, kafka] of [[prod, 9098], [staging, 9098]] as const) {
    for (const port of [5432, kafka]) {
      const rules = Object.values(all(template, 'AWS::EC2::SecurityGroupIngress'))
        .filter(({ Properties }) => Properties['FromPort'] === port)
        .map(({ Properties }) => flat(Properties['SourceSecurityGroupId']));
      assert.equal(rules.length, 1, `port ${port}`);
      assert.match(rules[0] ?? '', /^<Servicebackend/);
    }
  }
  const reads = (role: string): string[] =>
    policies(prod, role).filter(({ Action }) => Action.includes('secretsmanager:GetSecretValue')).flatMap(({ Resource }) => Resource.map(flat));
  assert.match(reads('ServicebackendExecutionRole').join(), /<DatabaseInstanceSecretAttachment\w+>/);
  assert.deepEqual(reads('ServicefrontendExecutionRole'), []);
  assert.deepEqual(policies(prod, 'ServicefrontendTaskRole').filter(({ Action }) => Action.join().includes('kafka')), []);
});

test('a service that is said to is let in to the data as well', () => {
  const service = { port: null, cpu: 256, memory: 512, replicas: 1, architecture: 'ARM64', secrets: [] };
  const { template } = make({ services: { worker: service }, data_services: ['worker'] });
  const group = Object.values(all(template, 'AWS::EC2::SecurityGroupIngress')).find(({ Properties }) => Properties['FromPort'] === 5432);
  assert.match(flat(group?.Properties['SourceSecurityGroupId']), /^<Serviceworker/);
  // Without a port it is behind no load balancer.
  template.resourceCountIs('AWS::ElasticLoadBalancingV2::TargetGroup', 0);
});

test('nobody from outside reaches anything but the load balancer', () => {
  for (const template of [prod, staging]) {
    const open = Object.entries(all(template, 'AWS::EC2::SecurityGroup')).filter(([, { Properties }]) =>
      ((Properties['SecurityGroupIngress'] ?? []) as Json[]).some(({ CidrIp }) => CidrIp === '0.0.0.0/0'),
    );
    assert.deepEqual(open.map(([id]) => id.replace(/[0-9A-F]{8}$/, '')), ['IngressGroup']);
    for (const { Properties } of Object.values(all(template, 'AWS::EC2::SecurityGroupIngress'))) {
      assert.equal(Properties['CidrIp'], undefined);
    }
  }
});

test('messaging: IAM over TLS is the one way in, serverless and provisioned', () => {
  staging.hasResourceProperties('AWS::MSK::ServerlessCluster', { ClientAuthentication: { Sasl: { Iam: { Enabled: true } } } });
  prod.hasResourceProperties('AWS::MSK::Cluster', {
    NumberOfBrokerNodes: 3,
    KafkaVersion: '3.9.x.kraft',
    ClientAuthentication: { Sasl: { Iam: { Enabled: true }, Scram: Match.absent() }, Unauthenticated: { Enabled: false } },
    EncryptionInfo: {
      EncryptionAtRest: { DataVolumeKMSKeyId: Match.anyValue() },
      EncryptionInTransit: { ClientBroker: 'TLS', InCluster: true },
    },
    BrokerNodeGroupInfo: Match.objectLike({ ConnectivityInfo: { PublicAccess: { Type: 'DISABLED' } } }),
  });
});

test('registry: tags never move, images are scanned and encrypted, and old ones go', () => {
  for (const template of [prod, staging]) {
    template.hasResourceProperties('AWS::ECR::Repository', {
      RepositoryName: 'streamify/app',
      ImageTagMutability: 'IMMUTABLE',
      ImageScanningConfiguration: { ScanOnPush: true },
      EncryptionConfiguration: { EncryptionType: 'KMS', KmsKey: Match.anyValue() },
      LifecyclePolicy: { LifecyclePolicyText: Match.stringLikeRegexp('"countNumber":100') },
    });
    assert.equal(one(template, 'AWS::ECR::Repository').DeletionPolicy, template === prod ? 'Retain' : 'Delete');
  }
});

test('logs: every group is encrypted and goes after its time', () => {
  for (const [template, days] of [[prod, 90], [staging, 14]] as const) {
    const groups = Object.values(all(template, 'AWS::Logs::LogGroup'));
    assert.ok(groups.length >= 7, `${groups.length} groups`);
    for (const { Properties } of groups) {
      // What the firewall blocked, and what was typed into containers.
      const isKept = /^aws-waf-logs-|\/exec$/.test(String(Properties['LogGroupName']));
      assert.equal(Properties['RetentionInDays'], isKept ? 365 : days);
      assert.match(flat(Properties['KmsKeyId']), /^<Key/);
    }
    const name = template === prod ? 'prod' : 'staging';
    assert.equal(one(template, 'AWS::Logs::LogGroup', 'Servicebackend').Properties['LogGroupName'], `/streamify-${name}/backend`);
  }
});

test('deploys: the table of decision 8, with a way back in time', () => {
  prod.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
    TableName: 'streamify-prod-deploys',
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
    Replicas: [
      Match.objectLike({
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      }),
    ],
  });
});

test('load balancer: HTTP is sent to HTTPS, sockets may be silent for an hour, what is malformed is dropped', () => {
  prod.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', {
    Port: 80,
    DefaultActions: [{ Type: 'redirect', RedirectConfig: { Protocol: 'HTTPS', Port: '443', StatusCode: 'HTTP_301' } }],
  });
  prod.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', {
    Port: 443,
    Protocol: 'HTTPS',
    SslPolicy: Match.stringLikeRegexp('^ELBSecurityPolicy-TLS13-1-2-'),
    Certificates: [{ CertificateArn: Match.stringLikeRegexp(':certificate/3f1c2a4e') }],
  });
  const { LoadBalancerAttributes } = one(prod, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
  const attributes = Object.fromEntries((LoadBalancerAttributes as { Key: string; Value: unknown }[]).map(({ Key, Value }) => [Key, Value]));
  assert.equal(attributes['idle_timeout.timeout_seconds'], '3600');
  assert.equal(attributes['routing.http.drop_invalid_header_fields.enabled'], 'true');
  assert.equal(attributes['deletion_protection.enabled'], 'true');
  assert.equal(attributes['access_logs.s3.enabled'], 'true');
});

test('load balancer: without a domain it is plain HTTP, and with a domain alone the certificate is made', () => {
  const listeners = Object.values(all(staging, 'AWS::ElasticLoadBalancingV2::Listener'));
  assert.deepEqual(listeners.map(({ Properties }) => [Properties['Port'], Properties['Protocol']]), [[80, 'HTTP']]);
  assert.match(flat(staging.findOutputs('address')['address']?.['Value']), /^http:\/\/<IngressLoadBalancer\w+\.DNSName>$/);
  const { template } = make({ certificate_arn: null });
  template.hasResourceProperties('AWS::CertificateManager::Certificate', {
    DomainName: 'streamify.example.com', ValidationMethod: 'DNS',
  });
});

test('routes: paths lead to their service, and the one that takes everything comes last', () => {
  const rules = (template: Template): unknown[] =>
    Object.values(all(template, 'AWS::ElasticLoadBalancingV2::ListenerRule'))
      .sort((one, other) => Number(one.Properties['Priority']) - Number(other.Properties['Priority']))
      .map(({ Properties }) => {
        const [condition] = Properties['Conditions'] as { PathPatternConfig: { Values: string[] } }[];
        const [action] = Properties['Actions'] as { TargetGroupArn: unknown }[];
        return [condition?.PathPatternConfig.Values.join(' '), flat(action?.TargetGroupArn).replace(/Targets\w+/, '')];
      });
  const wanted = [['/api/* /ws /openapi.json /docs*', '<Servicebackend>'], ['/*', '<Servicefrontend>']];
  assert.deepEqual(rules(prod), wanted);
  assert.deepEqual(rules(staging), wanted);
  const many = make({ routes: { backend: ['/a', '/b', '/c', '/d', '/e', '/f'], frontend: ['/*'] } }).template;
  assert.deepEqual(rules(many), [
    ['/a /b /c /d /e', '<Servicebackend>'],
    ['/f', '<Servicebackend>'],
    ['/*', '<Servicefrontend>'],
  ]);
});

test('service: reached by the load balancer at its port, asked for health at its path', () => {
  for (const [service, port, path] of [['backend', 3001, '/health/ready'], ['frontend', 3000, '/health/live']] as const) {
    const { Properties } = one(prod, 'AWS::ElasticLoadBalancingV2::TargetGroup', `Service${service}`);
    assert.deepEqual([Properties['Port'], Properties['TargetType'], Properties['HealthCheckPath']], [port, 'ip', path]);
    const attributes = Properties['TargetGroupAttributes'] as { Key: string; Value: string }[];
    assert.ok(attributes.some(({ Key, Value }) => Key === 'stickiness.enabled' && Value === 'false'));
  }
});

test('service: a breaker that takes back, tasks in private subnets, exec on', () => {
  for (const [template, provider] of [[prod, 'FARGATE'], [staging, 'FARGATE_SPOT']] as const) {
    const open = subnetsWithAWayOut(template);
    for (const { Properties } of Object.values(all(template, 'AWS::ECS::Service'))) {
      const configuration = Properties['DeploymentConfiguration'] as Json;
      assert.deepEqual(configuration['DeploymentCircuitBreaker'], { Enable: true, Rollback: true });
      assert.deepEqual([configuration['MinimumHealthyPercent'], configuration['MaximumPercent']], [100, 200]);
      assert.equal(configuration['Strategy'], 'ROLLING');
      assert.equal(Properties['EnableExecuteCommand'], true);
      assert.deepEqual(Properties['CapacityProviderStrategy'], [{ CapacityProvider: provider, Base: 0, Weight: 1 }]);
      const { AwsvpcConfiguration } = Properties['NetworkConfiguration'] as { AwsvpcConfiguration: Json };
      assert.equal(AwsvpcConfiguration['AssignPublicIp'], 'DISABLED');
      const subnets = (AwsvpcConfiguration['Subnets'] as unknown[]).map(flat);
      assert.ok(subnets.every((subnet) => subnet.includes('private') && open.has(subnet)), subnets.join());
    }
  }
});

test('a deploy is never undone: no count, and the newest revision of the family whatever it is', () => {
  for (const [id, { Properties }] of Object.entries(all(prod, 'AWS::ECS::Service'))) {
    assert.equal(Properties['DesiredCount'], undefined, id);
    assert.equal(Properties['TaskDefinition'], Properties['ServiceName'], id);
  }
  const counts = Object.values(all(make({}, ['frontend']).template, 'AWS::ECS::Service')).map(({ Properties }) => [
    Properties['ServiceName'],
    Properties['DesiredCount'],
  ]);
  assert.deepEqual(Object.fromEntries(counts), { 'streamify-prod-backend': undefined, 'streamify-prod-frontend': 0 });
});

test('a deploy is never undone: the placeholder stays as it is when the service changes', () => {
  const { services } = { services: { backend: { port: 3001, health_path: '/x', cpu: 4096, memory: 8192, replicas: 9, architecture: 'ARM64', secrets: ['A', 'DATABASE_URL'] } } };
  const changed = make({ services, routes: { backend: ['/*'] } }).template;
  const before = one(prod, 'AWS::ECS::TaskDefinition', 'Servicebackend').Properties;
  assert.deepEqual(one(changed, 'AWS::ECS::TaskDefinition', 'Servicebackend').Properties, before);
  assert.equal(before['Family'], 'streamify-prod-backend');
});

test('canary and its like: a second target group, and weights on the rule that ECS moves', () => {
  canary.resourceCountIs('AWS::ElasticLoadBalancingV2::TargetGroup', 4);
  for (const { Properties } of Object.values(all(canary, 'AWS::ECS::Service'))) {
    assert.equal((Properties['DeploymentConfiguration'] as Json)['Strategy'], 'CANARY');
    const [balancer] = Properties['LoadBalancers'] as { AdvancedConfiguration: Json }[];
    assert.match(flat(balancer?.AdvancedConfiguration['AlternateTargetGroupArn']), /AlternateTargets/);
    assert.match(flat(balancer?.AdvancedConfiguration['ProductionListenerRule']), /Rule0/);
    assert.ok(balancer?.AdvancedConfiguration['RoleArn']);
  }
  const [rule] = Object.values(all(canary, 'AWS::ElasticLoadBalancingV2::ListenerRule'));
  const [action] = rule?.Properties['Actions'] as { ForwardConfig: { TargetGroups: { Weight: number }[] } }[];
  assert.deepEqual(action?.ForwardConfig.TargetGroups.map(({ Weight }) => Weight), [100, 0]);
  prod.resourceCountIs('AWS::ElasticLoadBalancingV2::TargetGroup', 2);
});

test('auto scaling: on processor, memory and requests in prod, none in staging', () => {
  prod.allResourcesProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 2, MaxCapacity: 10 });
  const metrics = Object.values(all(prod, 'AWS::ApplicationAutoScaling::ScalingPolicy')).map(({ Properties }) => {
    const { PredefinedMetricSpecification } = Properties['TargetTrackingScalingPolicyConfiguration'] as { PredefinedMetricSpecification: Json };
    return PredefinedMetricSpecification['PredefinedMetricType'];
  });
  const kinds = ['ALBRequestCountPerTarget', 'ECSServiceAverageCPUUtilization', 'ECSServiceAverageMemoryUtilization'];
  assert.deepEqual([...new Set(metrics)].sort(), kinds);
  staging.resourceCountIs('AWS::ApplicationAutoScaling::ScalableTarget', 0);
});

test('alarms: each tells the topic, and those that stop a rollout have names that streamify.yaml can say', () => {
  const alarms = Object.values(all(prod, 'AWS::CloudWatch::Alarm'));
  for (const { Properties } of alarms) {
    assert.match(flat((Properties['AlarmActions'] as unknown[])[0]), /^<ObservabilityAlarms/);
    assert.equal(Properties['TreatMissingData'], 'notBreaching');
  }
  const names = alarms.map(({ Properties }) => Properties['AlarmName']).filter(Boolean).sort();
  assert.deepEqual(names, ['backend-rollout-errors', 'backend-rollout-latency', 'frontend-rollout-errors', 'frontend-rollout-latency'].map((name) => `streamify-prod-${name}`));
  prod.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'alarms@example.com' });
});

test('roles: no action is a wildcard, and everything stands only for what IAM knows no resource for', () => {
  const withoutResource = new Set([
    'cloudwatch:DescribeAlarms', 'ec2:DescribeSecurityGroups', 'ec2:DescribeSubnets', 'ecr:GetAuthorizationToken',
    'ecs:DescribeTaskDefinition', 'ecs:ListTasks', 'ecs:RegisterTaskDefinition',
    'elasticloadbalancing:DescribeTargetGroups', 'elasticloadbalancing:DescribeTargetHealth', 'logs:DescribeLogGroups',
    'secretsmanager:BatchGetSecretValue', 'secretsmanager:ListSecrets', 'servicequotas:GetServiceQuota', 'ssm:DescribeParameters',
    'ssmmessages:CreateControlChannel', 'ssmmessages:CreateDataChannel', 'ssmmessages:OpenControlChannel', 'ssmmessages:OpenDataChannel',
  ]);
  for (const template of [prod, staging]) {
    const everything = policies(template);
    assert.ok(everything.length > 15, `${everything.length} statements`);
    for (const { Action, Effect, Resource } of everything) {
      assert.equal(Effect, 'Allow');
      assert.deepEqual(Action.filter((action) => action.includes('*')), []);
      if (Resource.includes('*')) {
        assert.deepEqual(Action.filter((action) => !withoutResource.has(action)), []);
      }
    }
    const managed = Object.values(all(template, 'AWS::IAM::Role')).flatMap(({ Properties }) => (Properties['ManagedPolicyArns'] ?? []) as unknown[]);
    assert.deepEqual(managed.map(flat), ['arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole']);
  }
});

test('roles: ECS takes those of tasks on, for this account alone', () => {
  const roles = Object.entries(all(prod, 'AWS::IAM::Role')).filter(([id]) => id.startsWith('Service'));
  assert.equal(roles.length, 4);
  for (const [id, { Properties }] of roles) {
    const [trust] = statements(Properties['AssumeRolePolicyDocument']);
    assert.deepEqual(trust?.Condition, { StringEquals: { 'aws:SourceAccount': '123456789012' } }, id);
  }
});

test("secrets: a service's tasks start with its own secrets, and with a key of one's own where there is one", () => {
  const kms = { store: 'secrets-manager', prefix: '/streamify/prod/', kms_key: 'alias/secrets' };
  const { template } = make({ secrets: kms, account: null });
  const read = policies(template, 'ServicebackendExecutionRole');
  const names = read.filter(({ Action }) => Action.includes('ssm:GetParameters')).flatMap(({ Resource }) => Resource.map(flat));
  assert.deepEqual(names, ['arn:aws:ssm:eu-west-1:<AWS::AccountId>:parameter/streamify/prod/JWT_KEYS']);
  const decrypt = read.find(({ Condition }) => Condition?.['ForAnyValue:StringEquals']);
  assert.deepEqual(decrypt?.Action, ['kms:Decrypt']);
  assert.deepEqual(decrypt?.Condition?.['ForAnyValue:StringEquals'], { 'kms:ResourceAliases': 'alias/secrets' });
});

test("delivery: GitHub's tokens of this repository and environment, and roles that are passed to tasks alone", () => {
  const [trust] = statements(one(prod, 'AWS::IAM::Role', 'DeliveryRole').Properties['AssumeRolePolicyDocument']);
  assert.deepEqual(trust?.Condition, {
    StringEquals: {
      'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
      'token.actions.githubusercontent.com:sub': 'repo:example/streamify:environment:prod',
    },
  });
  const pass = policies(prod, 'DeliveryRole').filter(({ Action }) => Action.includes('iam:PassRole'));
  assert.equal(pass.length, 1);
  assert.deepEqual(pass[0]?.Condition, { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } });
  assert.ok(pass[0]?.Resource.every((role) => /^<Service\w+(Execution|Task)Role\w+\.Arn>$/.test(flat(role))));
  const provider = 'arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com';
  make({ github_provider_arn: provider }).template.resourceCountIs('AWS::IAM::OIDCProvider', 0);
  make({ github_repository: null }).template.resourcePropertiesCountIs('AWS::IAM::Role', { RoleName: 'streamify-prod-deploy' }, 0);
});

test("the output is decision 8's object, complete and as JSON", () => {
  const told = JSON.parse(flat(prod.findOutputs('streamify')['streamify']?.['Value'])) as Json;
  const keys = ['assign_public_ip', 'cluster', 'deploys_table', 'environment', 'secrets', 'services', 'subnets'];
  assert.deepEqual(Object.keys(told).sort(), keys);
  assert.deepEqual([(told['subnets'] as string[]).length, told['assign_public_ip']], [3, false]);
  assert.match((told['secrets'] as Record<string, string>)['DATABASE_PASSWORD'] ?? '', /^<DatabaseInstanceSecret\w+>:password::$/);
  const environment = told['environment'] as Json;
  assert.deepEqual(Object.keys(environment), ['DATABASE_HOST', 'DATABASE_PORT', 'DATABASE_NAME', 'DATABASE_USER', 'KAFKA_BROKERS', 'KAFKA_SECURITY', 'STREAMIFY_TRUSTED_PROXIES']);
  assert.match(String(environment['KAFKA_BROKERS']), /^<MessagingBootstrap\w+\.BootstrapBrokerStringSaslIam>$/);
  const { backend, frontend } = told['services'] as Record<string, Json>;
  assert.deepEqual(Object.keys(backend ?? {}), ['name', 'execution_role', 'task_role', 'security_groups', 'target_group', 'log_group', 'container', 'alarms', 'reaches_data']);
  assert.deepEqual([backend?.['reaches_data'], frontend?.['reaches_data']], [true, false]);
  assert.deepEqual([backend?.['name'], backend?.['container']], ['streamify-prod-backend', 'backend']);
  assert.match(String(frontend?.['target_group']), /^<Servicefrontend/);
});

test('an output that CloudFormation would refuse is refused before anything is made', () => {
  const service = { cpu: 256, memory: 512, replicas: 1, architecture: 'X86_64', secrets: [] };
  const services = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`worker${index}`, service]));
  assert.throws(() => make({ services }), /the output of streamify-prod would have about \d+ bytes/);
});

test('the same settings make the same template', () => {
  assert.deepEqual(make().template.toJSON(), prod.toJSON());
});
