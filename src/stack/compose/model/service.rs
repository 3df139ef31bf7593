//! A service and everything that it is made of.

mod deploy;
mod network;
mod storage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::build::Build;
use super::values::{Bytes, Duration, OptOut, Pairs, PullPolicy, Restart, Variables};

pub use deploy::{
    Deploy, DeviceRequest, DiscreteResource, GenericResource, Limits, Placement, Preference, Resources, RestartRule,
    UpdateRule,
};
pub use network::{NetworkAttachment, Port};
pub use storage::{BindOptions, FileReference, ImageOptions, Mount, MountKind, TmpfsOptions, VolumeOptions};

record! {
    /// A service: containers of one image.
    pub struct Service {
        /// Its name in the file.
        #[serde(skip)]
        name: String,
        annotations: Pairs,
        /// Whether `up` shows its logs; `None`: yes.
        attach: Option<bool>,
        build: Option<Build>,
        blkio_config: Option<BlockIo>,
        cap_add: Vec<String>,
        cap_drop: Vec<String>,
        cgroup: String,
        cgroup_parent: String,
        /// `None`: the image's own command. `Some` of nothing: no command.
        command: Option<Vec<String>>,
        configs: Vec<FileReference>,
        /// The container's name; at most one container can have it. Empty: `project-service-number`.
        container_name: String,
        cpu_count: i64,
        cpu_percent: f64,
        /// Microseconds.
        cpu_period: i64,
        /// Microseconds in each period.
        cpu_quota: i64,
        /// Microseconds.
        cpu_rt_period: i64,
        /// Microseconds.
        cpu_rt_runtime: i64,
        cpu_shares: i64,
        /// Processors, such as 0.5.
        cpus: f64,
        /// Such as `0-3` or `0,1`.
        cpuset: String,
        credential_spec: Option<Credential>,
        /// What must be there before it starts, by the service's name; links and shared namespaces are among them.
        depends_on: BTreeMap<String, DependsOn>,
        deploy: Option<Deploy>,
        develop: Option<Develop>,
        device_cgroup_rules: Vec<String>,
        devices: Vec<Device>,
        dns: Vec<String>,
        dns_opt: Vec<String>,
        dns_search: Vec<String>,
        domainname: String,
        /// `None`: the image's own entry point. `Some` of nothing: none.
        entrypoint: Option<Vec<String>>,
        /// The files that gave variables; they are in `environment` already.
        env_file: Vec<EnvFile>,
        /// With what `env_file` gave; the container gets those that have a value.
        environment: Variables,
        /// Ports that other containers reach, as `port` or `port/protocol`.
        expose: Vec<String>,
        /// Where it was taken from; done already.
        extends: Option<Extends>,
        /// Containers outside the project, as `container` or `container:alias`.
        external_links: Vec<String>,
        /// `host=address`, sorted.
        extra_hosts: Vec<String>,
        gpus: Vec<DeviceRequest>,
        group_add: Vec<String>,
        healthcheck: Option<HealthCheck>,
        hostname: String,
        /// Empty where it is built only; see [`Project::image`](super::Project::image).
        image: String,
        /// Whether a small init runs as process 1; `None`: the engine's default.
        init: Option<bool>,
        ipc: String,
        isolation: String,
        label_file: Vec<String>,
        /// With what `label_file` gave.
        labels: Pairs,
        /// Services, as `service` or `service:alias`.
        links: Vec<String>,
        logging: Option<Logging>,
        mac_address: String,
        mem_limit: Bytes,
        mem_reservation: Bytes,
        /// Percent.
        mem_swappiness: Bytes,
        /// Memory and swap together; -1: no limit.
        memswap_limit: Bytes,
        models: BTreeMap<String, Option<ServiceModel>>,
        /// `bridge`, `host`, `none`, `service:NAME`, `container:NAME`, or empty: the networks below.
        network_mode: String,
        /// The networks that it joins, by their key in the file; `None`: with nothing special.
        networks: BTreeMap<String, Option<NetworkAttachment>>,
        oom_kill_disable: bool,
        oom_score_adj: i64,
        pid: String,
        /// -1: no limit.
        pids_limit: i64,
        /// Such as `linux/amd64`.
        platform: String,
        ports: Vec<Port>,
        /// Run inside the container after it has started.
        post_start: Vec<Hook>,
        /// Run before the container starts; each has what its service has, besides volumes.
        #[serde(skip_deserializing)]
        pre_start: Vec<PreStartHook>,
        /// Run inside the container before it is stopped.
        pre_stop: Vec<Hook>,
        privileged: bool,
        /// The profiles of which one must be active; empty: always.
        profiles: Vec<String>,
        /// A program that provides the service instead of a container.
        provider: Option<Provider>,
        /// As in the file; see [`Service::pulls`].
        pull_policy: String,
        pull_refresh_after: String,
        read_only: bool,
        /// As in the file; see [`Service::restarts`].
        restart: String,
        runtime: String,
        /// How many containers; see [`Service::replicas`].
        scale: Option<i64>,
        secrets: Vec<FileReference>,
        security_opt: Vec<String>,
        shm_size: Bytes,
        stdin_open: bool,
        /// How long it may take to stop before it is killed; `None`: the engine's 10 seconds.
        stop_grace_period: Option<Duration>,
        stop_signal: String,
        storage_opt: Pairs,
        sysctls: Pairs,
        /// Paths, each with options after a colon.
        tmpfs: Vec<String>,
        tty: bool,
        ulimits: BTreeMap<String, Ulimit>,
        use_api_socket: bool,
        user: String,
        userns_mode: String,
        uts: String,
        volume_driver: String,
        volumes: Vec<Mount>,
        /// `service` or `container:name`, each with `:ro` or `:rw` or nothing.
        volumes_from: Vec<String>,
        working_dir: String,
        /// The `x-` keys, as they stand in the file.
        #[serde(skip)]
        extensions: BTreeMap<String, Value>,
    }

