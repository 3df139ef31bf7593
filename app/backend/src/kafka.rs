//! Signing in to a Kafka that wants tokens: each is good for a while, so they are made anew as long as a client lives.

#![allow(unsafe_code, reason = "librdkafka's wrapper has no way to give a client its first token")]

use std::error::Error;
use std::ffi::{CString, c_char};
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::consumer::ConsumerContext;
use rdkafka::types::RDKafkaRespErr;
use tokio::runtime::Handle;

use crate::Secret;

/// How long whoever waits in a thread of librdkafka's waits for a token.
const PATIENCE: Duration = Duration::from_secs(15);
/// Whom librdkafka says a token belongs to; brokers look at the token alone.
const PRINCIPAL: &str = "streamify";

/// What signs in by SASL's OAUTHBEARER.
#[derive(Clone, Debug)]
pub struct KafkaToken {
    pub text: Secret,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: i64,
}

/// Makes tokens. The properties `security.protocol` and `sasl.mechanism` say that they are asked for.
#[derive(Clone)]
pub struct KafkaTokens {
    make: Arc<dyn Fn() -> BoxFuture<'static, Result<KafkaToken, String>> + Send + Sync>,
    runtime: Handle,
}

impl KafkaTokens {
    /// Tokens of `make`, which says in words why it can't make one. Needs a runtime of several threads: librdkafka's own
    /// threads wait for it.
    pub fn new(make: impl Fn() -> BoxFuture<'static, Result<KafkaToken, String>> + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), runtime: Handle::current() }
    }

    /// A new token.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn make(&self) -> Result<KafkaToken, String> {
        (self.make)().await
    }

    /// The same for a thread that may block, for 15 seconds at most.
    ///
    /// # Errors
    /// As of [`KafkaTokens::make`], and the time is over.
    pub fn wait(&self) -> Result<KafkaToken, String> {
        let (sender, made) = mpsc::sync_channel(1);
        let making = (self.make)();
        self.runtime.spawn(async move { sender.send(making.await) });
        made.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("nothing gives a token in time".to_owned()))
    }
}

impl fmt::Debug for KafkaTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("tokens")
    }
}

impl KafkaToken {
    /// As librdkafka's wrapper asks for it.
    pub fn into_oauth(self) -> OAuthToken {
        OAuthToken {
            token: self.text.expose().to_owned(),
            principal_name: PRINCIPAL.to_owned(),
            lifetime_ms: self.expires_at,
        }
    }

    /// When to ask for the next: well before this one ends.
    pub fn renewal(&self) -> Instant {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ends = Duration::from_millis(self.expires_at.try_into().unwrap_or_default());
        Instant::now() + ends.saturating_sub(now) * 4 / 5
    }

    /// Gives it to a client. librdkafka asks for tokens where a client is polled; one that asks before it polls, or that
    /// nobody polls, is given its token so.
    ///
    /// # Errors
    /// The client does not sign in by tokens, or the token has ended.
    pub fn give_to(&self, client: &Client<impl ClientContext>) -> Result<(), String> {
        let text = CString::new(self.text.expose()).map_err(|_| "the token holds a zero byte".to_owned())?;
        let principal = CString::new(PRINCIPAL).map_err(|error| error.to_string())?;
        let mut said: [c_char; 512] = [0; 512];
        // SAFETY: the client lives for the call, the texts end with a zero, and `said` has the size that is told.
        let code = unsafe {
            sys::rd_kafka_oauthbearer_set_token(
                client.native_ptr(),
                text.as_ptr(),
                self.expires_at,
                principal.as_ptr(),
                ptr::null_mut(),
                0,
                said.as_mut_ptr(),
                said.len(),
            )
        };
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        // SAFETY: librdkafka ends what it writes with a zero, and nothing written is an empty text.
        let said = unsafe { std::ffi::CStr::from_ptr(said.as_ptr()) };
        Err(said.to_string_lossy().into_owned())
    }
}

/// What librdkafka asks of a client in the background: tokens, where the configuration has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SigningIn(pub(crate) Option<KafkaTokens>);

impl SigningIn {
    /// A token for the wrapper's callback.
    pub(crate) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let tokens = self.0.as_ref().ok_or("no tokens are configured")?;
        let token = tokens.wait().inspect_err(|error| tracing::warn!(%error, "can't sign in to Kafka"))?;
        Ok(token.into_oauth())
    }

    /// Gives a new client its first token; a failure is in the log, and librdkafka asks again.
    pub(crate) fn begin(&self, client: &Client<impl ClientContext>) {
        if let Some(tokens) = &self.0
            && let Err(error) = tokens.wait().and_then(|token| token.give_to(client))
        {
            tracing::warn!(%error, "can't sign in to Kafka");
        }
    }
}

impl ClientContext for SigningIn {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.token()
    }
}

impl ConsumerContext for SigningIn {}
