//! What a container is made from: a service of the Compose project in the words of the engine.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, PortBinding, PortMap,
};

use super::engine::ApiVersion;
use super::fields::Fields;
use super::mounts::{self, File};
use super::{host, labels};
use crate::failure::{Failure, Result};
use crate::stack::compose::model::{Hidden, NetworkAttachment, Port, Project, Service};

/// Everything that is needed to make one container.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    pub(super) name: String,
    pub(super) service: String,
    /// Without the networks: they depend on what the engine can do.
    pub(super) body: ContainerCreateBody,
    /// The networks by their names in the engine, in the order in which they are joined.
    pub(super) endpoints: Vec<(String, EndpointSettings)>,
    /// Such as `linux/amd64`; empty: the engine's own.
    pub(super) platform: String,
    /// Configs and secrets without a file on the host.
    pub(super) files: Vec<File>,
    /// A digest of each field that it was made from.
    pub(super) fields: Fields,
}

/// Makes the blueprint of one container of a service.
///
/// # Errors
/// The service asks for something that this engine can't do: it is named with what is needed.
pub(super) fn blueprint(project: &Project, service: &Service, number: u32, api: ApiVersion) -> Result<Blueprint> {
    refuse_what_is_not_there(service, api)?;
    let name = labels::container_name(project, service, number);
    let fields = Fields::of(project, service)?;
    let mut all_labels: HashMap<String, String> = service.labels.clone().into_iter().collect();
    all_labels.extend(labels::of_container(project, service, number, false));
    all_labels.insert(labels::FIELDS.to_owned(), fields.to_string());
    let endpoints = endpoints(project, service, &name, api);
    let mut exposed: Vec<String> = service.ports.iter().map(container_port).collect();
    exposed.extend(
        service.expose.iter().map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") }),
    );
    exposed.sort();
    exposed.dedup();
    let (files, binds, mounts) = mounts::of(project, service, api)?;
    let network_mode = match (service.network_mode.as_str(), endpoints.first()) {
        ("", Some((first, _))) => first.clone(),
        ("", None) => "none".to_owned(),
        (mode, _) => host::namespace(project, mode),
    };
    let host = HostConfig {
        network_mode: Some(network_mode),
        port_bindings: bindings(&service.ports),
        binds: some(binds),
        mounts: some(mounts),
        ..host::config(project, service)
    };
    let stop_timeout = service.stop_grace_period.map(|grace| seconds_up(grace.nanoseconds));
    let body = ContainerCreateBody {
        hostname: text(&service.hostname),
        domainname: text(&service.domainname),
        user: text(&service.user),
        exposed_ports: some(exposed),
        tty: Some(service.tty),
        open_stdin: Some(service.stdin_open),
        env: some(environment(service)),
        cmd: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        healthcheck: health(service, api),
        image: Some(project.image(service)),
        working_dir: text(&service.working_dir),
        labels: Some(all_labels),
        stop_signal: text(&service.stop_signal),
        stop_timeout,
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    let platform = service.platform.clone();
    Ok(Blueprint { name, service: service.name.clone(), body, endpoints, platform, files, fields })
}

fn refuse_what_is_not_there(service: &Service, api: ApiVersion) -> Result<()> {
    if let Some(provider) = &service.provider {
        return Err(Failure::usage(format!("{} is provided by a program ({})", service.name, provider.r#type))
            .cause("services of providers can't be run yet")
            .hint("Run it by hand, or leave it out: `streamify dev up SERVICE…`."));
    }
    let too_old = |what: &str, needed: ApiVersion| {
        Failure::usage(format!("{} asks for {what}", service.name))
            .cause(format!("that needs Docker API {needed}; this daemon speaks {api}"))
            .hint("Update Docker.")
    };
    let prefers = service.networks.values().flatten().any(|attachment| attachment.gw_priority != 0);
    if prefers && api < ApiVersion::IMAGE_MOUNTS {
        return Err(too_old("a gateway priority", ApiVersion::IMAGE_MOUNTS));
    }
    let has_address = |attachment: &NetworkAttachment| !attachment.mac_address.is_empty();
    let wants_mac = !service.mac_address.is_empty() || service.networks.values().flatten().any(has_address);
    if wants_mac && api < ApiVersion::SEVERAL_ENDPOINTS {
        return Err(too_old("a MAC address", ApiVersion::SEVERAL_ENDPOINTS));
    }
    Ok(())
}

/// None for a text that says nothing.
pub(super) fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// None for a list that says nothing.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Whole seconds, rounded up: a grace period of half a second is not none.
fn seconds_up(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000_000) + i64::from(nanoseconds.rem_euclid(1_000_000_000) > 0)
}

fn environment(service: &Service) -> Vec<String> {
    service.environment.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect()
}

fn container_port(port: &Port) -> String {
    let protocol = if port.protocol.is_empty() { "tcp" } else { &port.protocol };
    format!("{}/{protocol}", port.target)
}

fn bindings(ports: &[Port]) -> Option<PortMap> {
    let mut map = PortMap::new();
    for port in ports {
        let binding = PortBinding { host_ip: text(&port.host_ip), host_port: Some(port.published.clone()) };
        map.entry(container_port(port)).or_default().get_or_insert_default().push(binding);
    }
    (!map.is_empty()).then_some(map)
}

fn health(service: &Service, api: ApiVersion) -> Option<HealthConfig> {
    let check = service.healthcheck.as_ref()?;
    if check.disable {
        return Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() });
    }
    let nanoseconds =
        |duration: Option<crate::stack::compose::model::Duration>| duration.map(|duration| duration.nanoseconds);
    Some(HealthConfig {
        test: some(check.test.clone()),
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        retries: check.retries.and_then(|retries| i64::try_from(retries).ok()),
        start_period: nanoseconds(check.start_period),
        // An older engine would refuse the whole container; without it the check only comes later.
        start_interval: nanoseconds(check.start_interval).filter(|_| api >= ApiVersion::SEVERAL_ENDPOINTS),
    })
}

