//! Every endpoint with every method: its status, and the members of its answer or the name of its error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;

use common::{JSON, Server};
use serde_json::{Value, json};

/// Method, path, body, status, and what the answer has: the members of an object in order, `[]` for an array, `-` for nothing
/// that is JSON, or after `!` the name of an error.
type Row = (&'static str, &'static str, &'static str, u16, &'static str);

const SERVER: &[Row] = &[
    ("GET", "/", "", 200, "couchdb features uuid vendor version"),
    ("HEAD", "/", "", 200, "-"),
    ("GET", "/_up", "", 200, "seeds status"),
    ("GET", "/_uuids?count=3", "", 200, "uuids"),
    ("GET", "/_all_dbs", "", 200, "[]"),
    ("GET", "/_session", "", 200, "info ok userCtx"),
    ("POST", "/_session", r#"{"name":"root","password":"secret"}"#, 200, "name ok roles"),
    ("POST", "/_session", r#"{"name":"root","password":"no"}"#, 401, "!unauthorized"),
    ("DELETE", "/_session", "", 200, "ok"),
    ("GET", "/_active_tasks", "", 200, "[]"),
    ("GET", "/_metrics", "", 200, "-"),
    ("POST", "/_replicate", r#"{"source":"none","target":"things"}"#, 404, "!db_not_found"),
    ("GET", "/_dbs_info", "", 501, "!not_implemented"),
    ("GET", "/_db_updates", "", 501, "!not_implemented"),
    ("GET", "/_membership", "", 501, "!not_implemented"),
    ("GET", "/_node/_local/_stats", "", 501, "!not_implemented"),
    ("GET", "/_scheduler/jobs", "", 501, "!not_implemented"),
    ("GET", "/_utils/", "", 501, "!not_implemented"),
    ("GET", "/_nowhere", "", 404, "!not_found"),
];

const DATABASE: &[Row] = &[
    ("PUT", "/new", "", 201, "ok"),
    ("PUT", "/new", "", 412, "!file_exists"),
    ("DELETE", "/new", "", 200, "ok"),
    ("DELETE", "/new", "", 404, "!not_found"),
    (
        "GET",
        "/things",
        "",
        200,
        "cluster compact_running db_name doc_count doc_del_count firkin_snapshot instance_start_time props purge_seq sizes update_seq",
    ),
    ("HEAD", "/things", "", 200, "-"),
    ("HEAD", "/none", "", 404, "-"),
    ("POST", "/things", r#"{"n":1}"#, 201, "id ok rev"),
    ("GET", "/things/_security", "", 200, "admins members"),
    ("PUT", "/things/_security", r#"{"members":{"roles":["crew"]}}"#, 200, "ok"),
    ("GET", "/things/_security", "", 200, "members"),
    ("GET", "/things/_revs_limit", "", 200, "1000"),
    ("PUT", "/things/_revs_limit", "500", 200, "ok"),
    ("GET", "/things/_revs_limit", "", 200, "500"),
    ("POST", "/things/_compact", "{}", 202, "ok"),
    ("POST", "/things/_compact/view", "{}", 501, "!not_implemented"),
    ("POST", "/things/_purge", r#"{"none":["1-a"]}"#, 201, "purge_seq purged"),
    ("POST", "/things/_ensure_full_commit", "{}", 201, "instance_start_time ok"),
    ("GET", "/things/_design_docs", "", 501, "!not_implemented"),
    ("GET", "/things/_local_docs", "", 501, "!not_implemented"),
    ("POST", "/things/_all_docs/queries", "{}", 501, "!not_implemented"),
    ("GET", "/things/_shards", "", 501, "!not_implemented"),
    ("POST", "/things/_view_cleanup", "{}", 501, "!not_implemented"),
    ("GET", "/none/_shards", "", 404, "!not_found"),
    ("GET", "/things/_nowhere", "", 404, "!not_found"),
    ("GET", "/things/_design/x/_view/y", "", 501, "!not_implemented"),
    ("GET", "/things/_design/x/_info", "", 501, "!not_implemented"),
];

const DOCUMENTS: &[Row] = &[
    ("PUT", "/things/b", r#"{"n":1}"#, 201, "id ok rev"),
    ("PUT", "/things/b", r#"{"n":2}"#, 409, "!conflict"),
    ("GET", "/things/a", "", 200, "_attachments _id _rev n"),
    ("HEAD", "/things/a", "", 200, "-"),
    ("HEAD", "/things/none", "", 404, "-"),
    ("GET", "/things/a?revs=true&revs_info=true", "", 200, "_attachments _id _rev _revisions _revs_info n"),
    ("GET", "/things/a?conflicts=true&att_encoding_info=true", "", 200, "_attachments _conflicts _id _rev n"),
    ("GET", "/things/a?open_revs=all", "", 200, "[]"),
    ("GET", "/things/a?latest=true&rev=1-aa", "", 200, "_attachments _id _rev n"),
    ("GET", "/things/a?attachments=true", "", 200, "_attachments _id _rev n"),
    ("GET", "/things/none", "", 404, "!not_found"),
    ("POST", "/things/a", "{}", 501, "!not_implemented"),
    ("COPY", "/things/a", "", 501, "!not_implemented"),
    ("PUT", "/things/_design/x", "{}", 201, "id ok rev"),
    ("GET", "/things/_design/x", "", 200, "_id _rev"),
    ("PUT", "/things/_local/x", "{}", 201, "id ok rev"),
    ("GET", "/things/_local/x", "", 200, "_id _rev"),
    ("DELETE", "/things/_local/x", "", 200, "id ok rev"),
    ("GET", "/things/_local/x", "", 404, "!not_found"),
    ("GET", "/things/a/f", "", 200, "-"),
    ("HEAD", "/things/a/f", "", 200, "-"),
    ("GET", "/things/a/none", "", 404, "!not_found"),
    ("PUT", "/things/c/g", "text", 201, "id ok rev"),
    ("DELETE", "/things/c/g", "", 409, "!conflict"),
    ("DELETE", "/things/a", "", 409, "!conflict"),
    ("DELETE", "/things/a?rev=2-bb", "", 200, "id ok rev"),
];

const MANY: &[Row] = &[
    ("GET", "/things/_all_docs", "", 200, "offset rows total_rows"),
    ("GET", "/things/_all_docs?key=%22a%22&include_docs=true", "", 200, "offset rows total_rows"),
    ("POST", "/things/_all_docs", r#"{"keys":["a"]}"#, 200, "offset rows total_rows"),
    ("POST", "/things/_bulk_docs", r#"{"docs":[{"_id":"d"}]}"#, 201, "[]"),
    ("POST", "/things/_bulk_get", r#"{"docs":[{"id":"a"}]}"#, 200, "results"),
    ("POST", "/things/_revs_diff", r#"{"a":["9-a"]}"#, 200, "a"),
    ("POST", "/things/_missing_revs", r#"{"a":["9-a"]}"#, 200, "missing_revs"),
    ("GET", "/things/_changes", "", 200, "last_seq pending results"),
    ("HEAD", "/things/_changes", "", 200, "-"),
    ("GET", "/things/_snapshot", "", 200, "-"),
    ("HEAD", "/things/_snapshot", "", 200, "-"),
    ("GET", "/none/_snapshot", "", 404, "!not_found"),
    ("GET", "/things/_changes?feed=longpoll&limit=1", "", 200, "last_seq pending results"),
    ("GET", "/things/_changes?feed=continuous&timeout=1", "", 200, "-"),
    ("GET", "/things/_changes?feed=eventsource&timeout=1", "", 200, "-"),
    ("POST", "/things/_changes?filter=_doc_ids", r#"{"doc_ids":["a"]}"#, 200, "last_seq pending results"),
    ("POST", "/things/_changes?filter=_selector", r#"{"selector":{}}"#, 200, "last_seq pending results"),
    ("GET", "/things/_changes?filter=x/y", "", 501, "!not_implemented"),
    ("POST", "/things/_find", r#"{"selector":{"n":{"$gt":0}},"sort":["n"]}"#, 200, "bookmark docs"),
    ("POST", "/things/_explain", r#"{"selector":{"n":1}}"#, 200, "?"),
    ("GET", "/things/_index", "", 200, "indexes total_rows"),
    ("POST", "/things/_index", r#"{"index":{"fields":["n"]}}"#, 200, "id name result"),
    ("DELETE", "/things/_index/_design/x/json/y", "", 404, "!not_found"),
    ("POST", "/things/_index/_bulk_delete", "{}", 501, "!not_implemented"),
];

/// What each endpoint has no answer for: all other methods that HTTP knows.
const METHODS: &[(&str, &[&str])] = &[
    ("/", &["GET", "HEAD"]),
    ("/_all_dbs", &["GET", "HEAD"]),
    ("/_uuids", &["GET", "HEAD"]),
    ("/_session", &["GET", "HEAD", "POST", "DELETE"]),
    ("/_metrics", &["GET", "HEAD"]),
    ("/_active_tasks", &["GET", "HEAD"]),
    ("/_replicate", &["POST"]),
    ("/things", &["GET", "HEAD", "PUT", "POST", "DELETE"]),
    ("/things/_all_docs", &["GET", "HEAD", "POST"]),
    ("/things/_bulk_docs", &["POST"]),
    ("/things/_bulk_get", &["POST"]),
    ("/things/_changes", &["GET", "HEAD", "POST"]),
    ("/things/_compact", &["POST"]),
    ("/things/_ensure_full_commit", &["POST"]),
    ("/things/_explain", &["POST"]),
    ("/things/_find", &["POST"]),
    ("/things/_index", &["GET", "HEAD", "POST"]),
    ("/things/_missing_revs", &["POST"]),
    ("/things/_purge", &["POST"]),
    ("/things/_revs_diff", &["POST"]),
    ("/things/_revs_limit", &["GET", "HEAD", "PUT"]),
    ("/things/_snapshot", &["GET", "HEAD"]),
    ("/things/_security", &["GET", "HEAD", "PUT"]),
    ("/things/a", &["GET", "HEAD", "PUT", "POST", "DELETE", "COPY"]),
    ("/things/a/f", &["GET", "HEAD", "PUT", "DELETE"]),
];

fn server() -> Server {
    let mut server = Server::start(&["--admin", "root:secret", "--password-iterations", "10"]);
    server.client = server.client.clone().with_credentials("root:secret");
    server.client.create("things");
    let revision = |rev: &str, ids: &[&str], n: u64| {
        json!({"_id": "a", "_rev": rev, "_revisions": {"start": ids.len(), "ids": ids}, "n": n,
               "_attachments": {"f": {"content_type": "image/png", "data": "aGk="}}})
    };
    let docs =
        json!({"new_edits": false, "docs": [revision("2-bb", &["bb", "aa"], 1), revision("2-ab", &["ab", "aa"], 2)]});
    server.client.post("/things/_bulk_docs", &docs).expect(201);
    server
}

fn shape(status: u16, body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return "-".into() };
    match value {
        Value::Object(members) if status >= 400 => {
            let names: Vec<&String> = members.keys().collect();
            assert!(names == ["error", "reason"], "{names:?}");
            assert!(members["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
            format!("!{}", members["error"].as_str().unwrap())
        }
        Value::Object(members) => {
            members.keys().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
        }
        Value::Array(_) => "[]".into(),
        other => other.to_string(),
    }
}

#[test]
fn every_endpoint_answers_with_its_status_and_its_shape() {
    let server = server();
    for (method, path, body, status, expected) in [SERVER, DATABASE, DOCUMENTS, MANY].concat() {
        let has_body = !body.is_empty();
        let answer =
            server.client.send(method, path, &JSON[..usize::from(has_body)], has_body.then_some(body.as_bytes()));
        let told = shape(answer.status, &answer.body);
        let told = if expected == "?" { "?" } else { &told };
        assert_eq!((answer.status, told), (status, expected), "{method} {path} {body}: {}", answer.text());
        if status != 200 || expected != "-" {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        }
    }
}

#[test]
fn every_other_method_is_told_with_those_that_are() {
    let server = server();
    for (path, methods) in METHODS {
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "COPY"] {
            if methods.contains(&method) {
                continue;
            }
            let answer = server.client.send(method, path, &JSON, Some(b"{}"));
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
            if method == "HEAD" {
                continue;
            }
            answer.expect_error(405, "method_not_allowed");
            let allowed: BTreeSet<&str> = answer.header("allow").unwrap().split(',').collect();
            let expected: BTreeSet<&str> = methods.iter().copied().collect();
            let of_document = ["POST", "COPY"];
            let differing: Vec<_> = allowed
                .symmetric_difference(&expected)
                .filter(|name| !of_document.contains(name) && **name != "HEAD")
                .collect();
            assert!(differing.is_empty(), "{path}: {differing:?}");
        }
    }
}
