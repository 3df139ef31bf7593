import { ArnFormat, Stack } from 'aws-cdk-lib';
import type * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';

import type { Settings } from '../settings.ts';
import type { Key } from './key.ts';

interface Props {
  readonly name: string;
  readonly key: Key;
  readonly loadBalancer: elb.ApplicationLoadBalancer;
  readonly settings: NonNullable<Settings['firewall']>;
}

const MANAGED = ['AWSManagedRulesAmazonIpReputationList', 'AWSManagedRulesKnownBadInputsRuleSet'];

/** Before the load balancer: known attackers, known attacks, and whoever asks too often. */
export class Firewall extends Construct {
  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const seen = (metricName: string): wafv2.CfnWebACL.VisibilityConfigProperty => ({
      cloudWatchMetricsEnabled: true,
      metricName,
      sampledRequestsEnabled: true,
    });
    const managed = MANAGED.map((name, priority) => ({
      name,
      priority,
      overrideAction: { none: {} },
      statement: { managedRuleGroupStatement: { vendorName: 'AWS', name } },
      visibilityConfig: seen(name),
    }));
    const rate = {
      name: 'rate',
      priority: MANAGED.length,
      action: { block: {} },
      statement: { rateBasedStatement: { limit: props.settings.requests_per_five_minutes, aggregateKeyType: 'IP' } },
      visibilityConfig: seen('rate'),
    };
    const wall = new wafv2.CfnWebACL(this, 'Wall', {
      name: props.name,
      description: `Before the load balancer of ${props.name}`,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      rules: [...managed, rate],
      visibilityConfig: seen(props.name),
    });
    new wafv2.CfnWebACLAssociation(this, 'Place', {
      resourceArn: props.loadBalancer.loadBalancerArn,
      webAclArn: wall.attrArn,
    });
    // The prefix is the firewall's own demand, and so is an ARN without what stands for all streams.
    const days: logs.RetentionDays = props.settings.log_days;
    const log = props.key.logGroup(this, 'Log', `aws-waf-logs-${props.name}`, days);
    new wafv2.CfnLoggingConfiguration(this, 'Logging', {
      resourceArn: wall.attrArn,
      logDestinationConfigs: [
        Stack.of(this).formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: log.logGroupName,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      // Tokens never reach a log, and what passed is in the access logs.
      redactedFields: ['authorization', 'cookie'].map((name) => ({ singleHeader: { Name: name } })),
      loggingFilter: {
        DefaultBehavior: 'DROP',
        Filters: [
          { Behavior: 'KEEP', Requirement: 'MEETS_ANY', Conditions: [{ ActionCondition: { Action: 'BLOCK' } }] },
        ],
      },
    });
  }
}
