import { ArnFormat, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

import { acknowledgeWildcards } from '../acknowledge.ts';

interface Props {
  /** What stands before the names in both stores, such as `/streamify/prod/`. */
  readonly prefix: string;
  /** ARN, id or alias of the KMS key that encrypts them; null is the account's own for the store. */
  readonly kmsKey: string | null;
}

/** The secrets that `streamify secrets set` writes: their places, never a value. */
export class Secrets extends Construct {
  private readonly props: Props;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.props = props;
  }

  /** Lets somebody read the secrets of these names, wherever they are: `streamify` looks in both stores. `more` is allowed on Secrets Manager's. */
  grantRead(grantee: iam.Role, names: string[], more: string[] = []): void {
    if (names.length === 0) {
      return;
    }
    const full = names.map((name) => (name.startsWith('/') ? name : `${this.props.prefix}${name}`));
    const stack = Stack.of(this);
    const grant = (actions: string[], resourceArns: string[]): iam.Grant =>
      iam.Grant.addToPrincipal({ grantee, actions, resourceArns });
    const parameter = (name: string): string =>
      stack.formatArn({ service: 'ssm', resource: 'parameter', resourceName: name.slice(1) });
    // Secrets Manager puts a dash and six letters of its own behind the name.
    const managed = (name: string): string =>
      stack.formatArn({
        service: 'secretsmanager',
        resource: 'secret',
        resourceName: `${name}-??????`,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      });
    grant(['ssm:GetParameters'], full.map(parameter));
    grant(['secretsmanager:GetSecretValue', ...more], full.map(managed));
    this.grantDecrypt(grantee);
  }

  /** The account's own keys let everybody decrypt who may read; a key of one's own is asked as well. */
  private grantDecrypt(grantee: iam.Role): void {
    const { kmsKey } = this.props;
    if (kmsKey === null) {
      return;
    }
    const stack = Stack.of(this);
    const isAlias = kmsKey.startsWith('alias/');
    const arn = kmsKey.startsWith('arn:')
      ? kmsKey
      : stack.formatArn({ service: 'kms', resource: 'key', resourceName: isAlias ? '*' : kmsKey });
    if (isAlias) {
      acknowledgeWildcards(grantee, [arn], 'Policies name keys by id; of all keys it is the one with this alias.');
    }
    const stores = ['ssm', 'secretsmanager'].map((store) => `${store}.${stack.region}.amazonaws.com`);
    iam.Grant.addToPrincipal({
      grantee,
      actions: ['kms:Decrypt'],
      resourceArns: [arn],
      conditions: {
        StringEquals: { 'kms:ViaService': stores },
        ...(isAlias && { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': kmsKey } }),
      },
    });
  }
}
