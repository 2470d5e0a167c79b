//! Documents one at a time: `/{database}/{id}`, with `_design/` and `_local/`, and `POST /{database}`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::database::{GetOptions, WriteOptions, Written};
use firkin_core::json::{self, Object, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::answer::{self, Failure};
use super::multipart;
use super::open_revs;
use super::query::Query;
use super::related::{self, Parcel, is_accepted};
use super::request::{DocumentId, JsonBody, Target, WholeBody};
use super::stream::streamed;
use super::upload::Upload;
use super::users;
use crate::random::random_id;

const LOCAL_PREFIX: &str = "_local/";

/// What RFC 3986 lets stand as it is.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of a database, or of a document in it.
pub fn path_of(database: &str, id: Option<&str>) -> String {
    let database = utf8_percent_encode(database, PATH_SEGMENT);
    match id {
        Some(id) => format!("/{database}/{}", utf8_percent_encode(id, PATH_SEGMENT)),
        None => format!("/{database}"),
    }
}

/// The path of an attachment.
pub fn attachment_path_of(database: &str, id: &str, name: &str) -> String {
    format!("{}/{}", path_of(database, Some(id)), utf8_percent_encode(name, PATH_SEGMENT))
}

/// `GET /{database}/{id}`
pub async fn get(
    target: Target,
    DocumentId(id): DocumentId,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some(revs) = query.text("open_revs") {
        return open_revs::answer(target, id, revs, &query, &headers).await;
    }
    let meta = query.is_true("meta");
    let (wants_data, in_parts) = (query.is_true("attachments"), is_accepted(&headers, "multipart/related"));
    let options = GetOptions {
        rev: query.text("rev").map(str::to_owned),
        revs: query.is_true("revs"),
        revs_info: meta || query.is_true("revs_info"),
        conflicts: meta || query.is_true("conflicts"),
        deleted_conflicts: meta || query.is_true("deleted_conflicts"),
        latest: query.is_true("latest"),
        attachments: wants_data && !in_parts,
    };
    // What else an answer holds may change while the revision stays, and so may a local document.
    let may_change = options.revs
        || options.revs_info
        || options.conflicts
        || options.deleted_conflicts
        || id.starts_with(LOCAL_PREFIX);
    let document = target.mailbox.run(async move |database| database.get(&id, &options).await).await??;
    if wants_data && in_parts {
        let parcel = Parcel::new(document, &open_revs::known_revs(&query)?, true);
        return Ok(answer_parcel(target, parcel));
    }
    let etag = (!may_change).then(|| rev_of(&document)).flatten().and_then(|rev| etag(&rev));
    let Some(etag) = etag else {
        return Ok(answer::json_text(StatusCode::OK, document));
    };
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|given| names_etag(given, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(([(header::ETAG, etag)], answer::json_text(StatusCode::OK, document)).into_response())
}

fn answer_parcel(target: Target, parcel: Parcel) -> Response {
    let boundary = random_id();
    let (chunks, body) = streamed();
    let response = related::answer("related", &boundary, body);
    let etag = etag(parcel.rev());
    tokio::spawn(async move {
        let _ = parcel.send(&chunks, &target.mailbox, &boundary).await;
    });
    with_etag(response, etag)
}

/// `PUT /{database}/{id}`
pub async fn put(
    State(app): State<Arc<App>>,
    target: Target,
    DocumentId(id): DocumentId,
    query: Query,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    // What no document took is given up behind the answer.
    let mut upload = Upload::new(target.mailbox.clone(), app.limits.attachment_bytes_max);
    let mut document = match multipart::boundary(&headers)? {
        Some(boundary) => {
            let document_bytes_max = app.limits.body_bytes_max as u64;
            multipart::read(request.into_body(), &boundary, document_bytes_max, &mut upload).await?
        }
        None => parse_document(&WholeBody::from_request(request, &()).await?.0)?,
    };
    document.insert("_id", id.as_str().into());
    if let Some(rev) = named_rev(&query, &headers, document.get("_rev").and_then(Value::as_str))? {
        document.insert("_rev", rev.as_str().into());
    }
    admit(&app, &target, &id, &mut document).await?;
    let is_local = id.starts_with(LOCAL_PREFIX);
    let new_edits = query.text("new_edits") != Some("false");
    let text = to_text(document);
    let written = if is_local {
        target.mailbox.run(async move |database| database.put_local(&text).await).await??
    } else if new_edits {
        let options = WriteOptions::default();
        target.mailbox.run(async move |database| database.put(&text, &options).await).await??
    } else {
        put_as_it_is(&target, id, text).await?
    };
    let etag = if is_local { None } else { etag(&written.rev) };
    Ok(with_etag(created(&target.name, &written), etag))
}

/// Refuses a document that the caller may not write, and makes that of an account fit.
pub async fn admit(app: &App, target: &Target, id: &str, document: &mut Object) -> Result<(), Failure> {
    target.may_write(id)?;
    if target.is_users() { users::shape(app, &target.caller, document).await } else { Ok(()) }
}

/// Stores a revision that another replica made.
async fn put_as_it_is(target: &Target, id: String, text: Vec<u8>) -> Result<Written, Failure> {
    let rev = rev_of(&text).unwrap_or_default();
    let options = WriteOptions::default();
    let rows = target
        .mailbox
        .run(async move |database| database.bulk_docs(&[text.as_slice()], false, &options).await)
        .await??;
    match rows.into_iter().find_map(Result::err) {
        Some(refused) => Err(Failure(refused.error)),
        None => Ok(Written { id, rev }),
    }
}

/// `POST /{database}`: a document with an id of its own, or with a new one.
pub async fn post(State(app): State<Arc<App>>, target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let mut document = parse_document(&body)?;
    if document.get("_id").is_none() {
        document.insert("_id", random_id().as_str().into());
    }
    let id = document.get("_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    admit(&app, &target, &id, &mut document).await?;
    let is_local = id.starts_with(LOCAL_PREFIX);
    let text = to_text(document);
    let options = WriteOptions::default();
    let written = target
        .mailbox
        .run(
            async move |database| {
                if is_local { database.put_local(&text).await } else { database.put(&text, &options).await }
            },
        )
        .await??;
    Ok(created(&target.name, &written))
}

/// `DELETE /{database}/{id}`
pub async fn delete(
    target: Target,
    DocumentId(id): DocumentId,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if id.starts_with(LOCAL_PREFIX) {
        let written = target.mailbox.run(async move |database| database.remove_local(&id).await).await??;
        return Ok(answer::json(StatusCode::OK, &told(&written)));
    }
    target.may_write(&id)?;
    let rev = named_rev(&query, &headers, None)?;
    let options = WriteOptions::default();
    let written = target
        .mailbox
        .run(async move |database| {
            let Some(rev) = rev else {
                // Without a revision there is nothing to delete, or a conflict.
                database.get(&id, &GetOptions::default()).await.map_err(Failure::from)?;
                return Err(Failure::new(409, "conflict", "Document update conflict."));
            };
            database.remove(&id, &rev, &options).await.map_err(Failure::from)
        })
        .await??;
    let etag = etag(&written.rev);
    Ok(with_etag(answer::json(StatusCode::OK, &told(&written)), etag))
}

fn parse_document(body: &[u8]) -> Result<Object, Failure> {
    match json::parse(body) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(Failure::bad_request("Document must be a JSON object")),
        Err(_) => Err(Failure::bad_json()),
    }
}

fn to_text(document: Object) -> Vec<u8> {
    let mut text = Vec::new();
    json::write(&Value::Object(document), &mut text);
    text
}

/// The revision that the query or `If-Match` names; neither may differ from what else was given.
pub fn named_rev(query: &Query, headers: &HeaderMap, in_body: Option<&str>) -> Result<Option<String>, Failure> {
    let in_query = query.text("rev");
    if let (Some(given), Some(in_body)) = (in_query, in_body)
        && given != in_body
    {
        return Err(Failure::bad_request("Document rev from request body and query string have different values"));
    }
    let in_header =
        headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).map(|tag| tag.trim_matches('"'));
    if let (Some(given), Some(other)) = (in_header, in_query.or(in_body))
        && given != other
    {
        return Err(Failure::bad_request("Document rev and etag have different values"));
    }
    Ok(in_query.or(in_header).map(str::to_owned))
}

/// `{ ok, id, rev }`
pub fn told(written: &Written) -> serde_json::Value {
    json!({"ok": true, "id": written.id, "rev": written.rev})
}

fn created(database: &str, written: &Written) -> Response {
    let mut response = answer::json(StatusCode::CREATED, &told(written));
    if let Ok(location) = HeaderValue::from_str(&path_of(database, Some(&written.id))) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn with_etag(mut response: Response, etag: Option<HeaderValue>) -> Response {
    if let Some(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn rev_of(document: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "_rev", borrow)]
        rev: Cow<'a, str>,
    }
    serde_json::from_slice::<Head<'_>>(document).ok().map(|head| head.rev.into_owned())
}

/// A revision of another replica may hold what no header can.
fn etag(rev: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{rev}\"")).ok()
}

