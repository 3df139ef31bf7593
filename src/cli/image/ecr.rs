//! ECR: its address and token from AWS, and repositories that are made when the first image comes.

use std::sync::Arc;

use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::types::{ImageScanningConfiguration, ImageTagMutability};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::Context;
use crate::aws::{Aws, is_not_found};
use crate::failure::{Failure, OrFail, Result};
use crate::image::{Credentials, Login};
use crate::report::Report;
use crate::settings::{EnvironmentSettings, Secret};

/// Old images go when there are more than this. By their number, not their age: what runs may be old. No rule for
/// images without a tag: lists of contents and the platforms of an index have none.
const LIFECYCLE: &str = r#"{"rules":[{"rulePriority":1,"description":"keep the newest 1000","selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1000},"action":{"type":"expire"}}]}"#;

/// The registry of an environment's account and region.
pub(super) struct Ecr {
    aws: Aws,
    host: String,
    login: Login,
    report: Arc<dyn Report>,
}

impl Ecr {
    /// Asks AWS for a token, which holds for twelve hours, and where the registry is.
    ///
    /// # Errors
    /// There are no credentials, or they are for another account; the permission is missing.
    pub async fn connect(environment: &EnvironmentSettings, context: &Context) -> Result<Self> {
        let aws = Aws::connect(environment, &context.environment).await?;
        aws.identity().await?;
        let what = "can't log in to ECR";
        let answer = aws.ecr().get_authorization_token().send().await.map_err(|error| aws.failure(what, &error))?;
        let data = answer.authorization_data.unwrap_or_default().into_iter().next();
        let odd = |cause: &str| Failure::failed(what).cause(cause.to_owned());
        let data = data.ok_or_else(|| odd("AWS gives no token"))?;
        let address = data.proxy_endpoint.ok_or_else(|| odd("AWS does not say where the registry is"))?;
        let host = address.split_once("://").map_or(address.as_str(), |(_, host)| host).trim_end_matches('/');
        // What plays AWS does not know where its registry is.
        let host = context.environment.get("STREAMIFY_ECR_REGISTRY").unwrap_or(host);
        let token = STANDARD.decode(data.authorization_token.unwrap_or_default()).or_fail(|| what.into())?;
        let token = String::from_utf8(token).map_err(|_| odd("the token is not text"))?;
        let (user, password) = token.split_once(':').ok_or_else(|| odd("the token has no user in it"))?;
        let login = Login::Password { user: user.to_owned(), password: Secret::new(password) };
        Ok(Self { host: host.to_owned(), login, aws, report: context.terminal.report() })
    }

    /// The registry's host.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn credentials(&self) -> Arc<dyn Credentials> {
        Arc::new(Token { host: self.host.clone(), login: self.login.clone() })
    }

    /// Makes the repository, unless it is there: tags that never move, a scan of what is pushed, old images removed.
    ///
    /// # Errors
    /// A permission is missing, or the account has too many repositories.
    pub async fn ensure(&self, name: &str) -> Result<()> {
        let ecr = self.aws.ecr();
        match ecr.describe_repositories().repository_names(name).send().await {
            Ok(_) => return Ok(()),
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(self.aws.failure(format!("can't look for the repository {name}"), &error)),
        }
        let scan = ImageScanningConfiguration::builder().scan_on_push(true).build();
        let made = ecr
            .create_repository()
            .repository_name(name)
            .image_tag_mutability(ImageTagMutability::Immutable)
            .image_scanning_configuration(scan)
            .send()
            .await;
        match made {
            Ok(_) => {}
            // Another push was quicker.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateRepositoryError::is_repository_already_exists_exception) =>
            {
                return Ok(());
            }
            Err(error) => return Err(self.aws.failure(format!("can't make the repository {name}"), &error)),
        }
        let policy = ecr.put_lifecycle_policy().repository_name(name).lifecycle_policy_text(LIFECYCLE).send().await;
        if let Err(error) = policy {
            // The image can be pushed without it.
            self.report.warning(&self.aws.failure(format!("{name} keeps every image for ever"), &error).to_string());
        }
        self.report.note(&format!("made the repository {name} in ECR: immutable tags, scan on push"));
        Ok(())
    }
}

/// The token for the one registry that it is for; other registries get none.
struct Token {
    host: String,
    login: Login,
}

impl Credentials for Token {
    fn login<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Option<Login>>> {
        async move { Ok((registry == self.host).then(|| self.login.clone())) }.boxed()
    }
}
