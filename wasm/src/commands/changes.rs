//! What changed, what is missing, and the state of the database.

use std::collections::BTreeMap;

use firkin_core::database::{ChangesQuery, ChangesRow, Since};
use firkin_core::json;
use firkin_core::query::{QueryError, Selector};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{ObjectWriter, array};
use crate::engine::{Opened, Store};
use crate::failure::Failure;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Changes<'payload> {
    since: Option<SinceAsked>,
    limit: Option<u64>,
    descending: bool,
    include_docs: bool,
    style: Option<String>,
    conflicts: bool,
    doc_ids: Option<Vec<String>>,
    #[serde(borrow)]
    selector: Option<&'payload RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SinceAsked {
    Word(String),
    Number(f64),
}

/// `{ since, limit, descending, include_docs, style, conflicts, doc_ids, selector }` → `{ results, last_seq, pending }`
pub async fn changes(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let asked: Changes<'_> = serde_json::from_slice(payload)?;
    let query = ChangesQuery {
        since: since(asked.since)?,
        limit: asked.limit,
        descending: asked.descending,
        include_docs: asked.include_docs,
        all_leaves: all_leaves(asked.style.as_deref())?,
        conflicts: asked.conflicts,
        doc_ids: asked.doc_ids,
        selector: asked.selector.map(selector).transpose()?,
    };
    let page = database.changes(&query).await?;
    Ok(ObjectWriter::new()
        .json("results", &array(page.rows.iter().map(ChangesRow::to_json)))
        .text("last_seq", &page.last_seq)
        .number("pending", page.pending)
        .finish())
}

fn since(asked: Option<SinceAsked>) -> Result<Since, Failure> {
    match asked {
        None => Ok(Since::Start),
        Some(SinceAsked::Word(word)) if word.is_empty() || word == "0" => Ok(Since::Start),
        Some(SinceAsked::Word(word)) if word == "now" => Ok(Since::Now),
        Some(SinceAsked::Word(token)) => Ok(Since::Token(token)),
        Some(SinceAsked::Number(0.0)) => Ok(Since::Start),
        Some(SinceAsked::Number(_)) => {
            Err(Failure::bad_request("since must be 0, \"now\" or a sequence of this database"))
        }
    }
}

fn all_leaves(style: Option<&str>) -> Result<bool, Failure> {
    match style {
        None | Some("main_only") => Ok(false),
        Some("all_docs") => Ok(true),
        Some(_) => Err(Failure::bad_request("style must be \"main_only\" or \"all_docs\"")),
    }
}

/// Reads a selector.
pub fn selector(text: &RawValue) -> Result<Selector, Failure> {
    let value = json::parse(text.get().as_bytes()).map_err(QueryError::from)?;
    Ok(Selector::parse(&value)?)
}

/// `{ id: [rev, ...] }` → `{ id: { missing, possible_ancestors } }` for each document of which a revision is missing
pub async fn revs_diff(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let asked: BTreeMap<String, Vec<String>> = serde_json::from_slice(payload)?;
    let asked: Vec<(String, Vec<String>)> = asked.into_iter().collect();
    let rows = database.revs_diff(&asked).await?;
    let answer = rows.iter().fold(ObjectWriter::new(), |answer, row| {
        let difference = ObjectWriter::new().texts("missing", &row.missing);
        let difference = match row.possible_ancestors.as_slice() {
            [] => difference,
            ancestors => difference.texts("possible_ancestors", ancestors),
        };
        answer.json(&row.id, &difference.finish())
    });
    Ok(answer.finish())
}

/// → `{ db_name, doc_count, doc_del_count, update_seq, identity, storage }`
pub async fn info(engine: &Opened) -> Result<Vec<u8>, Failure> {
    let info = engine.database.info().await?;
    Ok(ObjectWriter::new()
        .text("db_name", &engine.name)
        .number("doc_count", info.doc_count)
        .number("doc_del_count", info.doc_del_count)
        .text("update_seq", &info.update_seq)
        .text("identity", &info.identity)
        .text("storage", engine.storage)
        .finish())
}
