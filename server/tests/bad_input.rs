//! What is wrong is answered with the right error, changes nothing, and leaves the server up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{JSON, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// All that could have changed.
fn state(server: &Server) -> (Value, Value, Value) {
    let info = server.client.get("/things").expect(200);
    let counts = json!([info["doc_count"], info["doc_del_count"], info["update_seq"]]);
    let all = server.client.get("/things/_all_docs?include_docs=true&conflicts=true").expect(200);
    (counts, all, server.client.get("/_all_dbs").expect(200))
}

fn server_with_documents(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.client.create("things");
    server.client.put("/things/a", &json!({"n": 1})).expect(201);
    server.client.put("/things/_local/c", &json!({"n": 1})).expect(201);
    server
}

fn nested(depth: usize) -> String {
    format!("{{\"_id\":\"deep\",\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
}

/// Method, path, body, and the status and the name of the error.
type Row<'a> = (&'a str, &'a str, &'a str, u16, &'a str);

const DATABASES: &[Row<'_>] = &[
    ("PUT", "/Upper", "", 400, "illegal_database_name"),
    ("PUT", "/..%2F..%2Fetc", "", 400, "illegal_database_name"),
    ("PUT", "/%2e%2e", "", 400, "illegal_database_name"),
    ("PUT", "/_other", "", 400, "illegal_database_name"),
    ("PUT", "/a%00b", "", 400, "illegal_database_name"),
    ("PUT", "/things", "", 412, "file_exists"),
    ("GET", "/none", "", 404, "not_found"),
    ("GET", "/none/a", "", 404, "not_found"),
    ("GET", "/..%2Fserver.id", "", 404, "not_found"),
    ("GET", "/%ff", "", 400, "bad_request"),
    ("DELETE", "/none", "", 404, "not_found"),
    ("DELETE", "/things?rev=1-a", "", 400, "bad_request"),
    ("POST", "/none", "{}", 404, "not_found"),
    ("GET", "/_uuids?count=1001", "", 400, "bad_request"),
    ("GET", "/_uuids?count=x", "", 400, "query_parse_error"),
    ("GET", "/_all_dbs?startkey=1", "", 400, "bad_request"),
    ("GET", "/_nowhere", "", 404, "not_found"),
];

const DOCUMENTS: &[Row<'_>] = &[
    ("PUT", "/things/x", "", 400, "bad_request"),
    ("PUT", "/things/x", "{", 400, "bad_request"),
    ("PUT", "/things/x", "{\"a\":1}}", 400, "bad_request"),
    ("PUT", "/things/x", "nul", 400, "bad_request"),
    ("PUT", "/things/x", "\"text\"", 400, "bad_request"),
    ("PUT", "/things/x", "{\"a\":1e999}", 400, "bad_request"),
    ("PUT", "/things/x", "{\"a\":\"\\ud800\"}", 400, "bad_request"),
    ("PUT", "/things/x", "{\"a\":1,\"a\":2}", 400, "bad_request"),
    ("PUT", "/things/_x", "{}", 400, "illegal_docid"),
    ("PUT", "/things/x", "{\"_nope\":1}", 400, "doc_validation"),
    ("PUT", "/things/x", "{\"_rev\":\"x\"}", 400, "bad_request"),
    ("PUT", "/things/x", "{\"_rev\":1}", 400, "doc_validation"),
    ("PUT", "/things/x", "{\"_rev\":\"1-a\"}", 409, "conflict"),
    ("PUT", "/things/a", "{}", 409, "conflict"),
    ("PUT", "/things/a?rev=x", "{}", 400, "bad_request"),
    ("PUT", "/things/a?rev=1-a", "{\"_rev\":\"1-b\"}", 400, "bad_request"),
    ("PUT", "/things/x?new_edits=false", "{\"_rev\":\"x\"}", 400, "bad_request"),
    ("POST", "/things", "{", 400, "bad_request"),
    ("POST", "/things", "[]", 400, "bad_request"),
    ("POST", "/things", "{\"_id\":\"_x\"}", 400, "illegal_docid"),
    ("POST", "/things", "{\"_id\":\"\"}", 400, "illegal_docid"),
    ("POST", "/things", "{\"_id\":1}", 400, "illegal_docid"),
    ("GET", "/things/none", "", 404, "not_found"),
    ("GET", "/things/a?rev=x", "", 400, "bad_request"),
    ("GET", "/things/a?rev=9-a", "", 404, "not_found"),
    ("GET", "/things/a?open_revs=x", "", 400, "bad_request"),
    ("GET", "/things/a?open_revs=%5B1%5D", "", 400, "bad_request"),
    ("GET", "/things/a?open_revs=%5B%22x%22%5D", "", 400, "bad_request"),
    ("GET", "/things/none?open_revs=all", "", 404, "not_found"),
    ("DELETE", "/things/a", "", 409, "conflict"),
    ("DELETE", "/things/a?rev=x", "", 400, "bad_request"),
    ("DELETE", "/things/none", "", 404, "not_found"),
    ("DELETE", "/things/none?rev=1-a", "", 404, "not_found"),
    ("DELETE", "/things/_local/none", "", 404, "not_found"),
    ("PUT", "/things/_local/x", "[]", 400, "bad_request"),
    ("PATCH", "/things/a", "{}", 405, "method_not_allowed"),
    ("GET", "/things/none/file", "", 404, "not_found"),
    ("GET", "/things/a/file", "", 404, "not_found"),
    ("PUT", "/things/a/file", "x", 409, "conflict"),
];

const MANY_DOCUMENTS: &[Row<'_>] = &[
    ("POST", "/things/_bulk_docs", "", 400, "bad_request"),
    ("POST", "/things/_bulk_docs", "{\"docs\":", 400, "bad_request"),
    ("POST", "/things/_bulk_docs", "[]", 400, "bad_request"),
    ("POST", "/things/_bulk_docs", "{}", 400, "bad_request"),
    ("POST", "/things/_bulk_docs", "{\"docs\":1}", 400, "bad_request"),
    ("POST", "/things/_bulk_docs", "{\"docs\":[{\"_id\":\"x\"},1]}", 400, "bad_request"),
    ("POST", "/things/_bulk_docs", "{\"docs\":[{\"_id\":\"x\"},{\"_id\":\"_y\"}]}", 400, "illegal_docid"),
    ("POST", "/things/_bulk_docs", "{\"docs\":[{\"_id\":\"x\"},{\"_nope\":1}]}", 400, "doc_validation"),
    ("POST", "/things/_bulk_docs", "{\"docs\":[],\"new_edits\":1}", 400, "bad_request"),
    ("POST", "/things/_bulk_get", "{}", 400, "bad_request"),
    ("POST", "/things/_bulk_get", "{\"docs\":{}}", 400, "bad_request"),
    ("POST", "/things/_revs_diff", "[]", 400, "bad_request"),
    ("POST", "/things/_revs_diff", "{\"a\":1}", 400, "bad_request"),
    ("POST", "/things/_revs_diff", "{\"a\":[\"x\"]}", 400, "bad_request"),
    ("POST", "/things/_missing_revs", "{\"a\":[1]}", 400, "bad_request"),
    ("GET", "/things/_bulk_docs", "", 405, "method_not_allowed"),
    ("GET", "/things/_revs_diff", "", 405, "method_not_allowed"),
    ("GET", "/things/_all_docs?limit=x", "", 400, "query_parse_error"),
    ("GET", "/things/_all_docs?startkey=x", "", 400, "bad_request"),
    ("POST", "/things/_all_docs", "{\"keys\":1}", 400, "bad_request"),
    ("POST", "/things/_all_docs", "[]", 400, "bad_request"),
];

const CHANGES: &[Row<'_>] = &[
    ("GET", "/things/_changes?feed=x", "", 400, "bad_request"),
    ("GET", "/things/_changes?since=x", "", 400, "bad_request"),
    ("GET", "/things/_changes?limit=x", "", 400, "query_parse_error"),
    ("GET", "/things/_changes?timeout=x", "", 400, "query_parse_error"),
    ("GET", "/things/_changes?heartbeat=x", "", 400, "bad_request"),
    ("GET", "/things/_changes?filter=x", "", 400, "query_parse_error"),
    ("GET", "/things/_changes?filter=a/b", "", 501, "not_implemented"),
    ("POST", "/things/_changes?filter=_doc_ids", "{}", 400, "bad_request"),
    ("POST", "/things/_changes?filter=_selector", "{\"selector\":{\"a\":{\"$x\":1}}}", 400, "invalid_operator"),
    ("POST", "/things/_changes", "{", 400, "bad_request"),
    ("PUT", "/things/_changes", "{}", 405, "method_not_allowed"),
];

const QUERIES: &[Row<'_>] = &[
    ("POST", "/things/_find", "{", 400, "bad_request"),
    ("POST", "/things/_find", "[]", 400, "bad_request"),
    ("POST", "/things/_find", "{}", 400, "missing_required_key"),
    ("POST", "/things/_find", "{\"selector\":{\"a\":{\"$x\":1}}}", 400, "invalid_operator"),
    ("POST", "/things/_find", "{\"selector\":{},\"limit\":\"x\"}", 400, "query_parse_error"),
    ("POST", "/things/_explain", "{}", 400, "missing_required_key"),
    ("POST", "/things/_index", "{}", 400, "missing_required_key"),
    ("GET", "/things/_find", "", 405, "method_not_allowed"),
];

const SETTINGS: &[Row<'_>] = &[
    ("PUT", "/things/_revs_limit", "x", 400, "bad_request"),
    ("PUT", "/things/_revs_limit", "0", 400, "bad_request"),
    ("PUT", "/things/_revs_limit", "1.5", 400, "bad_request"),
    ("PUT", "/things/_security", "{", 400, "bad_request"),
    ("PUT", "/things/_security", "[]", 400, "bad_request"),
    ("PUT", "/things/_security", "{\"admins\":{\"names\":[1]}}", 400, "bad_request"),
    ("DELETE", "/things/_security", "", 405, "method_not_allowed"),
    ("POST", "/", "{}", 405, "method_not_allowed"),
];

#[test]
fn every_bad_request_has_its_error_and_changes_nothing() {
    let server = server_with_documents(&[]);
    let before = state(&server);
    let deep = nested(10_000);
    let long_name = format!("/{}", "a".repeat(300));
    let long: [Row<'_>; 2] =
        [("PUT", &long_name, "", 400, "database_name_too_long"), ("PUT", "/things/deep", &deep, 400, "bad_request")];
    let tables = [DATABASES, DOCUMENTS, MANY_DOCUMENTS, CHANGES, QUERIES, SETTINGS, &long];
    for (method, path, body, status, error) in tables.into_iter().flatten() {
        let has_body = !body.is_empty() || matches!(*method, "PUT" | "POST" | "PATCH");
        let answer = server.client.send(method, path, &JSON, has_body.then_some(body.as_bytes()));
        let told = (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned());
        let shown: String = body.chars().take(60).collect();
        assert_eq!(told, (*status, (*error).to_owned()), "{method} {path} {shown}: {}", answer.text());
        assert!(answer.json()["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{method} {path}");
        assert_eq!(state(&server), before, "{method} {path} {shown} changed something");
    }
}

#[test]
fn a_method_that_is_not_there_is_told_with_those_that_are() {
    let server = server_with_documents(&[]);
    let answer = server.client.send("PATCH", "/things", &[], None);
    answer.expect_error(405, "method_not_allowed");
    assert_eq!(answer.json()["reason"], "Only DELETE,GET,HEAD,POST,PUT allowed");
    assert_eq!(answer.header("allow"), Some("DELETE,GET,HEAD,POST,PUT"));
}

#[test]
fn a_document_and_a_body_over_their_limits_are_too_large() {
    let server = server_with_documents(&["--document-bytes-max", "10000", "--body-bytes-max", "30000"]);
    let before = state(&server);
    let text = |bytes: usize| json!({"_id": "large", "text": "x".repeat(bytes)});
    server.client.put("/things/large", &text(10_000)).expect_error(413, "too_large");
    server.client.put("/things/large", &text(40_000)).expect_error(413, "too_large");
    let docs = json!({"docs": [{"_id": "small"}, text(10_000)]});
    server.client.post("/things/_bulk_docs", &docs).expect_error(413, "too_large");
    let docs = json!({"docs": [text(9000), text(9000), text(9000), text(9000)]});
    server.client.post("/things/_bulk_docs", &docs).expect_error(413, "too_large");
    assert_eq!(state(&server), before);
    server.client.put("/things/large", &text(9000)).expect(201);
}

#[test]
fn the_default_limits_are_eight_and_sixty_four_mebibytes() {
    let server = server_with_documents(&[]);
    let text = "x".repeat(8 << 20);
    server.client.put("/things/large", &json!({"text": text})).expect_error(413, "too_large");
    server.client.put("/things/large", &json!({"text": text[..text.len() - 1000]})).expect(201);
    let body = vec![b' '; (64 << 20) + 1];
    server.client.send("POST", "/things/_bulk_docs", &JSON, Some(&body)).expect_error(413, "too_large");
    server.client.get("/things/a").expect(200);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn compressed_bodies_are_read_and_bounded_by_what_they_hold() {
    let server = server_with_documents(&["--body-bytes-max", "30000"]);
    let headers = [JSON[0], ("content-encoding", "gzip")];
    let send = |body: &[u8]| server.client.send("POST", "/things/_bulk_docs", &headers, Some(body));
    send(&gzip(br#"{"docs":[{"_id":"packed"}]}"#)).expect(201);
    server.client.get("/things/packed").expect(200);
    let before = state(&server);
    let bomb = gzip(&vec![b' '; 10 << 20]);
    assert!(bomb.len() < 30_000 * 2, "{}", bomb.len());
    send(&bomb).expect_error(413, "too_large");
    send(b"not gzip at all").expect_error(400, "bad_request");
    send(&gzip(br#"{"docs":[{"_id":"cut"}]}"#)[..20]).expect_error(400, "bad_request");
    let headers = [JSON[0], ("content-encoding", "rot13")];
    let unknown = server.client.send("POST", "/things/_bulk_docs", &headers, Some(b"{}"));
    assert_eq!(unknown.status, 415);
    assert_eq!(state(&server), before);
}

#[test]
fn an_answer_that_comes_before_the_body_reaches_the_client_and_the_next_request_too() {
    let server = server_with_documents(&["--body-bytes-max", "30000"]);
    let body = vec![b' '; 20 << 20];
    for _ in 0..20 {
        server.client.send("POST", "/none/_bulk_docs", &JSON, Some(&body)).expect_error(404, "not_found");
        let plain = [("content-type", "text/plain")];
        server.client.send("POST", "/things/_bulk_docs", &plain, Some(&body)).expect_error(415, "bad_content_type");
        server.client.send("PUT", "/things/x", &JSON, Some(&body)).expect_error(413, "too_large");
        server.client.get("/things/a").expect(200);
    }
    // More than anyone would throw away: the answer says that the connection ends.
    let endless = "POST /none/_bulk_docs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n{";
    let answer = raw(&server, endless.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
    let asking = endless.replace("\r\n\r\n{", "\r\nexpect: 100-continue\r\n\r\n");
    let answer = raw(&server, asking.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
}

/// Sends bytes as they are and reads until the server closes.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn malformed_http_changes_nothing_and_the_server_stays_up() {
    let server = server_with_documents(&["--slow-client-timeout-ms", "500"]);
    let before = state(&server);
    let many_headers = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(5000));
    let long_header = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(2 << 20));
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(1 << 20));
    for (bytes, status) in [
        ("\r\n\r\n\0\0\0", "400"),
        ("nonsense\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\n\r\n", "400"),
        ("GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n", "400"),
        ("PUT /things/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n{}", "400"),
        ("PUT /things/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", "400"),
        ("PUT /things/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "400"),
        (many_headers.as_str(), "431"),
        (long_header.as_str(), "431"),
        (long_path.as_str(), "4"),
    ] {
        let answer = raw(&server, bytes.as_bytes());
        let shown: String = bytes.chars().take(60).collect();
        let is_told = answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.is_empty();
        assert!(is_told, "{shown:?}: {answer:?}");
        assert_eq!(state(&server), before, "{shown:?} changed something");
    }
}

#[test]
fn slow_clients_are_cut_off() {
    let server = server_with_documents(&["--slow-client-timeout-ms", "300"]);
    let before = state(&server);
    for bytes in [
        "GET / HT",
        "GET / HTTP/1.1\r\nhost: localhost\r\n",
        "PUT /things/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"n\":",
        "PUT /things/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ] {
        let started = Instant::now();
        let answer = raw(&server, bytes.as_bytes());
        assert!(started.elapsed() < Duration::from_secs(5), "{bytes:?}: {:?}", started.elapsed());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{bytes:?}: {answer}");
    }
    assert_eq!(state(&server), before);
}

#[test]
fn names_cannot_walk_the_file_system() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("data");
    let server = Server::start_over(&folder, &[]);
    for name in ["..%2Fescaped", "a%2F..%2F..%2Fescaped", "%2Fescaped", "a%2F%2E%2E", ".", "..%5Cescaped"] {
        server.client.send("PUT", &format!("/{name}"), &[], None);
    }
    server.client.create("a%2Fb");
    server.client.create("a");
    server.client.put("/a/..%2F..%2Fescaped", &json!({})).expect(201);
    let outside: Vec<_> = fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["data"]);
    let mut inside: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .inspect(|entry| assert!(entry.file_type().unwrap().is_file()))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    inside.sort();
    assert_eq!(inside, ["a%2Fb.redb", "a.redb", "server.id"]);
    assert_eq!(server.client.get("/_all_dbs").expect(200), json!(["a", "a/b"]));
}
