//! Many documents at a time, and what replication asks before it sends them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use firkin_core::database::{GetOptions, OpenRev, OpenRevs, RevsDiffRow, WriteOptions};
use firkin_core::json;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::App;
use super::answer::{self, Failure};
use super::bulk_parts::bulk_get_in_parts;
use super::document::admit;
use super::open_revs::push_member;
use super::query::Query;
use super::related::is_accepted;
use super::request::{JsonBody, Members, Target};
use super::stream::{Chunks, Gone, streamed};
use crate::mailbox::Engine;
use crate::random::random_id;

/// So many documents of a `_bulk_get` are read in one job, so that others get their turn.
const BULK_GET_JOB: usize = 32;
/// A job ends early once it has read so much: attachments can make documents long.
const BULK_GET_JOB_BYTES: usize = 1 << 20;

/// `POST /{database}/_bulk_docs`: all in one commit.
pub async fn bulk_docs(
    State(app): State<Arc<App>>,
    target: Target,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let new_edits = check_bulk_docs(&body)?;
    let (body, kept_out) = if target.is_users() || !target.is_admin() {
        admit_all(&app, &target, &body).await?
    } else {
        (body, Vec::new())
    };
    let rows = target
        .mailbox
        .run(async move |database| {
            // The documents borrow the body, so they are found again on the database's thread.
            let raw = Members::parse(&body)?.get::<Vec<&RawValue>>("docs").and_then(Result::ok).unwrap_or_default();
            let documents: Vec<Cow<'_, str>> = raw.iter().map(|document| with_id(document.get())).collect();
            let documents: Vec<&[u8]> = documents.iter().map(|document| document.as_bytes()).collect();
            let rows = database.bulk_docs(&documents, new_edits, &WriteOptions::default()).await;
            rows.map_err(Failure::from)
        })
        .await??;
    let told = rows.into_iter().filter_map(|row| match row {
        // A replicator is told of what was refused only.
        Ok(written) => new_edits.then(|| json!({"ok": true, "id": written.id, "rev": written.rev})),
        Err(refused) => Some(match refused.rev {
            Some(rev) => {
                json!({"id": refused.id, "rev": rev, "error": refused.error.name, "reason": refused.error.reason})
            }
            None => json!({"id": refused.id, "error": refused.error.name, "reason": refused.error.reason}),
        }),
    });
    Ok(answer::json(StatusCode::CREATED, &told.chain(kept_out).collect::<Vec<_>>()))
}

/// The body without the documents that the caller may not write, which get their rows at once, and with accounts made fit.
async fn admit_all(app: &App, target: &Target, body: &[u8]) -> Result<(Bytes, Vec<serde_json::Value>), Failure> {
    let members = Members::parse(body)?;
    let raw = members.get::<Vec<&RawValue>>("docs").and_then(Result::ok).unwrap_or_default();
    let mut out = b"{\"docs\":[".to_vec();
    let mut rows = Vec::new();
    for raw in raw {
        let mut text = raw.get().as_bytes().to_vec();
        // What is no document is left for core to refuse.
        if let Ok(json::Value::Object(mut document)) = json::parse(&text) {
            let member = |name: &str| document.get(name).and_then(json::Value::as_str).map(str::to_owned);
            let (id, rev) = (member("_id").unwrap_or_default(), member("_rev"));
            if let Err(Failure(error)) = admit(app, target, &id, &mut document).await {
                let (name, reason) = (error.name, error.reason);
                rows.push(json!({"id": id, "rev": rev, "error": name, "reason": reason}));
                continue;
            }
            text.clear();
            json::write_object(&document, &mut text);
        }
        out.extend_from_slice(if out.ends_with(b"[") { b"" } else { b"," });
        out.extend_from_slice(&text);
    }
    out.extend_from_slice(b"]}");
    Ok((out.into(), rows))
}

