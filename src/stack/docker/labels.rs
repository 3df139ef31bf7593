//! The labels and names by which Docker Compose, and so this program, knows what belongs to a project.
//!
//! They are Docker Compose's own (`pkg/api/labels.go` of docker/compose): each tool sees what the other one made.
//! Networks and volumes get no configuration hash: Compose takes an absent one for "use it as it is", and a different
//! one for a reason to make them anew, data included.

use std::collections::HashMap;

use crate::stack::compose::model::{Condition, DependsOn, Project, Service};

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
/// Must exist on a container: Compose does not see containers without it.
pub(super) const CONFIG_HASH: &str = "com.docker.compose.config-hash";
pub(super) const ONE_OFF: &str = "com.docker.compose.oneoff";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
pub(super) const DEPENDS_ON: &str = "com.docker.compose.depends_on";
pub(super) const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
pub(super) const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
pub(super) const ENVIRONMENT_FILES: &str = "com.docker.compose.project.environment_file";
pub(super) const IMAGE: &str = "com.docker.compose.image";
pub(super) const VERSION: &str = "com.docker.compose.version";
/// On a container that is to take the place of another one: that one's name.
pub(super) const REPLACE: &str = "com.docker.compose.replace";
pub(super) const NETWORK: &str = "com.docker.compose.network";
pub(super) const VOLUME: &str = "com.docker.compose.volume";
/// Ours: a digest of each field that the container was made from, so that a change can be named.
pub(super) const FIELDS: &str = "dev.streamify.fields";

/// Compose refuses nothing because of it; it says which contract is kept.
const CONTRACT: &str = "2.40.0";

/// What every resource of the project carries.
pub(super) fn of_project(project: &Project) -> HashMap<String, String> {
    HashMap::from([(PROJECT.to_owned(), project.name.clone()), (VERSION.to_owned(), CONTRACT.to_owned())])
}

/// A name without the project's in front.
pub(super) fn unprefixed<'a>(project: &str, name: &'a str) -> &'a str {
    name.strip_prefix(project).and_then(|rest| rest.strip_prefix('-')).unwrap_or(name)
}

fn paths(paths: &[std::path::PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}

/// What a container of the service carries besides the service's own labels; hash, image and fields come later.
pub(super) fn of_container(
    project: &Project,
    service: &Service,
    number: u32,
    one_off: bool,
) -> HashMap<String, String> {
    let mut labels = of_project(project);
    let mut add = |name: &str, value: String| labels.insert(name.to_owned(), value);
    add(SERVICE, service.name.clone());
    add(ONE_OFF, if one_off { "True" } else { "False" }.to_owned());
    add(NUMBER, number.to_string());
    add(DEPENDS_ON, depends_on(service));
    add(WORKING_DIR, project.directory.display().to_string());
    add(CONFIG_FILES, paths(&project.files));
    if !project.environment_files.is_empty() {
        add(ENVIRONMENT_FILES, paths(&project.environment_files));
    }
    labels
}

/// `db:service_healthy:false,cache:service_started:true`: what `down` goes by where there is no file.
fn depends_on(service: &Service) -> String {
    let one = |(name, on): (&String, &DependsOn)| {
        let condition = match on.condition {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::Completed => "service_completed_successfully",
        };
        format!("{name}:{condition}:{}", on.restart)
    };
    service.depends_on.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The services that a container's label says it depends on.
pub(super) fn dependencies(labels: &HashMap<String, String>) -> Vec<String> {
    let text = labels.get(DEPENDS_ON).map(String::as_str).unwrap_or_default();
    text.split(',').filter_map(|one| one.split(':').next()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The container's name: `project-service-number`, or the one that the file gives.
pub(super) fn container_name(project: &Project, service: &Service, number: u32) -> String {
    if service.container_name.is_empty() {
        format!("{}-{}-{number}", project.name, service.name)
    } else {
        service.container_name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_back_from_the_label() {
        let mut service = Service { name: "web".into(), ..Service::default() };
        service.depends_on.insert("db".into(), DependsOn { condition: Condition::Healthy, ..DependsOn::default() });
        service.depends_on.insert("job".into(), DependsOn { condition: Condition::Completed, ..DependsOn::default() });
        let labels = of_container(&Project::default(), &service, 1, false);
        assert_eq!(labels[DEPENDS_ON], "db:service_healthy:false,job:service_completed_successfully:false");
        assert_eq!(dependencies(&labels), ["db", "job"]);
        assert!(dependencies(&HashMap::new()).is_empty());
    }
}
