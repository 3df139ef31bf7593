import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Annotations, Match } from 'aws-cdk-lib/assertions';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';

import { addEnvironment, newApp } from '../environment.ts';
import { type Json, make, type Made, settings, STAGING } from './support.ts';

const strategy = (name: string): Json => ({
  deploy: { strategy: name, minimum_healthy_percent: 100, maximum_percent: 200 },
});

const ENVIRONMENTS: Record<string, Json> = {
  prod: {},
  staging: STAGING,
  'prod with blue/green, and a certificate that is made': { ...strategy('blue-green'), certificate_arn: null },
  'prod of an account that is known when it is deployed': { account: null },
  'prod with all that is switched off or on': {
    exec: false,
    service_discovery: true,
    create_repositories: false,
    firewall: null,
    zone_id: 'Z0123456789ABCDEFGHIJ',
    certificate_arn: null,
    messaging: { kind: 'serverless' },
  },
  'staging with a key of its own for secrets': {
    ...STAGING,
    secrets: { store: 'secrets-manager', prefix: '/streamify/staging/', kms_key: 'alias/secrets' },
  },
};

/** Findings by rule and resource. */
function findings({ app, stack }: Made, acknowledged = true): Map<string, string[]> {
  const pack = new AwsSolutionsChecks(app);
  if (!acknowledged) {
    Object.assign(pack, { isAcknowledged: () => false });
  }
  const { violations } = pack.validateScope(stack);
  return new Map(violations.map((violation) => [
    violation.ruleName,
    violation.violatingResources.map(({ constructPath }) => constructPath ?? ''),
  ]));
}

/** What was acknowledged, where and why. */
function acknowledgements(made: Made): { path: string; rule: string; reason: string }[] {
  return made.stack.node.findAll().flatMap((construct: IConstruct) =>
    construct.node.metadata
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }) => Object.entries(data as Record<string, unknown>))
      .map(([rule, reason]) => ({ rule: rule.replace(/^annotation::/i, ''), reason }))
      // The CDK acknowledges some of its own rules for its constructs.
      .filter(({ rule }) => rule.startsWith('AwsSolutions-'))
      .map(({ rule, reason }) => ({
        path: construct.node.path,
        rule,
        reason: typeof reason === 'string' ? reason : JSON.stringify(reason),
      })),
  );
}

for (const [name, change] of Object.entries(ENVIRONMENTS)) {
  const made = make(change);

  test(`${name}: AwsSolutions finds nothing that is not acknowledged, and the CDK warns of nothing`, () => {
    assert.deepEqual([...findings(made)], []);
    const annotations = Annotations.fromStack(made.stack);
    const texts = [...annotations.findWarning('*', Match.anyValue()), ...annotations.findError('*', Match.anyValue())];
    assert.deepEqual(texts.map(({ entry }) => entry.data), []);
  });

  test(`${name}: each acknowledgement has a reason, and something that it is of`, () => {
    const found = findings(made, false);
    const noted = acknowledgements(made);
    assert.ok(noted.length >= 8, `${noted.length} acknowledgements`);
    for (const { path, rule, reason } of noted) {
      assert.ok(reason.length > 40, `${rule}: ${reason}`);
      const where = found.get(rule) ?? [];
      assert.ok(where.some((resource) => resource.startsWith(path)), `${path} acknowledges ${rule}, which is not found there`);
    }
  });
}

test('what nobody has acknowledged stops the synthesis', () => {
  const app = newApp();
  const stack = addEnvironment(app, settings());
  new s3.CfnBucket(stack, 'Open');
  const pack = new AwsSolutionsChecks(app);
  const rules = pack.validateScope(stack).violations.map(({ ruleName }) => ruleName);
  assert.ok(rules.includes('AwsSolutions-S1') && rules.includes('AwsSolutions-S10'), rules.join());
  assert.throws(() => app.synth(), /Validation failed/);
});
