import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
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
  /** Whether the stack is made for the first time. */
  readonly isFirst: boolean;
  /** Whether its tasks run on what is left over: cheap, and told to stop two minutes before it is needed elsewhere. */
  readonly isSpot: boolean;
}

/** What stands where `streamify deploy` has not been yet. It is never run while the desired count is 0. */
const PLACEHOLDER = 'public.ecr.aws/docker/library/busybox:stable';

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
  readonly targetGroup: elb.ApplicationTargetGroup | null;
  readonly service: ecs.FargateService;
  /** How many rules it has in the load balancer. */
  readonly rules: number;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const { cluster, deploy, settings } = props;
    this.name = `${props.name}-${props.service}`;
    this.logGroup = props.key.logGroup(this, 'Logs', props.service, props.retention);
    const tasks = new iam.ServicePrincipal('ecs-tasks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
    });
    this.executionRole = new iam.Role(this, 'ExecutionRole', {
      assumedBy: tasks,
      description: `Starts tasks of ${this.name}: image, secrets, log`,
    });
    this.taskRole = new iam.Role(this, 'TaskRole', { assumedBy: tasks, description: `What ${this.name} may do` });
    this.group = new ec2.SecurityGroup(this, 'Group', {
      vpc: cluster.vpc,
      description: `Tasks of ${this.name}`,
      allowAllOutbound: false,
    });
    this.group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Registry, log, secrets, and other APIs');
    for (const repository of props.registry.repositories) {
      repository.grantPull(this.executionRole);
    }

    const placeholder = this.placeholder(props);
    this.service = new ecs.FargateService(this, 'Service', {
      serviceName: this.name,
      cluster,
      taskDefinition: placeholder,
      // Left out, CloudFormation keeps what `streamify deploy` and auto scaling have set.
      ...(props.isFirst && { desiredCount: 0 }),
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [this.group],
      enableExecuteCommand: true,
      capacityProviderStrategies: [{ capacityProvider: props.isSpot ? 'FARGATE_SPOT' : 'FARGATE', weight: 1 }],
      availabilityZoneRebalancing: ecs.AvailabilityZoneRebalancing.ENABLED,
      deploymentStrategy: STRATEGIES[deploy.strategy],
      minHealthyPercent: deploy.minimum_healthy_percent,
      maxHealthyPercent: deploy.maximum_percent,
      circuitBreaker: { enable: true, rollback: true },
      enableECSManagedTags: true,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
      ...(settings.port !== null && { healthCheckGracePeriod: Duration.minutes(1) }),
    });
    // Named by its family, a service gets the family's newest revision, which is the one that was deployed last: a
    // change of anything else never brings the placeholder back.
    const shell = this.service.node.defaultChild as ecs.CfnService;
    shell.taskDefinition = this.name;
    this.service.node.addDependency(placeholder);

    const { port } = settings;
    this.targetGroup = port === null ? null : this.balanced(props, port);
    this.rules = Math.ceil(props.routes.length / PATTERNS_OF_A_RULE);
    if (props.autoscaling !== null) {
      this.scaled(props.autoscaling, settings.replicas, deploy.strategy === 'rolling');
    }
    this.watch(props);
    this.explain(props.execLog);
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

  /** The way from the load balancer: target group, health, rules; for blue/green a second group beside the first. */
  private balanced(props: Props, port: number): elb.ApplicationTargetGroup {
    const { ingress, settings } = props;
    const isRolling = props.deploy.strategy === 'rolling';
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
    return group;
  }

  private scaled(autoscaling: NonNullable<Settings['autoscaling']>, replicas: number, byRequests: boolean): void {
    const scaling = this.service.autoScaleTaskCount({ minCapacity: replicas, maxCapacity: autoscaling.max });
    const cooldown = { scaleInCooldown: Duration.minutes(5), scaleOutCooldown: Duration.minutes(1) };
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
    if (this.targetGroup === null) {
      return;
    }
    const { metrics } = this.targetGroup;
    // `deploy.alarms` in streamify.yaml names these: they stop a rollout.
    observability.alarm(this, 'Errors', {
      alarmName: `${this.name}-errors`,
      what: `${service} answers with errors of its own`,
      metric: metrics.httpCodeTarget(elb.HttpCodeTarget.TARGET_5XX_COUNT, every),
      threshold: 10,
      periods: 2,
    });
    observability.alarm(this, 'Slow', {
      alarmName: `${this.name}-slow`,
      what: `One answer of ${service} in a hundred takes longer than 2 s`,
      metric: metrics.targetResponseTime({ ...every, statistic: cloudwatch.Stats.percentile(99) }),
      threshold: 2,
      periods: 5,
    });
  }

  private explain(execLog: logs.ILogGroup): void {
    acknowledgeWildcards(
      this.executionRole,
      ['*'],
      'ecr:GetAuthorizationToken is of the whole registry: IAM knows no resource for it.',
    );
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
