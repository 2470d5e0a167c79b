//! Bodies of many parts, and ranges of attachments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use common::{Answer, JSON, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const RELATED: (&str, &str) = ("content-type", "multipart/related; boundary=\"a b'c\"");
/// More than one part of the store.
const LONG_BYTES: usize = 1_500_000;

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.client.create("things");
    server
}

fn content(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place / 251) as u8 ^ place as u8).collect()
}

/// A body of a document and what follows it; each with the lines of its head.
fn body(document: &Value, follows: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"--a b'c\r\ncontent-type: application/json\r\n\r\n".to_vec();
    body.extend_from_slice(document.to_string().as_bytes());
    for (head, bytes) in follows {
        body.extend_from_slice(format!("\r\n--a b'c\r\n{head}\r\n").as_bytes());
        body.extend_from_slice(bytes);
    }
    body.extend_from_slice(b"\r\n--a b'c--");
    body
}

fn put(server: &Server, path: &str, body: &[u8]) -> Answer {
    server.client.send("PUT", path, &[RELATED], Some(body))
}

fn follows(length: usize) -> Value {
    json!({"content_type": "image/png", "follows": true, "length": length})
}

/// The parts of an answer: each head, and what stands behind it.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let content_type = answer.header("content-type").expect("a content type");
    let boundary =
        content_type.split("boundary=\"").nth(1).and_then(|rest| rest.strip_suffix('"')).expect("a boundary");
    parts_of(&answer.body, boundary)
}

fn parts_of(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let delimiter = format!("--{boundary}");
    let places: Vec<usize> = body
        .windows(delimiter.len())
        .enumerate()
        .filter(|(_, window)| *window == delimiter.as_bytes())
        .map(|(place, _)| place)
        .collect();
    assert_eq!(&body[places.last().expect("an end") + delimiter.len()..], b"--", "the end of the body");
    places
        .windows(2)
        .map(|pair| {
            let part = &body[pair[0] + delimiter.len() + 2..pair[1] - 2];
            let end = part.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
            (String::from_utf8(part[..end].to_vec()).expect("text"), part[end + 4..].to_vec())
        })
        .collect()
}

fn as_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn a_document_is_put_with_its_attachments_behind_it() {
    let server = server(&[]);
    let long = content(LONG_BYTES);
    let document = json!({"n": 1, "_attachments": {"long": follows(LONG_BYTES), "short": follows(2)}});
    let heads: [(&str, &[u8]); 2] = [("content-type: image/png\r\n", &long), ("", b"hi")];
    let made = put(&server, "/things/a", &body(&document, &heads));
    let rev = made.expect(201)["rev"].as_str().unwrap().to_owned();
    assert_eq!(made.header("etag"), Some(format!("\"{rev}\"").as_str()));
    assert_eq!(server.client.get("/things/a/long").body, long);
    assert_eq!(server.client.get("/things/a/short").text(), "hi");
    let stored = server.client.get("/things/a").expect(200);
    assert_eq!((&stored["n"], &stored["_attachments"]["long"]["length"]), (&json!(1), &json!(LONG_BYTES)));
    // The next revision keeps one by its stub. Parts that tell their names may come in any order.
    let kept = json!({"_rev": rev, "_attachments": {
        "short": {"stub": true}, "x": follows(1), "y": follows(1),
    }});
    let named = |name: &str| format!("content-disposition: attachment; filename=\"{name}\"\r\n");
    put(&server, "/things/a", &body(&kept, &[(&named("y"), b"2"), (&named("x"), b"1")])).expect(201);
    let texts = ["short", "x", "y"].map(|name| server.client.get(&format!("/things/a/{name}")).text().to_owned());
    assert_eq!(texts, ["hi", "1", "2"]);
    server.client.get("/things/a/long").expect_error(404, "not_found");
}

#[test]
fn a_revision_of_another_replica_comes_with_its_digest_and_compressed_as_couchdb_sends_it() {
    let server = server(&[]);
    let text = "a firkin of butter ".repeat(100_000);
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let document = json!({
        "_rev": "2-abc", "_revisions": {"start": 2, "ids": ["abc", "def"]},
        "_attachments": {"t.txt": {
            "content_type": "text/plain", "revpos": 1, "digest": "md5-of-what-is-compressed", "follows": true,
            "length": text.len(), "encoding": "gzip", "encoded_length": packed.len(),
        }},
    });
    put(&server, "/things/a?new_edits=false", &body(&document, &[("", &packed)])).expect(201);
    let stored = server.client.get("/things/a").expect(200);
    assert_eq!(stored["_rev"], "2-abc");
    let stub = &stored["_attachments"]["t.txt"];
    assert_eq!((&stub["length"], &stub["digest"]), (&json!(text.len()), &json!("md5-of-what-is-compressed")));
    assert_eq!(server.client.get("/things/a/t.txt").text(), text);
}

