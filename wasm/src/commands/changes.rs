//! What changed, what is missing, and the state of the database.

use firkin_core::database::{ChangesQuery, ChangesRow, Since};
use firkin_core::json::{self, Value};
use firkin_core::query::{QueryError, Selector};

use crate::answer::{ObjectWriter, array};
use crate::engine::{Opened, Store};
use crate::failure::Failure;
use crate::payload::{self, Payload};

/// `{ since, limit, descending, include_docs, style, conflicts, attachments, doc_ids,
/// selector }` → `{ results, last_seq, pending }`
pub async fn changes(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let query = ChangesQuery {
        since: since(payload.value("since")?)?,
        limit: payload.number("limit")?,
        descending: payload.flag("descending")?,
        include_docs: payload.flag("include_docs")?,
        all_leaves: all_leaves(payload.text("style")?.as_deref())?,
        conflicts: payload.flag("conflicts")?,
        attachments: payload.flag("attachments")?,
        doc_ids: payload.texts("doc_ids")?,
        selector: payload.value("selector")?.as_ref().map(Selector::parse).transpose()?,
    };
    let page = database.changes(&query).await?;
    Ok(ObjectWriter::new()
        .json("results", &array(page.rows.iter().map(ChangesRow::to_json)))
        .text("last_seq", &page.last_seq)
        .number("pending", page.pending)
        .finish())
}

/// Where a reader goes on: `0`, `"now"` or a sequence; at the first change where nothing is said.
pub fn since(asked: Option<Value>) -> Result<Since, Failure> {
    match asked {
        None => Ok(Since::Start),
        Some(Value::Number(0.0)) => Ok(Since::Start),
        Some(Value::String(word)) => Ok(match word.as_str() {
            "" | "0" => Since::Start,
            "now" => Since::Now,
            _ => Since::Token(word),
        }),
        Some(_) => Err(payload::wrong("since", "0, \"now\" or a sequence of this database")),
    }
}

fn all_leaves(style: Option<&str>) -> Result<bool, Failure> {
    match style {
        None | Some("main_only") => Ok(false),
        Some("all_docs") => Ok(true),
        Some(_) => Err(payload::wrong("style", "\"main_only\" or \"all_docs\"")),
    }
}

/// `{ id: [rev, ...] }` → `{ id: { missing, possible_ancestors } }` for each document of which a revision is missing
pub async fn revs_diff(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let asked = json::parse(payload).map_err(QueryError::from)?;
    let asked = revisions(&asked).ok_or_else(|| payload::wrong("the payload", "{ id: [rev, ...] }"))?;
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

fn revisions(asked: &Value) -> Option<Vec<(String, Vec<String>)>> {
    let revisions = |(id, revs): (&str, &Value)| Some((id.into(), payload::texts(revs.clone())?));
    asked.as_object()?.iter().map(revisions).collect()
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
