//! The clients that a deploy needs.

use aws_sdk_ecs::error::ProvideErrorMetadata;

use crate::aws::{Aws, SdkError};
use crate::failure::Failure;

/// Clients of one environment.
pub struct Cloud {
    pub(super) aws: Aws,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) load_balancers: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    pub(super) secrets_manager: aws_sdk_secretsmanager::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
}

impl Cloud {
    /// Clients of the account and region that `aws` has settled.
    pub fn new(aws: Aws) -> Self {
        Self {
            dynamodb: aws.dynamodb(),
            ecs: aws.ecs(),
            load_balancers: aws.load_balancers(),
            logs: aws.logs(),
            secrets_manager: aws.secrets_manager(),
            ssm: aws.ssm(),
            aws,
        }
    }

    /// Whose clients they are.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// What a failed call means; `doing` is what could not be done.
    pub(super) fn failure<E>(&self, doing: &str, error: &SdkError<E>) -> Failure
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        self.aws.failure(doing, error)
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.aws.requests()
    }
}
