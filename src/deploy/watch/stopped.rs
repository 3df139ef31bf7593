//! Tasks of our revision that stopped, grouped by reason, each group with the last log lines of one of them.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::{DesiredStatus, Task};
use aws_smithy_types::DateTime;

use super::Subject;
use crate::deploy::cloud::Cloud;
use crate::deploy::{stream, tasks};
use crate::failure::Result;
use crate::report::{Event, Report};

/// Log lines that are shown of a group.
const LINES: usize = 10;

/// Tasks that stopped for one reason.
#[derive(Clone, Debug)]
pub(in crate::deploy) struct Group {
    key: String,
    reason: String,
    count: usize,
    lines: Vec<String>,
}

/// All of one service.
#[derive(Clone, Debug, Default)]
pub(in crate::deploy) struct Stopped {
    seen: BTreeSet<String>,
    groups: Vec<Group>,
}

impl Group {
    fn words(&self) -> String {
        let tasks = if self.count == 1 { "1 task".to_owned() } else { format!("{} tasks", self.count) };
        format!("{tasks} stopped: {}", self.reason)
    }
}

impl Stopped {
    /// The groups in words, each with its log lines below it.
    pub(in crate::deploy) fn words(&self) -> Vec<String> {
        let with_lines = |group: &Group| {
            let parts: Vec<String> = std::iter::once(group.words()).chain(group.lines.iter().cloned()).collect();
            parts.join("\n  ")
        };
        self.groups.iter().map(with_lines).collect()
    }

    /// Looks for tasks that stopped since the last time, and tells of each new reason.
    pub(super) async fn look(
        &mut self,
        cloud: &Cloud,
        cluster: &str,
        subject: &Place<'_>,
        report: &dyn Report,
    ) -> Result<()> {
        let list = cloud
            .ecs
            .list_tasks()
            .cluster(cluster)
            .service_name(subject.name)
            .desired_status(DesiredStatus::Stopped)
            .send()
            .await
            .map_err(|error| cloud.failure("can't look for stopped tasks", &error))?;
        let fresh: Vec<String> =
            list.task_arns.unwrap_or_default().into_iter().filter(|arn| !self.seen.contains(arn)).collect();
        for task in tasks::describe(cloud, cluster, &fresh).await? {
            // One that is still stopping has no exit code yet: it is looked at again.
            if task.last_status.as_deref() != Some("STOPPED") {
                continue;
            }
            let arn = task.task_arn.clone().unwrap_or_default();
            self.seen.insert(arn.clone());
            if !is_ours(&task, subject) {
                continue;
            }
            let reason = tasks::reason(&task);
            let key = without_ids(&reason);
            if let Some(group) = self.groups.iter_mut().find(|group| group.key == key) {
                group.count += 1;
                continue;
            }
            let id = tasks::task_id(&arn);
            let stream = format!("{}/{}/{id}", subject.service, subject.container);
            let lines = stream::tail(cloud, subject.log_group, &stream, LINES).await;
            let group = Group { key, reason, count: 1, lines };
            report.warning(&format!("{}: {}", subject.service, group.words()));
            for text in &group.lines {
                report.event(Event::Line {
                    source: format!("{} {}", subject.service, &id[..id.len().min(8)]),
                    text: text.clone(),
                });
            }
            self.groups.push(group);
        }
        Ok(())
    }
}

/// Where the tasks of a subject are found.
pub(super) struct Place<'a> {
    pub(super) service: &'a str,
    pub(super) name: &'a str,
    pub(super) task_definition: &'a str,
    pub(super) container: &'a str,
    pub(super) log_group: &'a str,
    /// Tasks from before are another rollout's.
    pub(super) since: Option<DateTime>,
}

impl Subject {
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            service: &self.service,
            name: &self.name,
            task_definition: &self.task_definition,
            container: &self.container,
            log_group: &self.log_group,
            since: self.created_at,
        }
    }
}

/// A task of our own rollout that did not just make room for another.
fn is_ours(task: &Task, subject: &Place<'_>) -> bool {
    let made_room = task.stopped_reason.as_deref().is_some_and(|reason| reason.starts_with("Scaling activity"));
    let is_before = matches!((task.created_at, subject.since), (Some(created), Some(since)) if created < since);
    task.task_definition_arn.as_deref() == Some(subject.task_definition) && !made_room && !is_before
}

/// The same reason for every task, whatever ids are in it.
fn without_ids(reason: &str) -> String {
    let is_id = |word: &str| word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let words = reason.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| !word.is_empty() && !is_id(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_don_t_make_another_reason() {
        let one = "Task failed ELB health checks in (target-group arn:x/0a1b2c3d4e5f6071)";
        let other = "Task failed ELB health checks in (target-group arn:x/ffffffffeeeeeeee)";
        assert_eq!(without_ids(one), without_ids(other));
        assert_ne!(without_ids("api exited with 1"), without_ids("api exited with 2"));
    }

    #[test]
    fn tasks_that_made_room_or_are_of_another_revision_are_not_ours() {
        let place = Place {
            service: "api",
            name: "prod-api",
            task_definition: "api:2",
            container: "api",
            log_group: "/api",
            since: Some(DateTime::from_secs(100)),
        };
        let task = |definition: &str, reason: &str, created: i64| {
            let task = Task::builder().task_definition_arn(definition).stopped_reason(reason);
            task.created_at(DateTime::from_secs(created)).build()
        };
        assert!(is_ours(&task("api:2", "Essential container in task exited", 101), &place));
        assert!(!is_ours(&task("api:1", "Essential container in task exited", 101), &place));
        assert!(!is_ours(&task("api:2", "Essential container in task exited", 99), &place));
        assert!(!is_ours(&task("api:2", "Scaling activity initiated by deployment ecs-svc/1", 101), &place));
    }
}
