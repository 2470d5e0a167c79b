//! Attachments over HTTP, compaction and purging: what the golden data leave out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Answer, Server};
use serde_json::{Value, json};

/// A little more than three parts.
const LONG_BYTES: usize = 3 * 1_044_480 + 7;

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.client.create("things");
    server
}

fn put(server: &Server, path: &str, content_type: &str, bytes: &[u8]) -> Answer {
    server.client.send("PUT", path, &[("content-type", content_type)], Some(bytes))
}

fn rev(answer: &Answer) -> String {
    answer.json()["rev"].as_str().expect("a revision").to_owned()
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place / 251) as u8 ^ place as u8).collect()
}

/// Waits until what the server does after its answer is done.
fn eventually(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not come true");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn long_content_streams_in_and_out_with_its_type_and_digest() {
    let mut server = server(&[]);
    let long = bytes(LONG_BYTES);
    let made = put(&server, "/things/a/film.webm", "video/webm; codecs=vp9", &long);
    assert_eq!((made.status, made.header("location")), (201, Some("/things/a/film.webm")));
    for _ in 0..2 {
        let read = server.client.get("/things/a/film.webm");
        assert_eq!((read.status, read.body == long), (200, true));
        let digest = server.client.get("/things/a").expect(200)["_attachments"]["film.webm"]["digest"].clone();
        let digest = digest.as_str().unwrap().strip_prefix("md5-").unwrap().to_owned();
        let header = |name: &str| read.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "video/webm; codecs=vp9");
        assert_eq!(header("content-length"), LONG_BYTES.to_string());
        assert_eq!((header("content-md5"), header("etag")), (digest.clone(), format!("\"{digest}\"")));
        // A page that somebody attached is no page of this origin.
        assert_eq!(
            (header("content-security-policy"), header("x-content-type-options")),
            ("sandbox".into(), "nosniff".into())
        );
        let head = server.client.send("HEAD", "/things/a/film.webm", &[], None);
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("3133447")));
        let tag = [("if-none-match", read.header("etag").unwrap())];
        let same = server.client.send("GET", "/things/a/film.webm", &tag, None);
        assert_eq!((same.status, same.body.len()), (304, 0));
        server.restart(rustix::process::Signal::KILL);
    }
}

#[test]
fn content_is_sent_as_it_is_whatever_the_client_could_unpack() {
    let server = server(&[]);
    let text = "firkin ".repeat(500);
    put(&server, "/things/a/t.txt", "text/plain", text.as_bytes());
    let read = server.client.send("GET", "/things/a/t.txt", &[("accept-encoding", "gzip")], None);
    assert_eq!((read.header("content-encoding"), read.text()), (None, text.as_str()));
}

#[test]
fn names_with_slashes_and_design_documents_have_attachments() {
    let server = server(&[]);
    let mut revs = Vec::new();
    for (path, id, name, location) in [
        ("/things/a/dir/b%20c.txt", "a", "dir/b c.txt", "/things/a/dir%2Fb%20c.txt"),
        ("/things/_design/d/x", "_design/d", "x", "/things/_design%2Fd/x"),
        ("/things/e%2Ff/%C3%A4", "e/f", "ä", "/things/e%2Ff/%C3%A4"),
    ] {
        let made = put(&server, path, "a/b", b"content");
        assert_eq!((made.status, made.header("location")), (201, Some(location)));
        revs.push(rev(&made));
        assert_eq!(server.client.get(path).text(), "content");
        assert_eq!(server.client.get(location).text(), "content");
        let found = server.client.post("/things/_all_docs?include_docs=true", &json!({"keys": [id]})).expect(200);
        assert_eq!(found["rows"][0]["doc"]["_attachments"][name]["length"], 7, "{path}");
    }
    server.client.get("/things/_design/d/none").expect_error(404, "not_found");
}

