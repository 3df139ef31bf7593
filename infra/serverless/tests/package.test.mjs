// What `osls package` made of serverless.yml. The template's path is in STREAMIFY_SERVERLESS_TEMPLATE.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const { Resources, Outputs } = JSON.parse(readFileSync(process.env.STREAMIFY_SERVERLESS_TEMPLATE, 'utf8'));
const of = (type) => Object.entries(Resources).filter(([, { Type }]) => Type === type);
const list = (value) => [value ?? []].flat();
const ROLES = ['EventsRole', 'HttpRole', 'WebsocketRole'];
const statements = (role) => Resources[role].Properties.Policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
const actions = (role) => statements(role).filter(({ Effect }) => Effect === 'Allow').flatMap(({ Action }) => list(Action));

test('three functions of one program, told apart by a variable', () => {
  const functions = of('AWS::Lambda::Function').map(([, { Properties }]) => Properties);
  assert.deepEqual(functions.map(({ Environment }) => Environment.Variables.STREAMIFY_LAMBDA).sort(), ['events', 'http', 'websocket']);
  for (const { Code, Handler, Runtime, VpcConfig } of functions) {
    assert.deepEqual([Handler, Runtime], ['bootstrap', 'provided.al2023']);
    assert.deepEqual(Code, functions[0].Code);
    assert.ok(VpcConfig.SubnetIds.length > 0);
  }
});

test('whatever invokes a function invokes its alias, which begins at a version of its own', () => {
  const aliases = Object.fromEntries(of('AWS::Lambda::Alias').map(([id, { Properties }]) => [id, Properties]));
  assert.deepEqual(Object.keys(aliases).sort(), ['EventsAlias', 'HttpAlias', 'WebsocketAlias']);
  for (const { FunctionName, FunctionVersion, Name } of Object.values(aliases)) {
    assert.equal(Name, 'live');
    const [version, attribute] = FunctionVersion['Fn::GetAtt'];
    assert.equal(attribute, 'Version');
    assert.deepEqual(Resources[version].Properties.FunctionName, FunctionName);
  }
  const invoking = {
    'AWS::ApiGatewayV2::Integration': ({ IntegrationUri }) => [IntegrationUri],
    'AWS::Lambda::Permission': ({ FunctionName }) => [FunctionName],
    'AWS::Lambda::EventSourceMapping': ({ FunctionName }) => [FunctionName],
    'AWS::Events::Rule': ({ Targets }) => Targets.map(({ Arn }) => Arn),
  };
  for (const [type, targets] of Object.entries(invoking)) {
    assert.ok(of(type).length > 0, type);
    for (const [id, { Properties }] of of(type)) {
      for (const target of targets(Properties)) {
        assert.match(JSON.stringify(target), /"Ref":"\w+Alias"|\$\{\w+Alias\}/, id);
      }
    }
  }
});

test('the APIs lead everything to their function, and the broker its topic', () => {
  const keys = of('AWS::ApiGatewayV2::Route').map(([, { Properties }]) => [list(Properties.ApiId.Ref)[0], Properties.RouteKey].join(' '));
  assert.deepEqual(keys.sort(), ['HttpApi $default', 'WebsocketsApi $connect', 'WebsocketsApi $default', 'WebsocketsApi $disconnect']);
  const [[, { Properties }]] = of('AWS::Lambda::EventSourceMapping');
  assert.deepEqual([Properties.Topics, Properties.StartingPosition], [['video.created'], 'LATEST']);
});

test('each function has a role of its own, without an action for everything', () => {
  assert.deepEqual(of('AWS::IAM::Role').map(([id]) => id).sort(), ROLES);
  const withoutResource = /^(ec2:(Assign|Unassign)PrivateIpAddresses|ec2:(Create|Delete)NetworkInterface|ec2:Describe\w+|xray:Put\w+)$/;
  for (const role of ROLES) {
    assert.equal(Resources[role].Properties.ManagedPolicyArns, undefined);
    for (const { Action, Effect, Resource } of statements(role).filter(({ Effect }) => Effect === 'Allow')) {
      assert.deepEqual(list(Action).filter((action) => action.includes('*')), [], `${role} ${Effect}`);
      if (Resource === '*') {
        assert.deepEqual(list(Action).filter((action) => !withoutResource.test(action)), [], role);
      }
    }
  }
});

