//! The clients that a deploy needs, with every request counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_ecs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::{BoxError, ProvideErrorMetadata};

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
    requests: Requests,
}

/// How many requests were sent, tries that failed among them.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<AtomicU64>);

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A client whose requests are counted.
macro_rules! counted {
    ($sdk:ident, $aws:expr, $requests:expr) => {
        $sdk::Client::from_conf($sdk::config::Builder::from($aws.config()).interceptor($requests.clone()).build())
    };
}

impl Cloud {
    /// Clients of the account and region that `aws` has settled.
    pub fn new(aws: Aws) -> Self {
        let requests = Requests::default();
        Self {
            dynamodb: counted!(aws_sdk_dynamodb, aws, requests),
            ecs: counted!(aws_sdk_ecs, aws, requests),
            load_balancers: counted!(aws_sdk_elasticloadbalancingv2, aws, requests),
            logs: counted!(aws_sdk_cloudwatchlogs, aws, requests),
            secrets_manager: counted!(aws_sdk_secretsmanager, aws, requests),
            ssm: counted!(aws_sdk_ssm, aws, requests),
            aws,
            requests,
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
        self.requests.0.load(Ordering::Relaxed)
    }
}
