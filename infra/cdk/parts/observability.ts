import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import { Construct as Base } from 'constructs';

import type { Key } from './key.ts';

interface Props {
  readonly name: string;
  readonly key: Key;
  /** Who is told; null: whoever subscribes to the topic. */
  readonly email: string | null;
}

interface AlarmProps {
  /** What it means, for whoever is woken by it. */
  readonly what: string;
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  /** Above or at the threshold unless it is said. */
  readonly comparison?: cloudwatch.ComparisonOperator;
  /** How many of the metric's periods in a row. */
  readonly periods: number;
  /** A fixed name, for alarms that `streamify.yaml` names. */
  readonly alarmName?: string;
}

/** The topic that alarms go to, and one dashboard of the whole environment. */
export class Observability extends Base {
  readonly topic: sns.Topic;
  private readonly dashboard: cloudwatch.Dashboard;
  private readonly action: SnsAction;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    this.topic = new sns.Topic(this, 'Alarms', {
      topicName: `${props.name}-alarms`,
      masterKey: props.key.key,
      enforceSSL: true,
    });
    if (props.email !== null) {
      this.topic.addSubscription(new EmailSubscription(props.email));
    }
    this.action = new SnsAction(this.topic);
    this.dashboard = new cloudwatch.Dashboard(this, 'Dashboard', {
      dashboardName: props.name,
      defaultInterval: Duration.hours(3),
    });
  }

  /** An alarm that tells the topic when it begins and when it ends. Without data it is well: nothing may run yet. */
  alarm(scope: Construct, id: string, props: AlarmProps): cloudwatch.Alarm {
    const alarm = new cloudwatch.Alarm(scope, `${id}Alarm`, {
      ...(props.alarmName !== undefined && { alarmName: props.alarmName }),
      alarmDescription: `${props.what} (${Stack.of(this).stackName})`,
      metric: props.metric,
      threshold: props.threshold,
      evaluationPeriods: props.periods,
      comparisonOperator: props.comparison ?? cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(this.action);
    alarm.addOkAction(this.action);
    return alarm;
  }

  /** A chart on the dashboard; metrics of another unit go to the right axis. */
  chart(title: string, left: cloudwatch.IMetric[], right: cloudwatch.IMetric[] = []): void {
    this.dashboard.addWidgets(new cloudwatch.GraphWidget({ title, left, right, width: 12 }));
  }
}
