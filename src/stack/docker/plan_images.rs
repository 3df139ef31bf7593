//! Which images are pulled or built before anything else is planned.

use std::collections::BTreeMap;

use super::observe::Observed;
use super::plan::{Action, Pull, Step, Subject, Wishes, selection};
use crate::failure::{Failure, Result};
use crate::stack::compose::model::{Project, PullPolicy as Policy, Service};

/// The pulls and builds, in the order of the images' names.
///
/// # Errors
/// An image that is not there, and that nothing may bring.
pub(super) fn plan_images(project: &Project, wishes: &Wishes, observed: &Observed) -> Result<Vec<Step>> {
    let mut users: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
    for service in selection(project, wishes)? {
        users.entry(project.image(service)).or_default().push(service);
    }
    let mut steps = Vec::new();
    for (reference, services) in users {
        let is_there = observed.images.contains_key(&reference);
        let builds = services.iter().any(|service| service.build.is_some());
        let policies = || services.iter().map(|service| service.pulls());
        let reason = if builds && (wishes.build || policies().any(|policy| policy == Policy::Build)) {
            Some((Action::Build, "a build is asked for".to_owned()))
        } else if builds && !is_there {
            Some((Action::Build, "it is not here".to_owned()))
        } else if builds {
            None
        } else {
            pull_reason(&reference, &services, wishes.pull, observed)?.map(|reason| (Action::Pull, reason))
        };
        if let Some((action, reason)) = reason {
            let services = services.iter().map(|service| service.name.clone()).collect();
            steps.push(Step {
                action,
                resource: format!("image {reference}"),
                reason,
                changed: Vec::new(),
                after: Vec::new(),
                subject: Subject::Image { reference, services },
            });
        }
    }
    Ok(steps)
}

fn pull_reason(reference: &str, services: &[&Service], pull: Pull, observed: &Observed) -> Result<Option<String>> {
    let image = observed.images.get(reference);
    let policies = || services.iter().map(|service| service.pulls());
    let never = match pull {
        Pull::Policy => policies().all(|policy| policy == Policy::Never),
        other => other == Pull::Never,
    };
    let Some(image) = image else {
        return if never {
            Err(Failure::failed(format!("the image {reference} is not here, and must not be pulled"))
                .cause(format!("{} runs it", services.first().map_or("a service", |service| &service.name)))
                .hint("Load it (`docker load`), or give --pull missing."))
        } else {
            Ok(Some("it is not here".into()))
        };
    };
    if never || pull == Pull::Missing {
        return Ok(None);
    }
    if pull == Pull::Always || policies().any(|policy| policy == Policy::Always) {
        return Ok(Some("there may be a newer one".into()));
    }
    let tagged = image.metadata.as_ref().and_then(|metadata| metadata.last_tag_time.as_ref());
    let tagged: Option<jiff::Timestamp> = tagged.and_then(|time| time.parse().ok());
    let is_old = |after: crate::stack::compose::model::Duration| {
        tagged.is_none_or(|tagged| {
            jiff::Timestamp::now().duration_since(tagged) > jiff::SignedDuration::from_nanos(after.nanoseconds)
        })
    };
    let refresh = policies().find_map(|policy| match policy {
        Policy::Refresh(after) if is_old(after) => Some(after),
        _ => None,
    });
    Ok(refresh.map(|after| format!("it is older than {after}")))
}
