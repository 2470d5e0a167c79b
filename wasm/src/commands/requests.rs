//! Calls that are asked again, after the engine that they were asked of first went away.

use firkin_core::database::{Done, Purged, Request, Written};

use super::{documents, transactions, upkeep};
use crate::answer::array;
use crate::engine::Store;
use crate::failure::Failure;
use crate::payload::{self, Payload};

/// Reads `client slot number`.
pub fn parse(words: &str) -> Result<Request, Failure> {
    let mut words = words.split(' ');
    let mut next = || words.next().unwrap_or_default();
    let (client, slot, number) = (next(), next(), next());
    let request = || {
        let client = u64::from_str_radix(client, 16).ok()?;
        Some(Request { client, slot: slot.parse().ok()?, number: number.parse().ok()? })
    };
    request().ok_or_else(|| payload::wrong("request", "a client, a slot and a number"))
}

/// What the call was answered, or would have been, by the engine that did `done`.
pub fn answer(method: &str, payload: &[u8], done: &[Done]) -> Result<Vec<u8>, Failure> {
    if method == "bulkWrite" {
        let documents = payload::lines(payload)?.1.into_iter().map(|text| Payload::parse(text.as_bytes()));
        let rows = documents.zip(done).map(|(document, done)| row(&document?, "_id", "_rev", done));
        return Ok(array(rows.collect::<Result<Vec<_>, _>>()?));
    }
    let payload = Payload::parse(payload)?;
    match method {
        "commit" => Ok(transactions::committed()),
        "purge" => {
            let document_was_removed = done.last() == Some(&Done::Gone);
            let rev = |row: &Done| match row {
                Done::Rev(rev) => Some(rev.clone()),
                _ => None,
            };
            let deleted_revs = done.iter().filter_map(rev).collect();
            Ok(upkeep::purged_answer(&Purged { deleted_revs, document_was_removed }))
        }
        _ => {
            let (document, id) = match method {
                "put" => (payload.object("doc")?, "_id"),
                _ => (payload, "id"),
            };
            done.first().map_or_else(|| Ok(Vec::new()), |done| row(&document, id, "rev", done))
        }
    }
}

fn row(document: &Payload<'_>, id: &str, rev: &str, done: &Done) -> Result<Vec<u8>, Failure> {
    let id = document.required_text(id)?;
    Ok(match done {
        Done::Rev(rev) => documents::written(&Written { id, rev: rev.clone() }),
        Done::Refused { status, name, reason } => {
            documents::refused(&id, document.text(rev)?.as_deref(), *status, name, reason)
        }
        Done::Gone => Vec::new(),
    })
}

/// → the clients that have left records, each in 16 hex digits
pub async fn clients(database: &Store) -> Result<Vec<u8>, Failure> {
    let clients = database.clients().await?;
    Ok(array(clients.iter().map(|client| format!("\"{client:016x}\"").into_bytes())))
}

/// `{ client }` →: the client asks nothing any more
pub async fn forget(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let client = Payload::parse(payload)?.required_text("client")?;
    let client = u64::from_str_radix(&client, 16).map_err(|_| payload::wrong("client", "16 hex digits"))?;
    database.forget_client(client).await?;
    Ok(Vec::new())
}
