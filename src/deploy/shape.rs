//! Shapes of the ECS API as JSON, in the API's own names: what is rendered and what is live become comparable, with
//! every field that the API has, also those that this tool never writes.

use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings, JsonSerializer};
use aws_smithy_schema::codec::Codec;
use aws_smithy_schema::serde::{SerializableStruct, ShapeSerializer};
use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};

/// The shape as the API would send it.
pub(super) fn json(shape: &dyn SerializableStruct) -> Result<Value> {
    let mut serializer: JsonSerializer = JsonCodec::new(JsonCodecSettings::default()).create_serializer();
    serializer
        .write_struct(shape.schema(), shape)
        .map_err(|error| Failure::failed("can't read what ECS said").because(&error))?;
    serde_json::from_slice(&serializer.finish()).or_fail(|| "can't read what ECS said".to_owned())
}
