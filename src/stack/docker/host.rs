//! The part of a container that is about the host: limits, devices, namespaces, rights.

use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, HostConfigCgroupnsModeEnum, HostConfigIsolationEnum, HostConfigLogConfig,
    ResourcesBlkioWeightDevice, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};

use super::blueprint::{some, text};
use super::labels;
use crate::stack::compose::model::{
    Bytes, DeviceRequest as Request, Limits, Project, Restart, Service, ThrottledDevice,
};

/// None for a number that says nothing.
fn number(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

/// Everything of the host but networks, ports and mounts.
pub(super) fn config(project: &Project, service: &Service) -> HostConfig {
    let resources = service.deploy.as_ref().map(|deploy| &deploy.resources);
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let reserved = resources.and_then(|resources| resources.reservations.as_ref());
    let memory = |own: Bytes, of: Option<&Limits>| number(own.0).or_else(|| number(of?.memory.0));
    let cpus = if service.cpus > 0.0 { service.cpus } else { limits.map_or(0.0, |limits| limits.cpus) };
    #[allow(clippy::cast_possible_truncation, reason = "a number of processors is small")]
    let nano_cpus = (cpus > 0.0).then_some((cpus * 1e9).round() as i64);
    #[allow(clippy::cast_possible_truncation, reason = "percents are small")]
    let cpu_percent = number(service.cpu_percent as i64);
    let blkio = service.blkio_config.clone().unwrap_or_default();
    let weights = blkio.weight_device.iter().map(|device| ResourcesBlkioWeightDevice {
        path: Some(device.path.clone()),
        weight: Some(usize::from(device.weight)),
    });
    HostConfig {
        memory: memory(service.mem_limit, limits),
        memory_reservation: memory(service.mem_reservation, reserved),
        memory_swap: number(service.memswap_limit.0),
        memory_swappiness: number(service.mem_swappiness.0),
        nano_cpus,
        cpu_shares: number(service.cpu_shares),
        cpu_period: number(service.cpu_period),
        cpu_quota: number(service.cpu_quota),
        cpu_realtime_period: number(service.cpu_rt_period),
        cpu_realtime_runtime: number(service.cpu_rt_runtime),
        cpu_count: number(service.cpu_count),
        cpu_percent,
        cpuset_cpus: text(&service.cpuset),
        pids_limit: number(service.pids_limit).or_else(|| number(limits?.pids)),
        blkio_weight: (blkio.weight != 0).then_some(blkio.weight),
        blkio_weight_device: some(weights.collect()),
        blkio_device_read_bps: throttled(&blkio.device_read_bps),
        blkio_device_read_iops: throttled(&blkio.device_read_iops),
        blkio_device_write_bps: throttled(&blkio.device_write_bps),
        blkio_device_write_iops: throttled(&blkio.device_write_iops),
        cgroup_parent: text(&service.cgroup_parent),
        cgroupns_mode: match service.cgroup.as_str() {
            "host" => Some(HostConfigCgroupnsModeEnum::HOST),
            "private" => Some(HostConfigCgroupnsModeEnum::PRIVATE),
            _ => None,
        },
        devices: some(devices(service)),
        device_cgroup_rules: some(service.device_cgroup_rules.clone()),
        device_requests: some(
            service
                .gpus
                .iter()
                .map(gpu)
                .chain(reserved.iter().flat_map(|limits| &limits.devices).map(request))
                .collect(),
        ),
        oom_kill_disable: service.oom_kill_disable.then_some(true),
        oom_score_adj: number(service.oom_score_adj),
        init: service.init,
        ulimits: some(service.ulimits.iter().map(|(name, limit)| ulimit(name, limit.bounds())).collect()),
        log_config: service.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: text(&logging.driver),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        restart_policy: Some(restart_policy(service.restarts())),
        volume_driver: text(&service.volume_driver),
        volumes_from: some(service.volumes_from.iter().map(|from| volumes_from(project, from)).collect()),
        annotations: (!service.annotations.is_empty()).then(|| service.annotations.clone().into_iter().collect()),
        cap_add: some(service.cap_add.clone()),
        cap_drop: some(service.cap_drop.clone()),
        dns: some(service.dns.clone()),
        dns_options: some(service.dns_opt.clone()),
        dns_search: some(service.dns_search.clone()),
        extra_hosts: some(service.extra_hosts.iter().map(|host| host.replacen('=', ":", 1)).collect()),
        group_add: some(service.group_add.clone()),
        ipc_mode: text(&namespace(project, &service.ipc)),
        pid_mode: text(&namespace(project, &service.pid)),
        uts_mode: text(&service.uts),
        userns_mode: text(&service.userns_mode),
        privileged: service.privileged.then_some(true),
        readonly_rootfs: service.read_only.then_some(true),
        security_opt: some(service.security_opt.clone()),
        storage_opt: (!service.storage_opt.is_empty()).then(|| service.storage_opt.clone().into_iter().collect()),
        tmpfs: (!service.tmpfs.is_empty()).then(|| service.tmpfs.iter().map(|entry| tmpfs(entry)).collect()),
        shm_size: number(service.shm_size.0),
        sysctls: (!service.sysctls.is_empty()).then(|| service.sysctls.clone().into_iter().collect()),
        runtime: text(&service.runtime),
        isolation: match service.isolation.as_str() {
            "process" => Some(HostConfigIsolationEnum::PROCESS),
            "hyperv" => Some(HostConfigIsolationEnum::HYPERV),
            _ => None,
        },
        ..HostConfig::default()
    }
}

/// `service:NAME` becomes the container of that service; anything else is the engine's own word.
pub(super) fn namespace(project: &Project, mode: &str) -> String {
    match mode.strip_prefix("service:").and_then(|name| project.service(name)) {
        Some(service) => format!("container:{}", labels::container_name(project, service, 1)),
        None => mode.to_owned(),
    }
}

/// The services in whose namespaces, or with whose volumes, a container of this one lives: when they are made anew,
/// so is it.
pub(super) fn lives_with(service: &Service) -> impl Iterator<Item = &str> {
    let modes = [&service.network_mode, &service.ipc, &service.pid];
    let shared = modes.into_iter().filter_map(|mode| mode.strip_prefix("service:"));
    shared.chain(
        service
            .volumes_from
            .iter()
            .filter(|from| !from.starts_with("container:"))
            .map(|from| from.split(':').next().unwrap_or(from)),
    )
}

fn volumes_from(project: &Project, from: &str) -> String {
    if let Some(container) = from.strip_prefix("container:") {
        return container.to_owned();
    }
    let (name, mode) = from.split_once(':').map_or((from, None), |(name, mode)| (name, Some(mode)));
    let container =
        project.service(name).map_or_else(|| name.to_owned(), |other| labels::container_name(project, other, 1));
    mode.map_or_else(|| container.clone(), |mode| format!("{container}:{mode}"))
}

fn tmpfs(entry: &str) -> (String, String) {
    let (path, options) = entry.split_once(':').unwrap_or((entry, ""));
    (path.to_owned(), options.to_owned())
}

fn ulimit(name: &str, (soft, hard): (i64, i64)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) }
}

