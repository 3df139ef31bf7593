/** One environment, whole, in one stack: what refers to each other is changed together, and taken back together. */

import { CfnOutput, Fn, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

import { Cluster } from './parts/cluster.ts';
import { Database } from './parts/database.ts';
import { Delivery } from './parts/delivery.ts';
import { Deploys } from './parts/deploys.ts';
import { Ingress } from './parts/ingress.ts';
import { Key } from './parts/key.ts';
import { Messaging } from './parts/messaging.ts';
import { Network } from './parts/network.ts';
import { Observability } from './parts/observability.ts';
import { Registry } from './parts/registry.ts';
import { Secrets } from './parts/secrets.ts';
import { Service } from './parts/service.ts';
import type { Settings } from './settings.ts';

/** The secret that this stack makes. */
const PASSWORD = 'DATABASE_PASSWORD';

/** What an output of CloudFormation may have, in bytes. */
const OUTPUT_BYTES = 4096;
/** About as long as what is known after the deploy only, by the end of its name; anything else is an ARN or a host. */
const LENGTHS: Record<string, number> = {
  'AWS::AccountId': 12, 'AWS::Partition': 10, 'AWS::Region': 14, 'AWS::URLSuffix': 16, GroupId: 20, Subnet: 24, BootstrapBrokerStringSaslIam: 260,
};
const UNKNOWN_BYTES = 120;

interface Props extends StackProps {
  readonly settings: Settings;
  /** The services that ECS does not have yet: they begin without tasks. */
  readonly newServices: ReadonlySet<string>;
}

export class EnvironmentStack extends Stack {
  private readonly zones: number;

  constructor(scope: Construct, id: string, props: Props) {
    const { settings, newServices, ...rest } = props;
    const { account, environment, project, region } = settings;
    super(scope, id, {
      ...rest,
      env: { region, ...(account !== null && { account }) },
      description: `${project}: ${environment}`,
      terminationProtection: settings.protect,
    });
    this.zones = settings.zone_count;
    const name = `${project}-${environment}`;
    Tags.of(this).add('project', project);
    Tags.of(this).add('environment', environment);
    const retention: logs.RetentionDays = settings.log_retention_days;
    const { protect } = settings;

    const key = new Key(this, 'Key', { name, protect });
    const observability = new Observability(this, 'Observability', { name, key, email: settings.alarm_email });
    const { vpc, natAddresses } = new Network(this, 'Network', {
      name,
      key,
      zones: this.zones,
      cidr: settings.cidr,
      singleNat: settings.single_nat_gateway,
      endpoints: settings.interface_endpoints,
      retention,
    });
    const registry = new Registry(this, 'Registry', {
      key, protect, names: settings.repositories, create: settings.create_repositories,
    });
    const secrets = new Secrets(this, 'Secrets', {
      prefix: settings.secrets.prefix,
      kmsKey: settings.secrets.kms_key,
    });
    const deploys = new Deploys(this, 'Deploys', { name, key, protect });
    const database = new Database(this, 'Database', {
      name, vpc, key, observability, retention, settings: settings.database,
    });
    const messaging = new Messaging(this, 'Messaging', {
      name, vpc, key, observability, retention, zones: this.zones, settings: settings.messaging,
    });
    const { cluster, execLog } = new Cluster(this, 'Cluster', { name, vpc, key });
    const ingress = new Ingress(this, 'Ingress', { name, vpc, key, observability, settings });

    const services: Record<string, Service> = {};
    let priority = 1;
    for (const [service, its] of inOrder(settings)) {
      const made = new Service(this, `Service-${service}`, {
        service, name, cluster, execLog, key, registry, ingress, observability, retention, priority,
        isNew: newServices.has(service),
        capacity: settings.capacity,
        exec: settings.exec,
        serviceDiscovery: settings.service_discovery,
        settings: its,
        deploy: settings.deploy,
        autoscaling: settings.autoscaling,
        routes: settings.routes[service] ?? [],
      });
      priority += made.rules;
      services[service] = made;
      if (reachesData(settings, service)) {
        database.password.grantRead(made.executionRole);
        database.allowFrom(made.group);
        messaging.allowFrom(made.group, made.taskRole);
      }
      secrets.grantRead(made.executionRole, its.secrets.filter((secret) => secret !== PASSWORD));
    }

    if (settings.github_repository !== null) {
      const all = Object.values(settings.services).flatMap((service) => service.secrets);
      const delivery = new Delivery(this, 'Delivery', {
        name, cluster, registry,
        environment: settings.github_environment ?? environment,
        deploys, secrets,
        repository: settings.github_repository,
        providerArn: settings.github_provider_arn,
        services: Object.values(services),
        secretNames: [...new Set(all)].filter((secret) => secret !== PASSWORD),
        password: database.password,
      });
      this.output('deployRole', delivery.role.roleArn, 'The role with which GitHub deploys: AWS_ROLE there');
    }

    const subnets = vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }).subnetIds;
    const { instance, password } = database;
    const outputs = {
      // Names that are known are written out: references to them would count as long ones.
      cluster: name,
      subnets,
      assign_public_ip: false,
      deploys_table: deploys.name,
      secrets: { [PASSWORD]: `${password.secretArn}:password::` },
      environment: {
        DATABASE_HOST: instance.dbInstanceEndpointAddress,
        DATABASE_PORT: String(database.port),
        DATABASE_NAME: database.databaseName,
        DATABASE_USER: database.user,
        KAFKA_BROKERS: messaging.brokers,
        KAFKA_SECURITY: 'msk-iam',
        // Requests come by the load balancer alone, which says whose they are.
        STREAMIFY_TRUSTED_PROXIES: '1',
      },
      services: Object.fromEntries(
        Object.entries(services).map(([service, made]) => {
          return [service, { ...told(made, service), reaches_data: reachesData(settings, service) }];
        }),
      ),
    };
    this.output('streamify', this.json(outputs), 'What streamify deploy takes (docs/decisions/0008-environments.md)');
    this.output('address', ingress.address, "The app's address in a browser");
    this.output('loadBalancer', ingress.loadBalancer.loadBalancerDnsName, 'To which a domain that is kept elsewhere points');
    this.output('databaseEndpoint', `${instance.dbInstanceEndpointAddress}:${database.port}`, 'Where PostgreSQL is, from within the VPC');
    this.output('kafkaBrokers', messaging.brokers, 'Where Kafka is, from within the VPC');
    this.output('dashboard', name, 'Name of the dashboard');
    this.output('alarmTopic', observability.topic.topicArn, 'ARN of the SNS topic that alarms go to');
    const own = settings.create_repositories ? registry.repositories : [];
    const repositories = Object.fromEntries(own.map((one, index) => [settings.repositories[index], one.repositoryUri]));
    this.output('repositories', this.toJsonString(repositories), 'Repository and its address');
    const alarms = Object.fromEntries(Object.entries(services).map(([service, made]) => [service, made.rolloutAlarms]));
    this.output('rolloutAlarms', this.toJsonString(alarms), 'Service and the alarms that stop its rollout');
    this.output('natAddresses', this.toJsonString(natAddresses), 'Public addresses that tasks are seen by from outside');
  }

  /** The zones of the region, chosen when it is deployed: asking for their names here would need an account. */
  override get availabilityZones(): string[] {
    return Array.from({ length: this.zones }, (_, index) => Fn.select(index, Fn.getAzs(this.region)));
  }

  /** CloudFormation takes letters and digits in a name; `streamify infra outputs` tells them with underscores, as Terraform's. */
  private output(name: string, value: string, description: string): void {
    new CfnOutput(this, name, { value, description });
  }

  /** The object as text. CloudFormation cuts nothing and refuses too late, so its length is looked at here. */
  private json(value: object): string {
    const text = JSON.stringify(value);
    const bytes = lengthOf(this.resolve(text));
    if (bytes > OUTPUT_BYTES) {
      throw new Error(
        `the output of ${this.stackName} would have about ${bytes} bytes, and CloudFormation takes ${OUTPUT_BYTES}: ` +
          'an environment in the CDK has room for about five services behind the load balancer',
      );
    }
    return this.toJsonString(value);
  }
}