#[test]
fn revisions_are_named_as_for_documents() {
    let server = server(&[]);
    let first = rev(&put(&server, "/things/a/x", "a/b", b"one"));
    put(&server, "/things/a/x", "a/b", b"two").expect_error(409, "conflict");
    put(&server, "/things/a/x?rev=1-00000000000000000000000000000000", "a/b", b"two").expect_error(409, "conflict");
    put(&server, "/things/a/x?rev=nonsense", "a/b", b"two").expect_error(400, "bad_request");
    let headers = [("if-match", first.as_str())];
    let made = server.client.send("PUT", "/things/a/x", &headers, Some(b"two"));
    let second = rev(&made);
    let read = server.client.get("/things/a/x");
    assert_eq!((read.text(), read.header("content-type")), ("two", Some("application/octet-stream")));
    assert_eq!(server.client.get(&format!("/things/a/x?rev={first}")).text(), "one");
    server.client.delete("/things/a/x").expect_error(409, "conflict");
    server.client.delete(&format!("/things/a/x?rev={first}")).expect_error(409, "conflict");
    server.client.delete(&format!("/things/a/none?rev={second}")).expect_error(404, "not_found");
    server.client.delete("/things/none/x").expect_error(404, "not_found");
    let gone = server.client.delete(&format!("/things/a/x?rev={second}")).expect(200);
    assert_eq!(server.client.get("/things/a").expect(200), json!({"_id": "a", "_rev": gone["rev"]}));
    server.client.get("/things/a/x").expect_error(404, "not_found");
    put(&server, "/things/_local%2Fa/x", "a/b", b"x").expect_error(400, "doc_validation");
}

#[test]
fn inline_data_is_answered_where_it_is_asked_for() {
    let server = server(&[]);
    let made =
        server.client.put("/things/a", &json!({"n": 1, "_attachments": {"h": {"data": "aGVsbG8="}}})).expect(201);
    let rev = made["rev"].as_str().unwrap();
    let bulk = json!({"docs": [{"id": "a", "rev": rev}]});
    let found = |attachments: &str| {
        let get = |path: &str| server.client.get(&format!("{path}{attachments}")).expect(200);
        let post = |path: &str, body: &Value| server.client.post(&format!("{path}{attachments}"), body).expect(200);
        [
            get("/things/a?"),
            get(&format!("/things/a?rev={rev}")),
            get("/things/a?open_revs=all")[0]["ok"].clone(),
            post("/things/_bulk_get?revs=false", &bulk)["results"][0]["docs"][0]["ok"].clone(),
            get("/things/_all_docs?include_docs=true")["rows"][0]["doc"].clone(),
            get("/things/_changes?include_docs=true")["results"][0]["doc"].clone(),
        ]
        .map(|document| document["_attachments"]["h"].clone())
    };
    for stub in found("") {
        assert_eq!((&stub["stub"], &stub["length"], stub.get("data")), (&json!(true), &json!(5), None));
    }
    for whole in found("&attachments=true") {
        assert_eq!((&whole["data"], whole.get("stub"), whole.get("length")), (&json!("aGVsbG8="), None, None));
    }
    let queried = server.client.post("/things/_find", &json!({"selector": {"n": 1}})).expect(200);
    assert_eq!(queried["docs"][0]["_attachments"]["h"]["stub"], true);
}

#[test]
fn replicas_bring_data_and_stubs_of_what_is_here() {
    let server = server(&[]);
    let attachment = |more: Value| {
        let mut attachment =
            json!({"content_type": "text/plain", "revpos": 1, "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ=="});
        attachment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"h.txt": attachment})
    };
    let docs = json!([
        {"_id": "a", "_rev": "1-a", "_attachments": attachment(json!({"data": "aGVsbG8="}))},
        {"_id": "a", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]},
         "_attachments": attachment(json!({"stub": true, "length": 5}))},
        {"_id": "b", "_rev": "1-a", "_attachments": attachment(json!({"stub": true, "length": 5}))},
    ]);
    let refused = server.client.post("/things/_bulk_docs", &json!({"new_edits": false, "docs": docs})).expect(201);
    let reason = "Invalid attachment stub in b for h.txt";
    assert_eq!(refused, json!([{"id": "b", "rev": "1-a", "error": "missing_stub", "reason": reason}]));
    let read = server.client.get("/things/a/h.txt");
    assert_eq!((read.text(), read.header("etag")), ("hello", Some("\"iMaiC8wqiFlD2NjLTemvCQ==\"")));
    assert_eq!(read.header("content-md5"), Some("XUFAKrxLKna5cZ2REBfFkg=="), "of what is sent");
    let whole = server.client.get("/things/a?attachments=true").expect(200);
    assert_eq!(whole["_attachments"], attachment(json!({"data": "aGVsbG8="})));
}

