//! The backend as functions of AWS Lambda: its secrets by reference, and the connections of its WebSocket API.
//!
//! `docs/decisions/0018-lambda.md` says why it is as it is.

mod connections;
mod secrets;

use std::str::FromStr;

use crate::failure::{Failure, Result};
use crate::settings::Environment;

pub use connections::Connections;
pub use secrets::resolve;

/// Which function a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Answers an HTTP API.
    Http,
    /// Answers a WebSocket API.
    WebSocket,
    /// Takes Kafka's records, schedules and deploys' tasks.
    Events,
}

impl FromStr for Function {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "http" => Ok(Self::Http),
            "websocket" => Ok(Self::WebSocket),
            "events" => Ok(Self::Events),
            _ => Err(Failure::usage(format!("the variable STREAMIFY_LAMBDA is not valid: {text}"))
                .hint("It is http, websocket or events.")),
        }
    }
}

/// What the runtime's library takes for granted.
const NEEDED: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

impl Function {
    /// Which function this process is, by its variables.
    ///
    /// # Errors
    /// AWS Lambda did not start this process, or the variable names no function.
    pub fn of(process: &Environment) -> Result<Self> {
        if let Some(missing) = NEEDED.iter().find(|name| process.get(name).is_none()) {
            return Err(Failure::usage("this process is no function of AWS Lambda")
                .cause(format!("the variable {missing} is not set"))
                .hint("Without --lambda `streamify serve` serves the API by itself."));
        }
        if let Some(size) = process.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").filter(|size| size.parse::<i32>().is_err()) {
            return Err(Failure::usage(format!("the variable AWS_LAMBDA_FUNCTION_MEMORY_SIZE is not valid: {size}"))
                .hint("It is a number of MiB, which AWS Lambda sets."));
        }
        process.get("STREAMIFY_LAMBDA").unwrap_or("http").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_its_variables() {
        let lambda = Environment::from([
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ]);
        let with = |name: &str| lambda.with([("STREAMIFY_LAMBDA".to_owned(), name.to_owned())]);
        assert_eq!(Function::of(&lambda).unwrap(), Function::Http);
        assert_eq!(Function::of(&with("events")).unwrap(), Function::Events);
        assert!(Function::of(&with("page")).unwrap_err().hints[0].contains("websocket"));
        let failure = Function::of(&Environment::default()).unwrap_err();
        assert!(failure.causes[0].contains("AWS_LAMBDA_RUNTIME_API"), "{failure:?}");
    }
}
