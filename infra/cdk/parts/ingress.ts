import { Duration } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';

import { acknowledge } from '../acknowledge.ts';
import type { Settings } from '../settings.ts';
import { Firewall } from './firewall.ts';
import type { Key } from './key.ts';
import { accessLogs } from './network.ts';
import type { Observability } from './observability.ts';

interface Props {
  readonly name: string;
  readonly vpc: ec2.IVpc;
  readonly key: Key;
  readonly observability: Observability;
  readonly settings: Settings;
}

/** The load balancer: TLS, and paths that lead to services. */
export class Ingress extends Construct {
  readonly loadBalancer: elb.ApplicationLoadBalancer;
  readonly listener: elb.ApplicationListener;
  readonly group: ec2.SecurityGroup;
  /** Where people find the app. */
  readonly address: string;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const { settings } = props;
    this.group = new ec2.SecurityGroup(this, 'Group', {
      vpc: props.vpc,
      description: 'Load balancer',
      allowAllOutbound: false,
    });
    this.loadBalancer = new elb.ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc: props.vpc,
      internetFacing: true,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      securityGroup: this.group,
      // Sockets of browsers are silent for as long as nothing happens.
      idleTimeout: Duration.hours(1),
      dropInvalidHeaderFields: true,
      deletionProtection: settings.protect,
    });
    this.loadBalancer.logAccessLogs(accessLogs(this, 'AccessLogs', 90));
    const nothing = elb.ListenerAction.fixedResponse(404, {
      contentType: 'text/plain',
      messageBody: 'There is nothing at this path.\n',
    });
    if (settings.domain === null) {
      this.listener = this.loadBalancer.addListener('Http', { port: 80, open: false, defaultAction: nothing });
      this.address = `http://${this.loadBalancer.loadBalancerDnsName}`;
    } else {
      const zone =
        settings.zone_id === null
          ? undefined
          : route53.HostedZone.fromHostedZoneAttributes(this, 'Zone', {
              hostedZoneId: settings.zone_id,
              zoneName: settings.domain,
            });
      const certificate =
        settings.certificate_arn === null
          ? // Without a zone here, whoever owns it adds the record that ACM shows; CloudFormation waits for it.
            new acm.Certificate(this, 'Certificate', {
              domainName: settings.domain,
              validation: acm.CertificateValidation.fromDns(zone),
            })
          : acm.Certificate.fromCertificateArn(this, 'Certificate', settings.certificate_arn);
      if (zone) {
        new route53.ARecord(this, 'Record', {
          zone,
          recordName: `${settings.domain}.`,
          target: route53.RecordTarget.fromAlias(new LoadBalancerTarget(this.loadBalancer, { evaluateTargetHealth: true })),
        });
      }
      this.listener = this.loadBalancer.addListener('Https', {
        port: 443,
        open: false,
        protocol: elb.ApplicationProtocol.HTTPS,
        certificates: [certificate],
        sslPolicy: elb.SslPolicy.RECOMMENDED_TLS,
        defaultAction: nothing,
      });
      this.loadBalancer.addListener('Http', {
        port: 80,
        open: false,
        defaultAction: elb.ListenerAction.redirect({ protocol: 'HTTPS', port: '443', permanent: true }),
      });
      this.group.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'HTTPS from everywhere');
      this.address = `https://${settings.domain}`;
    }
    const why = settings.domain === null ? 'HTTP from everywhere' : 'HTTP from everywhere, which is sent to HTTPS';
    this.group.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(80), why);
    acknowledge(this.group, {
      EC23: 'It is the one door of a public web app: everybody may come to its two ports, and to nothing behind it.',
    });
    if (settings.firewall !== null) {
      const { key, name } = props;
      new Firewall(this, 'Firewall', { name, key, loadBalancer: this.loadBalancer, settings: settings.firewall });
    }
    this.watch(props.observability);
  }

  private watch(observability: Observability): void {
    const { metrics } = this.loadBalancer;
    const every = { period: Duration.minutes(1) };
    observability.alarm(this, 'Refused', {
      what: 'The load balancer itself answers with errors: no task takes what comes',
      metric: metrics.httpCodeElb(elb.HttpCodeElb.ELB_5XX_COUNT, every),
      threshold: 10,
      periods: 5,
    });
    observability.chart(
      'Requests',
      [metrics.requestCount(every), metrics.httpCodeTarget(elb.HttpCodeTarget.TARGET_5XX_COUNT, every)],
      [metrics.targetResponseTime({ ...every, statistic: cloudwatch.Stats.percentile(99) })],
    );
  }
}
