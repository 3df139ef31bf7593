//! What becomes of a service deployment, over time.

use serde_json::{Value, json};

/// What a rollout is destined to.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Tasks start and stay.
    Succeeds,
    /// Every task exits with this code after these lines; the circuit breaker trips, where it is on.
    Fails { code: i64, lines: Vec<String> },
    /// Tasks start, and this alarm goes off.
    Alarms(String),
    /// Tasks never get healthy, and nothing trips.
    Hangs,
}

/// Seconds from one step to the next.
pub const STEP: f64 = 5.0;
/// Tasks that may fail before the breaker trips.
pub const THRESHOLD: i64 = 3;

/// One service deployment.
#[derive(Clone, Debug)]
pub struct Rollout {
    pub arn: String,
    pub revision: String,
    pub task_definition: String,
    /// The revision before it and its task definition.
    pub source: Option<(String, String)>,
    pub created: f64,
    pub finished: Option<f64>,
    pub status: &'static str,
    pub reason: Option<String>,
    pub rollback_began: Option<f64>,
    pub rollback_reason: Option<String>,
    pub fate: Fate,
    pub strategy: String,
    pub running: i64,
    pub failures: i64,
    pub desired: i64,
    pub alarms: Vec<String>,
    pub stage: Option<&'static str>,
    pub id: u64,
}

/// The stages of all strategies but the rolling one, in their order.
const STAGES: [&str; 6] = [
    "SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
];

/// What a step of a rollout did.
#[derive(Debug, PartialEq)]
pub enum Happened {
    Nothing,
    TaskStarted,
    TaskFailed,
    Succeeded,
    RolledBack,
    Stopped,
}

impl Rollout {
    pub fn is_open(&self) -> bool {
        self.finished.is_none()
    }

    /// Ends it, for this reason.
    pub fn finish(&mut self, status: &'static str, reason: &str, now: f64) {
        (self.status, self.finished) = (status, Some(now));
        self.reason = Some(reason.to_owned());
    }

    /// Begins to put the source back.
    pub fn roll_back(&mut self, reason: &str, now: f64) {
        self.status = "ROLLBACK_IN_PROGRESS";
        self.rollback_began = Some(now);
        self.rollback_reason = Some(reason.to_owned());
    }

    /// One step further; `breaker` and `alarm` say whether they are on, and whether they roll back.
    pub fn step(&mut self, now: f64, breaker: (bool, bool), alarm: (bool, bool)) -> Happened {
        if let Some(began) = self.rollback_began {
            if now - began < 2.0 * STEP {
                return Happened::Nothing;
            }
            self.running = 0;
            let reason = self.rollback_reason.clone().unwrap_or_default();
            self.finish("ROLLBACK_SUCCESSFUL", &reason, now);
            return Happened::RolledBack;
        }
        let age = now - self.created;
        if age < STEP / 2.0 {
            return Happened::Nothing;
        }
        self.status = "IN_PROGRESS";
        #[allow(clippy::cast_possible_truncation, reason = "steps are few")]
        let steps = (age / STEP) as i64;
        match &self.fate {
            Fate::Fails { .. } if self.failures < THRESHOLD && steps > self.failures => {
                self.failures += 1;
                Happened::TaskFailed
            }
            Fate::Fails { .. } if self.failures >= THRESHOLD && breaker.0 => self.trip(
                "Service deployment rolled back because the circuit breaker threshold was exceeded.",
                breaker.1,
                now,
            ),
            Fate::Alarms(name) if steps > 2 && alarm.0 => {
                self.alarms = vec![name.clone()];
                self.trip("Service deployment rolled back because an alarm was triggered.", alarm.1, now)
            }
            Fate::Succeeds | Fate::Alarms(_) if self.running < self.desired => {
                if steps > self.running {
                    self.running += 1;
                    return Happened::TaskStarted;
                }
                Happened::Nothing
            }
            Fate::Hangs | Fate::Fails { .. } | Fate::Alarms(_) => Happened::Nothing,
            Fate::Succeeds => self.arrive(steps - self.desired, now),
        }
    }