/// The networks that a service joins, highest priority first, each with the names that it has there.
fn endpoints(project: &Project, service: &Service, name: &str, api: ApiVersion) -> Vec<(String, EndpointSettings)> {
    if !service.network_mode.is_empty() {
        return Vec::new();
    }
    let plain = NetworkAttachment::default();
    let mut keys: Vec<(&String, &NetworkAttachment)> =
        service.networks.iter().map(|(key, attachment)| (key, attachment.as_ref().unwrap_or(&plain))).collect();
    keys.sort_by_key(|(key, attachment)| (-attachment.priority, (*key).clone()));
    let links = links(project, service);
    let mut settings = Vec::new();
    for (key, attachment) in keys {
        let mut aliases = vec![name.to_owned(), service.name.clone()];
        for alias in &attachment.aliases {
            if !aliases.contains(alias) {
                aliases.push(alias.clone());
            }
        }
        let mac = if attachment.mac_address.is_empty() { &service.mac_address } else { &attachment.mac_address };
        let addressed = !attachment.ipv4_address.is_empty()
            || !attachment.ipv6_address.is_empty()
            || !attachment.link_local_ips.is_empty();
        let ipam_config = addressed.then(|| EndpointIpamConfig {
            ipv4_address: text(&attachment.ipv4_address),
            ipv6_address: text(&attachment.ipv6_address),
            link_local_ips: some(attachment.link_local_ips.clone()),
        });
        let mut options: HashMap<String, String> = attachment.driver_opts.clone().into_iter().collect();
        if !attachment.interface_name.is_empty() {
            options.insert("com.docker.network.endpoint.ifname".into(), attachment.interface_name.clone());
        }
        let endpoint = EndpointSettings {
            aliases: Some(aliases),
            ipam_config,
            links: some(links.clone()),
            mac_address: text(mac),
            driver_opts: (!options.is_empty()).then_some(options),
            gw_priority: (api >= ApiVersion::IMAGE_MOUNTS && attachment.gw_priority != 0)
                .then_some(attachment.gw_priority),
            ..EndpointSettings::default()
        };
        settings.push((network_name(project, key), endpoint));
    }
    settings
}

/// A network's name in the engine.
pub(super) fn network_name(project: &Project, key: &str) -> String {
    match project.networks.get(key) {
        Some(network) if !network.name.is_empty() => network.name.clone(),
        _ => format!("{}_{key}", project.name),
    }
}

/// `links` and `external_links` as the engine has them: `container:alias`.
fn links(project: &Project, service: &Service) -> Vec<String> {
    let mut links = Vec::new();
    for link in &service.links {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        if let Some(other) = project.service(name) {
            let container = labels::container_name(project, other, 1);
            links.push(format!("{container}:{alias}"));
            links.push(format!("{container}:{container}"));
        }
    }
    for link in &service.external_links {
        let (container, alias) = link.split_once(':').unwrap_or((link, link));
        links.push(format!("{container}:{alias}"));
    }
    links
}

/// The text of a config or secret that has no file on the host.
pub(super) fn inline(content: &str, resolved: Option<&Hidden>) -> Option<String> {
    if content.is_empty() { resolved.map(|hidden| hidden.0.clone()) } else { Some(content.to_owned()) }
}
