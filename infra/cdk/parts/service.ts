import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { DnsRecordType } from 'aws-cdk-lib/aws-servicediscovery';
import { Construct } from 'constructs';

import { acknowledge, acknowledgeWildcards } from '../acknowledge.ts';
import { PATTERNS_OF_A_RULE, type ServiceSettings, type Settings } from '../settings.ts';
import type { Ingress } from './ingress.ts';
import type { Key } from './key.ts';
import type { Observability } from './observability.ts';
import type { Registry } from './registry.ts';

interface Props {
  /** The service's name in `streamify.yaml`. */
  readonly service: string;
  /** The environment's, such as `streamify-prod`. */
  readonly name: string;
  readonly cluster: ecs.ICluster;
  readonly execLog: logs.ILogGroup;
  readonly key: Key;
  readonly registry: Registry;
  readonly ingress: Ingress;
  readonly observability: Observability;
  readonly settings: ServiceSettings;
  readonly deploy: Settings['deploy'];
  readonly autoscaling: Settings['autoscaling'];
  readonly routes: string[];
  /** Priority of its first rule; each further one takes the next. */
  readonly priority: number;
  readonly retention: logs.RetentionDays;
  /** Whether ECS does not have it yet: it then begins without tasks. */
  readonly isNew: boolean;
  readonly capacity: Settings['capacity'];
  readonly exec: boolean;
  readonly serviceDiscovery: boolean;
}

/** What stands where `streamify deploy` has not been yet. It is never run while the desired count is 0. */
const PLACEHOLDER = 'public.ecr.aws/docker/library/busybox:stable';

/** When a rollout is stopped. */
const ERRORS = { percent: 5, leastRequests: 20 };
const LATENCY_SECONDS = 2;

const STRATEGIES: Record<Settings['deploy']['strategy'], ecs.DeploymentStrategy> = {
  rolling: ecs.DeploymentStrategy.ROLLING,
  'blue-green': ecs.DeploymentStrategy.BLUE_GREEN,
  linear: ecs.DeploymentStrategy.LINEAR,
  canary: ecs.DeploymentStrategy.CANARY,
};

