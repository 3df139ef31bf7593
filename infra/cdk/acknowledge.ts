/** Findings of cdk-nag that are right where they are, each with its reason beside the resource. */

import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Notes why rules of AwsSolutions don't hold for a construct, by rule, such as `RDS11`. */
export function acknowledge(construct: IConstruct, reasons: Record<string, string>): void {
  for (const [rule, reason] of Object.entries(reasons)) {
    Validations.of(construct).acknowledge({ id: `AwsSolutions-${rule}`, reason });
  }
}

/** Notes why a role's policies have a wildcard in these resources. */
export function acknowledgeWildcards(role: IConstruct, resources: string[], reason: string): void {
  for (const resource of resources) {
    acknowledge(role, { [`IAM5[Resource::${flat(Stack.of(role).resolve(resource))}]`]: reason });
  }
}

/** The text that cdk-nag knows a resource by: references stand in angle brackets. */
function flat(resolved: unknown): string {
  if (typeof resolved === 'string') {
    return resolved;
  }
  const node = resolved as { Ref?: string; 'Fn::Join'?: [string, unknown[]]; 'Fn::GetAtt'?: string[] };
  if (node['Fn::Join']) {
    const [delimiter, parts] = node['Fn::Join'];
    return parts.map(flat).join(delimiter);
  }
  return `<${node.Ref ?? node['Fn::GetAtt']?.join('.')}>`;
}
