//! Shifts an alias's traffic from one version to the next, in parts, watched between them; and takes it back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_smithy_types::DateTime;
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;

use super::super::run::Ground;
use super::super::status;
use super::api::{Alias, Api};
use crate::failure::{Failure, Kind, Result};
use crate::settings::{Deploy, RollbackOn, Strategy};

/// Between two looks at alarms and errors.
const LOOK: Duration = Duration::from_secs(10);
/// `CloudWatch` counts by minutes.
const MINUTE: i32 = 60;
/// More of a version's invocations than this must not fail.
const MOST_ERRORS: f64 = 0.05;

/// In which parts the traffic moves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Course {
    /// Percentages that the new version has, one step after the other; the last is 100.
    pub percents: Vec<u32>,
    /// Minutes between two steps.
    pub minutes: u32,
    /// Minutes that all of it is watched in the end.
    pub bake_minutes: u32,
}

impl Course {
    /// Of an environment's settings; without a strategy a canary.
    pub(super) fn of(deploy: &Deploy) -> Self {
        let percent = deploy.step_percent.unwrap_or(10).clamp(1, 100);
        let (percents, is_watched) = match deploy.strategy.unwrap_or(Strategy::Canary) {
            Strategy::Rolling => (vec![100], false),
            Strategy::Canary if percent < 100 => (vec![percent, 100], true),
            Strategy::BlueGreen | Strategy::Canary => (vec![100], true),
            Strategy::Linear => {
                let mut percents: Vec<u32> = (percent..100).step_by(percent as usize).collect();
                percents.push(100);
                (percents, true)
            }
        };
        let bake_minutes = if is_watched { deploy.bake_minutes.unwrap_or(5) } else { 0 };
        Self { percents, minutes: deploy.step_minutes.unwrap_or(5), bake_minutes }
    }

    /// In words: `10 %, then 100 % after 5 minutes each`.
    pub fn words(&self) -> String {
        let parts: Vec<String> = self.percents.iter().map(|percent| format!("{percent} %")).collect();
        match parts.len() {
            1 => "all of the traffic at once".to_owned(),
            _ => format!("{} of the traffic, {} minutes apart", parts.join(", then "), self.minutes),
        }
    }
}

/// One function whose traffic moves.
#[derive(Clone, Debug)]
pub(super) struct Moving {
    pub(super) function: String,
    pub(super) from: String,
    pub(super) to: String,
    /// The alias as we left it: whoever changes it meanwhile is noticed.
    pub(super) alias: Alias,
}

/// Who shifts, and where.
pub(super) struct Shift<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) alias: &'a str,
    pub(super) course: &'a Course,
    pub(super) rollback_on: &'a [RollbackOn],
}

