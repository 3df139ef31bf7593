import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';

import type { Key } from './key.ts';

interface Props {
  readonly name: string;
  readonly key: Key;
  readonly protect: boolean;
}

/** The table that `streamify deploy` keeps its lock and its history in (docs/decisions/0008-environments.md). */
export class Deploys extends Construct {
  readonly table: dynamodb.TableV2;
  readonly name: string;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.name = `${props.name}-deploys`;
    this.table = new dynamodb.TableV2(this, 'Table', {
      tableName: this.name,
      partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
      timeToLiveAttribute: 'expires_at',
      billing: dynamodb.Billing.onDemand(),
      encryption: dynamodb.TableEncryptionV2.customerManagedKey(props.key.key),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: props.protect,
      removalPolicy: props.protect ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }
}
