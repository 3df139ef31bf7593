import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

import { acknowledge } from '../acknowledge.ts';
import type { Settings } from '../settings.ts';
import type { Key } from './key.ts';
import type { Observability } from './observability.ts';

interface Props {
  readonly name: string;
  readonly vpc: ec2.IVpc;
  readonly key: Key;
  readonly observability: Observability;
  readonly settings: Settings['database'];
  readonly retention: logs.RetentionDays;
}

const GIB = 1024 ** 3;

/** PostgreSQL: encrypted, TLS alone, reached by the services that have its password and by nobody else. */
export class Database extends Construct {
  readonly instance: rds.DatabaseInstance;
  readonly password: secretsmanager.ISecret;
  readonly databaseName: string;
  readonly user: string;
  readonly port = 5432;
  private readonly group: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const { settings, key, vpc } = props;
    // One that is protected can't be without.
    const leaves = settings.final_snapshot || settings.deletion_protection;
    this.databaseName = settings.name;
    this.user = settings.username;
    this.group = new ec2.SecurityGroup(this, 'Group', { vpc, description: 'PostgreSQL', allowAllOutbound: false });

    const engine = rds.DatabaseInstanceEngine.postgres({ version: versionOf(settings.engine_version) });
    // RDS makes the groups itself where they are missing, and then keeps them for ever and not encrypted.
    const groups = ['postgresql', 'upgrade'].map((log) =>
      key.logGroup(this, `Log-${log}`, `/aws/rds/instance/${props.name}/${log}`, props.retention),
    );
    this.instance = new rds.DatabaseInstance(this, 'Instance', {
      // A fixed name: what would replace the instance fails, instead of beginning with an empty one.
      instanceIdentifier: props.name,
      engine,
      instanceType: new ec2.InstanceType(settings.instance_class.replace(/^db\./, '')),
      vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroups: [this.group],
      publiclyAccessible: false,
      port: this.port,
      databaseName: this.databaseName,
      credentials: rds.Credentials.fromGeneratedSecret(this.user, {
        secretName: `${props.name}/database`,
        encryptionKey: key.key,
        // Those that need no escape in an address.
        excludeCharacters: ' %+~`#$&*()|[]{}:;<>?!\'/@"\\=^,.',
      }),
      multiAz: settings.multi_az,
      allocatedStorage: settings.allocated_storage,
      maxAllocatedStorage: settings.max_allocated_storage,
      storageType: rds.StorageType.GP3,
      storageEncrypted: true,
      storageEncryptionKey: key.key,
      caCertificate: rds.CaCertificate.RDS_CA_RSA2048_G1,
      parameterGroup: new rds.ParameterGroup(this, 'Parameters', {
        engine,
        description: `PostgreSQL of ${props.name}`,
        parameters: {
          'rds.force_ssl': '1',
          log_min_duration_statement: '1000',
          log_lock_waits: '1',
          idle_in_transaction_session_timeout: '60000',
        },
      }),
      backupRetention: Duration.days(settings.backup_days),
      deleteAutomatedBackups: !leaves,
      copyTagsToSnapshot: true,
      deletionProtection: settings.deletion_protection,
      removalPolicy: leaves ? RemovalPolicy.SNAPSHOT : RemovalPolicy.DESTROY,
      autoMinorVersionUpgrade: true,
      preferredBackupWindow: '02:00-03:00',
      preferredMaintenanceWindow: 'sun:03:30-sun:04:30',
      databaseInsightsMode: rds.DatabaseInsightsMode.STANDARD,
      enablePerformanceInsights: true,
      performanceInsightRetention: rds.PerformanceInsightRetention.DEFAULT,
      performanceInsightEncryptionKey: key.key,
      monitoringInterval: Duration.seconds(60),
      cloudwatchLogsExports: ['postgresql', 'upgrade'],
    });
    this.instance.node.addDependency(...groups);
    // RDS takes a major version and chooses the newest minor one; cfn-lint knows whole versions alone.
    (this.instance.node.defaultChild as rds.CfnDBInstance).addMetadata('cfn-lint', {
      config: { ignore_checks: ['W3691'] },
    });
    const { secret } = this.instance;
    if (secret === undefined) {
      throw new Error('RDS has made no secret of the credentials');
    }
    this.password = secret;
    this.alarms(props.observability, settings);
    this.explain(settings);
  }

  allowFrom(group: ec2.ISecurityGroup): void {
    group.connections.allowTo(this.group, ec2.Port.tcp(this.port), 'PostgreSQL');
  }

  private alarms(observability: Observability, settings: Props['settings']): void {
    const every = { period: Duration.minutes(5) };
    observability.alarm(this, 'Processor', {
      what: 'The database has been at work on all processors for a quarter of an hour',
      metric: this.instance.metricCPUUtilization(every),
      threshold: 85,
      periods: 3,
    });
    observability.alarm(this, 'Storage', {
      what: 'Less than a tenth of the storage is free',
      metric: this.instance.metricFreeStorageSpace(every),
      threshold: (settings.allocated_storage * GIB) / 10,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      periods: 1,
    });
    observability.alarm(this, 'Memory', {
      what: 'Less than 100 MiB of memory are free',
      metric: this.instance.metricFreeableMemory(every),
      threshold: 100 * 1024 ** 2,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      periods: 3,
    });
    observability.chart('Database', [
      this.instance.metricCPUUtilization(every),
      this.instance.metricDatabaseConnections(every),
    ]);
  }

  private explain(settings: Props['settings']): void {
    const role = 'arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole';
    acknowledge(this.instance, {
      RDS11: 'Another port hides nothing from whoever is in the network, and surprises every tool.',
      [`IAM4[Policy::${role}]`]: 'It is what AWS gives for this one purpose: to write metrics of the instance.',
      SMG4:
        'Tasks take the password when they start: one that changes by itself would lock out those that run ' +
        '(docs/decisions/0017-cdk.md says how it is changed).',
    });
    if (!settings.multi_az) {
      acknowledge(this.instance, { RDS3: 'This environment is the cheap one: it may be away while a zone is.' });
    }
    if (!settings.deletion_protection) {
      acknowledge(this.instance, { RDS10: 'This environment may be taken down whole, with its data.' });
    }
  }
}

/** A version such as `17`, for which RDS chooses the newest minor one, or `17.5`. */
function versionOf(version: string): rds.PostgresEngineVersion {
  const [major = version] = version.split('.');
  return rds.PostgresEngineVersion.of(version, major, { s3Import: true, s3Export: true });
}
