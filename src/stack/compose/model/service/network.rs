//! Ports, and how a service joins a network.

use super::super::values::Pairs;

record! {
    /// A port of the container, published on the host or not.
    pub struct Port {
        /// A name for people.
        name: String,
        /// `ingress` or `host`: no difference on one machine.
        mode: String,
        /// The host's address that it is published on; empty: all.
        host_ip: String,
        /// The port in the container.
        target: u32,
        /// The port on the host, or a range `first-last` of which a free one is taken; empty: any free port.
        published: String,
        /// `tcp` or `udp`.
        protocol: String,
        app_protocol: String,
    }

    /// How a service joins a network.
    pub struct NetworkAttachment {
        /// Further names there, besides the service's and the container's.
        aliases: Vec<String>,
        driver_opts: Pairs,
        /// The network with the highest one gives the default gateway.
        gw_priority: i64,
        interface_name: String,
        ipv4_address: String,
        ipv6_address: String,
        link_local_ips: Vec<String>,
        mac_address: String,
        /// The highest is joined first.
        priority: i64,
    }
}
