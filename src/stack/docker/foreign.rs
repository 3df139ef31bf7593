//! Whether a container that another tool made is what the file asks for: field by field, since it carries no digests.
//!
//! Compose keeps one hash of all of it, and the way it counts changes between its versions; a hash that differs says
//! nothing, so the container itself is compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{ContainerInspectResponse, HostConfig, ImageConfig, PortMap};

use super::blueprint::Blueprint;

/// The fields in which the container differs from the blueprint, as the Compose format names them.
pub(super) fn differences(
    blueprint: &Blueprint,
    found: &ContainerInspectResponse,
    image: Option<&ImageConfig>,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut unless = |same: bool, name: &str| {
        if !same {
            names.push(name.to_owned());
        }
    };
    let wanted = &blueprint.body;
    let config = found.config.clone().unwrap_or_default();
    let image = image.cloned().unwrap_or_default();
    let empty = Vec::new();
    let or_of_image = |own: &Option<Vec<String>>, of_image: &Option<Vec<String>>| {
        own.clone().or_else(|| of_image.clone()).filter(|words| !words.is_empty())
    };
    unless(config.image == wanted.image, "image");
    let entrypoint = or_of_image(&wanted.entrypoint, &image.entrypoint);
    unless(config.entrypoint.clone().filter(|words| !words.is_empty()) == entrypoint, "entrypoint");
    // A given entry point takes the image's command away.
    let of_image = if wanted.entrypoint.is_some() { None } else { image.cmd.clone() };
    unless(config.cmd.clone().filter(|words| !words.is_empty()) == or_of_image(&wanted.cmd, &of_image), "command");
    for name in environment(
        wanted.env.as_ref().unwrap_or(&empty),
        config.env.as_ref().unwrap_or(&empty),
        image.env.as_ref().unwrap_or(&empty),
    ) {
        unless(false, &format!("environment.{name}"));
    }
    for name in labels(wanted.labels.as_ref(), config.labels.as_ref(), image.labels.as_ref()) {
        unless(false, &format!("labels.{name}"));
    }
    let or =
        |own: &Option<String>, of_image: &Option<String>| own.clone().or_else(|| of_image.clone()).unwrap_or_default();
    unless(config.user.clone().unwrap_or_default() == or(&wanted.user, &image.user), "user");
    unless(
        config.working_dir.clone().unwrap_or_default() == or(&wanted.working_dir, &image.working_dir),
        "working_dir",
    );
    if wanted.hostname.is_some() {
        unless(config.hostname == wanted.hostname, "hostname");
    }
    unless(config.tty.unwrap_or(false) == wanted.tty.unwrap_or(false), "tty");
    unless(config.open_stdin.unwrap_or(false) == wanted.open_stdin.unwrap_or(false), "stdin_open");
    if wanted.stop_signal.is_some() {
        unless(config.stop_signal == wanted.stop_signal, "stop_signal");
    }
    unless(config.stop_timeout == wanted.stop_timeout, "stop_grace_period");
    if let Some(check) = &wanted.healthcheck {
        let there = config.healthcheck.clone().unwrap_or_default();
        let of_image = image.healthcheck.clone().unwrap_or_default();
        let positive = |number: Option<i64>| number.filter(|number| *number > 0);
        let same = there.test == check.test.clone().or(of_image.test)
            && positive(there.interval) == positive(check.interval.or(of_image.interval))
            && positive(there.timeout) == positive(check.timeout.or(of_image.timeout))
            && positive(there.retries) == positive(check.retries.or(of_image.retries))
            && positive(there.start_period) == positive(check.start_period.or(of_image.start_period));
        unless(same, "healthcheck");
    }
    let host = found.host_config.clone().unwrap_or_default();
    if let Some(wanted) = &wanted.host_config {
        for name in of_host(wanted, &host) {
            unless(false, name);
        }
    }
    unless(mounts_are_there(blueprint, found), "volumes");
    names
}

/// The names whose value differs; those of the image alone are none of the file's business.
fn environment(wanted: &[String], there: &[String], of_image: &[String]) -> Vec<String> {
    let read = |list: &[String]| -> BTreeMap<String, String> {
        list.iter()
            .map(|pair| pair.split_once('=').map_or((pair.clone(), String::new()), |(k, v)| (k.into(), v.into())))
            .collect()
    };
    let mut expected = read(of_image);
    expected.extend(read(wanted));
    different(&expected, &read(there))
}