test('only who has to may write events, list connections and take uploads', () => {
  const who = (action) => ROLES.filter((role) => actions(role).includes(action));
  assert.deepEqual(who('kafka-cluster:WriteData'), ['EventsRole', 'HttpRole']);
  assert.deepEqual(who('kafka-cluster:CreateTopic'), ['EventsRole']);
  assert.deepEqual(who('dynamodb:Scan'), ['EventsRole']);
  assert.deepEqual(who('dynamodb:UpdateItem'), ['WebsocketRole']);
  assert.deepEqual(who('execute-api:ManageConnections'), ['EventsRole', 'WebsocketRole']);
  assert.deepEqual(who('s3:PutObject'), ['HttpRole']);
});

test('functions are told where secrets are, and never a value', () => {
  for (const [id, { Properties }] of of('AWS::Lambda::Function')) {
    const { Variables } = Properties.Environment;
    const secret = Object.keys(Variables).filter((name) => /PASSWORD|KEYS|TOKEN|SECRET/.test(name));
    assert.deepEqual(secret.sort(), ['STREAMIFY_SECRET_DATABASE_PASSWORD', 'STREAMIFY_SECRET_JWT_KEYS'], id);
    assert.match(Variables.STREAMIFY_SECRET_DATABASE_PASSWORD, /^arn:aws:secretsmanager:.*:secret:.*:password$/);
    assert.match(Variables.STREAMIFY_SECRET_JWT_KEYS, /^\//);
  }
});

test('connections expire, deploys are kept', () => {
  const { ConnectionsTable, DeploysTable } = Resources;
  for (const table of [ConnectionsTable, DeploysTable]) {
    assert.deepEqual(table.Properties.TimeToLiveSpecification, { AttributeName: 'expires_at', Enabled: true });
    assert.deepEqual(table.Properties.KeySchema, [{ AttributeName: 'id', KeyType: 'HASH' }]);
  }
  assert.equal(DeploysTable.DeletionPolicy, 'Retain');
  assert.equal(DeploysTable.Properties.DeletionProtectionEnabled, true);
});

test('buckets are private, and CloudFront alone reads them, over TLS', () => {
  for (const bucket of ['PageBucket', 'UploadsBucket']) {
    const { PublicAccessBlockConfiguration: block, BucketEncryption } = Resources[bucket].Properties;
    assert.deepEqual(Object.values(block), [true, true, true, true]);
    assert.ok(BucketEncryption);
    const policy = Resources[`${bucket}Policy`].Properties.PolicyDocument.Statement;
    assert.ok(policy.some(({ Effect, Condition }) => Effect === 'Deny' && Condition.Bool['aws:SecureTransport'] === 'false'));
    for (const statement of policy.filter(({ Effect }) => Effect === 'Allow')) {
      assert.deepEqual(statement.Principal, { Service: 'cloudfront.amazonaws.com' });
      assert.ok(statement.Condition.StringEquals['aws:SourceArn']);
    }
  }
  const { Origins, DefaultCacheBehavior } = Resources.Distribution.Properties.DistributionConfig;
  for (const origin of Origins.filter(({ S3OriginConfig }) => S3OriginConfig)) {
    assert.deepEqual(origin.OriginAccessControlId, { 'Fn::GetAtt': ['OriginAccess', 'Id'] });
  }
  assert.equal(DefaultCacheBehavior.ViewerProtocolPolicy, 'redirect-to-https');
});

test('each address that is no file is the page', () => {
  const handler = new Function(`${Resources.Rewrite.Properties.FunctionCode}; return handler;`)();
  const asked = (uri) => handler({ request: { uri } }).uri;
  assert.deepEqual(['/', '/videos/1', '/videos/new', '/a.b/c'].map(asked), Array(4).fill('/200.html'));
  assert.deepEqual(['/200.html', '/_nuxt/entry.js'].map(asked), ['/200.html', '/_nuxt/entry.js']);
});

test('the output is what a deploy of functions takes', () => {
  const text = Outputs.streamify.Value['Fn::Sub'];
  const told = JSON.parse(text.replaceAll(/\$\{([\w:.]+)\}/g, '<$1>'));
  assert.deepEqual(Object.keys(told), ['deploys_table', 'lambda']);
  assert.deepEqual(told.lambda.functions, { http: '<HttpLambdaFunction>', websocket: '<WebsocketLambdaFunction>', events: '<EventsLambdaFunction>' });
  assert.deepEqual([told.lambda.alias, told.lambda.page_bucket, told.lambda.distribution], ['live', '<PageBucket>', '<Distribution>']);
});