#[test]
fn what_is_wrong_with_a_body_of_many_parts_is_told_and_leaves_nothing() {
    let server = server(&["--attachment-bytes-max", "100000"]);
    let one = json!({"_attachments": {"x": follows(2)}});
    let packed = json!({"_attachments": {"x": {"follows": true, "encoding": "gzip"}}});
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 50 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let whole = body(&one, &[("", b"hi")]);
    let long = content(200_000);
    let rows: [(&str, Vec<u8>, u16, &str); 12] = [
        ("no part", b"--a b'c--".to_vec(), 400, "bad_request"),
        ("nothing", Vec::new(), 400, "bad_request"),
        ("rubbish", b"rubbish".repeat(1000), 400, "bad_request"),
        ("no JSON", b"--a b'c\r\n\r\n{\r\n--a b'c--".to_vec(), 400, "bad_request"),
        ("no object", b"--a b'c\r\n\r\n[]\r\n--a b'c--".to_vec(), 400, "bad_request"),
        ("nothing follows", body(&one, &[]), 400, "bad_request"),
        ("too much follows", body(&one, &[("", b"hi"), ("", b"ho")]), 400, "bad_request"),
        ("another length", body(&one, &[("", b"hello")]), 400, "bad_request"),
        ("cut short", whole[..whole.len() - 12].to_vec(), 400, "bad_request"),
        ("too long", body(&json!({"_attachments": {"x": follows(200_000)}}), &[("", &long)]), 413, "too_large"),
        ("not packed", body(&packed, &[("", b"plain")]), 400, "bad_request"),
        ("a bomb", body(&packed, &[("", &bomb)]), 413, "too_large"),
    ];
    for (what, body, status, error) in rows {
        let answer = put(&server, "/things/a", &body);
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (status, Some(error)),
            "{what}: {}",
            answer.text()
        );
    }
    for content_type in ["multipart/form-data; boundary=x", "multipart/related", "multipart/related; boundary=\"\""] {
        let answer = server.client.send("PUT", "/things/a", &[("content-type", content_type)], Some(b"--x--"));
        answer.expect_error(415, "bad_content_type");
    }
    let stub = json!({"_attachments": {"x": follows(2), "y": {"stub": true}}});
    put(&server, "/things/a", &body(&stub, &[("", b"hi")])).expect_error(412, "missing_stub");
    server.client.send("PUT", "/things/b/x", &[], Some(&long)).expect_error(413, "too_large");
    assert_eq!(server.client.get("/things").expect(200)["doc_count"], 0);
    // What was staged is given up: the file does not grow with bodies that are refused.
    let file = server.folder().join("things.redb");
    let once = fs::metadata(&file).unwrap().len();
    for _ in 0..30 {
        put(&server, "/things/a", &body(&one, &[("", &content(90_000))])).expect_error(400, "bad_request");
    }
    assert!(fs::metadata(&file).unwrap().len() < once + (1 << 20));
}

#[test]
fn who_takes_many_parts_gets_documents_with_their_attachments_behind_them() {
    let server = server(&[]);
    let long = content(LONG_BYTES);
    let document = json!({"_attachments": {"long": follows(LONG_BYTES), "a \"b\"": follows(2)}});
    put(&server, "/things/a", &body(&document, &[("", b"hi"), ("", &long)])).expect(201);
    let related = [("accept", "multipart/related")];
    let answer = server.client.send("GET", "/things/a?attachments=true", &related, None);
    assert_eq!(answer.status, 200);
    let found = parts(&answer);
    let document = as_json(&found[0].1);
    let names: Vec<&String> = document["_attachments"].as_object().unwrap().keys().collect();
    assert_eq!((found.len(), names == ["a \"b\"", "long"]), (3, true));
    assert!(document["_attachments"].as_object().unwrap().values().all(|one| one["follows"] == true));
    assert!(
        found[1].0.contains("filename=\"a \\\"b\\\"\"") && found[1].0.contains("Content-Length: 2"),
        "{}",
        found[1].0
    );
    assert_eq!((found[1].1.as_slice(), found[2].1 == long), (b"hi".as_slice(), true));
    // What comes out goes in.
    let headers = [("content-type", answer.header("content-type").unwrap())];
    let copy = server.client.send("PUT", "/things/a?new_edits=false", &headers, Some(&answer.body));
    assert_eq!(copy.expect(201)["rev"], document["_rev"]);
    // Who takes JSON gets JSON.
    let json = server.client.send("GET", "/things/a?attachments=true", &[("accept", "application/json")], None);
    assert_eq!(json.expect(200)["_attachments"]["a \"b\""]["data"], "aGk=");
}

