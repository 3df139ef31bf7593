import { RemovalPolicy } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { Construct } from 'constructs';

import type { Key } from './key.ts';

interface Props {
  readonly names: string[];
  /** Whether they are made here; else another environment of the account makes them. */
  readonly create: boolean;
  /** Whether images stay when the stack goes. */
  readonly protect: boolean;
  readonly key: Key;
}

/** The repositories of images: tags that never move, scanned, encrypted, and without what nobody needs any more. */
export class Registry extends Construct {
  readonly repositories: ecr.IRepository[];

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.repositories = props.names.map((name) =>
      props.create ? this.made(name, props) : ecr.Repository.fromRepositoryName(this, name, name),
    );
  }

  private made(name: string, props: Props): ecr.Repository {
    return new ecr.Repository(this, name, {
      repositoryName: name,
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      imageScanOnPush: true,
      encryption: ecr.RepositoryEncryption.KMS,
      encryptionKey: props.key.key,
      // By number and not by age: what runs may be old, and the platforms of an index have no tag. It is more than
      // `streamify rollback` can go back to.
      lifecycleRules: [{ description: 'keep the newest 100', tagStatus: ecr.TagStatus.ANY, maxImageCount: 100 }],
      ...(props.protect ? { removalPolicy: RemovalPolicy.RETAIN } : { removalPolicy: RemovalPolicy.DESTROY, emptyOnDelete: true }),
    });
  }
}
