//! Task definitions and service settings from `streamify.yaml`, Terraform's outputs and the images' digests. Pure.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput;
use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionInputBuilder;
use aws_sdk_ecs::types::{
    CanaryConfiguration, Compatibility, ContainerDefinition, CpuArchitecture, DeploymentAlarms,
    DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentStrategy, HealthCheck, KeyValuePair,
    LinearConfiguration, LinuxParameters, LogConfiguration, LogDriver, NetworkMode, OsFamily, PortMapping,
    RuntimePlatform, Secret, TransportProtocol,
};

use crate::failure::{OrFail, Result};
use crate::outputs::ServiceOutputs;
use crate::settings::{Architecture, Deploy, RollbackOn, ServiceSettings, Strategy};

/// What a task definition is made of besides the service's settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Material<'a> {
    /// The service's name in `streamify.yaml`.
    pub(super) service: &'a str,
    pub(super) outputs: &'a ServiceOutputs,
    /// By digest.
    pub(super) image: &'a str,
    pub(super) region: &'a str,
    /// User and group that the image is run as; None: the image says it.
    pub(super) user: Option<&'a str>,
    /// Variable → where ECS takes the value from.
    pub(super) secrets: &'a BTreeMap<String, String>,
    /// Variable → value, as Terraform tells it; what `streamify.yaml` says of a variable goes before it.
    pub(super) told: &'a BTreeMap<String, String>,
    /// `exec` needs to write its agent into the container.
    pub(super) is_exec_enabled: bool,
}

/// The task definition of a service.
pub(super) fn definition(
    settings: &ServiceSettings,
    material: Material<'_>,
) -> Result<RegisterTaskDefinitionInputBuilder> {
    let outputs = material.outputs;
    let architecture = match settings.architecture {
        Architecture::X8664 => CpuArchitecture::X8664,
        Architecture::Arm64 => CpuArchitecture::Arm64,
    };
    Ok(RegisterTaskDefinitionInput::builder()
        .family(&outputs.name)
        .execution_role_arn(&outputs.execution_role)
        .task_role_arn(&outputs.task_role)
        .network_mode(NetworkMode::Awsvpc)
        .requires_compatibilities(Compatibility::Fargate)
        .cpu(settings.cpu.to_string())
        .memory(settings.memory.to_string())
        .runtime_platform(
            RuntimePlatform::builder().cpu_architecture(architecture).operating_system_family(OsFamily::Linux).build(),
        )
        .container_definitions(container(settings, material)?))
}

fn container(settings: &ServiceSettings, material: Material<'_>) -> Result<ContainerDefinition> {
    let wrong = || format!("can't render the container of {}", material.service);
    let log = LogConfiguration::builder()
        .log_driver(LogDriver::Awslogs)
        .options("awslogs-group", &material.outputs.log_group)
        .options("awslogs-region", material.region)
        .options("awslogs-stream-prefix", material.service)
        .build()
        .or_fail(wrong)?;
    let mut container = ContainerDefinition::builder()
        .name(&material.outputs.container)
        .image(material.image)
        .essential(true)
        .readonly_root_filesystem(!material.is_exec_enabled)
        .linux_parameters(LinuxParameters::builder().init_process_enabled(true).build())
        .stop_timeout(settings.stop_timeout.try_into().unwrap_or(i32::MAX))
        .set_user(material.user.map(str::to_owned))
        .set_command(settings.command.clone())
        .log_configuration(log);
    // ECS refuses a name that is a variable and a secret.
    let told = material.told.iter().filter(|(name, _)| !material.secrets.contains_key(*name));
    let variables: BTreeMap<&String, &String> = told.chain(&settings.environment).collect();
    for (name, value) in variables {
        container = container.environment(KeyValuePair::builder().name(name).value(value).build());
    }
    for (name, from) in material.secrets {
        container = container.secrets(Secret::builder().name(name).value_from(from).build().or_fail(wrong)?);
    }
    if let Some(port) = settings.port {
        let mapping = PortMapping::builder().container_port(port.into()).protocol(TransportProtocol::Tcp);
        container = container.port_mappings(mapping.build());
    }
    if let Some(command) = &settings.health_command {
        let words = std::iter::once("CMD".to_owned()).chain(command.iter().cloned());
        let check = HealthCheck::builder()
            .set_command(Some(words.collect()))
            // Three times in half a minute: a rollout learns soon what it has to know.
            .interval(10)
            .timeout(5)
            .retries(3)
            .start_period(30)
            .build()
            .or_fail(wrong)?;
        container = container.health_check(check);
    }
    Ok(container.build())
}

/// How a service is rolled out: what is live, with what `streamify.yaml` says put over it. What Terraform alone knows,
/// such as lifecycle hooks, stays.
pub(super) fn configuration(
    live: Option<&DeploymentConfiguration>,
    deploy: &Deploy,
    rollback_on: &[RollbackOn],
    alarms: &[String],
) -> Result<DeploymentConfiguration> {
    // Terraform's own alarms of the service, and those that streamify.yaml names.
    let alarms: BTreeSet<String> = deploy.alarms.iter().chain(alarms).cloned().collect();
    let wrong = || "can't render the deployment configuration".to_owned();
    let number =
        |value: Option<u32>, otherwise: i32| value.map_or(otherwise, |value| value.try_into().unwrap_or(i32::MAX));
    let mut wanted = live.cloned().unwrap_or_else(|| DeploymentConfiguration::builder().build());
    let strategy = deploy.strategy.unwrap_or_default();
    wanted.strategy = Some(match strategy {
        Strategy::Rolling => DeploymentStrategy::Rolling,
        Strategy::BlueGreen => DeploymentStrategy::BlueGreen,
        Strategy::Linear => DeploymentStrategy::Linear,
        Strategy::Canary => DeploymentStrategy::Canary,
    });
    wanted.minimum_healthy_percent = Some(number(deploy.minimum_healthy_percent, 100));
    wanted.maximum_percent = Some(number(deploy.maximum_percent, 200));
    wanted.bake_time_in_minutes = (strategy != Strategy::Rolling).then(|| number(deploy.bake_minutes, 5));
    let (percent, minutes) = (f64::from(deploy.step_percent.unwrap_or(10)), number(deploy.step_minutes, 5));
    wanted.canary_configuration = (strategy == Strategy::Canary)
        .then(|| CanaryConfiguration::builder().canary_percent(percent).canary_bake_time_in_minutes(minutes).build());
    wanted.linear_configuration = (strategy == Strategy::Linear)
        .then(|| LinearConfiguration::builder().step_percent(percent).step_bake_time_in_minutes(minutes).build());
    let takes_back = |what: RollbackOn| rollback_on.contains(&what);
    let mut breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(takes_back(RollbackOn::Failure));
    if let Some(before) = wanted.deployment_circuit_breaker.take() {
        breaker = breaker
            .set_reset_on_healthy_task(before.reset_on_healthy_task)
            .set_threshold_configuration(before.threshold_configuration);
    }
    wanted.deployment_circuit_breaker = Some(breaker.build());
    wanted.alarms = Some(
        DeploymentAlarms::builder()
            .enable(!alarms.is_empty())
            .rollback(!alarms.is_empty() && takes_back(RollbackOn::Alarm))
            .set_alarm_names(Some(alarms.into_iter().collect()))
            .build()
            .or_fail(wrong)?,
    );
    Ok(wanted)
}
