//! `open_revs`: revisions of a document, several at a time.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use firkin_core::database::{GetOptions, OpenRev, OpenRevs};
use firkin_core::json;
use serde_json::json;

use super::answer::Failure;
use super::query::Query;
use super::related::{self, Parcel, is_accepted};
use super::request::Target;
use super::stream::{Chunks, Gone, streamed};
use crate::random::random_id;

/// Answers `open_revs`: revisions side by side, in JSON or, for who takes that, each with its attachments behind it.
pub async fn answer(
    target: Target,
    id: String,
    asked: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let revs = parse(asked)?;
    if is_accepted(headers, "multipart/mixed") {
        in_parts(target, id, revs, query).await
    } else {
        in_json(target, id, revs, query).await
    }
}

fn parse(text: &str) -> Result<OpenRevs, Failure> {
    if text == "all" {
        return Ok(OpenRevs::All);
    }
    let revs: serde_json::Value = serde_json::from_str(text).map_err(|_| Failure::bad_json())?;
    serde_json::from_value(revs)
        .map(OpenRevs::These)
        .map_err(|_| Failure::bad_request("`open_revs` must be `all` or a JSON array of revisions"))
}

async fn in_json(target: Target, id: String, revs: OpenRevs, query: &Query) -> Result<Response, Failure> {
    let all = matches!(revs, OpenRevs::All);
    let get = GetOptions {
        latest: query.is_true("latest"),
        revs: query.is_true("revs"),
        attachments: query.is_true("attachments"),
        ..GetOptions::default()
    };
    let found = target.mailbox.run(async move |database| database.open_revs(&id, revs, &get).await).await??;
    if all && found.is_empty() {
        return Err(Failure::not_found("missing"));
    }
    let mut text = vec![b'['];
    for (at, rev) in found.iter().enumerate() {
        text.extend_from_slice(if at == 0 { b"" } else { b"," });
        match rev {
            OpenRev::Ok(document) => push_member(&mut text, "ok", document),
            OpenRev::Missing(rev) => {
                let mut quoted = Vec::new();
                json::write_string(rev, &mut quoted);
                push_member(&mut text, "missing", &quoted);
            }
        }
    }
    text.push(b']');
    Ok(super::answer::json_text(StatusCode::OK, text))
}

/// The revisions whose attachments the client has: `atts_since`.
pub fn known_revs(query: &Query) -> Result<Vec<String>, Failure> {
    match query.text("atts_since") {
        Some(text) => serde_json::from_str(text)
            .map_err(|_| Failure::bad_request("`atts_since` must be a JSON array of revisions")),
        None => Ok(Vec::new()),
    }
}

async fn in_parts(target: Target, id: String, revs: OpenRevs, query: &Query) -> Result<Response, Failure> {
    let get = GetOptions { latest: query.is_true("latest"), revs: query.is_true("revs"), ..GetOptions::default() };
    let known = known_revs(query)?;
    let found = target.mailbox.run(async move |database| database.open_revs(&id, revs, &get).await).await??;
    let boundary = random_id();
    let (chunks, body) = streamed();
    let response = related::answer("mixed", &boundary, body);
    tokio::spawn(async move { send_in_parts(&chunks, &target, found, &known, &boundary).await });
    Ok(response)
}

async fn send_in_parts(
    chunks: &Chunks,
    target: &Target,
    found: Vec<OpenRev>,
    known: &[String],
    boundary: &str,
) -> Result<(), Gone> {
    for rev in found {
        match rev {
            OpenRev::Ok(document) => {
                Parcel::new(document, known, true).send_as_part(chunks, &target.mailbox, boundary, "").await?;
            }
            OpenRev::Missing(rev) => {
                let missing = json!({"missing": rev}).to_string();
                let content_type = "application/json; error=\"true\"";
                related::send_json_part(chunks, boundary, "", content_type, missing.as_bytes()).await?;
            }
        }
    }
    chunks.send(format!("--{boundary}--")).await
}

/// Writes an object of one member, whose value is JSON text.
pub fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b'{');
    json::write_string(name, out);
    out.push(b':');
    out.extend_from_slice(value);
    out.push(b'}');
}