    fn trip(&mut self, reason: &str, rolls_back: bool, now: f64) -> Happened {
        if rolls_back && self.source.is_some() {
            self.roll_back(reason, now);
            return Happened::Nothing;
        }
        self.finish("STOPPED", "Service deployment failed: tasks failed to start.", now);
        Happened::Stopped
    }

    /// All tasks run: the traffic moves, in stages unless it is a rolling one.
    fn arrive(&mut self, steps: i64, now: f64) -> Happened {
        if self.strategy != "ROLLING" {
            let stage = usize::try_from(steps).unwrap_or(0);
            self.stage = STAGES.get(stage).copied();
            if self.stage.is_some() {
                return Happened::Nothing;
            }
        } else if steps < 1 {
            return Happened::Nothing;
        }
        self.stage = None;
        // It ended when it was due, however late somebody looks.
        let stages = if self.strategy == "ROLLING" { 1 } else { i64::try_from(STAGES.len()).unwrap_or(0) };
        let due = self.created + STEP * (self.desired + stages) as f64;
        self.finish("SUCCESSFUL", "Service deployment completed.", due.min(now));
        Happened::Succeeded
    }

    /// As `ListServiceDeployments` has it.
    pub fn brief(&self, service: &str, cluster: &str) -> Value {
        let mut value = json!({
            "serviceDeploymentArn": self.arn, "serviceArn": service, "clusterArn": cluster, "createdAt": self.created,
            "startedAt": self.created, "targetServiceRevisionArn": self.revision, "status": self.status,
        });
        if let (Some(at), Some(reason)) = (self.finished, &self.reason) {
            value["finishedAt"] = at.into();
            value["statusReason"] = reason.clone().into();
        }
        value
    }

    /// As `DescribeServiceDeployments` has it.
    pub fn full(&self, service: &str, cluster: &str, configuration: &Value) -> Value {
        let mut value = self.brief(service, cluster);
        value.as_object_mut().unwrap().remove("targetServiceRevisionArn");
        let moved = match self.stage {
            Some("SCALE_UP" | "TEST_TRAFFIC_SHIFT") | None => 0.0,
            _ => 100.0,
        };
        value["targetServiceRevision"] = json!({
            "arn": self.revision, "requestedTaskCount": self.desired, "runningTaskCount": self.running,
            "pendingTaskCount": i32::from(self.is_open() && self.running < self.desired),
        });
        if self.strategy != "ROLLING" {
            value["targetServiceRevision"]["requestedProductionTrafficWeight"] = moved.into();
        }
        if let Some((revision, _)) = &self.source {
            let old = if self.status == "SUCCESSFUL" { 0 } else { (self.desired - self.running).max(0) };
            value["sourceServiceRevisions"] = json!([{
                "arn": revision, "requestedTaskCount": old, "runningTaskCount": old, "pendingTaskCount": 0,
            }]);
        }
        if let Some(stage) = self.stage {
            value["lifecycleStage"] = stage.into();
        }
        let tripped = self.failures >= THRESHOLD && (self.rollback_began.is_some() || !self.is_open());
        value["deploymentCircuitBreaker"] = json!({
            "status": if tripped { "TRIGGERED" } else { "MONITORING" }, "failureCount": self.failures, "threshold": THRESHOLD,
        });
        value["alarms"] = json!({
            "status": if self.alarms.is_empty() { "DISABLED" } else { "TRIGGERED" }, "triggeredAlarmNames": self.alarms,
        });
        if let (Some(at), Some(reason), Some((revision, _))) =
            (self.rollback_began, &self.rollback_reason, &self.source)
        {
            value["rollback"] = json!({"reason": reason, "startedAt": at, "serviceRevisionArn": revision});
        }
        value["deploymentConfiguration"] = configuration.clone();
        value
    }
}
