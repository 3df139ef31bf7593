//! What keeps connections between invocations, and reaches them.

use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use uuid::Uuid;

/// How a connection is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection's id, as API Gateway gave it.
    pub id: String,
    /// The host of the API that the client connected to.
    pub domain: String,
    /// The API's stage.
    pub stage: String,
}

/// A connection that is open, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub address: Address,
    pub opened_at: OffsetDateTime,
    /// Who follows, and until when their token is good; None before the first good token.
    pub session: Option<(Uuid, OffsetDateTime)>,
}

/// What became of a token that a client has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The first one: events are owed from here on.
    Begun,
    /// A fresh one of the same user.
    Renewed,
    /// The connection is another user's.
    SomebodyElses,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// API Gateway has it.
    Taken,
    /// The client is not there any more.
    Gone,
}

/// Whoever keeps connections and reaches them. Errors are in words, for the log.
///
/// Everything that was kept is seen by whoever lists afterwards: an event that is published after `follow` has ended
/// finds the connection.
pub trait Sockets: Send + Sync + 'static {
    /// Keeps a connection that was just opened.
    fn open<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<(), String>>;

    /// Keeps who follows on a connection, whether or not it was kept before.
    fn follow<'a>(
        &'a self,
        address: &'a Address,
        user: Uuid,
        expires_at: OffsetDateTime,
    ) -> BoxFuture<'a, Result<Follow, String>>;

    /// Forgets a connection.
    fn forget<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<(), String>>;

    /// Every connection that is kept.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Socket>, String>>;

    /// Sends a text message, in one try.
    fn post<'a>(&'a self, address: &'a Address, text: &'a str) -> BoxFuture<'a, Result<Posted, String>>;

    /// Ends a connection; one that is gone already is ended.
    fn close<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<(), String>>;
}
