//! What is owed to Kafka: rows written with the change that they tell of, taken by the relay.

use sqlx::PgConnection;
use uuid::Uuid;

use super::envelope::NewEvent;

/// A row that the relay has taken, and owes until its transaction commits.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) id: Uuid,
    pub(super) key: Uuid,
    pub(super) payload: String,
    pub(super) traceparent: Option<String>,
}

/// Writes events in the caller's transaction, in their order: they are published if, and only if, that commits.
pub async fn append(connection: &mut PgConnection, events: &[NewEvent]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into outbox (id, key, payload, traceparent)
         select id, key, payload, traceparent
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
              with ordinality as event (id, key, payload, traceparent, number)
         order by number",
        &events.iter().map(|event| event.id).collect::<Vec<_>>(),
        &events.iter().map(|event| event.key).collect::<Vec<_>>(),
        &events.iter().map(|event| event.payload.clone()).collect::<Vec<_>>(),
        &events.iter().map(|event| event.traceparent.clone()).collect::<Vec<_>>() as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes up to `limit` rows in the caller's transaction: committed, they are gone; rolled back, they are owed again.
///
/// Relays side by side never take the same row, and never two rows of one key at once: only the oldest row of a key
/// is eligible, and it stays the oldest until the transaction that took it commits. So the order of a key holds
/// across replicas.
pub(super) async fn take(connection: &mut PgConnection, limit: i64) -> Result<Vec<Owed>, sqlx::Error> {
    sqlx::query_as!(
        Owed,
        "with oldest as (
             select sequence from outbox as candidate
             where not exists (
                 select 1 from outbox as earlier
                 where earlier.key = candidate.key and earlier.sequence < candidate.sequence
             )
             order by sequence
             limit $1
             for update skip locked
         ), taken as (
             delete from outbox using oldest where outbox.sequence = oldest.sequence
             returning outbox.sequence, outbox.id, outbox.key, outbox.payload, outbox.traceparent
         )
         select id, key, payload, traceparent from taken order by sequence",
        limit
    )
    .fetch_all(connection)
    .await
}

/// How many events are owed, and for how many seconds the oldest has been.
pub(super) async fn depth(connection: &mut PgConnection) -> Result<(i64, f64), sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(*) as "count!",
                  coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as "age!"
           from outbox"#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.count, row.age))
}
