//! The one place that makes AWS clients: profile, region, endpoint, retries, time limits, and the words for what
//! AWS refuses.
//!
//! `Aws::connect` settles whose credentials and which region; nothing is sent until the first call.
//! [`Aws::identity`] asks who one is, and stops whoever holds credentials for another account.

mod failure;
mod kafka;
mod profile;
mod requests;
mod rest;
mod signed;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use tokio::sync::OnceCell;

use crate::failure::{Failure, Result};
use crate::settings::{Environment, EnvironmentSettings};
use requests::Requests;

pub use failure::{HttpResponse, SdkError, is_denied, is_not_found};
pub use rest::{Call, Reply};
pub use signed::{Answer, Service, entries, text};

/// How long a connection may take, also through a proxy on another continent.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one try may take.
const ATTEMPT: Duration = Duration::from_secs(30);
/// How long a call may take with all its tries and the pauses between them.
const OPERATION: Duration = Duration::from_secs(120);
/// Tries of a call; `AWS_MAX_ATTEMPTS` says otherwise.
const ATTEMPTS: u32 = 6;

/// Clients for one environment's account and region.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    region: String,
    profile: Option<String>,
    /// The account that the environment is in, and the environment's name.
    expected: (Option<String>, String),
    identity: OnceCell<Identity>,
    http: reqwest::Client,
    attempts: u32,
    requests: Requests,
}

/// Who the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// The user's or the assumed role's.
    pub arn: String,
}

impl Identity {
    /// `aws`, `aws-cn` or `aws-us-gov`: the second part of every ARN.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

/// A client whose requests are counted.
macro_rules! client {
    ($aws:expr, $sdk:ident) => {
        $sdk::Client::from_conf($sdk::config::Builder::from(&$aws.config).interceptor($aws.requests.clone()).build())
    };
}

impl Aws {
    /// Settles credentials, region and endpoint for an environment. Sends nothing.
    ///
    /// Credentials of the process's own variables go before the profile of `streamify.yaml`: a pipeline has those and
    /// no profiles.
    ///
    /// # Errors
    /// A profile that is not there; no region anywhere; a value of a variable that is not valid.
    pub async fn connect(environment: &EnvironmentSettings, process: &Environment) -> Result<Self> {
        let (profile, region) = (environment.profile.as_deref(), environment.region.as_deref());
        Self::settle(profile, region, (environment.account.clone(), environment.name.clone()), process).await
    }

    /// The same for a program that runs in AWS: its own credentials and region, whatever environment it is of.
    ///
    /// # Errors
    /// As of [`Aws::connect`].
    pub async fn of_process(process: &Environment) -> Result<Self> {
        Self::settle(None, None, (None, "this process".to_owned()), process).await
    }

    async fn settle(
        profile: Option<&str>,
        region: Option<&str>,
        expected: (Option<String>, String),
        process: &Environment,
    ) -> Result<Self> {
        let profile = profile::choose(profile, process)?;
        let attempts = match process.get("AWS_MAX_ATTEMPTS") {
            None => ATTEMPTS,
            Some(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
                Failure::usage(format!("the variable AWS_MAX_ATTEMPTS is not valid: {text}"))
                    .hint("It is a number of tries, 1 or more.")
            })?,
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::adaptive().with_max_attempts(attempts))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .read_timeout(ATTEMPT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            );
        if let Some(name) = profile.to_load() {
            loader = loader.profile_name(name);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(endpoint) = process.get("STREAMIFY_AWS_ENDPOINT") {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        let Some(region) = config.region().map(ToString::to_string).filter(|region| !region.is_empty()) else {
            let name = &expected.1;
            return Err(Failure::usage(format!("there is no AWS region for the environment `{name}`"))
                .hint(format!("Set environments.{name}.region in streamify.yaml, or AWS_REGION.")));
        };
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ATTEMPT)
            .build()
            .map_err(|error| Failure::failed("can't make an HTTP client").because(&error))?;
        let (profile, requests) = (profile.name, Requests::default());
        Ok(Self { config, region, profile, expected, identity: OnceCell::new(), http, attempts, requests })
    }

    /// How many requests were sent so far, tries that failed among them.
    pub fn requests(&self) -> u64 {
        self.requests.count()
    }

    /// The region that is worked in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The profile that the credentials come from, where one was named.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Who the credentials belong to, asked once. Every command calls this before it does anything else.
    ///
    /// # Errors
    /// No credentials, or expired ones; and credentials for another account than `environments.NAME.account`.
    pub async fn identity(&self) -> Result<&Identity> {
        self.identity
            .get_or_try_init(async || {
                let answer = self.sts().get_caller_identity().send().await;
                let answer =
                    answer.map_err(|error| self.failure("can't find out whose AWS credentials these are", &error))?;
                let identity =
                    Identity { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() };
                match &self.expected {
                    (Some(expected), name) if *expected != identity.account => Err(Failure::failed(format!(
                        "these credentials are for the AWS account {}, and the environment `{name}` is in {expected}",
                        identity.account
                    ))
                    .cause(format!("they belong to {}", identity.arn))
                    .hint("Nothing was changed.")
                    .hint(format!(
                        "Choose a profile of that account with AWS_PROFILE or environments.{name}.profile, \
                         or mend environments.{name}.account."
                    ))),
                    _ => Ok(identity),
                }
            })
            .await
    }

    /// `CloudWatch`: alarms and metrics.
    pub fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        client!(self, aws_sdk_cloudwatch)
    }

    /// `CloudWatch` Logs.
    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        client!(self, aws_sdk_cloudwatchlogs)
    }

    /// `DynamoDB`.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        client!(self, aws_sdk_dynamodb)
    }

    /// The registry of images.
    pub fn ecr(&self) -> aws_sdk_ecr::Client {
        client!(self, aws_sdk_ecr)
    }

    /// Services and tasks.
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        client!(self, aws_sdk_ecs)
    }

    /// Load balancers and their target groups.
    pub fn load_balancers(&self) -> aws_sdk_elasticloadbalancingv2::Client {
        client!(self, aws_sdk_elasticloadbalancingv2)
    }

    /// Secrets Manager.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        client!(self, aws_sdk_secretsmanager)
    }

    /// Systems Manager: the parameter store.
    pub fn ssm(&self) -> aws_sdk_ssm::Client {
        client!(self, aws_sdk_ssm)
    }

    /// Who one is.
    pub fn sts(&self) -> aws_sdk_sts::Client {
        client!(self, aws_sdk_sts)
    }
}
