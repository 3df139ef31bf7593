use std::collections::BTreeMap;
use std::fmt;

/// The environment as it was when the program started. Nothing else in the tool reads it.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.keys()).finish()
    }
}

/// A variable that the tool reads.
pub struct Variable {
    pub name: &'static str,
    pub meaning: &'static str,
}

/// Every variable that the tool reads, as `streamify help environment` lists them.
pub const VARIABLES: &[Variable] = &[
    Variable { name: "STREAMIFY_CONFIG", meaning: "the configuration file, instead of streamify.yaml found upwards" },
    Variable { name: "STREAMIFY_NAME", meaning: "the project's name" },
    Variable { name: "STREAMIFY_DATA", meaning: "the folder of the local stack's data" },
    Variable { name: "STREAMIFY_LOG", meaning: "what `serve` logs, as a tracing filter such as `info,sqlx=warn`" },
    Variable { name: "STREAMIFY_LOG_FORMAT", meaning: "`text` or `json`" },
    Variable { name: "STREAMIFY_LISTEN", meaning: "the API's address, such as 0.0.0.0:3001" },
    Variable { name: "STREAMIFY_PAGE_LISTEN", meaning: "the page's address, such as 0.0.0.0:3000" },
    Variable { name: "STREAMIFY_METRICS_LISTEN", meaning: "the address of /metrics; without it there is none" },
    Variable { name: "STREAMIFY_API_BASE", meaning: "the API's address as the browser sees it; empty: the page's own" },
    Variable { name: "STREAMIFY_ALLOWED_ORIGINS", meaning: "origins that may call the API, separated by commas" },
    Variable {
        name: "STREAMIFY_TRUSTED_PROXIES",
        meaning: "proxies before the API whose word on a client's address counts; Terraform says 1, the load balancer",
    },
    Variable {
        name: "STREAMIFY_LOGINS_PER_MINUTE",
        meaning: "tries of login or register that one address, and one account, has in a minute",
    },
    Variable { name: "DATABASE_URL", meaning: "postgres://user:password@host:port/database" },
    Variable {
        name: "DATABASE_HOST",
        meaning: "the same in parts where there is no DATABASE_URL, with DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD",
    },
    Variable { name: "DATABASE_PORT", meaning: "the port of DATABASE_HOST [5432]" },
    Variable {
        name: "DATABASE_SSL",
        meaning: "how DATABASE_HOST is reached: disable, prefer [on this machine], require [elsewhere], verify-ca or verify-full, which trust the certificates of SSL_CERT_FILE",
    },
    Variable { name: "KAFKA_BROKERS", meaning: "host:port, several separated by commas" },
    Variable {
        name: "KAFKA_SECURITY",
        meaning: "how brokers are spoken to: plaintext, ssl, or msk-iam, which signs in to Amazon MSK with AWS credentials [plaintext]",
    },
    Variable { name: "JWT_KEYS", meaning: "signing keys as id:secret, separated by commas; the first one signs" },
    Variable {
        name: "STREAMIFY_LAMBDA",
        meaning: "which function of AWS Lambda `serve --lambda` is: http, websocket or events [http]",
    },
    Variable {
        name: "STREAMIFY_SECRET_…",
        meaning: "in AWS Lambda: where the value of the variable … is, as a parameter's path or the ARN of a secret, with :KEY one key of it",
    },
    Variable {
        name: "STREAMIFY_CONNECTIONS_TABLE",
        meaning: "in AWS Lambda: the DynamoDB table of the WebSocket API's connections",
    },
    Variable {
        name: "STREAMIFY_WEBSOCKET_ENDPOINT",
        meaning: "in AWS Lambda: where connections are written to, as https://ID.execute-api.REGION.amazonaws.com/STAGE; else where they were opened",
    },
    Variable { name: "JAVA_HOME", meaning: "the Java that runs the local broker" },
    Variable {
        name: "KAFKA_HOME",
        meaning: "an installed Kafka (4.0 or newer) for the local stack, instead of the fetched one",
    },
    Variable { name: "STREAMIFY_POSTGRES", meaning: "the local stack's PostgreSQL: auto, system or packaged" },
    Variable { name: "STREAMIFY_RUNTIME", meaning: "what the local stack runs on: auto, docker or embedded" },
    Variable { name: "DOCKER_HOST", meaning: "the Docker daemon's address, such as unix:///var/run/docker.sock" },
    Variable { name: "DOCKER_CONTEXT", meaning: "the Docker context that names the daemon" },
    Variable { name: "DOCKER_CONFIG", meaning: "Docker's folder of contexts and credentials, instead of ~/.docker" },
    Variable { name: "DOCKER_BUILDKIT", meaning: "`0`: images are built by the engine's classic builder" },
    Variable { name: "DOCKER_TLS_VERIFY", meaning: "speak TLS to DOCKER_HOST" },
    Variable { name: "DOCKER_CERT_PATH", meaning: "the folder with ca.pem, cert.pem and key.pem for it" },
    Variable { name: "COMPOSE_FILE", meaning: "the Compose files, separated by colons, or by COMPOSE_PATH_SEPARATOR" },
    Variable { name: "COMPOSE_PROJECT_NAME", meaning: "the name of the Compose project" },
    Variable { name: "COMPOSE_PROFILES", meaning: "active profiles of the Compose project, separated by commas" },
    Variable { name: "COMPOSE_ENV_FILES", meaning: "files with variables for Compose files, instead of .env" },
    Variable { name: "COMPOSE_DISABLE_ENV_FILE", meaning: "`true`: .env is not read" },
    Variable { name: "AWS_PROFILE", meaning: "the AWS profile, where the environment in streamify.yaml names none" },
    Variable { name: "AWS_REGION", meaning: "the AWS region, where the environment in streamify.yaml names none" },
    Variable {
        name: "AWS_ACCESS_KEY_ID",
        meaning: "AWS credentials, before those of a profile, with AWS_SECRET_ACCESS_KEY",
    },
    Variable { name: "AWS_WEB_IDENTITY_TOKEN_FILE", meaning: "a pipeline's token for AWS (OIDC), with AWS_ROLE_ARN" },
    Variable { name: "AWS_CONFIG_FILE", meaning: "AWS's file of profiles, instead of ~/.aws/config" },
    Variable {
        name: "AWS_SHARED_CREDENTIALS_FILE",
        meaning: "AWS's file of credentials, instead of ~/.aws/credentials",
    },
    Variable { name: "AWS_MAX_ATTEMPTS", meaning: "tries of a call to AWS; 6 unless it is set" },
    Variable {
        name: "AWS_ENDPOINT_URL",
        meaning: "where AWS is, for one that is played locally; AWS_ENDPOINT_URL_ECS and the like for one service",
    },
    Variable {
        name: "STREAMIFY_AWS_ENDPOINT", meaning: "the same for every service, whatever profiles and AWS_… say"
    },
    Variable {
        name: "STREAMIFY_TERRAFORM",
        meaning: "the program that plans and applies: a path or a name, such as tofu",
    },
    Variable {
        name: "GITHUB_ACTOR",
        meaning: "who deploys, for the lock and the history; else GITLAB_USER_LOGIN, USER or LOGNAME",
    },
    Variable {
        name: "GITHUB_RUN_ID",
        meaning: "with GITHUB_SERVER_URL and GITHUB_REPOSITORY: the page of the run that deploys; else CI_JOB_URL or BUILD_URL",
    },
    Variable {
        name: "GITHUB_SHA",
        meaning: "the commit that is deployed, where it is not the one that is checked out",
    },
    Variable { name: "STREAMIFY_LEASE_SECONDS", meaning: "how long a deploy's lock holds without a sign of life [60]" },
    Variable {
        name: "SOURCE_DATE_EPOCH",
        meaning: "seconds since 1970: the time that built images say they were made at",
    },
    Variable { name: "XDG_CACHE_HOME", meaning: "the folder of what is fetched once, instead of ~/.cache" },
    Variable {
        name: "GITHUB_OUTPUT",
        meaning: "the file that takes a workflow step's outputs, as `image` and `digest`",
    },
    Variable { name: "GITHUB_STEP_SUMMARY", meaning: "the file that takes a workflow step's summary" },
    Variable { name: "STREAMIFY_ECR_REGISTRY", meaning: "the host of ECR's registry, where an emulator plays AWS" },
    Variable { name: "SSL_CERT_FILE", meaning: "a file with the certificates of trusted authorities" },
    Variable { name: "HTTPS_PROXY", meaning: "the proxy to registries, such as http://proxy:3128" },
    Variable { name: "NO_PROXY", meaning: "hosts that are reached without it, separated by commas" },
    Variable { name: "NO_COLOR", meaning: "no colour" },
    Variable { name: "CI", meaning: "plain progress and no questions" },
];

impl Environment {
    /// Takes the process's environment; values that are not Unicode are left out.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The same with these variables, over those of the same names.
    #[must_use]
    pub fn with(&self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = self.0.clone();
        all.extend(variables);
        Self(all)
    }

    /// Every variable that is set, for texts that name variables of the user's own, such as Compose files.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether a variable is set, even to nothing.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