#[test]
fn all_leaves_come_in_one_answer_of_many_parts() {
    let server = server(&[]);
    server.client.put("/things/a", &json!({"_attachments": {"x": {"data": "aGk="}}})).expect(201);
    let rev = server.client.get("/things/a").expect(200)["_rev"].as_str().unwrap().to_owned();
    let mixed = [("accept", "multipart/mixed")];
    let path = format!("/things/a?open_revs=[%22{rev}%22,%229-a%22]&revs=true");
    let found = parts(&server.client.send("GET", &path, &mixed, None));
    assert_eq!(found.len(), 2);
    let inner = found[0].0.split("boundary=\"").nth(1).unwrap().strip_suffix('"').unwrap();
    let inner = parts_of(&found[0].1, inner);
    assert_eq!((as_json(&inner[0].1)["_rev"].as_str(), inner[1].1.as_slice()), (Some(rev.as_str()), b"hi".as_slice()));
    assert_eq!(as_json(&inner[0].1)["_revisions"]["start"], 1);
    assert!(found[1].0.contains("error=\"true\""));
    assert_eq!(as_json(&found[1].1), json!({"missing": "9-a"}));
    // Who has the revision that brought an attachment is spared it.
    let spared = format!("{path}&atts_since=[%22{rev}%22]");
    let found = parts(&server.client.send("GET", &spared, &mixed, None));
    assert_eq!(as_json(&found[0].1)["_attachments"]["x"]["stub"], true);
    server.client.send("GET", "/things/a?open_revs=all&atts_since=x", &mixed, None).expect_error(400, "bad_request");
}

#[test]
fn many_documents_come_in_one_answer_of_many_parts() {
    let server = server(&[]);
    server.client.put("/things/a", &json!({"_attachments": {"x": {"data": "aGk="}}})).expect(201);
    server.client.put("/things/b", &json!({"n": 1})).expect(201);
    let asked = json!({"docs": [{"id": "a"}, {"id": "b"}, {"id": "none"}, {"id": "b", "rev": "9-x"}, {}]}).to_string();
    let ask = |path: &str, accept| {
        let headers = [JSON[0], ("accept", accept)];
        server.client.send("POST", path, &headers, Some(asked.as_bytes()))
    };
    let found = parts(&ask("/things/_bulk_get?attachments=true", "multipart/mixed"));
    assert_eq!(found.len(), 5);
    assert!(found[0].0.starts_with("X-Doc-Id: a\r\nX-Rev-Id: 1-") && found[0].0.contains("multipart/related"));
    assert_eq!(as_json(&found[1].1)["n"], 1);
    for (part, rev) in [(2, "undefined"), (3, "9-x")] {
        assert!(found[part].0.contains("error=\"true\""), "{}", found[part].0);
        assert_eq!(
            (&as_json(&found[part].1)["rev"], &as_json(&found[part].1)["error"]),
            (&json!(rev), &json!("not_found"))
        );
    }
    assert_eq!(as_json(&found[4].1)["error"], "bad_request");
    let without = parts(&ask("/things/_bulk_get", "multipart/related"));
    assert_eq!(as_json(&without[0].1)["_attachments"]["x"]["stub"], true);
    ask("/things/_bulk_get", "multipart/mixed, application/json").expect(200);
}

#[test]
fn a_range_of_an_attachment_is_served_by_itself() {
    let server = server(&[]);
    let long = content(LONG_BYTES);
    server.client.send("PUT", "/things/a/f", &[("content-type", "video/webm")], Some(&long)).expect(201);
    let get = |range: &str| server.client.send("GET", "/things/a/f", &[("range", range)], None);
    for (range, start, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=1000000-1100000", 1_000_000, 1_100_001),
        ("bytes=1400000-", 1_400_000, LONG_BYTES),
        ("bytes=-5", LONG_BYTES - 5, LONG_BYTES),
        ("bytes=10-99999999", 10, LONG_BYTES),
    ] {
        let answer = get(range);
        assert_eq!((answer.status, answer.body == long[start..end]), (206, true), "{range}");
        let told = format!("bytes {start}-{}/{LONG_BYTES}", end - 1);
        assert_eq!(answer.header("content-range"), Some(told.as_str()));
        assert_eq!(answer.header("content-length"), Some((end - start).to_string().as_str()));
    }
    let whole = server.client.get("/things/a/f");
    assert_eq!((whole.status, whole.header("accept-ranges"), whole.body == long), (200, Some("bytes"), true));
    get("bytes=1500000-").expect_error(416, "requested_range_not_satisfiable");
    assert_eq!(get("bytes=0-1,4-5").status, 200);
    let tag = whole.header("etag").unwrap();
    for (tag, status) in [(tag, 206), ("\"another\"", 200)] {
        let answer = server.client.send("GET", "/things/a/f", &[("range", "bytes=0-1"), ("if-range", tag)], None);
        assert_eq!(answer.status, status);
    }
}

#[test]
fn a_long_body_of_many_parts_lets_others_have_their_turn() {
    let server = server(&[]);
    let long = content(20 << 20);
    let body = body(&json!({"_attachments": {"x": follows(long.len())}}), &[("", &long)]);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| put(&server, "/things/a", &body).expect(201));
        let started = Instant::now();
        while !sending.is_finished() {
            server.client.get("/things").expect(200);
        }
        assert!(started.elapsed() < Duration::from_secs(60));
        sending.join().unwrap();
    });
    assert_eq!(server.client.get("/things/a/x").body, long);
}