/// A document without an id gets one. What is no object is left for core to refuse.
fn with_id(document: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "_id", default, deserialize_with = "any")]
        id: Option<IgnoredAny>,
    }
    /// Even `null` is a value here, and a bad id.
    fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IgnoredAny>, D::Error> {
        IgnoredAny::deserialize(deserializer).map(Some)
    }
    match (serde_json::from_str::<Head>(document), document.strip_prefix('{')) {
        (Ok(Head { id: None }), Some(members)) => {
            let separator = if members.trim_start().starts_with('}') { "" } else { "," };
            Cow::Owned(format!("{{\"_id\":\"{}\"{separator}{members}", random_id()))
        }
        _ => Cow::Borrowed(document),
    }
}

/// Whether the revisions are new edits; the shape of the request is right.
fn check_bulk_docs(body: &[u8]) -> Result<bool, Failure> {
    let members = Members::parse(body)?;
    match members.get::<Vec<&RawValue>>("docs") {
        None => return Err(Failure::bad_request("POST body must include `docs` parameter.")),
        Some(Err(_)) => return Err(Failure::bad_request("`docs` parameter must be an array.")),
        Some(Ok(_)) => {}
    }
    match members.get::<bool>("new_edits") {
        None => Ok(true),
        Some(Ok(new_edits)) => Ok(new_edits),
        Some(Err(_)) => Err(Failure::bad_request("`new_edits` parameter must be a boolean.")),
    }
}

/// A revision that a `_bulk_get` asks for.
#[derive(Deserialize)]
pub struct Wanted {
    /// The document's id.
    pub id: Option<String>,
    /// The revision; all leaves if there is none.
    pub rev: Option<String>,
    /// Revisions whose attachments the client has.
    #[serde(default)]
    pub atts_since: Option<Vec<String>>,
}

/// `POST /{database}/_bulk_get`: the answer streams, for it may be large.
pub async fn bulk_get(
    target: Target,
    query: Query,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let missing = || Failure::bad_request("Missing JSON list of 'docs'.");
    let wanted: Vec<Wanted> = Members::parse(&body)?.get("docs").ok_or_else(missing)?.map_err(|_| missing())?;
    drop(body);
    let in_parts = !is_accepted(&headers, "application/json")
        && (is_accepted(&headers, "multipart/mixed") || is_accepted(&headers, "multipart/related"));
    if in_parts {
        return Ok(bulk_get_in_parts(target, &query, wanted));
    }
    let get = GetOptions {
        latest: query.is_true("latest"),
        revs: query.is_true("revs"),
        attachments: query.is_true("attachments"),
        ..GetOptions::default()
    };
    let (chunks, stream) = streamed();
    tokio::spawn(async move {
        let _ = send_bulk_get(&chunks, &target, wanted, get).await;
    });
    Ok(answer::json_body(StatusCode::OK, stream))
}

async fn send_bulk_get(chunks: &Chunks, target: &Target, wanted: Vec<Wanted>, get: GetOptions) -> Result<(), Gone> {
    chunks.send(&b"{\"results\":["[..]).await?;
    let mut rest = VecDeque::from(wanted);
    let mut separator = b"\n".as_slice();
    while !rest.is_empty() {
        let get = get.clone();
        let part = target.mailbox.run(async move |database| {
            let mut text = Vec::new();
            for _ in 0..BULK_GET_JOB {
                let Some(wanted) = rest.pop_front_if(|_| text.len() < BULK_GET_JOB_BYTES) else { break };
                text.extend_from_slice(separator);
                separator = b",\n";
                push_bulk_get_row(&mut text, database, wanted, &get).await;
            }
            (text, rest)
        });
        match part.await {
            Ok((text, left)) => {
                rest = left;
                separator = b",\n";
                chunks.send(text).await?;
            }
            Err(closed) => {
                chunks.cut(&closed.into()).await;
                return Err(Gone);
            }
        }
    }
    chunks.send(&b"\n]}\n"[..]).await
}

