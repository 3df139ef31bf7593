import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

interface Props {
  /** What stands before the names, such as `streamify-prod`. */
  readonly name: string;
  /** What stands before the log groups' names, such as `/streamify/prod/`. */
  readonly logs: string;
}

/** The KMS key of what the environment keeps: database, logs, images, alarms, deploys, broker's volumes. */
export class Key extends Construct {
  readonly key: kms.Key;
  private readonly logs: string;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.logs = props.logs;
    this.key = new kms.Key(this, 'Key', {
      alias: props.name,
      description: `What ${props.name} keeps`,
      enableKeyRotation: true,
      pendingWindow: Duration.days(30),
      // Without the key, neither a snapshot nor a backup can be read any more.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const stack = Stack.of(this);
    const groups = [`log-group:${props.logs}*`, `log-group:/aws/rds/instance/${props.name}/*`].map((resource) =>
      stack.formatArn({ service: 'logs', resource, arnFormat: ArnFormat.NO_RESOURCE_NAME }),
    );
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'LogGroups',
        principals: [new iam.ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
        actions: ['kms:Encrypt*', 'kms:Decrypt*', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
        resources: ['*'],
        conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': groups } },
      }),
    );
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'Alarms',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
      }),
    );
  }

  /** An encrypted log group; `name` goes behind the environment's prefix. */
  logGroup(scope: Construct, id: string, name: string, retention: logs.RetentionDays): logs.LogGroup {
    return new logs.LogGroup(scope, id, {
      logGroupName: name.startsWith('/') ? name : `${this.logs}${name}`,
      encryptionKey: this.key,
      retention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}
