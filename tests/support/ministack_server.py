"""MiniStack's server with what Terraform's AWS provider asks and MiniStack 1.5 forgets of alarms."""

import sys

from ministack.app import main
from ministack.services import cloudwatch

put_metric_alarm = cloudwatch._put_metric_alarm
told = cloudwatch._cbor_alarm
FORGOTTEN = ("Metrics", "EvaluateLowSampleCountPercentile")
# Filled in by MiniStack where they were not given; CloudWatch tells none of them of an alarm that has queries.
OF_ONE_METRIC = {"MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"}


def put_metric_alarm_whole(params, cbor_data, is_cbor, is_json=False):
    answer = put_metric_alarm(params, cbor_data, is_cbor, is_json)
    alarm = cloudwatch._alarms.get(cbor_data.get("AlarmName"))
    if alarm is not None:
        alarm |= {name: cbor_data[name] for name in FORGOTTEN if cbor_data.get(name)}
    return answer


def told_whole(alarm):
    hidden = OF_ONE_METRIC if alarm.get("Metrics") else {"Statistic"} if alarm.get("ExtendedStatistic") else set()
    return told({name: value for name, value in alarm.items() if name not in hidden})


cloudwatch._put_metric_alarm = put_metric_alarm_whole
cloudwatch._cbor_alarm = told_whole

sys.exit(main())
