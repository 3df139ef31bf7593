//! What AWS refuses, in the words of the person who has to mend it.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::RequestId;

use super::Aws;
use crate::failure::{Failure, Kind};

pub use aws_sdk_sts::config::http::HttpResponse;

/// What a failed call of any client gives.
pub type SdkError<E> = aws_sdk_sts::error::SdkError<E, HttpResponse>;

/// What a service said when it refused.
pub(super) struct Refusal<'a> {
    pub code: &'a str,
    pub message: &'a str,
    pub request: Option<&'a str>,
}

/// Session tokens that ran out.
const EXPIRED: [&str; 5] =
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "ExpiredTokenError"];
/// Keys that AWS does not know, or a signature that is not theirs.
const INVALID: [&str; 8] = [
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "IncompleteSignature",
];
const DENIED: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "NotAuthorized",
    "AuthorizationError",
];
const THROTTLED: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "TooManyUpdates",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "ProvisionedThroughputExceededException",
    "SlowDown",
];

impl Aws {
    /// What a failed call means. `doing` is what could not be done, such as "can't list the secrets".
    ///
    /// Never holds what was sent; what AWS answers is repeated, so a caller that sent a secret takes it out.
    pub fn failure<E>(&self, doing: impl Into<String>, error: &SdkError<E>) -> Failure
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let doing = doing.into();
        if let SdkError::ServiceError(service) = error {
            let refused = service.err();
            let status = format!("HTTP status {}", service.raw().status());
            let code = refused.code().unwrap_or(&status);
            let request = error.request_id();
            return self.refused(doing, &Refusal { code, message: refused.message().unwrap_or_default(), request });
        }
        let causes = chain(error);
        if let Some(credentials) = credentials_error(error) {
            return self.without_credentials(doing, credentials);
        }
        match error {
            SdkError::TimeoutError(_) => Failure::unreachable(doing)
                .cause("AWS did not answer in time")
                .hint("Try again; a proxy or a firewall in between may swallow the connection."),
            SdkError::DispatchFailure(_) => self.unreachable(doing, &causes),
            SdkError::ResponseError(_) => {
                let mut failure = Failure::failed(doing).cause("the answer is not one of AWS");
                failure.causes.extend(causes);
                failure.hint("Look at AWS_ENDPOINT_URL, or at what is between here and AWS.")
            }
            _ => Failure { causes, ..Failure::failed(doing) },
        }
    }

    /// The same for what a service refuses inside of an answer to a call that went well.
    pub fn refusal(&self, doing: impl Into<String>, code: &str, message: &str) -> Failure {
        self.refused(doing.into(), &Refusal { code, message, request: None })
    }

    /// A service's refusal in words.
    pub(super) fn refused(&self, doing: String, refusal: &Refusal<'_>) -> Failure {
        let Refusal { code, message, request } = *refusal;
        let failure = Failure::failed(doing);
        let failure = if EXPIRED.contains(&code) || (INVALID.contains(&code) && message.contains("expired")) {
            self.log_in_again(failure.cause(format!("the AWS credentials have expired ({code})")))
        } else if INVALID.contains(&code) {
            failure.cause(format!("AWS does not accept these credentials ({code}): {message}")).hint(format!(
                "Look at them: aws sts get-caller-identity{}. A region that the account has not turned on \
                     answers like this too; here it is {}.",
                self.profile_flag(),
                self.region
            ))
        } else if DENIED.contains(&code) {
            denied(failure, code, message)
        } else if THROTTLED.contains(&code) {
            failure
                .cause(format!("AWS throttles, also after {} tries ({code}): {message}", self.attempts))
                .hint("Others may be calling it in this account at once: try again in a minute.")
        } else if code == "OptInRequired" {
            failure
                .cause(format!("the account has not turned on {} ({code}): {message}", self.region))
                .hint("Look at the environment's `region` in streamify.yaml.")
        } else if is_missing(code) {
            failure.cause(format!("it is not there ({code}): {message}")).hint(format!(
                "It was looked for in the region {}{}.",
                self.region,
                self.as_profile()
            ))
        } else {
            failure.cause(if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") })
        };
        match request {
            Some(id) => failure.cause(format!("request {id}")),
            None => failure,
        }
    }

    /// Nobody answered at all.
    pub(super) fn unreachable(&self, doing: String, causes: &[String]) -> Failure {
        let is_name = causes.iter().any(|cause| {
            ["dns error", "failed to lookup", "Name or service not known", "nodename nor servname"]
                .iter()
                .any(|text| cause.contains(text))
        });
        let mut failure = Failure::unreachable(doing);
        failure.causes = causes.to_vec();
        match self.config.endpoint_url() {
            Some(endpoint) => failure.hint(format!("AWS_ENDPOINT_URL says that AWS is at {endpoint}: does it run?")),
            None if is_name => failure.hint(format!(
                "Its address is not known. Is `{}` a region of AWS? Otherwise this machine can't look names up.",
                self.region
            )),
            None => failure.hint("Look at the connection to the internet, and at HTTPS_PROXY."),
        }
    }

    pub(super) fn without_credentials(&self, doing: String, error: &CredentialsError) -> Failure {
        let causes = chain(error);
        let is_expired = causes.iter().any(|cause| {
            let cause = cause.to_lowercase();
            // Of a login that was never made, or is cleaned up, the SDK only says that its token can't be loaded.
            ["expired", "unauthorizedexception", "sso token"].iter().any(|text| cause.contains(text))
        });
        let failure = Failure::new(Kind::Failed, doing);
        if is_expired {
            let mut failure = failure.cause(format!("the login has expired, or is not there{}", self.as_profile()));
            failure.causes.extend(causes);
            return self.log_in_again(failure);
        }
        // The machine's own are looked for last: where it has none to give, there are none at all.
        let is_last = causes.iter().any(|cause| cause.contains("IMDS"));
        if is_last || matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            let failure = failure.cause(format!("there are no AWS credentials{}", self.as_profile()));
            return self.log_in_again(failure).hint("In a pipeline, let it assume a role (OIDC) before this command.");
        }
        let mut failure = failure.cause(format!("the AWS credentials can't be had{}", self.as_profile()));
        failure.causes.extend(causes);
        failure.hint(format!("The same with AWS's own tool: aws sts get-caller-identity{}", self.profile_flag()))
    }

    fn log_in_again(&self, failure: Failure) -> Failure {
        failure.hint(format!("Log in: aws sso login{}", self.profile_flag()))
    }

    fn profile_flag(&self) -> String {
        self.profile.as_ref().map(|profile| format!(" --profile {profile}")).unwrap_or_default()
    }

    fn as_profile(&self) -> String {
        self.profile.as_ref().map(|profile| format!(", as the profile {profile}")).unwrap_or_default()
    }
}

