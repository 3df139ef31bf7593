use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use super::process::command_line;
use crate::failure::{Failure, OrFail, Result};
use crate::settings::Service;

/// What `--port` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A free port for every service whose own is taken.
    Auto,
    Exactly(Service, u16),
}

impl std::str::FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (service, port) = text.split_once('=').ok_or("give SERVICE=PORT, such as backend=3101, or auto")?;
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(format!("`{port}` is not a port"))?;
        Ok(Self::Exactly(service.parse()?, port))
    }
}

/// Whether nobody listens there.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A port that was free a moment ago.
pub fn free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_fail(|| "can't find a free port".into())?;
    Ok(listener.local_addr().or_fail(|| "can't find a free port".into())?.port())
}

/// Settles the ports of the services: wishes, then what was used last, then the settings.
///
/// # Errors
/// Every port in use at once, each with its holder.
pub fn choose(
    services: &[Service],
    wishes: &[Wish],
    remembered: &BTreeMap<Service, u16>,
    settings: &BTreeMap<Service, u16>,
) -> Result<BTreeMap<Service, u16>> {
    let auto = wishes.contains(&Wish::Auto);
    let mut chosen = BTreeMap::new();
    let mut taken = Vec::new();
    for service in services {
        let asked = wishes.iter().rev().find_map(|wish| match wish {
            Wish::Exactly(of, port) if of == service => Some(*port),
            _ => None,
        });
        let usual = remembered.get(service).or_else(|| settings.get(service)).copied();
        let port = asked.or(usual).unwrap_or_else(|| service.default_port());
        if let Some((other, _)) = chosen.iter().find(|(_, used)| **used == port) {
            return Err(Failure::usage(format!("{other} and {service} can't both have port {port}")));
        }
        let port = if is_free(port) {
            port
        } else if auto && asked.is_none() {
            free()?
        } else {
            taken.push((*service, port));
            continue;
        };
        chosen.insert(*service, port);
    }
    if taken.is_empty() { Ok(chosen) } else { Err(in_use(&taken)) }
}

fn in_use(taken: &[(Service, u16)]) -> Failure {
    let first = taken[0];
    let message = match taken {
        [(service, port)] => format!("port {port} of {service} is in use"),
        many => format!("{} ports are in use", many.len()),
    };
    let mut failure = Failure::unreachable(message);
    failure.kind = crate::failure::Kind::Failed;
    for (service, port) in taken {
        failure = failure.cause(format!("{port} ({service}) is held by {}", holder(*port)));
    }
    failure.hint("Stop the holder, or let free ports be chosen: `streamify dev up --port auto`.").hint(format!(
        "Or choose yourself: `streamify dev up --port {}={}`.",
        first.0,
        first.1.saturating_add(100)
    ))
}

/// Who listens there, for people.
pub fn holder(port: u16) -> String {
    let found = listeners::get_processes_by_port(port).unwrap_or_default().into_iter().next();
    found.map_or_else(
        || "a process of another user".to_owned(),
        |process| {
            let line = command_line(process.pid).unwrap_or(process.name);
            format!("process {}: {line}", process.pid)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_holder_and_auto_finds_another() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = BTreeMap::from([(Service::Kafka, port)]);
        let failure = choose(&[Service::Kafka], &[], &BTreeMap::new(), &settings).unwrap_err();
        assert!(failure.causes[0].contains(&std::process::id().to_string()), "{failure:?}");
        let chosen = choose(&[Service::Kafka], &[Wish::Auto], &BTreeMap::new(), &settings).unwrap();
        assert_ne!(chosen[&Service::Kafka], port);
    }

    #[test]
    fn wishes_say_what_is_wrong_with_them() {
        assert_eq!("backend=3101".parse(), Ok(Wish::Exactly(Service::Backend, 3101)));
        assert!("backend".parse::<Wish>().unwrap_err().contains("SERVICE=PORT"));
        assert!("redis=1".parse::<Wish>().unwrap_err().contains("no service `redis`"));
    }
}
