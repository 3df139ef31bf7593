/** Settings and templates for the tests: the example is prod's, and staging is the same with another name. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';

import { newApp } from '../environment.ts';
import { parse, type Settings } from '../settings.ts';
import { EnvironmentStack } from '../stack.ts';

export type Json = Record<string, unknown>;
export interface Resource {
  Type: string;
  Properties: Json;
  DeletionPolicy?: string;
}

const EXAMPLE = join(import.meta.dirname, '..', 'streamify.example.json');

/** The example as it is written, with some keys changed. */
export function written(change: Json = {}): Json {
  return { ...(JSON.parse(readFileSync(EXAMPLE, 'utf8')) as Json), ...change };
}

export function settings(change: Json = {}): Settings {
  const json = written(change);
  return parse(JSON.stringify(json), 'streamify.test.json', json['environment'] as string);
}

export const STAGING: Json = {
  environment: 'staging',
  domain: null,
  certificate_arn: null,
  secrets: { store: 'ssm', prefix: '/streamify/staging/' },
};

export interface Made {
  app: App;
  stack: EnvironmentStack;
  template: Template;
}

/** Without cdk-nag and the CDK's own rules: nag.test.ts and the synthesis have those, and they take most of the time. */
export function make(change: Json = {}, newServices: string[] = []): Made {
  const app = newApp({ context: { '@aws-cdk/core:validateAgainstDefaultRules': false } });
  const its = settings(change);
  const stack = new EnvironmentStack(app, `${its.project}-${its.environment}`, {
    settings: its,
    newServices: new Set(newServices),
  });
  return { app, stack, template: Template.fromStack(stack) };
}

/** All resources of a type, by their logical ids. */
export function all(template: Template, type: string): Record<string, Resource> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The one resource of a type whose logical id begins so. */
export function one(template: Template, type: string, prefix = ''): Resource {
  const found = Object.entries(all(template, type)).filter(([id]) => id.startsWith(prefix));
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`${found.length} of ${type} begin with ${prefix}: ${found.map(([id]) => id).join(', ')}`);
  }
  return found[0][1];
}

export interface Statement {
  Effect: string;
  Action: string[];
  Resource: unknown[];
  Condition?: Record<string, Json>;
}

const list = <T>(value: T | T[] | undefined): T[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** The statements of a policy document. */
export function statements(document: unknown): Statement[] {
  const { Statement } = document as { Statement: (Json & { Effect: string })[] };
  return Statement.map((statement) => ({
    ...statement,
    Action: list(statement['Action'] as string | string[]),
    Resource: list(statement['Resource']),
  }));
}

/** The statements of the policies whose logical id begins so. */
export function policies(template: Template, prefix = ''): Statement[] {
  return Object.entries(all(template, 'AWS::IAM::Policy'))
    .filter(([id]) => id.startsWith(prefix))
    .flatMap(([, policy]) => statements(policy.Properties['PolicyDocument']));
}

/** The text of a value in which references stand as `<LogicalId>` or `<LogicalId.Attribute>`. */
export function flat(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  const node = value as { Ref?: string; 'Fn::Join'?: [string, unknown[]]; 'Fn::GetAtt'?: string[] };
  if (node['Fn::Join']) {
    return node['Fn::Join'][1].map(flat).join(node['Fn::Join'][0]);
  }
  return node.Ref ? `<${node.Ref}>` : `<${node['Fn::GetAtt']?.join('.')}>`;
}