/// Whether a call failed because what it names is not there.
pub fn is_not_found<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(is_missing)
}

/// Whether a call failed because it is not allowed.
pub fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(|code| DENIED.contains(&code))
}

fn is_missing(code: &str) -> bool {
    code.contains("NotFound") || code == "NoSuchEntity" || code == "NoSuchEntityException"
}

/// Names the action and the resource, which AWS hides in a long sentence:
/// `User: ARN is not authorized to perform: ACTION on resource: ARN because REASON`.
fn denied(failure: Failure, code: &str, message: &str) -> Failure {
    let after = |mark: &str| message.split_once(mark).map(|(_, rest)| rest);
    let word = |rest: &str| rest.split_whitespace().next().unwrap_or_default().trim_end_matches(['.', ',']).to_owned();
    let Some(action) = after("to perform: ").map(word).filter(|action| action.contains(':')) else {
        return failure
            .cause(format!("it is not allowed ({code}): {message}"))
            .hint("Whoever manages the account's permissions has to allow it.");
    };
    let resource = after("on resource: ").map(word);
    let on = resource.as_ref().map(|resource| format!(" on {resource}")).unwrap_or_default();
    let failure = failure.cause(format!("the permission {action}{on} is missing ({code})"));
    let failure = match after("User: ").map(word) {
        Some(user) => failure.cause(format!("the credentials belong to {user}")),
        None => failure,
    };
    let failure = match after(" because ") {
        Some(reason) => failure.cause(reason.trim_end_matches('.')),
        None => failure,
    };
    if message.contains("explicit deny") {
        return failure.hint("A policy denies it in so many words; allowing it elsewhere does not help.");
    }
    let on = resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
    failure.hint(format!("Allow {action}{on} in a policy of that user or role."))
}

/// The sources of an error, outermost first, each said once. The error's own text only names its variant.
pub(super) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        // Layers of the client that say nothing; what they hold comes next.
        let is_layer = text == "io error" || text.starts_with("client error") || text == "dispatch failure";
        if !is_layer && !texts.iter().any(|said| said.contains(&text)) {
            texts.push(text);
        }
        next = source.source();
    }
    if texts.is_empty() {
        texts.push(error.to_string());
    }
    texts
}

fn credentials_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
