//! Replicas, limits and restarts as `deploy` says them.

use super::super::values::{Bytes, Duration, Pairs};

record! {
    /// How a service is laid out. The engine of one machine uses replicas, limits and the restart policy.
    pub struct Deploy {
        /// `replicated` (also where it is empty), `global`, or a job's.
        mode: String,
        replicas: Option<i64>,
        /// Labels of the service, not of its containers.
        labels: Pairs,
        update_config: Option<UpdateRule>,
        rollback_config: Option<UpdateRule>,
        resources: Resources,
        restart_policy: Option<RestartRule>,
        placement: Placement,
        endpoint_mode: String,
    }

    /// How an update or its taking back goes.
    pub struct UpdateRule {
        /// How many containers at once; 0: all.
        parallelism: Option<u64>,
        delay: Option<Duration>,
        failure_action: String,
        monitor: Option<Duration>,
        max_failure_ratio: f64,
        /// `start-first` or `stop-first`.
        order: String,
    }

    /// What a container may use at most, and what is kept for it.
    pub struct Resources {
        limits: Option<Limits>,
        reservations: Option<Limits>,
    }

    /// Amounts.
    pub struct Limits {
        /// Processors, such as 0.5; 0: nothing is said.
        cpus: f64,
        memory: Bytes,
        pids: i64,
        devices: Vec<DeviceRequest>,
        generic_resources: Vec<GenericResource>,
    }

    /// Devices by what they can do, such as `gpu`.
    pub struct DeviceRequest {
        capabilities: Vec<String>,
        driver: String,
        /// -1: all.
        count: i64,
        device_ids: Vec<String>,
        options: Pairs,
    }

    /// A resource that the user counts.
    pub struct GenericResource {
        discrete_resource_spec: Option<DiscreteResource>,
    }

    /// A counted resource.
    pub struct DiscreteResource {
        kind: String,
        value: i64,
    }

    /// When a container that ended is started again.
    pub struct RestartRule {
        /// `none`, `on-failure` or `any`; empty: `any`.
        condition: String,
        delay: Option<Duration>,
        max_attempts: Option<u64>,
        window: Option<Duration>,
    }

    /// Where containers may run.
    pub struct Placement {
        constraints: Vec<String>,
        preferences: Vec<Preference>,
        max_replicas_per_node: u64,
    }

    /// Spread over the values of a label.
    pub struct Preference {
        spread: String,
    }
}

impl super::super::values::Blank for Resources {
    fn is_blank(&self) -> bool {
        // Both are written always, so that the output's shape does not depend on what is in them.
        false
    }
}

impl super::super::values::Blank for Placement {
    fn is_blank(&self) -> bool {
        false
    }
}