/** The shell of a service: roles, log, target group, rules, scaling. What runs in it is `streamify deploy`'s. */
export class Service extends Construct {
  readonly name: string;
  readonly executionRole: iam.Role;
  readonly taskRole: iam.Role;
  readonly group: ec2.SecurityGroup;
  readonly logGroup: logs.LogGroup;
  readonly logName: string;
  readonly targetGroup: elb.ApplicationTargetGroup | null;
  readonly service: ecs.FargateService;
  /** How many rules it has in the load balancer. */
  readonly rules: number;
  /** Names of the alarms that stop its rollout. */
  readonly rolloutAlarms: string[];

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const { cluster, deploy, settings } = props;
    this.name = `${props.name}-${props.service}`;
    this.logName = `/${props.name}/${props.service}`;
    this.logGroup = props.key.logGroup(this, 'Logs', this.logName, props.retention);
    const tasks = new iam.ServicePrincipal('ecs-tasks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
    });
    this.executionRole = new iam.Role(this, 'ExecutionRole', {
      roleName: `${this.name}-execution`,
      assumedBy: tasks,
      description: `Starts tasks of ${this.name}: image, secrets, log`,
    });
    this.taskRole = new iam.Role(this, 'TaskRole', {
      roleName: `${this.name}-task`,
      assumedBy: tasks,
      description: `What ${this.name} may do`,
    });
    this.group = new ec2.SecurityGroup(this, 'Group', {
      vpc: cluster.vpc,
      description: `Tasks of ${this.name}`,
      allowAllOutbound: false,
    });
    this.group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Registry, log, secrets, and other APIs');
    for (const repository of props.registry.repositories) {
      repository.grantPull(this.executionRole);
    }

    const { port } = settings;
    const isRouted = port !== null && props.routes.length > 0;
    const strategy = isRouted ? deploy.strategy : 'rolling';
    const placeholder = this.placeholder(props);
    this.service = new ecs.FargateService(this, 'Service', {
      serviceName: this.name,
      cluster,
      taskDefinition: placeholder,
      // Left out, CloudFormation keeps what `streamify deploy` and auto scaling have set.
      ...(props.isNew && { desiredCount: 0 }),
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [this.group],
      enableExecuteCommand: props.exec,
      capacityProviderStrategies: Object.entries(props.capacity).map(([capacityProvider, share]) => ({
        capacityProvider,
        ...share,
      })),
      availabilityZoneRebalancing: ecs.AvailabilityZoneRebalancing.ENABLED,
      deploymentStrategy: STRATEGIES[strategy],
      minHealthyPercent: deploy.minimum_healthy_percent,
      maxHealthyPercent: deploy.maximum_percent,
      circuitBreaker: { enable: true, rollback: true },
      enableECSManagedTags: true,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
      ...(isRouted && { healthCheckGracePeriod: Duration.minutes(1) }),
      ...(props.serviceDiscovery && {
        cloudMapOptions: { name: props.service, dnsRecordType: DnsRecordType.A, dnsTtl: Duration.seconds(10) },
      }),
    });
    // Named by its family, a service gets the family's newest revision, which is the one that was deployed last: a
    // change of anything else never brings the placeholder back.
    const shell = this.service.node.defaultChild as ecs.CfnService;
    shell.taskDefinition = this.name;
    this.service.node.addDependency(placeholder);

    const groups = isRouted ? this.balanced(props, port, strategy === 'rolling') : [];
    this.targetGroup = groups[0] ?? null;
    this.rules = Math.ceil(props.routes.length / PATTERNS_OF_A_RULE);
    if (props.autoscaling !== null) {
      this.scaled(props.autoscaling, settings.replicas, strategy === 'rolling');
    }
    this.rolloutAlarms = groups.length > 0 ? this.rolloutAlarmsOf(props.observability, groups) : [];
    this.watch(props);
    this.explain(props.exec ? props.execLog : null);
  }

  /**
   * The first revision of the family. It is the same whatever size the service has: a new one would be newer than what
   * is deployed. It answers every path, so that it would be healthy if it was ever started.
   */
  private placeholder(props: Props): ecs.FargateTaskDefinition {
    const definition = new ecs.FargateTaskDefinition(this, 'Placeholder', {
      family: this.name,
      cpu: 256,
      memoryLimitMiB: 512,
      executionRole: this.executionRole,
      taskRole: this.taskRole,
    });
    const port = props.settings.port ?? 80;
    const answer = 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n';
    definition.addContainer('Container', {
      containerName: props.service,
      image: ecs.ContainerImage.fromRegistry(PLACEHOLDER),
      command: ['sh', '-c', `while true; do printf '${answer}' | nc -l -p ${port}; done`],
      readonlyRootFilesystem: true,
      portMappings: [{ containerPort: port }],
      logging: ecs.LogDrivers.awsLogs({ logGroup: this.logGroup, streamPrefix: 'placeholder' }),
    });
    return definition;
  }

  /** The way from the load balancer: target group, health, rules; for blue/green a second group behind the first. */
  private balanced(props: Props, port: number, isRolling: boolean): elb.ApplicationTargetGroup[] {
    const { ingress, settings } = props;
    ingress.group.connections.allowTo(this.group, ec2.Port.tcp(port), `To ${this.name}`);
    const targetGroup = (id: string): elb.ApplicationTargetGroup =>
      new elb.ApplicationTargetGroup(this, id, {
        vpc: props.cluster.vpc,
        port,
        protocol: elb.ApplicationProtocol.HTTP,
        targetType: elb.TargetType.IP,
        deregistrationDelay: Duration.seconds(30),
        healthCheck: {
          ...(settings.health_path !== null && { path: settings.health_path }),
          interval: Duration.seconds(10),
          timeout: Duration.seconds(5),
          healthyThresholdCount: 2,
          unhealthyThresholdCount: 3,
          healthyHttpCodes: '200',
        },
      });
    const group = targetGroup('Targets');
    const alternate = isRolling ? undefined : targetGroup('AlternateTargets');
    const chunks = Array.from({ length: Math.ceil(props.routes.length / PATTERNS_OF_A_RULE) }, (_, index) =>
      props.routes.slice(index * PATTERNS_OF_A_RULE, (index + 1) * PATTERNS_OF_A_RULE),
    );
    const rules = chunks.map(
      (paths, index) =>
        new elb.ApplicationListenerRule(this, `Rule${index}`, {
          listener: ingress.listener,
          priority: props.priority + index,
          conditions: [elb.ListenerCondition.pathPatterns(paths)],
          // ECS moves the weights; CloudFormation sets them when this text changes, and not before.
          action: alternate
            ? elb.ListenerAction.weightedForward([
                { targetGroup: group, weight: 100 },
                { targetGroup: alternate, weight: 0 },
              ])
            : elb.ListenerAction.forward([group]),
        }),
    );
    const [rule] = rules;
    const target = this.service.loadBalancerTarget({
      containerName: props.service,
      containerPort: port,
      ...(alternate &&
        rule && {
          alternateTarget: new ecs.AlternateTarget('Alternate', {
            alternateTargetGroup: alternate,
            productionListener: ecs.ListenerRuleConfiguration.applicationListenerRule(rule),
          }),
        }),
    });
    if (alternate) {
      const policy = 'arn:<AWS::Partition>:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers';
      acknowledge(this.service, { [`IAM4[Policy::${policy}]`]: 'It is what AWS gives ECS to move traffic between the two groups.' });
    }
    target.attachToApplicationTargetGroup(group);
    // ECS refuses a target group that no listener leads to.
    this.service.node.addDependency(...rules);
    return alternate ? [group, alternate] : [group];
  }

  private scaled(autoscaling: NonNullable<Settings['autoscaling']>, replicas: number, byRequests: boolean): void {
    const least = autoscaling.min ?? replicas;
    const scaling = this.service.autoScaleTaskCount({ minCapacity: least, maxCapacity: Math.max(autoscaling.max, least) });
    const cooldown = {
      scaleInCooldown: Duration.seconds(autoscaling.scale_in_seconds),
      scaleOutCooldown: Duration.seconds(autoscaling.scale_out_seconds),
    };
    scaling.scaleOnCpuUtilization('Processor', { targetUtilizationPercent: autoscaling.cpu_percent, ...cooldown });
    scaling.scaleOnMemoryUtilization('Memory', { targetUtilizationPercent: autoscaling.memory_percent, ...cooldown });
    // Its metric is of one target group; the other strategies change between two.
    if (this.targetGroup !== null && byRequests) {
      scaling.scaleOnRequestCount('Requests', {
        requestsPerTarget: autoscaling.requests_per_minute,
        targetGroup: this.targetGroup,
        ...cooldown,
      });
    }
  }

  private watch(props: Props): void {
    const every = { period: Duration.minutes(1) };
    const { observability, service } = props;
    observability.chart(
      service,
      [this.service.metricCpuUtilization(every), this.service.metricMemoryUtilization(every)],
      this.targetGroup ? [this.targetGroup.metrics.targetResponseTime(every)] : [],
    );
    observability.alarm(this, 'Memory', {
      what: `Tasks of ${service} have nearly no memory left`,
      metric: this.service.metricMemoryUtilization(every),
      threshold: 90,
      periods: 5,
    });
  }

  /**
   * Alarms that stop a rollout and take it back. They look at all target groups, since each may have the traffic, and
   * the output `streamify` tells them to `streamify deploy`.
   */
  private rolloutAlarmsOf(observability: Observability, groups: elb.ApplicationTargetGroup[]): string[] {
    const every = { period: Duration.minutes(1) };
    const metrics = (name: string, of: (group: elb.ApplicationTargetGroup) => cloudwatch.IMetric) =>
      Object.fromEntries(groups.map((group, index) => [`${name}${index}`, of(group)]));
    const sum = (name: string): string => groups.map((_, index) => `FILL(${name}${index},0)`).join('+');
    const alarms = {
      errors: {
        what: `More than ${ERRORS.percent} % of the requests to ${this.name} end in a server error: what was rolled out last is taken back`,
        metric: new cloudwatch.MathExpression({
          ...every,
          label: 'server errors, percent',
          // Of a handful of requests a single error is no sign.
          expression: `IF(${sum('all')} < ${ERRORS.leastRequests}, 0, 100*(${sum('failed')})/(${sum('all')}))`,
          usingMetrics: {
            ...metrics('all', (group) => group.metrics.requestCount(every)),
            ...metrics('failed', (group) => group.metrics.httpCodeTarget(elb.HttpCodeTarget.TARGET_5XX_COUNT, every)),
          },
        }),
        threshold: ERRORS.percent,
        periods: 2,
      },
      latency: {
        what: `One in a hundred requests to ${this.name} takes longer than ${LATENCY_SECONDS} s: what was rolled out last is taken back`,
        metric: new cloudwatch.MathExpression({
          ...every,
          label: '99th percentile, seconds',
          expression: `MAX([${groups.map((_, index) => `FILL(worst${index},0)`).join(', ')}])`,
          usingMetrics: metrics('worst', (group) =>
            group.metrics.targetResponseTime({ ...every, statistic: cloudwatch.Stats.percentile(99) }),
          ),
        }),
        threshold: LATENCY_SECONDS,
        periods: 3,
      },
    };
    return Object.entries(alarms).map(([kind, alarm]) => {
      const alarmName = `${this.name}-rollout-${kind}`;
      const comparison = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD;
      observability.alarm(this, `Rollout-${kind}`, { ...alarm, alarmName, comparison });
      return alarmName;
    });
  }

  private explain(execLog: logs.ILogGroup | null): void {
    acknowledgeWildcards(
      this.executionRole,
      ['*'],
      'ecr:GetAuthorizationToken is of the whole registry: IAM knows no resource for it.',
    );
    if (execLog === null) {
      return;
    }
    acknowledgeWildcards(
      this.taskRole,
      ['*'],
      "The Session Manager's channels and logs:DescribeLogGroups, for exec: IAM knows no resource for them.",
    );
    const streams = Stack.of(this).formatArn({
      service: 'logs',
      resource: 'log-group',
      resourceName: `${execLog.logGroupName}:*`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    acknowledgeWildcards(this.taskRole, [streams], "The streams of exec's log are named by its sessions.");
  }
}