/** Whether a service speaks to the database and Kafka: whoever reads a secret, unless it is said. */
function reachesData(settings: Settings, service: string): boolean {
  return settings.data_services?.includes(service) ?? (settings.services[service]?.secrets.length ?? 0) > 0;
}

/** By its name, which is known: a reference would count as the longest one. */
function arnOf(role: iam.Role): string {
  const name = (role.node.defaultChild as iam.CfnRole).roleName;
  return Stack.of(role).formatArn({ service: 'iam', region: '', resource: 'role', resourceName: name ?? '' });
}

function told(made: Service, container: string): object {
  return {
    name: made.name,
    execution_role: arnOf(made.executionRole),
    task_role: arnOf(made.taskRole),
    security_groups: [made.group.securityGroupId],
    target_group: made.targetGroup?.targetGroupArn ?? null,
    log_group: made.logName,
    container,
    // They stop its rollout, besides those that streamify.yaml names (`deploy.alarms`).
    alarms: made.rolloutAlarms,
  };
}

/** About how long a text will be in which references stand for what is not known yet. */
function lengthOf(resolved: unknown): number {
  if (typeof resolved === 'string') {
    return resolved.length;
  }
  const node = resolved as { Ref?: string; 'Fn::Join'?: [string, unknown[]]; 'Fn::GetAtt'?: string[] };
  if (node['Fn::Join']) {
    return node['Fn::Join'][1].reduce<number>((sum, part) => sum + lengthOf(part), 0);
  }
  const name = node.Ref ?? node['Fn::GetAtt']?.[1] ?? '';
  return LENGTHS[/Subnet[0-9A-F]{8}$/.test(name) ? 'Subnet' : name] ?? UNKNOWN_BYTES;
}

/** Services in the order of their rules: who takes everything comes last. */
function inOrder(settings: Settings): [string, Settings['services'][string]][] {
  const takesAll = (service: string): number => Number(settings.routes[service]?.includes('/*') ?? false);
  return Object.entries(settings.services).sort(([one], [other]) => takesAll(one) - takesAll(other) || one.localeCompare(other));
}
