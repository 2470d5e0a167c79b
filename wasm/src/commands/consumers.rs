//! Consumers of the changes feed: where each is, and how it moves on.

use super::changes::since;
use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;
use crate::payload::Payload;

/// `{ name, since }` → `{ seq }`: where the consumer goes on; one that is new begins at `since`.
pub async fn open(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let since = since(payload.value("since")?)?;
    Ok(position(&database.open_consumer(&payload.required_text("name")?, &since).await?))
}

/// `{ name, seq }` → `{ seq }`: all up to `seq` is handled.
pub async fn acknowledge(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let (name, seq) = (payload.required_text("name")?, payload.required_text("seq")?);
    Ok(position(&database.acknowledge(&name, &seq).await?))
}

/// `{ name }` → `{ ok }`
pub async fn remove(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    database.remove_consumer(&Payload::parse(payload)?.required_text("name")?).await?;
    Ok(ObjectWriter::new().boolean("ok", true).finish())
}

/// → `[{ name, seq }]`
pub async fn list(database: &Store) -> Result<Vec<u8>, Failure> {
    let consumers = database.consumers().await?;
    let row = |name: &str, seq: &str| ObjectWriter::new().text("name", name).text("seq", seq).finish();
    Ok(array(consumers.iter().map(|consumer| row(&consumer.name, &consumer.position))))
}

fn position(seq: &str) -> Vec<u8> {
    ObjectWriter::new().text("seq", seq).finish()
}