fn throttled(devices: &[ThrottledDevice]) -> Option<Vec<ThrottleDevice>> {
    some(
        devices
            .iter()
            .map(|device| ThrottleDevice { path: Some(device.path.clone()), rate: Some(device.rate.0) })
            .collect(),
    )
}

fn devices(service: &Service) -> Vec<DeviceMapping> {
    let one = |device: &crate::stack::compose::model::Device| DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(if device.target.is_empty() { device.source.clone() } else { device.target.clone() }),
        cgroup_permissions: Some(if device.permissions.is_empty() { "rwm".into() } else { device.permissions.clone() }),
    };
    service.devices.iter().map(one).collect()
}

fn request(request: &Request) -> DeviceRequest {
    DeviceRequest {
        driver: text(&request.driver),
        // Devices by their names exclude a number of them.
        count: request.device_ids.is_empty().then_some(if request.count == 0 { -1 } else { request.count }),
        device_ids: some(request.device_ids.clone()),
        capabilities: Some(vec![request.capabilities.clone()]),
        options: (!request.options.is_empty()).then(|| request.options.clone().into_iter().collect()),
    }
}

fn gpu(wanted: &Request) -> DeviceRequest {
    let mut wanted = wanted.clone();
    if !wanted.capabilities.iter().any(|capability| capability == "gpu") {
        wanted.capabilities.push("gpu".into());
    }
    request(&wanted)
}

fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, tries) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(tries) => (RestartPolicyNameEnum::ON_FAILURE, i64::try_from(tries).ok()),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: tries }
}
