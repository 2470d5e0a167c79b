//! `_snapshot`: who gets it, its ranges and its tag, and when there is another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{Answer, Server};
use serde_json::{Value, json};

const PATH: &str = "/things/_snapshot";

fn fill(server: &Server, from: usize, to: usize) {
    let docs: Vec<Value> =
        (from..to).map(|n| json!({"_id": format!("d{n:05}"), "n": n, "text": "words ".repeat(n % 40)})).collect();
    server.client.post("/things/_bulk_docs", &json!({ "docs": docs })).expect(201);
}

fn filled(count: usize) -> Server {
    let server = Server::start(&[]);
    server.client.create("things");
    fill(&server, 0, count);
    server
}

fn ask(server: &Server, headers: &[(&str, &str)]) -> Answer {
    server.client.send("GET", PATH, headers, None)
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("a tag").to_owned()
}

fn line(answer: &Answer) -> Value {
    let end = answer.body.iter().position(|byte| *byte == b'\n').expect("a line");
    serde_json::from_slice(&answer.body[..end]).expect("JSON")
}

#[test]
fn snapshot_tells_what_it_is_and_is_the_same_bytes_until_there_is_another() {
    let server = filled(2_000);
    let whole = ask(&server, &[]);
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-length"), Some(whole.body.len().to_string().as_str()));
    let told = line(&whole);
    assert_eq!(told["doc_count"], 2_000);
    assert_eq!(told["seq"], server.client.get("/things").expect(200)["update_seq"]);
    assert_eq!(format!("\"{}\"", told["tag"].as_str().unwrap()), tag(&whole));
    let again = ask(&server, &[("accept-encoding", "gzip")]);
    assert!(again.header("content-encoding").is_none() && again.body == whole.body);
    let head = server.client.send("HEAD", PATH, &[], None);
    assert_eq!((head.status, tag(&head), head.body.len()), (200, tag(&whole), 0));
    // A few changes more are what the feed is for.
    fill(&server, 2_000, 2_010);
    assert_eq!(tag(&ask(&server, &[])), tag(&whole));
    // Many are not.
    fill(&server, 2_010, 3_500);
    let later = ask(&server, &[]);
    assert_ne!(tag(&later), tag(&whole));
    assert_eq!(line(&later)["doc_count"], 3_500);
    // No file is left that has a name.
    let names = fs::read_dir(server.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.contains("snapshot")));
}

#[test]
fn database_says_that_it_has_snapshots_and_accounts_do_not() {
    let server = filled(1);
    server.client.create("_users");
    assert_eq!(
        server.client.get("/things").expect(200)["firkin_snapshot"],
        line(&ask(&server, &[]))["firkin_snapshot"]
    );
    assert!(server.client.get("/_users").expect(200)["firkin_snapshot"].is_null());
}

#[test]
fn ranges_are_parts_of_the_whole_and_the_tag_decides() {
    let server = filled(2_000);
    let whole = ask(&server, &[]);
    let (tag, length) = (tag(&whole), whole.body.len());
    for (range, start, end) in [
        (format!("bytes=0-{}", length - 1), 0, length),
        (format!("bytes={}-", length / 2), length / 2, length),
        ("bytes=5-5".into(), 5, 6),
        ("bytes=-7".into(), length - 7, length),
        ("bytes=10-400000".into(), 10, length.min(400_001)),
    ] {
        let part = ask(&server, &[("range", &range), ("if-match", &tag)]);
        assert_eq!((part.status, part.header("etag")), (206, Some(tag.as_str())), "{range}");
        assert_eq!(part.header("content-range"), Some(format!("bytes {start}-{}/{length}", end - 1).as_str()));
        assert!(part.body == whole.body[start..end], "{range}");
    }
    let behind = format!("bytes={length}-");
    ask(&server, &[("range", &behind)]).expect_error(416, "requested_range_not_satisfiable");
    let same = ask(&server, &[("if-none-match", &tag)]);
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag.as_str())));
    assert_eq!(ask(&server, &[("if-none-match", "\"other\"")]).status, 200);
    ask(&server, &[("if-match", "\"other\"")]).expect_error(412, "precondition_failed");
    ask(&server, &[("if-match", "\"other\""), ("range", "bytes=5-")]).expect_error(412, "precondition_failed");
    // Whoever has a part of another gets this one whole.
    assert_eq!(ask(&server, &[("if-range", "\"other\""), ("range", "bytes=5-")]).body.len(), length);
}

#[test]
fn what_was_purged_is_in_no_snapshot_that_is_given_out() {
    let server = filled(300);
    let before = ask(&server, &[]);
    let rev = server.client.get("/things/d00007").expect(200)["_rev"].clone();
    server.client.post("/things/_purge", &json!({"d00007": [rev]})).expect(201);
    ask(&server, &[("if-match", &tag(&before))]).expect_error(412, "precondition_failed");
    let after = ask(&server, &[]);
    assert_eq!(line(&after)["doc_count"], 299);
}

#[test]
fn snapshot_is_for_members_only() {
    let server = Server::start(&["--admin", "root:secret", "--password-iterations", "10"]);
    let admin = server.client.clone().with_credentials("root:secret");
    admin.create("things");
    admin.create("_users");
    admin.put("/_users/org.couchdb.user:bob", &json!({"name": "bob", "password": "b", "roles": [], "type": "user"}));
    admin.put("/_users/org.couchdb.user:eve", &json!({"name": "eve", "password": "e", "roles": [], "type": "user"}));
    admin.put("/things/_security", &json!({"members": {"names": ["bob"]}})).expect(200);
    admin.put("/things/a", &json!({})).expect(201);
    ask(&server, &[]).expect_error(401, "unauthorized");
    let whole = admin.get(PATH);
    assert_eq!(whole.status, 200);
    let eve = server.client.clone().with_credentials("eve:e");
    eve.get(PATH).expect_error(403, "forbidden");
    eve.send("GET", PATH, &[("if-match", &tag(&whole))], None).expect_error(403, "forbidden");
    let bob = server.client.clone().with_credentials("bob:b");
    assert_eq!(bob.get(PATH).body, whole.body);
    bob.get("/_users/_snapshot").expect_error(403, "forbidden");
}
