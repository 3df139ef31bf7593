import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as msk from 'aws-cdk-lib/aws-msk';
import * as custom from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';

import { acknowledgeWildcards } from '../acknowledge.ts';
import type { Settings } from '../settings.ts';
import type { Key } from './key.ts';
import type { Observability } from './observability.ts';

interface Props {
  readonly name: string;
  readonly vpc: ec2.IVpc;
  readonly zones: number;
  readonly key: Key;
  readonly observability: Observability;
  readonly settings: Settings['messaging'];
  readonly retention: logs.RetentionDays;
}

/** What the app's clients do, by the kind of resource that they do it to. */
const ACTIONS = {
  cluster: ['Connect', 'DescribeCluster', 'WriteDataIdempotently'],
  topic: ['CreateTopic', 'DescribeTopic', 'DescribeTopicDynamicConfiguration', 'ReadData', 'WriteData'],
  group: ['AlterGroup', 'DescribeGroup'],
};

/** MSK, serverless or provisioned: IAM is the one way in, over TLS. */
export class Messaging extends Construct {
  readonly brokers: string;
  /** The port of IAM clients. */
  readonly port = 9098;
  private readonly arn: string;
  private readonly name: string;
  private readonly group: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.name = props.name;
    this.group = new ec2.SecurityGroup(this, 'Group', {
      vpc: props.vpc,
      description: 'Kafka',
      allowAllOutbound: false,
    });
    // The CDK has no construct above CloudFormation's own for MSK that is out of its alpha.
    this.arn = props.settings.kind === 'serverless' ? this.serverless(props) : this.provisioned(props);
    this.brokers = this.bootstrap(props);
  }

  /** Lets a service's tasks in, and lets them do what the app does. */
  allowFrom(group: ec2.ISecurityGroup, role: iam.IRole): void {
    group.connections.allowTo(this.group, ec2.Port.tcp(this.port), 'Kafka');
    for (const [kind, actions] of Object.entries(ACTIONS)) {
      // Behind the cluster's name stand its id, which is not known by itself, and the topic's or group's own name.
      const arn = Stack.of(this).formatArn({ service: 'kafka', resource: kind, resourceName: `${this.name}/*` });
      iam.Grant.addToPrincipal({
        grantee: role,
        actions: actions.map((action) => `kafka-cluster:${action}`),
        resourceArns: [arn],
      });
      acknowledgeWildcards(role, [arn], "The cluster is the app's alone: topics and groups in it are named by the app.");
    }
  }

  private serverless(props: Props): string {
    const cluster = new msk.CfnServerlessCluster(this, 'Serverless', {
      clusterName: props.name,
      clientAuthentication: { sasl: { iam: { enabled: true } } },
      vpcConfigs: [{ subnetIds: this.subnets(props), securityGroups: [this.group.securityGroupId] }],
    });
    return cluster.attrArn;
  }

  private provisioned(props: Props): string {
    const { settings, zones } = props;
    const brokers = settings.broker_count ?? zones;
    // A copy in each of as many brokers as there are, up to three; one of them may be away, unless there are but two.
    const copies = Math.min(3, brokers);
    const configuration = new msk.CfnConfiguration(this, 'Configuration', {
      name: props.name,
      serverProperties: [
        // The app makes its topics: one that is made by a typing error has no owner.
        'auto.create.topics.enable=false',
        `default.replication.factor=${copies}`,
        'delete.topic.enable=true',
        'log.retention.hours=168',
        `min.insync.replicas=${Math.max(1, copies - 1)}`,
        'num.partitions=6',
        'unclean.leader.election.enable=false',
      ].join('\n'),
    });
    // Brokers speak to each other.
    this.group.addIngressRule(this.group, ec2.Port.allTcp(), 'Between brokers');
    this.group.addEgressRule(this.group, ec2.Port.allTcp(), 'Between brokers');
    const cluster = new msk.CfnCluster(this, 'Provisioned', {
      clusterName: props.name,
      kafkaVersion: settings.kafka_version,
      numberOfBrokerNodes: brokers,
      brokerNodeGroupInfo: {
        instanceType: settings.instance_type,
        clientSubnets: this.subnets(props),
        securityGroups: [this.group.securityGroupId],
        connectivityInfo: { publicAccess: { type: 'DISABLED' } },
        storageInfo: { ebsStorageInfo: { volumeSize: settings.storage_gib } },
      },
      configurationInfo: { arn: configuration.attrArn, revision: configuration.attrLatestRevisionRevision },
      clientAuthentication: { sasl: { iam: { enabled: true } }, unauthenticated: { enabled: false } },
      encryptionInfo: {
        encryptionAtRest: { dataVolumeKmsKeyId: props.key.key.keyArn },
        encryptionInTransit: { clientBroker: 'TLS', inCluster: true },
      },
      enhancedMonitoring: 'PER_BROKER',
      loggingInfo: {
        brokerLogs: {
          cloudWatchLogs: {
            enabled: true,
            logGroup: props.key.logGroup(this, 'BrokerLogs', 'messaging/brokers', props.retention).logGroupName,
          },
        },
      },
    });
    for (let broker = 1; broker <= brokers; broker += 1) {
      props.observability.alarm(this, `Volume${broker}`, {
        what: `More than 85 % of the volume of broker ${broker} is in use`,
        metric: new cloudwatch.Metric({
          namespace: 'AWS/Kafka',
          metricName: 'KafkaDataLogsDiskUsed',
          dimensionsMap: { 'Cluster Name': props.name, 'Broker ID': String(broker) },
          period: Duration.minutes(5),
          statistic: cloudwatch.Stats.MAXIMUM,
        }),
        threshold: 85,
        periods: 1,
      });
    }
    return cluster.attrArn;
  }

  private subnets(props: Props): string[] {
    return props.vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }).subnetIds;
  }

  /** CloudFormation does not tell where the brokers are: MSK is asked, by a function that may ask only that. */
  private bootstrap(props: Props): string {
    const log = props.key.logGroup(this, 'BootstrapLogs', 'messaging/bootstrap', props.retention);
    const role = new iam.Role(this, 'BootstrapRole', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: `Asks MSK for the brokers of ${props.name}`,
    });
    const policy = new iam.Policy(this, 'BootstrapPolicy', {
      roles: [role],
      statements: [
        new iam.PolicyStatement({ actions: ['kafka:GetBootstrapBrokers'], resources: [this.arn] }),
        new iam.PolicyStatement({
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [log.logGroupArn],
        }),
      ],
    });
    const path = 'BootstrapBrokerStringSaslIam';
    const call: custom.AwsSdkCall = {
      service: 'kafka',
      action: 'GetBootstrapBrokers',
      parameters: { ClusterArn: this.arn },
      outputPaths: [path],
      physicalResourceId: custom.PhysicalResourceId.of(`${props.name}-brokers`),
    };
    const asked = new custom.AwsCustomResource(this, 'Bootstrap', {
      resourceType: 'Custom::KafkaBrokers',
      role,
      logGroup: log,
      installLatestAwsSdk: false,
      onCreate: call,
      onUpdate: call,
    });
    asked.node.addDependency(policy);
    return asked.getResponseField(path);
  }
}
