//! The handshake that makes a WebSocket of an HTTP connection (RFC 6455, section 4.2).

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::connection::{self, Socket};
use crate::http::problem::Problem;

/// A request for a WebSocket, as the protocol wants it.
pub(crate) struct Upgrade {
    connection: OnUpgrade,
    answer: Response,
}

impl<S: Sync> FromRequest<S> for Upgrade {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Problem> {
        let answer = create_response_with_body(&request, Body::empty).map_err(|error| {
            let status = match error {
                Error::Protocol(ProtocolError::WrongHttpMethod) => StatusCode::METHOD_NOT_ALLOWED,
                _ => StatusCode::BAD_REQUEST,
            };
            Problem::new(status, format!("This is no request for a WebSocket: {error}"))
        })?;
        let connection = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
            Problem::new(StatusCode::UPGRADE_REQUIRED, "This connection can't become a WebSocket; use HTTP/1.1")
        })?;
        Ok(Self { connection, answer })
    }
}

impl Upgrade {
    /// The answer to give, and the socket that is there once it has been given; None if the client went away before.
    pub(super) fn accept(self) -> (impl Future<Output = Option<Socket>> + Send + use<>, Response) {
        let Self { connection, answer } = self;
        let opening = async move {
            let upgraded =
                connection.await.inspect_err(|error| tracing::debug!(%error, "no socket came of it")).ok()?;
            let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
                // The server puts nothing else under HTTP.
                tracing::error!("a WebSocket was asked for on a connection that is not plain TCP");
                return None;
            };
            Some(connection::open(parts.io.into_inner(), parts.read_buf).await)
        };
        (opening, answer)
    }
}
