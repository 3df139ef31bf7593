//! Requests and answers, held to the SDK's own model of ECS: a field that the model lacks is refused.

use aws_sdk_ecs::operation as ops;
use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings, JsonDeserializer, JsonSerializer};
use aws_smithy_schema::codec::Codec;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer, ShapeSerializer};
use serde_json::Value;

/// Reads the text as the model's shape and writes it again: whatever is lost on the way is not in the model.
fn check<T: SerializableStruct>(
    value: &Value,
    read: impl Fn(&mut dyn ShapeDeserializer) -> Result<T, SerdeError>,
) -> Result<(), String> {
    let codec = JsonCodec::new(JsonCodecSettings::default());
    let text = value.to_string();
    let mut deserializer: JsonDeserializer<'_> = codec.create_deserializer(text.as_bytes());
    let shape = read(&mut deserializer).map_err(|error| error.to_string())?;
    let mut serializer: JsonSerializer = codec.create_serializer();
    serializer.write_struct(shape.schema(), &shape).map_err(|error| error.to_string())?;
    let again: Value = serde_json::from_slice(&serializer.finish()).unwrap();
    lost(value, &again, "")
}

fn lost(before: &Value, after: &Value, place: &str) -> Result<(), String> {
    match (before, after) {
        (Value::Object(fields), Value::Object(other)) => fields.iter().try_for_each(|(name, value)| {
            let place = format!("{place}.{name}");
            let after = other.get(name).ok_or_else(|| format!("{place} is not in the model"))?;
            lost(value, after, &place)
        }),
        (Value::Array(all), Value::Array(other)) => {
            all.iter().zip(other).enumerate().try_for_each(|(i, (one, two))| lost(one, two, &format!("{place}[{i}]")))
        }
        (Value::Number(one), Value::Number(two)) if (one.as_f64().unwrap() - two.as_f64().unwrap()).abs() < 0.01 => {
            Ok(())
        }
        (one, two) if one == two => Ok(()),
        (one, two) => Err(format!("{place}: {one} became {two}")),
    }
}

macro_rules! model {
    ($($name:literal: $module:ident $input:ident $output:ident),* $(,)?) => {
        /// Whether an operation is played here at all.
        pub fn is_played(operation: &str) -> bool {
            [$($name),*].contains(&operation)
        }

        /// Whether a request of an operation is one of the model.
        pub fn request(operation: &str, value: &Value) -> Result<(), String> {
            match operation {
                $($name => check(value, |text| ops::$module::$input::deserialize(text)),)*
                other => Err(format!("the operation {other} is not played")),
            }
        }

        /// Whether an answer is one of the model.
        pub fn answer(operation: &str, value: &Value) -> Result<(), String> {
            match operation {
                $($name => check(value, |text| ops::$module::$output::deserialize(text)),)*
                other => Err(format!("the operation {other} is not played")),
            }
        }
    };
}

model! {
    "DescribeClusters": describe_clusters DescribeClustersInput DescribeClustersOutput,
    "DescribeServices": describe_services DescribeServicesInput DescribeServicesOutput,
    "UpdateService": update_service UpdateServiceInput UpdateServiceOutput,
    "RegisterTaskDefinition": register_task_definition RegisterTaskDefinitionInput RegisterTaskDefinitionOutput,
    "DescribeTaskDefinition": describe_task_definition DescribeTaskDefinitionInput DescribeTaskDefinitionOutput,
    "ListServiceDeployments": list_service_deployments ListServiceDeploymentsInput ListServiceDeploymentsOutput,
    "DescribeServiceDeployments":
        describe_service_deployments DescribeServiceDeploymentsInput DescribeServiceDeploymentsOutput,
    "DescribeServiceRevisions": describe_service_revisions DescribeServiceRevisionsInput DescribeServiceRevisionsOutput,
    "StopServiceDeployment": stop_service_deployment StopServiceDeploymentInput StopServiceDeploymentOutput,
    "ListTasks": list_tasks ListTasksInput ListTasksOutput,
    "DescribeTasks": describe_tasks DescribeTasksInput DescribeTasksOutput,
    "RunTask": run_task RunTaskInput RunTaskOutput,
    "StopTask": stop_task StopTaskInput StopTaskOutput,
    "CreateService": create_service CreateServiceInput CreateServiceOutput,
    "DeleteService": delete_service DeleteServiceInput DeleteServiceOutput,
    "DeregisterTaskDefinition":
        deregister_task_definition DeregisterTaskDefinitionInput DeregisterTaskDefinitionOutput,
    "ListTaskDefinitions": list_task_definitions ListTaskDefinitionsInput ListTaskDefinitionsOutput,
    "DeleteTaskDefinitions": delete_task_definitions DeleteTaskDefinitionsInput DeleteTaskDefinitionsOutput,
    "TagResource": tag_resource TagResourceInput TagResourceOutput,
    "UntagResource": untag_resource UntagResourceInput UntagResourceOutput,
    "ListTagsForResource": list_tags_for_resource ListTagsForResourceInput ListTagsForResourceOutput,
    "ExecuteCommand": execute_command ExecuteCommandInput ExecuteCommandOutput,
}
