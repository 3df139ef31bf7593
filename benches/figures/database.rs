//! A database of the figures' own, on whichever server is given.

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};

use crate::Result;

const NAME: &str = "streamify_figures";
const VIDEOS: i32 = 1_000;

/// Made empty with the backend's own migrations, and dropped by [`Database::drop`].
pub struct Database {
    server: PgPool,
    pool: PgPool,
    /// For the servers under measurement.
    pub url: String,
}

impl Database {
    /// `server_url` names any database of a server where databases may be made.
    pub async fn create(server_url: &str) -> Result<Self> {
        let server = PgPoolOptions::new().max_connections(1).connect(server_url).await?;
        drop_database(&server).await?;
        server.execute(AssertSqlSafe(format!("create database {NAME}"))).await?;
        let options: PgConnectOptions = server_url.parse()?;
        let pool = PgPoolOptions::new().max_connections(2).connect_with(options.database(NAME)).await?;
        sqlx::migrate!("app/backend/migrations").run(&pool).await?;
        Ok(Self { server, pool, url: with_database(server_url, NAME)? })
    }

    /// The same start for each turn: a thousand videos of one user, and statistics that fit.
    pub async fn seed(&self) -> Result<()> {
        self.pool.execute("truncate users, videos, refresh_tokens, outbox cascade").await?;
        self.pool
            .execute(
                "insert into users (id, email, name, password_hash)
                 values (gen_random_uuid(), 'seed@example.com', 'Seed', 'none')",
            )
            .await?;
        sqlx::query(
            "insert into videos (id, owner_id, title, description, url)
             select gen_random_uuid(), users.id, 'A walk by the sea, part ' || n,
                    repeat('What is seen on the way. ', 5), 'https://example.com/videos/' || n || '.mp4'
             from users, generate_series(1, $1) n",
        )
        .bind(VIDEOS)
        .execute(&self.pool)
        .await?;
        self.pool.execute("vacuum analyze").await?;
        // Writes that are still owed to the disk would be paid for by the next turn.
        self.pool.execute("checkpoint").await?;
        Ok(())
    }

    /// `PostgreSQL`'s version.
    pub async fn version(&self) -> Result<String> {
        Ok(sqlx::query_scalar("show server_version").fetch_one(&self.pool).await?)
    }

    /// Takes the database away again.
    pub async fn drop(self) -> Result<()> {
        self.pool.close().await;
        drop_database(&self.server).await
    }
}

async fn drop_database(server: &PgPool) -> Result<()> {
    server.execute(AssertSqlSafe(format!("drop database if exists {NAME} with (force)"))).await?;
    Ok(())
}

/// The same address with another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let mut url = reqwest::Url::parse(url)?;
    url.set_path(name);
    Ok(url.into())
}
