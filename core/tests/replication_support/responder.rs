//! Answers the endpoints of the protocol from a database of the engine: the server of replications within one thread.

use std::collections::BTreeMap;
use std::pin::pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firkin_core::database::{
    ChangesQuery, Database, GetOptions, OpenRev, OpenRevs, RevsDiffRow, Since, WriteError, WriteOptions,
};
use firkin_core::effects::{Clock, Method, Request, Upload};
use firkin_core::query::Selector;
use firkin_core::storage::Kv;
use futures_util::future::{Either, select};
use serde_json::{Value, json};

/// A longpoll that has nothing to tell ends after so many milliseconds.
const LONGPOLL_MS: u64 = 25_000;

/// A status and a body.
pub type Answer = (u16, Vec<u8>);

/// The answer that tells the truth.
pub async fn answer<K: Kv>(database: &Database<K>, clock: &impl Clock, request: &Request) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.into(), decoded(value)))
        .collect();
    let body = request.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
    let is_asked = |name: &str| query.get(name).is_some_and(|asked| asked == "true");
    let asked = Asked { whole: is_asked("attachments"), latest: is_asked("latest") };
    match (request.method, path) {
        (Method::Get, "") => ok(&json!({"db_name": "fake", "update_seq": "0", "instance_start_time": "0"})),
        (_, "_changes") => changes(database, clock, &query, &body).await,
        (Method::Post, "_revs_diff") => revs_diff(database, &body).await,
        (Method::Post, "_bulk_docs") => bulk_docs(database, &body).await,
        (Method::Post, "_bulk_get") => bulk_get(database, &body, asked).await,
        (Method::Put, path) if path.starts_with("_local/") => {
            let mut document = body;
            document["_id"] = json!(path);
            match database.put_local(document.to_string().as_bytes()).await {
                Ok(written) => ok(&json!({"ok": true, "id": written.id, "rev": written.rev})),
                Err(failed) => failure(&failed),
            }
        }
        (Method::Get, path) if path.starts_with("_local/") => match database.get(path, &GetOptions::default()).await {
            Ok(text) => (200, text),
            Err(_) => error(404, "not_found", "missing"),
        },
        (Method::Get, path) if query.contains_key("open_revs") => {
            let revs = serde_json::from_str::<Vec<String>>(&query["open_revs"]).unwrap();
            ok(&Value::Array(opened(database, &decoded(path), revs, asked).await))
        }
        (Method::Put, path) if query.get("new_edits").is_some_and(|asked| asked == "false") => {
            put_multipart(database, &decoded(path), request).await
        }
        (Method::Get, path) if path.contains('/') => attachment(database, path, query.get("rev").unwrap()).await,
        (method, path) => panic!("the server does not know {} {path}", method.name()),
    }
}

async fn changes<K: Kv>(
    database: &Database<K>,
    clock: &impl Clock,
    query: &BTreeMap<String, String>,
    body: &Value,
) -> Answer {
    assert_eq!(query["style"], "all_docs");
    let since = match query["since"].as_str() {
        "0" => Since::Start,
        token => Since::Token(token.into()),
    };
    let filter = query.get("filter").map(String::as_str);
    let selector = (filter == Some("_selector")).then(|| {
        let text = body["selector"].to_string();
        Selector::parse(&firkin_core::json::parse(text.as_bytes()).unwrap()).unwrap()
    });
    let ids = body["doc_ids"].as_array();
    let doc_ids = ids.map(|ids| ids.iter().map(|id| id.as_str().unwrap().into()).collect());
    assert_eq!(doc_ids.is_some(), filter == Some("_doc_ids"));
    let asked = ChangesQuery {
        since,
        limit: Some(query["limit"].parse().unwrap()),
        all_leaves: true,
        include_docs: query.get("include_docs").is_some_and(|asked| asked == "true"),
        selector,
        doc_ids,
        ..ChangesQuery::default()
    };
    loop {
        let changed = database.changed();
        let Ok(page) = database.changes(&asked).await else {
            return error(500, "internal_server_error", "the disk");
        };
        if page.rows.is_empty() && query.get("feed").is_some_and(|feed| feed == "longpoll") {
            let timeout = pin!(clock.sleep(LONGPOLL_MS));
            if let Either::Left(_) = select(changed, timeout).await {
                continue;
            }
        }
        let rows: Vec<Value> = page.rows.iter().map(|row| serde_json::from_slice(&row.to_json()).unwrap()).collect();
        return ok(&json!({"results": rows, "last_seq": page.last_seq, "pending": page.pending}));
    }
}

async fn revs_diff<K: Kv>(database: &Database<K>, body: &Value) -> Answer {
    let asked: Vec<(String, Vec<String>)> =
        serde_json::from_value::<BTreeMap<String, Vec<String>>>(body.clone()).unwrap().into_iter().collect();
    match database.revs_diff(&asked).await {
        Ok(rows) => {
            let told = |row: RevsDiffRow| json!({"missing": row.missing, "possible_ancestors": row.possible_ancestors});
            ok(&Value::Object(rows.into_iter().map(|row| (row.id.clone(), told(row))).collect()))
        }
        Err(_) => error(500, "internal_server_error", "the disk"),
    }
}