async fn push_bulk_get_row(out: &mut Vec<u8>, database: &Engine, wanted: Wanted, get: &GetOptions) {
    let Some(id) = wanted.id else {
        let error = json!({"id": null, "rev": null, "error": "bad_request", "reason": "document id missed"});
        push_results(out, "null", &[member("error", error.to_string().as_bytes())]);
        return;
    };
    let asked_rev = wanted.rev.clone().unwrap_or_else(|| "undefined".into());
    let error = |rev: &str, name: &str, reason: &str| {
        let error = json!({"id": id, "rev": rev, "error": name, "reason": reason});
        member("error", error.to_string().as_bytes())
    };
    let revs = wanted.rev.map_or(OpenRevs::All, |rev| OpenRevs::These(vec![rev]));
    let mut rows: Vec<Vec<u8>> = match database.open_revs(&id, revs, get).await {
        Ok(found) => found
            .iter()
            .map(|rev| match rev {
                OpenRev::Ok(document) => member("ok", document),
                OpenRev::Missing(rev) => error(rev, "not_found", "missing"),
            })
            .collect(),
        Err(failed) => {
            let report = failed.report();
            vec![error(&asked_rev, report.name, &report.reason)]
        }
    };
    if rows.is_empty() {
        rows.push(error(&asked_rev, "not_found", "missing"));
    }
    let mut quoted = Vec::new();
    json::write_string(&id, &mut quoted);
    push_results(out, &String::from_utf8_lossy(&quoted), &rows);
}

fn member(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_member(&mut out, name, value);
    out
}

fn push_results(out: &mut Vec<u8>, id_json: &str, rows: &[Vec<u8>]) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id_json.as_bytes());
    out.extend_from_slice(b",\"docs\":[");
    out.extend_from_slice(&rows.join(&b','));
    out.extend_from_slice(b"]}");
}

/// `POST /{database}/_revs_diff`: which of these revisions are not here.
pub async fn revs_diff(target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let rows = diff(&target, &body).await?;
    let told = rows.into_iter().map(|row| {
        let mut missing = json!({"missing": row.missing});
        if let Some(object) = missing.as_object_mut().filter(|_| !row.possible_ancestors.is_empty()) {
            object.insert("possible_ancestors".into(), row.possible_ancestors.into());
        }
        (row.id, missing)
    });
    Ok(answer::json(StatusCode::OK, &told.collect::<serde_json::Map<_, _>>()))
}

/// `POST /{database}/_missing_revs`: the same in an older shape.
pub async fn missing_revs(target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let rows = diff(&target, &body).await?;
    let missing: serde_json::Map<_, _> = rows.into_iter().map(|row| (row.id, row.missing.into())).collect();
    Ok(answer::json(StatusCode::OK, &json!({"missing_revs": missing})))
}

async fn diff(target: &Target, body: &[u8]) -> Result<Vec<RevsDiffRow>, Failure> {
    let asked: Vec<(String, Vec<String>)> = Members::parse(body)?
        .iter()
        .map(|(id, revs)| {
            let revs = serde_json::from_str(revs.get());
            Ok((id.to_owned(), revs.map_err(|_| Failure::bad_request("Invalid `revs` parameter."))?))
        })
        .collect::<Result<_, Failure>>()?;
    Ok(target.mailbox.run(async move |database| database.revs_diff(&asked).await).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_without_an_id_get_one() {
        for document in ["{\"_id\":\"a\"}", "{\"_id\":null}", "{\"a\":1,\"_id\":1}", "[]", "1", "null"] {
            assert_eq!(with_id(document), document);
        }
        for document in ["{}", "{ }", "{\"a\":{\"_id\":1}}"] {
            let members: serde_json::Value = serde_json::from_str(&with_id(document)).expect("JSON");
            assert_eq!(members["_id"].as_str().map(str::len), Some(32), "{document}");
            assert_eq!(members.get("a").is_some(), document.contains('a'), "{document}");
        }
    }
}
