/** One environment, whole, in one stack: what refers to each other is changed together, and taken back together. */

import { CfnOutput, Fn, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
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
/** A service that reads one of these speaks to the database and, as events go through a table of it, to Kafka. */
const OF_DATABASE = [PASSWORD, 'DATABASE_URL'];

/** What an output of CloudFormation may have, in bytes. */
const OUTPUT_BYTES = 4096;
/** About as long as what stands for something that is known after the deploy only: an ARN, a list of brokers. */
const UNKNOWN_BYTES = 120;

interface Props extends StackProps {
  readonly settings: Settings;
  /** Whether the stack is made for the first time: services then begin without tasks. */
  readonly isFirst: boolean;
}

export class EnvironmentStack extends Stack {
  private readonly zones: number;

  constructor(scope: Construct, id: string, props: Props) {
    const { settings, isFirst, ...rest } = props;
    const { account, environment, project, region } = settings;
    super(scope, id, {
      ...rest,
      env: { region, ...(account !== null && { account }) },
      description: `${project}: ${environment}`,
      terminationProtection: settings.database.deletion_protection,
    });
    this.zones = settings.zone_count;
    const name = `${project}-${environment}`;
    Tags.of(this).add('project', project);
    Tags.of(this).add('environment', environment);
    const retention = settings.single_nat_gateway ? logs.RetentionDays.ONE_MONTH : logs.RetentionDays.ONE_YEAR;

    const key = new Key(this, 'Key', { name, logs: `/${project}/${environment}/` });
    const observability = new Observability(this, 'Observability', { name, key, email: settings.alarm_email });
    const { vpc } = new Network(this, 'Network', {
      name,
      key,
      zones: this.zones,
      singleNat: settings.single_nat_gateway,
      retention,
    });
    const registry = new Registry(this, 'Registry', { names: settings.repositories, key });
    const secrets = new Secrets(this, 'Secrets', {
      prefix: settings.secrets.prefix,
      kmsKey: settings.secrets.kms_key,
    });
    const deploys = new Deploys(this, 'Deploys', { name, key });
    const database = new Database(this, 'Database', {
      name, project, vpc, key, observability, retention, settings: settings.database,
    });
    const messaging = new Messaging(this, 'Messaging', {
      name, vpc, key, observability, retention, zones: this.zones, settings: settings.messaging,
    });
    const { cluster, execLog } = new Cluster(this, 'Cluster', { name, vpc, key, retention });
    const ingress = new Ingress(this, 'Ingress', { name, vpc, observability, settings });

    const services: Record<string, Service> = {};
    let priority = 1;
    for (const [service, its] of inOrder(settings)) {
      const made = new Service(this, `Service-${service}`, {
        service, name, cluster, execLog, key, registry, ingress, observability, retention, isFirst, priority,
        isSpot: settings.single_nat_gateway,
        settings: its,
        deploy: settings.deploy,
        autoscaling: settings.autoscaling,
        routes: settings.routes[service] ?? [],
      });
      priority += made.rules;
      services[service] = made;
      if (its.secrets.includes(PASSWORD)) {
        database.password.grantRead(made.executionRole);
      }
      if (reachesData(its.secrets)) {
        database.allowFrom(made.group);
        messaging.allowFrom(made.group, made.taskRole);
      }
      secrets.grantRead(made.executionRole, its.secrets.filter((secret) => secret !== PASSWORD));
    }

    if (settings.github_repository !== null) {
      const all = Object.values(settings.services).flatMap((service) => service.secrets);
      const delivery = new Delivery(this, 'Delivery', {
        name, environment, cluster, registry, deploys, secrets,
        repository: settings.github_repository,
        providerArn: settings.github_provider_arn,
        services: Object.values(services),
        secretNames: [...new Set(all)].filter((secret) => secret !== PASSWORD),
        password: database.password,
      });
      this.output('deployrole', delivery.role.roleArn, 'The role of deploys from GitHub: AWS_ROLE there');
    }

    const subnets = vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }).subnetIds;
    const { instance, password } = database;
    const outputs = {
      cluster: cluster.clusterName,
      subnets,
      assign_public_ip: false,
      deploys_table: deploys.table.tableName,
      secrets: { [PASSWORD]: `${password.secretArn}:password::` },
      environment: {
        DATABASE_HOST: instance.dbInstanceEndpointAddress,
        DATABASE_PORT: String(database.port),
        DATABASE_NAME: database.databaseName,
        DATABASE_USER: database.user,
        KAFKA_BROKERS: messaging.brokers,
        KAFKA_SECURITY: 'msk-iam',
      },
      services: Object.fromEntries(
        Object.entries(services).map(([service, made]) => {
          const its = settings.services[service];
          return [service, { ...told(made, service), reaches_data: its !== undefined && reachesData(its.secrets) }];
        }),
      ),
    };
    this.output('streamify', this.json(outputs), 'What streamify deploy takes (docs/decisions/0008-environments.md)');
    this.output('address', ingress.address, "The app's address");
    this.output('loadbalancer', ingress.loadBalancer.loadBalancerDnsName, "Where the domain's record leads to");
    this.output('database', instance.dbInstanceEndpointAddress, "The database's host");
    this.output('brokers', messaging.brokers, 'Kafka, for IAM clients');
  }

  /** The zones of the region, chosen when it is deployed: asking for their names here would need an account. */
  override get availabilityZones(): string[] {
    return Array.from({ length: this.zones }, (_, index) => Fn.select(index, Fn.getAzs(this.region)));
  }

  private output(name: string, value: string, description: string): void {
    new CfnOutput(this, name, { value, description });
  }

  /** The object as text. CloudFormation cuts nothing and refuses too late, so its length is looked at here. */
  private json(value: object): string {
    const text = JSON.stringify(value);
    const bytes = text.replaceAll(/\$\{Token\[[^\]]*\]\}/g, '-'.repeat(UNKNOWN_BYTES)).length;
    if (bytes > OUTPUT_BYTES) {
      throw new Error(
        `the output of ${this.stackName} would have about ${bytes} bytes, and CloudFormation takes ${OUTPUT_BYTES}: ` +
          'an environment in the CDK has room for about eight services',
      );
    }
    return this.toJsonString(value);
  }
}

function reachesData(secrets: readonly string[]): boolean {
  return secrets.some((secret) => OF_DATABASE.includes(secret));
}

function told(made: Service, container: string): object {
  return {
    name: made.name,
    execution_role: made.executionRole.roleArn,
    task_role: made.taskRole.roleArn,
    security_groups: [made.group.securityGroupId],
    target_group: made.targetGroup?.targetGroupArn ?? null,
    log_group: made.logGroup.logGroupName,
    container,
  };
}

/** Services in the order of their rules: who takes everything comes last. */
function inOrder(settings: Settings): [string, Settings['services'][string]][] {
  const takesAll = (service: string): number => Number(settings.routes[service]?.includes('/*') ?? false);
  return Object.entries(settings.services).sort(([one], [other]) => takesAll(one) - takesAll(other) || one.localeCompare(other));
}