/// Whether an `If-None-Match` names the tag.
pub fn names_etag(given: &HeaderValue, etag: &HeaderValue) -> bool {
    let weak = b"W/";
    given
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|tag| tag.strip_prefix(weak).unwrap_or(tag) == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_segment_by_segment() {
        assert_eq!(path_of("a/b", None), "/a%2Fb");
        assert_eq!(path_of("a", Some("_local/c p")), "/a/_local%2Fc%20p");
        assert_eq!(path_of("a", Some("ä\r\n")), "/a/%C3%A4%0D%0A");
    }

    #[test]
    fn an_etag_is_found_in_a_list() {
        let etag = etag("1-a").expect("a header value");
        for given in ["\"1-a\"", "\"x\", \"1-a\"", "W/\"1-a\""] {
            assert!(names_etag(&HeaderValue::from_static(given), &etag), "{given}");
        }
        for given in ["", "1-a", "\"1-ab\""] {
            assert!(!names_etag(&HeaderValue::from_static(given), &etag), "{given}");
        }
    }

    #[test]
    fn revisions_from_two_places_must_agree() {
        let headers = |tag| HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(tag))]);
        let rev = |query: &str, headers: &HeaderMap, in_body| {
            named_rev(&Query::parse(query), headers, in_body).map_err(|failure| failure.0.reason)
        };
        let none = HeaderMap::new();
        assert_eq!(rev("", &none, Some("1-a")), Ok(None));
        assert_eq!(rev("rev=1-a", &none, Some("1-a")), Ok(Some("1-a".into())));
        assert_eq!(rev("", &headers("\"1-a\""), None), Ok(Some("1-a".into())));
        let reason = rev("rev=1-b", &none, Some("1-a")).expect_err("two revisions");
        assert_eq!(reason, "Document rev from request body and query string have different values");
        for (query, in_body) in [("rev=1-b", None), ("", Some("1-b"))] {
            let reason = rev(query, &headers("1-a"), in_body).expect_err("two revisions");
            assert_eq!(reason, "Document rev and etag have different values");
        }
    }
}
