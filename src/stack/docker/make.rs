//! Networks and volumes, made with Compose's labels.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};

use super::apply::Works;
use super::blueprint::{network_name, some, text};
use super::engine::{ApiVersion, OrSay, failure, status};
use super::labels;
use super::mounts::volume_name;
use crate::failure::Result;

impl Works<'_> {
    pub(super) async fn make_network(&self, key: &str) -> Result<()> {
        let name = network_name(self.project, key);
        let network = self.project.networks.get(key).cloned().unwrap_or_default();
        let mut all_labels: HashMap<String, String> = network.labels.into_iter().collect();
        all_labels.extend(labels::of_project(self.project));
        all_labels.insert(labels::NETWORK.into(), key.into());
        let pools: Vec<IpamConfig> = network
            .ipam
            .config
            .iter()
            .map(|pool| IpamConfig {
                subnet: text(&pool.subnet),
                ip_range: text(&pool.ip_range),
                gateway: text(&pool.gateway),
                auxiliary_addresses: (!pool.aux_addresses.is_empty())
                    .then(|| pool.aux_addresses.clone().into_iter().collect()),
            })
            .collect();
        let has_ipam = !pools.is_empty() || !network.ipam.driver.is_empty() || !network.ipam.options.is_empty();
        let ipam = has_ipam.then(|| Ipam {
            driver: Some(if network.ipam.driver.is_empty() { "default".into() } else { network.ipam.driver.clone() }),
            config: some(pools),
            options: (!network.ipam.options.is_empty()).then(|| network.ipam.options.clone().into_iter().collect()),
        });
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some(if network.driver.is_empty() { "bridge".into() } else { network.driver }),
            internal: network.internal.then_some(true),
            attachable: network.attachable.then_some(true),
            enable_ipv4: network.enable_ipv4.filter(|_| self.engine.has(ApiVersion::IMAGE_MOUNTS)),
            enable_ipv6: network.enable_ipv6,
            ipam,
            options: (!network.driver_opts.is_empty()).then(|| network.driver_opts.into_iter().collect()),
            labels: Some(all_labels),
            ..NetworkCreateRequest::default()
        };
        match self.engine.docker.create_network(request).await {
            Ok(_) => Ok(()),
            // Another run made it meanwhile.
            Err(error) if status(&error) == Some(409) => Ok(()),
            Err(error) => Err(failure(format!("can't make the network {name}"), &error).hint(
                "Where the address pools are used up, `docker network prune` frees those of networks without use.",
            )),
        }
    }

    pub(super) async fn make_volume(&self, key: &str) -> Result<()> {
        let name = volume_name(self.project, key);
        let volume = self.project.volumes.get(key).cloned().unwrap_or_default();
        let mut all_labels: HashMap<String, String> = volume.labels.into_iter().collect();
        all_labels.extend(labels::of_project(self.project));
        all_labels.insert(labels::VOLUME.into(), key.into());
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            driver: text(&volume.driver),
            driver_opts: (!volume.driver_opts.is_empty()).then(|| volume.driver_opts.into_iter().collect()),
            labels: Some(all_labels),
            ..VolumeCreateRequest::default()
        };
        self.engine.docker.create_volume(request).await.or_say(|| format!("can't make the volume {name}")).map(drop)
    }
}
