import { Duration, Stack } from 'aws-cdk-lib';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

import { acknowledgeWildcards } from '../acknowledge.ts';
import type { Deploys } from './deploys.ts';
import type { Registry } from './registry.ts';
import type { Secrets } from './secrets.ts';
import type { Service } from './service.ts';

interface Props {
  readonly name: string;
  /** The environment on GitHub. */
  readonly environment: string;
  /** OWNER/REPOSITORY on GitHub. */
  readonly repository: string;
  /** The account's OIDC provider of GitHub; null makes it. An account has one. */
  readonly providerArn: string | null;
  readonly cluster: ecs.ICluster;
  readonly services: Service[];
  readonly registry: Registry;
  readonly deploys: Deploys;
  readonly secrets: Secrets;
  /** Names of the secrets that services read. */
  readonly secretNames: string[];
  readonly password: secretsmanager.ISecret;
}

const ISSUER = 'token.actions.githubusercontent.com';

/** Questions that IAM knows no resource for. */
const QUESTIONS = [
  'cloudwatch:DescribeAlarms',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'ecr:GetAuthorizationToken',
  'ecs:DescribeTaskDefinition',
  'elasticloadbalancing:DescribeTargetGroups',
  'elasticloadbalancing:DescribeTargetHealth',
  'logs:DescribeLogGroups',
  'secretsmanager:BatchGetSecretValue',
  'secretsmanager:ListSecrets',
  'servicequotas:GetServiceQuota',
  'ssm:DescribeParameters',
];

/** The role that GitHub's tokens of this repository and environment may take: it may deploy, and nothing else. */
export class Delivery extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const provider =
      props.providerArn === null
        ? new iam.OidcProviderNative(this, 'Provider', { url: `https://${ISSUER}`, clientIds: ['sts.amazonaws.com'] })
        : iam.OidcProviderNative.fromOidcProviderArn(this, 'Provider', props.providerArn);
    this.role = new iam.Role(this, 'Role', {
      roleName: `${props.name}-deploy`,
      description: `Deploys of ${props.repository} to ${props.environment}`,
      maxSessionDuration: Duration.hours(1),
      assumedBy: new iam.OpenIdConnectPrincipal(provider, {
        StringEquals: {
          [`${ISSUER}:aud`]: 'sts.amazonaws.com',
          [`${ISSUER}:sub`]: `repo:${props.repository}:environment:${props.environment}`,
        },
      }),
    });
    for (const statement of this.statements(props)) {
      this.role.addToPolicy(statement);
    }
    for (const repository of props.registry.repositories) {
      repository.grantPullPush(this.role);
      repository.grant(this.role, 'ecr:DescribeImages', 'ecr:DescribeRepositories');
    }
    // `verify` looks whether the keys that services take are in the secrets.
    props.secrets.grantRead(this.role, props.secretNames, ['secretsmanager:DescribeSecret']);
    props.password.grantRead(this.role);
  }

  private statements(props: Props): iam.PolicyStatement[] {
    const stack = Stack.of(this);
    const { clusterArn } = props.cluster;
    const inCluster = (...kinds: string[]): string[] =>
      kinds.map((kind) => stack.formatArn({ service: 'ecs', resource: kind, resourceName: `${props.name}/*` }));
    const allow = (actions: string[], resources: string[], conditions = {}): iam.PolicyStatement =>
      new iam.PolicyStatement({ actions, resources, conditions });
    const definitions = props.services.map(({ name }) =>
      stack.formatArn({ service: 'ecs', resource: 'task-definition', resourceName: `${name}:*` }),
    );
    const roles = props.services.flatMap(({ executionRole, taskRole }) => [executionRole.roleArn, taskRole.roleArn]);
    const here = { ArnEquals: { 'ecs:cluster': clusterArn } };
    const { table } = props.deploys;
    acknowledgeWildcards(this.role, ['*'], 'IAM knows no resource for these; what tasks may do is held by the roles that are passed, and listing by the cluster.');
    const ours = [...inCluster('service', 'service-deployment', 'service-revision', 'task'), ...definitions];
    acknowledgeWildcards(this.role, ours, "What is in this environment's cluster, and all revisions of its services.");
    return [
      allow(QUESTIONS, ['*']),
      allow(['ecs:DescribeClusters'], [clusterArn]),
      allow(
        [
          'ecs:DescribeServices',
          'ecs:UpdateService',
          'ecs:ListServiceDeployments',
          'ecs:DescribeServiceDeployments',
          'ecs:DescribeServiceRevisions',
          'ecs:StopServiceDeployment',
        ],
        inCluster('service', 'service-deployment', 'service-revision'),
      ),
      allow(['ecs:DescribeTasks', 'ecs:StopTask'], inCluster('task')),
      // Tasks are listed by their service, in one cluster; the call itself has no resource but container instances.
      allow(['ecs:ListTasks'], ['*'], here),
      allow(['ecs:RunTask'], definitions, here),
      // What a task definition may do is held by the roles that may be passed to it.
      allow(['ecs:RegisterTaskDefinition'], ['*']),
      allow(['iam:GetRole'], roles),
      allow(['iam:PassRole'], roles, { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } }),
      allow(
        ['logs:FilterLogEvents', 'logs:GetLogEvents'],
        props.services.map(({ logGroup }) => logGroup.logGroupArn),
      ),
      allow(
        [
          'dynamodb:BatchGetItem',
          'dynamodb:DeleteItem',
          'dynamodb:GetItem',
          'dynamodb:PutItem',
          'dynamodb:Query',
          'dynamodb:UpdateItem',
          'dynamodb:ConditionCheckItem',
        ],
        [table.tableArn],
      ),
      allow(['kms:Decrypt', 'kms:GenerateDataKey'], [table.encryptionKey?.keyArn ?? ''], {
        StringEquals: { 'kms:ViaService': `dynamodb.${stack.region}.amazonaws.com` },
      }),
    ];
  }
}
