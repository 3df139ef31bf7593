import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { Construct } from 'constructs';

import type { Key } from './key.ts';

interface Props {
  readonly names: string[];
  readonly key: Key;
}

/** The repositories of images: tags that never move, scanned, encrypted, and without what nobody needs any more. */
export class Registry extends Construct {
  readonly repositories: ecr.Repository[];

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.repositories = props.names.map(
      (name) =>
        new ecr.Repository(this, name, {
          repositoryName: name,
          imageTagMutability: ecr.TagMutability.IMMUTABLE,
          imageScanOnPush: true,
          encryption: ecr.RepositoryEncryption.KMS,
          encryptionKey: props.key.key,
          lifecycleRules: [
            {
              description: 'What no tag names: left behind by a push that was cut short',
              tagStatus: ecr.TagStatus.UNTAGGED,
              maxImageAge: Duration.days(14),
              rulePriority: 1,
            },
            // More than `streamify rollback` can go back to.
            { description: 'The newest 100', tagStatus: ecr.TagStatus.ANY, maxImageCount: 100, rulePriority: 2 },
          ],
          removalPolicy: RemovalPolicy.RETAIN,
        }),
    );
  }
}