impl Shift<'_> {
    fn api(&self) -> Api<'_> {
        Api { aws: self.ground.cloud.aws() }
    }

    /// Moves all functions together, step by step. Where a step shows errors, an alarm, or a wish to stop, all of it is
    /// taken back.
    ///
    /// # Errors
    /// It was taken back, with the reason; or that failed as well.
    pub(super) async fn run(&self, moving: &mut [Moving]) -> Result<()> {
        let begun = SystemTime::now();
        let result = self.steps(moving, begun).await;
        let Err(failure) = result else { return Ok(()) };
        if failure.kind == Kind::Superseded {
            // Functions that nobody else has touched don't stay half shifted.
            self.give_back(moving).await;
            return Err(failure);
        }
        self.ground.report.warning(&format!("taking it back: {}", failure.message));
        match self.back(moving).await {
            Ok(()) if matches!(failure.kind, Kind::Interrupted(_)) => {
                // The failure of an interruption is told by its signal alone.
                self.ground.report.note("the alias is back on the version before; the same command begins again");
                Err(failure)
            }
            Ok(()) => {
                Err(Failure { kind: Kind::RolledBack, message: format!("rolled back: {}", failure.message), ..failure })
            }
            Err(second) => Err(failure
                .cause(format!("it could not be taken back: {second}"))
                .hint(format!("Take it back by hand: streamify rollback {}", self.ground.environment.name))),
        }
    }

    async fn steps(&self, moving: &mut [Moving], begun: SystemTime) -> Result<()> {
        let last = self.course.percents.len() - 1;
        for (index, percent) in self.course.percents.iter().enumerate() {
            self.route(moving, *percent).await?;
            self.ground.report.doing("shift", &format!("{percent} % of the traffic"));
            let minutes = if index == last { self.course.bake_minutes } else { self.course.minutes };
            self.watch(moving, begun, Duration::from_secs(u64::from(minutes) * 60)).await?;
        }
        Ok(())
    }

    async fn route(&self, moving: &mut [Moving], percent: u32) -> Result<()> {
        let routed = moving.iter().map(|one| async move {
            let revision = Some(one.alias.revision_id.as_str());
            if percent >= 100 {
                return self.api().route(&one.function, self.alias, &one.to, &BTreeMap::new(), revision).await;
            }
            let weights = BTreeMap::from([(one.to.clone(), f64::from(percent) / 100.0)]);
            self.api().route(&one.function, self.alias, &one.from, &weights, revision).await
        });
        for (index, alias) in try_join_all(routed).await?.into_iter().enumerate() {
            moving[index].alias = alias.ok_or_else(|| self.overtaken(&moving[index].function))?;
        }
        Ok(())
    }

    /// Everything back to the versions before; all are tried, whatever comes of one.
    async fn back(&self, moving: &[Moving]) -> Result<()> {
        let routed = moving.iter().map(|one| async move {
            self.api().route(&one.function, self.alias, &one.from, &BTreeMap::new(), None).await
        });
        join_all(routed).await.into_iter().try_for_each(|one| one.map(|_| ()))
    }

    /// Takes back those that are still as we left them.
    async fn give_back(&self, moving: &[Moving]) {
        let routed = moving.iter().map(|one| async move {
            let revision = Some(one.alias.revision_id.as_str());
            self.api().route(&one.function, self.alias, &one.from, &BTreeMap::new(), revision).await
        });
        for failure in join_all(routed).await.into_iter().filter_map(Result::err) {
            self.ground.report.warning(&format!("a function may stay half shifted: {failure}"));
        }
    }

    fn overtaken(&self, function: &str) -> Failure {
        Failure::new(Kind::Superseded, format!("somebody else has changed the alias {} of {function}", self.alias))
            .hint(format!("`streamify status {}` shows what it is on.", self.ground.environment.name))
    }

    /// Looks at alarms, errors and the alias itself until the time is over; at least once.
    async fn watch(&self, moving: &[Moving], begun: SystemTime, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            self.look(moving, begun).await?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK)) => {}
                () = self.ground.interrupt.cancelled() => return Err(Failure::interrupted(2)),
            }
        }
    }

    async fn look(&self, moving: &[Moving], begun: SystemTime) -> Result<()> {
        if self.ground.interrupt.is_cancelled() {
            return Err(Failure::interrupted(2));
        }
        for one in moving {
            let now = self.api().alias(&one.function, self.alias).await?;
            if now.is_none_or(|now| now.revision_id != one.alias.revision_id) {
                return Err(self.overtaken(&one.function));
            }
        }
        if self.rollback_on.contains(&RollbackOn::Alarm) {
            let alarms = status::alarms(self.ground).await?;
            let raised: Vec<&str> =
                alarms.iter().filter(|(_, state)| *state == "alarm").map(|(name, _)| name.as_str()).collect();
            if !raised.is_empty() {
                return Err(Failure::failed(format!("alarm: {}", raised.join(", "))));
            }
        }
        if self.rollback_on.contains(&RollbackOn::Failure) {
            for one in moving {
                self.errors(one, begun).await?;
            }
        }
        Ok(())
    }

    /// Fails when too many of the new version's invocations through the alias did.
    async fn errors(&self, one: &Moving, begun: SystemTime) -> Result<()> {
        let query = |metric: &str| {
            let dimensions = [
                ("FunctionName", one.function.clone()),
                ("Resource", format!("{}:{}", one.function, self.alias)),
                ("ExecutedVersion", one.to.clone()),
            ];
            let dimensions = dimensions.map(|(name, value)| Dimension::builder().name(name).value(value).build());
            let of = Metric::builder()
                .namespace("AWS/Lambda")
                .metric_name(metric)
                .set_dimensions(Some(dimensions.to_vec()))
                .build();
            let sum = MetricStat::builder().metric(of).period(MINUTE).stat("Sum").build();
            MetricDataQuery::builder().id(metric.to_lowercase()).metric_stat(sum).build()
        };
        let cloud = &self.ground.cloud;
        let client = cloud.aws().cloudwatch();
        // From the whole minute on: a part of one is counted with it.
        let seconds = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let begun = DateTime::from_secs(i64::try_from(seconds - seconds % 60).unwrap_or(0));
        let answer = client
            .get_metric_data()
            .metric_data_queries(query("Errors"))
            .metric_data_queries(query("Invocations"))
            .start_time(begun)
            .end_time(DateTime::from(SystemTime::now() + Duration::from_secs(60)))
            .send()
            .await
            .map_err(|error| cloud.failure("can't look at the functions' errors", &error))?;
        let sum = |id: &str| -> f64 {
            let found = answer.metric_data_results().iter().filter(|result| result.id() == Some(id));
            found.flat_map(aws_sdk_cloudwatch::types::MetricDataResult::values).sum()
        };
        let (errors, invocations) = (sum("errors"), sum("invocations"));
        if errors >= 1.0 && errors > invocations * MOST_ERRORS {
            return Err(Failure::failed(format!(
                "{errors:.0} of {invocations:.0} invocations of {}:{} failed",
                one.function, one.to
            ))
            .hint(format!("What it said is in the log group of {}.", one.function)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traffic_moves_as_the_strategy_says() {
        let course = |strategy, percent| {
            let deploy = Deploy { strategy, step_percent: percent, ..Deploy::default() };
            Course::of(&deploy).percents
        };
        assert_eq!(course(None, None), [10, 100]);
        assert_eq!(course(Some(Strategy::Rolling), None), [100]);
        assert_eq!(course(Some(Strategy::Canary), Some(100)), [100]);
        assert_eq!(course(Some(Strategy::Linear), Some(40)), [40, 80, 100]);
        assert_eq!(Course::of(&Deploy::default()).words(), "10 %, then 100 % of the traffic, 5 minutes apart");
    }
}