fn labels(
    wanted: Option<&HashMap<String, String>>,
    there: Option<&HashMap<String, String>>,
    of_image: Option<&HashMap<String, String>>,
) -> Vec<String> {
    let own = |labels: Option<&HashMap<String, String>>| -> BTreeMap<String, String> {
        let bookkeeping = |name: &str| name.starts_with("com.docker.compose.") || name.starts_with("dev.streamify.");
        labels
            .into_iter()
            .flatten()
            .filter(|(name, _)| !bookkeeping(name))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    let mut expected = own(of_image);
    expected.extend(own(wanted));
    different(&expected, &own(there))
}

fn different(expected: &BTreeMap<String, String>, there: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = expected.keys().chain(there.keys()).collect();
    names.into_iter().filter(|name| expected.get(*name) != there.get(*name)).cloned().collect()
}

fn of_host(wanted: &HostConfig, there: &HostConfig) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut unless = |same: bool, name| {
        if !same {
            names.push(name);
        }
    };
    let number = |number: Option<i64>| number.filter(|number| *number != 0);
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let on = |switch: Option<bool>| switch.unwrap_or(false);
    unless(ports(wanted.port_bindings.as_ref()) == ports(there.port_bindings.as_ref()), "ports");
    let policy = |config: &HostConfig| {
        let policy = config.restart_policy.clone().unwrap_or_default();
        let name = policy.name.map(|name| name.to_string()).filter(|name| name != "no").unwrap_or_default();
        (name, policy.maximum_retry_count.unwrap_or(0))
    };
    unless(policy(wanted) == policy(there), "restart");
    unless(number(wanted.memory) == number(there.memory), "mem_limit");
    unless(number(wanted.memory_reservation) == number(there.memory_reservation), "mem_reservation");
    unless(number(wanted.nano_cpus) == number(there.nano_cpus), "cpus");
    unless(number(wanted.cpu_shares) == number(there.cpu_shares), "cpu_shares");
    unless(number(wanted.pids_limit) == number(there.pids_limit), "pids_limit");
    unless(wanted.shm_size.is_none() || wanted.shm_size == there.shm_size, "shm_size");
    unless(wanted.init == there.init, "init");
    unless(on(wanted.privileged) == on(there.privileged), "privileged");
    unless(on(wanted.readonly_rootfs) == on(there.readonly_rootfs), "read_only");
    // Some write `CAP_NET_RAW`, some `NET_RAW`.
    let capabilities = |names: &Option<Vec<String>>| {
        let plain = |name: String| name.to_uppercase().trim_start_matches("CAP_").to_owned();
        list(names).into_iter().map(plain).collect::<BTreeSet<_>>()
    };
    unless(capabilities(&wanted.cap_add) == capabilities(&there.cap_add), "cap_add");
    unless(capabilities(&wanted.cap_drop) == capabilities(&there.cap_drop), "cap_drop");
    unless(list(&wanted.dns) == list(&there.dns), "dns");
    unless(list(&wanted.extra_hosts) == list(&there.extra_hosts), "extra_hosts");
    unless(list(&wanted.group_add) == list(&there.group_add), "group_add");
    unless(list(&wanted.security_opt) == list(&there.security_opt), "security_opt");
    let map = |map: &Option<HashMap<String, String>>| map.clone().unwrap_or_default();
    unless(map(&wanted.sysctls) == map(&there.sysctls), "sysctls");
    unless(map(&wanted.tmpfs) == map(&there.tmpfs), "tmpfs");
    let limits = |config: &HostConfig| {
        let limits = config.ulimits.clone().unwrap_or_default();
        limits.into_iter().map(|limit| (limit.name, (limit.soft, limit.hard))).collect::<BTreeMap<_, _>>()
    };
    unless(limits(wanted) == limits(there), "ulimits");
    if wanted.log_config.as_ref().is_some_and(|logging| logging.typ.is_some()) {
        unless(wanted.log_config == there.log_config, "logging");
    }
    let mode = wanted.network_mode.clone().unwrap_or_default();
    if ["host", "none", "bridge"].contains(&mode.as_str()) {
        unless(there.network_mode.as_deref() == Some(&mode), "network_mode");
    }
    names
}

fn ports(map: Option<&PortMap>) -> BTreeSet<(String, String, String)> {
    let any = |address: String| if address == "0.0.0.0" { String::new() } else { address };
    map.into_iter()
        .flatten()
        .flat_map(|(port, bindings)| {
            bindings.iter().flatten().map(move |binding| {
                let port_there = binding.host_port.clone().unwrap_or_default();
                (port.clone(), any(binding.host_ip.clone().unwrap_or_default()), port_there)
            })
        })
        .collect()
}

/// Every mount of the blueprint is there, of the right kind, from the right place; and no named one too many.
fn mounts_are_there(blueprint: &Blueprint, found: &ContainerInspectResponse) -> bool {
    let host = blueprint.body.host_config.clone().unwrap_or_default();
    let mut expected: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for bind in host.binds.iter().flatten() {
        let mut parts = bind.splitn(3, ':');
        if let (Some(source), Some(target)) = (parts.next(), parts.next()) {
            let read_only = parts.next().is_some_and(|mode| mode.split(',').any(|word| word == "ro"));
            expected.insert(target.into(), (source.into(), !read_only));
        }
    }
    for mount in host.mounts.iter().flatten() {
        let target = mount.target.clone().unwrap_or_default();
        expected.insert(target, (mount.source.clone().unwrap_or_default(), !mount.read_only.unwrap_or(false)));
    }
    let mut there = BTreeMap::new();
    for mount in found.mounts.iter().flatten() {
        let source = if mount.typ.as_deref() == Some("volume") { &mount.name } else { &mount.source };
        there.insert(
            mount.destination.clone().unwrap_or_default(),
            (source.clone().unwrap_or_default(), mount.rw.unwrap_or(true)),
        );
    }
    let all_there = expected.iter().all(|(target, (source, writable))| {
        there.get(target).is_some_and(|(from, rw)| (source.is_empty() || source == from) && writable == rw)
    });
    // Anonymous volumes come from the image; their names are 64 hexadecimal digits.
    let anonymous = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let none_too_many = there.iter().all(|(target, (source, _))| expected.contains_key(target) || anonymous(source));
    all_there && none_too_many
}