#[test]
fn content_beyond_the_limit_or_cut_short_leaves_nothing() {
    let server = server(&["--attachment-bytes-max", "2000000"]);
    put(&server, "/things/a/x", "a/b", &bytes(2_000_001)).expect_error(413, "too_large");
    put(&server, "/things/a/fits", "a/b", &bytes(2_000_000)).expect(201);
    let mut cut = TcpStream::connect(&server.address).unwrap();
    cut.write_all(b"PUT /things/b/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1900000\r\n\r\n").unwrap();
    cut.write_all(&bytes(1_500_000)).unwrap();
    drop(cut);
    let size = || server.client.get("/things").expect(200)["doc_count"].clone();
    assert_eq!(size(), 1);
    server.client.get("/things/b").expect_error(404, "not_found");
    // The server is well, and the next content arrives.
    put(&server, "/things/b/x", "a/b", b"whole").expect(201);
    assert_eq!(server.client.get("/things/b/x").text(), "whole");
}

#[test]
fn large_documents_are_those_that_are_large_without_their_attachments() {
    let server = server(&["--document-bytes-max", "1000"]);
    let data = STANDARD.encode(bytes(5000));
    server.client.put("/things/a", &json!({"_attachments": {"x": {"data": data}}})).expect(201);
    server.client.put("/things/b", &json!({"n": data})).expect_error(413, "too_large");
    assert_eq!(server.client.get("/things/a/x").body, bytes(5000));
}

#[test]
fn compaction_drops_old_bodies_and_purging_takes_leaves_out() {
    let server = server(&[]);
    let first = rev(&put(&server, "/things/a/x", "a/b", b"one"));
    let second = rev(&put(&server, &format!("/things/a/x?rev={first}"), "a/b", b"two"));
    server.client.post("/things/_compact", &json!({})).expect(202);
    eventually(|| server.client.get(&format!("/things/a?rev={first}")).status == 404);
    let info = server.client.get("/things/a?revs_info=true").expect(200);
    assert_eq!(info["_revs_info"][1]["status"], "missing");
    assert_eq!(server.client.get("/things/a/x").text(), "two");

    let asked = json!({"a": [first, second, "9-none"], "none": ["1-a"]});
    let purged = server.client.post("/things/_purge", &asked).expect(201);
    assert_eq!(purged, json!({"purge_seq": null, "purged": {"a": [second], "none": []}}));
    server.client.get("/things/a").expect_error(404, "not_found");
    assert_eq!(server.client.get("/things/_changes").expect(200)["results"], json!([]));
    for (body, status) in [(json!([]), 400), (json!({"a": "1-b"}), 400), (json!({"a": ["nonsense"]}), 400)] {
        server.client.post("/things/_purge", &body).expect_error(status, "bad_request");
    }
}

#[test]
fn feed_tells_of_a_purge_that_changes_the_winner() {
    let server = server(&[]);
    let docs = json!([{"_id": "a", "_rev": "1-a"}, {"_id": "a", "_rev": "1-b"}]);
    server.client.post("/things/_bulk_docs", &json!({"new_edits": false, "docs": docs})).expect(201);
    let mut feed = server.client.lines("/things/_changes?feed=continuous&since=now&heartbeat=1000");
    server.client.post("/things/_purge", &json!({"a": ["1-b"]})).expect(201);
    assert_eq!(feed.next_json()["changes"], json!([{"rev": "1-a"}]));
}