    /// A check of a container's health. What is `None` is the image's own or the engine's default.
    pub struct HealthCheck {
        /// `CMD` with arguments, `CMD-SHELL` with a line for the shell, or `NONE`; empty: the image's own.
        test: Vec<String>,
        timeout: Option<Duration>,
        interval: Option<Duration>,
        retries: Option<u64>,
        /// How long failures don't count after the start.
        start_period: Option<Duration>,
        /// The interval during the start period.
        start_interval: Option<Duration>,
        /// No check at all, not even the image's own.
        disable: bool,
    }

    /// Where container logs go.
    pub struct Logging {
        driver: String,
        options: Pairs,
    }

    /// A file with variables.
    pub struct EnvFile {
        /// Absolute.
        path: String,
        required: OptOut,
        /// `raw`: no quotes, no interpolation. Empty: as in `.env`.
        format: String,
    }

    /// The service that another one starts from.
    pub struct Extends {
        file: String,
        service: String,
    }

    /// A device of the host.
    pub struct Device {
        source: String,
        target: String,
        /// Out of `r`, `w`, `m`.
        permissions: String,
    }

    /// Weights and limits of block devices.
    pub struct BlockIo {
        weight: u16,
        weight_device: Vec<WeightedDevice>,
        device_read_bps: Vec<ThrottledDevice>,
        device_read_iops: Vec<ThrottledDevice>,
        device_write_bps: Vec<ThrottledDevice>,
        device_write_iops: Vec<ThrottledDevice>,
    }

    /// A block device with a weight from 10 to 1000.
    pub struct WeightedDevice {
        path: String,
        weight: u16,
    }

    /// A block device with a limit, in bytes or operations each second.
    pub struct ThrottledDevice {
        path: String,
        rate: Bytes,
    }

    /// A Windows credential.
    pub struct Credential {
        config: String,
        file: String,
        registry: String,
    }

    /// A program that provides a service.
    pub struct Provider {
        r#type: String,
        options: BTreeMap<String, Vec<String>>,
    }

    /// How a service is told of a language model.
    pub struct ServiceModel {
        endpoint_var: String,
        model_var: String,
    }

