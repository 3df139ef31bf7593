//! Networks, volumes, configs, secrets: what services share.

use super::values::{Hidden, Pairs};

record! {
    /// A network.
    pub struct Network {
        /// Its name in the engine: `project_key` unless the file says otherwise.
        name: String,
        /// The driver; empty: the engine's default, `bridge`.
        driver: String,
        driver_opts: Pairs,
        /// Address management.
        ipam: Ipam,
        /// It exists already; it is neither made nor removed.
        external: bool,
        /// Without a way out.
        internal: bool,
        /// Containers outside the project may join.
        attachable: bool,
        labels: Pairs,
        enable_ipv4: Option<bool>,
        enable_ipv6: Option<bool>,
    }

    /// The address management of a network.
    pub struct Ipam {
        driver: String,
        config: Vec<IpamPool>,
        options: Pairs,
    }

    /// A pool of addresses.
    pub struct IpamPool {
        /// In CIDR notation.
        subnet: String,
        gateway: String,
        /// In CIDR notation, within the subnet.
        ip_range: String,
        /// Addresses that are taken, by host name.
        aux_addresses: Pairs,
    }

    /// A named volume.
    pub struct Volume {
        /// Its name in the engine: `project_key` unless the file says otherwise.
        name: String,
        /// The driver; empty: the engine's default, `local`.
        driver: String,
        driver_opts: Pairs,
        /// It exists already; it is neither made nor removed.
        external: bool,
        labels: Pairs,
    }

    /// A file with settings for services.
    pub struct Config {
        /// Its name in the engine: `project_key` unless the file says otherwise.
        name: String,
        /// The file that holds it: absolute.
        file: String,
        /// The variable that holds it.
        environment: String,
        /// The text itself.
        content: String,
        external: bool,
        labels: Pairs,
        driver: String,
        driver_opts: Pairs,
        template_driver: String,
        /// The value of the variable that `environment` names.
        #[serde(skip)]
        resolved: Option<Hidden>,
    }

    /// A file with a secret for services.
    pub struct Secret {
        /// Its name in the engine: `project_key` unless the file says otherwise.
        name: String,
        /// The file that holds it: absolute.
        file: String,
        /// The variable that holds it.
        environment: String,
        external: bool,
        labels: Pairs,
        driver: String,
        driver_opts: Pairs,
        template_driver: String,
        /// The value of the variable that `environment` names.
        #[serde(skip)]
        resolved: Option<Hidden>,
    }

    /// A language model that services use.
    pub struct Model {
        name: String,
        model: String,
        /// The greatest number of tokens of its context.
        context_size: i64,
        runtime_flags: Vec<String>,
    }
}

impl super::values::Blank for Ipam {
    fn is_blank(&self) -> bool {
        // It is written always, as Compose does.
        false
    }
}
