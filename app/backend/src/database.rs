//! Connections to PostgreSQL.
//!
//! The pool asks the server after every use whether the connection is still good, in a round trip that costs as much
//! as a small query. Here a connection whose use went well is kept at hand without being asked; one whose use failed
//! or was given up goes back to the pool, and so do all that are at hand: what broke one may have broken them all.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

/// A connection at hand for longer goes back to the pool, which knows how old connections may become.
const AT_HAND: Duration = Duration::from_secs(60);

/// The door to PostgreSQL. Whoever needs a connection takes it here, so that none waits while another is at hand.
pub(crate) struct Database {
    pool: PgPool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Connections at hand, and since when they are out of the pool.
    connections: Vec<(PoolConnection<Postgres>, Instant)>,
    /// How many wait for the pool to give them one.
    waiting: usize,
}

impl Database {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, kept: Mutex::default() }
    }

    /// A connection: one at hand, otherwise the pool's.
    ///
    /// # Errors
    /// The server can't be reached, or all connections are busy for too long.
    pub(crate) async fn take(&self) -> Result<Lease<'_>, sqlx::Error> {
        let waiting = {
            let mut kept = self.kept();
            if let Some((connection, since)) = kept.connections.pop() {
                return Ok(Lease { database: self, held: Some((connection, since)) });
            }
            kept.waiting += 1;
            Waiting(self)
        };
        let connection = self.pool.acquire().await?;
        drop(waiting);
        Ok(Lease { database: self, held: Some((connection, Instant::now())) })
    }

    /// Connections in use, and connections that are not.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let idle = self.pool.num_idle() + self.kept().connections.len();
        ((self.pool.size() as usize).saturating_sub(idle), idle)
    }

    /// Closes all connections, when those in use are given back.
    pub(crate) async fn close(&self) {
        // Marked as closed first, so that nothing is kept at hand from here on: the pool waits for all it has given out.
        let closed = self.pool.close();
        self.put_back_all();
        closed.await;
    }

    /// Gives all that is at hand back to the pool, which finds out by itself which of them are still good.
    pub(crate) fn put_back_all(&self) {
        let connections = std::mem::take(&mut self.kept().connections);
        // Outside of the lock: each starts a task that asks the server.
        drop(connections);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here can be half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one who waits, also when the wait is given up.
struct Waiting<'a>(&'a Database);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.kept().waiting -= 1;
    }
}

/// A connection of one's own for a while.
pub(crate) struct Lease<'a> {
    database: &'a Database,
    /// Present until it is given back.
    held: Option<(PoolConnection<Postgres>, Instant)>,
}

impl Lease<'_> {
    /// Gives the connection back after a use that went well, without an open transaction.
    pub(crate) fn keep(mut self) {
        let Some((connection, since)) = self.held.take() else { return };
        let mut kept = self.database.kept();
        // Who waits for the pool would not see what is at hand.
        if kept.waiting == 0 && since.elapsed() < AT_HAND && !self.database.pool.is_closed() {
            kept.connections.push((connection, since));
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.held.take().is_some() {
            self.database.put_back_all();
        }
    }
}

impl Deref for Lease<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        let Some((connection, _)) = &self.held else {
            unreachable!("only keep and drop take it, and both end the lease")
        };
        connection
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        let Some((connection, _)) = &mut self.held else {
            unreachable!("only keep and drop take it, and both end the lease")
        };
        connection
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn who_gave_up_waiting_is_not_waited_for() {
        // A server that takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://nobody@{}/none", silent.local_addr().unwrap());
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(50)).connect_lazy(&url).unwrap();
        let database = Database::new(pool);
        assert!(database.take().await.is_err());
        assert_eq!(database.kept().waiting, 0, "after a failure");
        {
            let mut given_up = std::pin::pin!(database.take());
            let polled = futures_util::poll!(&mut given_up);
            assert!(polled.is_pending());
            assert_eq!(database.kept().waiting, 1, "while it lasts");
        }
        assert_eq!(database.kept().waiting, 0, "after a cancellation");
    }
}