    /// A command that is run inside a container at a moment of its life.
    pub struct Hook {
        command: Option<Vec<String>>,
        user: String,
        privileged: bool,
        working_dir: String,
        environment: Variables,
    }

    /// What `watch` does when files change.
    pub struct Develop {
        watch: Vec<Watch>,
    }

    /// One rule of [`Develop`].
    pub struct Watch {
        /// The file or folder: absolute.
        path: String,
        action: Option<WatchAction>,
        /// Where it goes in the container.
        target: String,
        /// What `sync+exec` runs.
        exec: Option<Hook>,
        include: Vec<String>,
        ignore: Vec<String>,
        initial_sync: bool,
    }

    /// What starts a [`Job`].
    pub struct Triggers {
        manual: Option<bool>,
        schedule: Vec<Schedule>,
    }

    /// A time at which a [`Job`] starts.
    pub struct Schedule {
        cron: String,
        timezone: String,
        concurrency: String,
        missed_fires: String,
    }
}

/// A limit of a process's resources: one number for both, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ulimit {
    /// The same soft and hard limit; -1: none.
    Single(i64),
    /// A soft and a hard limit; -1: none.
    Range {
        #[serde(default, skip_serializing_if = "is_zero")]
        soft: i64,
        #[serde(default, skip_serializing_if = "is_zero")]
        hard: i64,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(limit: &i64) -> bool {
    *limit == 0
}

impl Ulimit {
    /// The soft and the hard limit.
    pub fn bounds(self) -> (i64, i64) {
        match self {
            Self::Single(limit) => (limit, limit),
            Self::Range { soft, hard } => (soft, hard),
        }
    }
}

/// What `watch` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchAction {
    #[serde(rename = "sync")]
    Sync,
    #[serde(rename = "rebuild")]
    Rebuild,
    #[serde(rename = "restart")]
    Restart,
    #[serde(rename = "sync+restart")]
    SyncRestart,
    #[serde(rename = "sync+exec")]
    SyncExec,
}

/// What a service waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DependsOn {
    /// What it waits for.
    pub condition: Condition,
    /// Restart this service when that one is restarted or made anew.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
    /// Whether its absence is a failure.
    pub required: bool,
}

impl Default for DependsOn {
    fn default() -> Self {
        Self { condition: Condition::Started, restart: false, required: true }
    }
}

/// What a service waits for in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// It has been started.
    #[serde(rename = "service_started")]
    Started,
    /// Its health check has passed.
    #[serde(rename = "service_healthy")]
    Healthy,
    /// It has ended with exit code 0.
    #[serde(rename = "service_completed_successfully")]
    Completed,
}

/// A container that does one thing and ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Job {
    /// What starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Triggers>,
    /// What runs.
    #[serde(flatten)]
    pub container: Box<Service>,
}

/// A container that runs before a service's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PreStartHook {
    /// Once for each container instead of once for the service.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub per_replica: bool,
    /// What runs.
    #[serde(flatten)]
    pub container: Box<Service>,
}

impl Service {
    /// How many containers it has.
    pub fn replicas(&self) -> i64 {
        self.scale.or_else(|| self.deploy.as_ref()?.replicas).unwrap_or(1)
    }

    /// What happens when a container ends: `restart`, or `deploy.restart_policy` where there is no `restart`. A
    /// text that means nothing is [`Restart::No`], and a note says so.
    pub fn restarts(&self) -> Restart {
        if !self.restart.is_empty() {
            return Restart::parse(&self.restart).unwrap_or(Restart::No);
        }
        let Some(rule) = self.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref()) else {
            return Restart::No;
        };
        match rule.condition.as_str() {
            "none" => Restart::No,
            "on-failure" => Restart::OnFailure(rule.max_attempts.unwrap_or(0)),
            _ => Restart::Always,
        }
    }

    /// When its image is pulled or built. The loader refuses what has no meaning.
    pub fn pulls(&self) -> PullPolicy {
        PullPolicy::parse(&self.pull_policy).unwrap_or(PullPolicy::Missing)
    }
}
