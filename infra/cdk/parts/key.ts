import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

interface Props {
  /** What stands before the names, such as `streamify-prod`. */
  readonly name: string;
  /** Whether AWS waits for a month before it deletes the key, and the stack leaves it. */
  readonly protect: boolean;
}

/** The KMS key of what the environment keeps: database, logs, images, alarms, deploys, broker's volumes. */
export class Key extends Construct {
  readonly key: kms.Key;
  private readonly name: string;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.name = props.name;
    this.key = new kms.Key(this, 'Key', {
      alias: props.name,
      description: `What ${props.name} keeps`,
      enableKeyRotation: true,
      pendingWindow: Duration.days(props.protect ? 30 : 7),
      // Without the key, neither a snapshot nor a backup can be read any more.
      removalPolicy: props.protect ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const stack = Stack.of(this);
    const groups = [`/${props.name}/*`, `/aws/rds/instance/${props.name}/*`, `aws-waf-logs-${props.name}`].map((group) =>
      stack.formatArn({ service: 'logs', resource: `log-group:${group}`, arnFormat: ArnFormat.NO_RESOURCE_NAME }),
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

  /** An encrypted log group; a name that is not whole (`/…`, `aws-…`) goes behind the environment's prefix. */
  logGroup(scope: Construct, id: string, name: string, retention: logs.RetentionDays): logs.LogGroup {
    return new logs.LogGroup(scope, id, {
      logGroupName: /^(\/|aws-)/.test(name) ? name : `/${this.name}/${name}`,
      encryptionKey: this.key,
      retention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}