async fn bulk_docs<K: Kv>(database: &Database<K>, body: &Value) -> Answer {
    assert_eq!(body["new_edits"], false);
    let texts: Vec<String> = body["docs"].as_array().unwrap().iter().map(Value::to_string).collect();
    if texts.iter().any(|text| text.contains("\"unreadable\"")) {
        return error(400, "bad_request", "a document makes no sense");
    }
    let (refused, taken): (Vec<&String>, Vec<&String>) = texts.iter().partition(|text| text.contains("\"forbidden\""));
    let documents: Vec<&[u8]> = taken.into_iter().map(|text| text.as_bytes()).collect();
    match database.bulk_docs(&documents, false, &WriteOptions::default()).await {
        Ok(rows) => assert!(rows.iter().all(Result::is_ok), "{rows:?}"),
        Err(failed) => return failure(&failed),
    }
    let refused = refused.into_iter().map(|text| {
        let document: Value = serde_json::from_str(text).unwrap();
        json!({"id": document["_id"], "error": "forbidden", "reason": "a validator says no"})
    });
    (201, Value::Array(refused.collect()).to_string().into_bytes())
}

async fn bulk_get<K: Kv>(database: &Database<K>, body: &Value, asked: Asked) -> Answer {
    let mut results = Vec::new();
    for wanted in body["docs"].as_array().unwrap() {
        let (id, rev) = (wanted["id"].as_str().unwrap(), wanted["rev"].as_str().unwrap());
        let docs: Vec<Value> = opened(database, id, vec![rev.into()], asked)
            .await
            .into_iter()
            .map(|row| match row.get("missing") {
                Some(rev) => json!({"error": {"id": id, "rev": rev, "error": "not_found", "reason": "missing"}}),
                None => row,
            })
            .collect();
        results.push(json!({"id": id, "docs": docs}));
    }
    ok(&json!({"results": results}))
}

/// How documents are asked for.
#[derive(Clone, Copy)]
struct Asked {
    whole: bool,
    latest: bool,
}

/// All of a body that is read while it is sent.
pub async fn uploaded(upload: &dyn Upload) -> Vec<u8> {
    let mut body = Vec::new();
    for place in 0.. {
        match upload.part(place).await.unwrap() {
            Some(part) => body.extend(part),
            None => break,
        }
    }
    assert_eq!(body.len() as u64, upload.length());
    body
}

/// Writes a document of which attachments follow, as CouchDB takes it.
async fn put_multipart<K: Kv>(database: &Database<K>, id: &str, request: &Request) -> Answer {
    let upload = request.upload.as_ref().unwrap();
    let content_type = upload.content_type();
    let boundary = content_type.strip_prefix("multipart/related; boundary=\"").unwrap().strip_suffix('"').unwrap();
    let body = uploaded(&**upload).await;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let body = [b"\r\n".as_slice(), &body].concat();
    let parts = body.windows(delimiter.len()).enumerate().filter(|(_, window)| *window == delimiter.as_bytes());
    let starts: Vec<usize> = parts.map(|(at, _)| at + delimiter.len()).collect();
    let mut contents = starts.windows(2).map(|pair| {
        let part = &body[pair[0]..pair[1] - delimiter.len()];
        let head_end = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (std::str::from_utf8(&part[..head_end]).unwrap(), &part[head_end + 4..])
    });
    assert!(body[*starts.last().unwrap()..] == *b"--");
    let mut document: Value = serde_json::from_slice(contents.next().unwrap().1).unwrap();
    assert_eq!(document["_id"], id);
    for (name, attachment) in document["_attachments"].as_object_mut().unwrap() {
        if attachment["follows"] == true {
            let (head, content) = contents.next().unwrap();
            let quoted = name.replace('"', "%22").replace('\n', "%0A");
            assert!(head.contains(&format!("filename=\"{quoted}\"\r\n")), "{head}");
            assert_eq!(attachment["length"], content.len());
            attachment.as_object_mut().unwrap().remove("follows");
            attachment["data"] = json!(STANDARD.encode(content));
        }
    }
    assert_eq!(contents.next(), None);
    let text = document.to_string();
    match database.bulk_docs(&[text.as_bytes()], false, &WriteOptions::default()).await {
        Ok(rows) => match &rows[0] {
            Ok(written) => (201, json!({"ok": true, "id": id, "rev": written.rev}).to_string().into_bytes()),
            Err(refused) => error(refused.error.status, refused.error.name, &refused.error.reason),
        },
        Err(failed) => failure(&failed),
    }
}

async fn attachment<K: Kv>(database: &Database<K>, path: &str, rev: &str) -> Answer {
    let (id, name) = path.split_once('/').unwrap();
    match database.get_attachment(&decoded(id), &decoded(name), Some(rev)).await {
        Ok(mut reader) => {
            let mut content = Vec::new();
            while let Some(part) = reader.part().await.unwrap() {
                content.extend(part);
            }
            (200, content)
        }
        Err(_) => error(404, "not_found", "Document is missing attachment"),
    }
}

/// Some revisions, or if asked the leaves below them, with the data of their attachments if `whole`.
async fn opened<K: Kv>(
    database: &Database<K>,
    id: &str,
    revs: Vec<String>,
    Asked { whole, latest }: Asked,
) -> Vec<Value> {
    let get = GetOptions { latest, revs: true, attachments: whole, ..GetOptions::default() };
    let rows = database.open_revs(id, OpenRevs::These(revs), &get).await.unwrap();
    let row = |row| match row {
        OpenRev::Ok(text) => json!({"ok": serde_json::from_slice::<Value>(&text).unwrap()}),
        OpenRev::Missing(rev) => json!({"missing": rev}),
    };
    rows.into_iter().map(row).collect()
}

fn ok(body: &Value) -> Answer {
    (200, body.to_string().into_bytes())
}

/// A write that the storage did not take.
fn failure(failed: &WriteError) -> Answer {
    assert!(failed.report().status >= 500, "{failed}");
    error(500, "internal_server_error", &failed.to_string())
}

pub fn error(status: u16, error: &str, reason: &str) -> Answer {
    (status, json!({"error": error, "reason": reason}).to_string().into_bytes())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            assert!(first.is_ascii_alphanumeric() || b"-_.~/".contains(first), "not encoded: {text}");
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
