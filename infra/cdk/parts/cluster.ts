import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import type { Key } from './key.ts';

interface Props {
  readonly name: string;
  readonly vpc: ec2.IVpc;
  readonly key: Key;
}

/** The ECS cluster on Fargate and Fargate Spot, with what is typed in its containers in a log. */
export class Cluster extends Construct {
  readonly cluster: ecs.Cluster;
  /** What is typed into containers, and what they answer. */
  readonly execLog: logs.LogGroup;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    // Who did what in production is a question that comes late: as in Terraform's module, a year whatever others are kept.
    this.execLog = props.key.logGroup(this, 'ExecLogs', 'exec', logs.RetentionDays.ONE_YEAR);
    this.cluster = new ecs.Cluster(this, 'Cluster', {
      clusterName: props.name,
      vpc: props.vpc,
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
      enableFargateCapacityProviders: true,
      defaultCloudMapNamespace: { name: `${props.name}.internal` },
      executeCommandConfiguration: {
        // The log is encrypted at rest. Sessions have no KMS key of their own: `streamify exec` speaks TLS alone
        // (docs/decisions/0010-rollouts.md).
        logging: ecs.ExecuteCommandLogging.OVERRIDE,
        logConfiguration: {
          cloudWatchLogGroup: this.execLog,
          cloudWatchEncryptionEnabled: true,
        },
      },
    });
  }
}
