//! What the golden data leave out: ids, tags, local and design documents, revisions of others, and the smaller endpoints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::Read;

use common::{JSON, Server};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

fn server() -> Server {
    let server = Server::start(&[]);
    server.client.create("things");
    server
}

fn rev(answer: &Value) -> &str {
    answer["rev"].as_str().expect("a revision")
}

#[test]
fn ids_of_all_kinds_round_trip() {
    let server = server();
    for (path, id) in [
        ("a%2Fb", "a/b"),
        ("%C3%A4%20%F0%9F%8D%BA", "ä 🍺"),
        ("a+b", "a+b"),
        ("%22%5C%00%0A", "\"\\\0\n"),
        ("_design%2Fx", "_design/x"),
        ("_design/y", "_design/y"),
    ] {
        let made = server.client.put(&format!("/things/{path}"), &json!({"n": 1}));
        assert_eq!(made.expect(201)["id"], id, "{path}");
        let location = made.header("location").expect("a location").to_owned();
        let found = server.client.get(&location).expect(200);
        assert_eq!((&found["_id"], &found["n"]), (&json!(id), &json!(1)), "{path} {location}");
        let all = server.client.post("/things/_all_docs", &json!({"keys": [id]})).expect(200);
        assert_eq!(all["rows"][0]["id"], id);
    }
}

#[test]
fn a_document_without_an_id_gets_one() {
    let server = server();
    let made: Vec<Value> = (0..2).map(|n| server.client.post("/things", &json!({"n": n})).expect(201)).collect();
    assert_ne!(made[0]["id"], made[1]["id"]);
    for (n, made) in made.iter().enumerate() {
        let id = made["id"].as_str().expect("an id");
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(server.client.get(&format!("/things/{id}")).expect(200)["n"], n);
    }
    let with_slash = server.client.post("/things/", &json!({"_id": "own"})).expect(201);
    assert_eq!(with_slash["id"], "own");
}

#[test]
fn a_tag_is_the_revision_and_spares_the_body() {
    let server = server();
    let made = server.client.put("/things/a", &json!({"n": 1}));
    let tag = made.header("etag").expect("a tag").to_owned();
    assert_eq!(tag, format!("\"{}\"", rev(&made.expect(201))));
    let head = server.client.send("HEAD", "/things/a", &[], None);
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, Some(tag.as_str()), 0));
    assert_ne!(head.header("content-length"), Some("0"));
    let again = server.client.send("GET", "/things/a", &[("if-none-match", &tag)], None);
    assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(tag.as_str()), 0));
    let updated = server.client.send("PUT", "/things/a", &[JSON[0], ("if-match", &tag)], Some(b"{\"n\":2}"));
    assert_eq!(updated.expect(201)["ok"], true);
    assert_eq!(server.client.send("GET", "/things/a", &[("if-none-match", &tag)], None).expect(200)["n"], 2);
    server.client.send("DELETE", "/things/a", &[("if-match", &tag)], None).expect_error(409, "conflict");
    let with_conflicts = server.client.get("/things/a?conflicts=true");
    assert_eq!(with_conflicts.header("etag"), None);
}

#[test]
fn a_rev_in_the_query_counts_as_one_in_the_body() {
    let server = server();
    let first = server.client.put("/things/a", &json!({"n": 1})).expect(201);
    let second = server.client.put(&format!("/things/a?rev={}", rev(&first)), &json!({"n": 2})).expect(201);
    assert!(rev(&second).starts_with("2-"));
    server.client.put(&format!("/things/a?rev={}", rev(&first)), &json!({"n": 3})).expect_error(409, "conflict");
    let found = server.client.get("/things/a?revs=true").expect(200);
    assert_eq!(found["_revisions"]["start"], 2);
}

#[test]
fn revisions_of_others_are_stored_as_they_are() {
    let server = server();
    let document = json!({"_rev": "3-ABC", "_revisions": {"start": 3, "ids": ["ABC", "b"]}, "n": 1});
    let made = server.client.put("/things/a?new_edits=false", &document).expect(201);
    assert_eq!(made, json!({"ok": true, "id": "a", "rev": "3-ABC"}));
    let branch = json!({"_id": "a", "_rev": "3-zz", "_revisions": {"start": 3, "ids": ["zz", "b"]}, "n": 2});
    let rows = server.client.post("/things/_bulk_docs", &json!({"docs": [branch], "new_edits": false})).expect(201);
    assert_eq!(rows, json!([]));
    let found = server.client.get("/things/a?meta=true").expect(200);
    assert_eq!((&found["_rev"], &found["_conflicts"]), (&json!("3-zz"), &json!(["3-ABC"])));
    assert_eq!(found["_revs_info"][1], json!({"rev": "2-b", "status": "missing"}));
    let merged =
        json!({"docs": [{"_id": "a", "_rev": "3-ABC", "_deleted": true}, {"_id": "a", "_rev": "3-zz", "n": 3}]});
    let rows = server.client.post("/things/_bulk_docs", &merged).expect(201);
    assert!(rows.as_array().unwrap().iter().all(|row| row["ok"] == true), "{rows}");
    let found = server.client.get("/things/a?conflicts=true").expect(200);
    assert_eq!((&found["n"], &found["_conflicts"]), (&json!(3), &Value::Null));
}

#[test]
fn local_documents_are_not_listed_and_can_be_deleted() {
    let server = server();
    server.client.put("/things/_local/a", &json!({"n": 1})).expect(201);
    server.client.put("/things/_local%2Fb", &json!({"n": 2})).expect(201);
    assert_eq!(server.client.get("/things/_local/b").expect(200)["n"], 2);
    assert_eq!(server.client.get("/things/_all_docs").expect(200)["rows"], json!([]));
    assert_eq!(server.client.get("/things/_changes").expect(200)["results"], json!([]));
    server.client.delete("/things/_local/a").expect(200);
    server.client.get("/things/_local/a").expect_error(404, "not_found");
}

#[test]
fn a_database_deleted_and_made_again_is_empty() {
    let server = server();
    server.client.put("/things/a", &json!({"n": 1})).expect(201);
    for _ in 0..3 {
        assert_eq!(server.client.delete("/things").expect(200), json!({"ok": true}));
        server.client.get("/things/a").expect_error(404, "not_found");
        let made = server.client.send("PUT", "/things", &[], None);
        assert_eq!((made.status, made.header("location")), (201, Some("/things")));
        server.client.get("/things/a").expect_error(404, "not_found");
        assert_eq!(server.client.get("/things").expect(200)["doc_count"], 0);
        server.client.put("/things/a", &json!({"n": 1})).expect(201);
    }
}

#[test]
fn names_of_databases_are_listed_in_a_range() {
    let server = Server::start(&[]);
    for name in ["c", "a%2Fb", "a", "b"] {
        server.client.create(name);
    }
    for (query, expected) in [
        ("", json!(["a", "a/b", "b", "c"])),
        ("?limit=2&skip=1", json!(["a/b", "b"])),
        ("?descending=true&limit=1", json!(["c"])),
        ("?startkey=%22a/b%22&endkey=%22b%22", json!(["a/b", "b"])),
        ("?descending=true&start_key=%22b%22&end_key=%22a/b%22", json!(["b", "a/b"])),
    ] {
        assert_eq!(server.client.get(&format!("/_all_dbs{query}")).expect(200), expected, "{query}");
    }
}

#[test]
fn all_docs_takes_its_parameters_from_query_and_body() {
    let server = server();
    let docs: Vec<Value> = ["a", "b", "c"].iter().map(|id| json!({"_id": id})).collect();
    server.client.post("/things/_bulk_docs", &json!({"docs": docs})).expect(201);
    let ids = |answer: Value| -> Vec<String> {
        answer["rows"].as_array().expect("rows").iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
    };
    let get = |query: &str| ids(server.client.get(&format!("/things/_all_docs?{query}")).expect(200));
    assert_eq!(get("startkey=%22b%22"), ["b", "c"]);
    assert_eq!(get("start_key=%22b%22&endkey=%7B%7D"), ["b", "c"]);
    assert_eq!(get("endkey=%22b%22&inclusive_end=false"), ["a"]);
    assert_eq!(get("key=%22b%22"), ["b"]);
    assert_eq!(get("key=%22none%22"), Vec::<String>::new());
    assert_eq!(get("keys=%5B%22c%22%2C%22none%22%5D"), ["c", "none"]);
    assert_eq!(get("startkey=%7B%7D"), Vec::<String>::new());
    assert_eq!(get("limit=0"), Vec::<String>::new());
    let post = |body: Value| ids(server.client.post("/things/_all_docs?limit=1", &body).expect(200));
    assert_eq!(post(json!({})), ["a"]);
    assert_eq!(post(json!({"descending": true, "limit": 2})), ["c", "b"]);
    assert_eq!(post(json!({"startkey": "b"})), ["b"]);
}

#[test]
fn a_query_pages_through_its_answer() {
    let server = server();
    let docs: Vec<Value> = (0..60).map(|n| json!({"_id": format!("{n:02}"), "n": n % 7})).collect();
    server.client.post("/things/_bulk_docs", &json!({"docs": docs})).expect(201);
    let find = |body: Value| server.client.post("/things/_find", &body).expect(200);
    let page = find(json!({"selector": {}}));
    assert_eq!(page["docs"].as_array().unwrap().len(), 25, "CouchDB's default");
    let mut seen = Vec::new();
    let mut bookmark = Value::Null;
    for _ in 0..4 {
        let mut query =
            json!({"selector": {"n": {"$gt": 2}}, "sort": [{"n": "desc"}], "limit": 10, "fields": ["_id", "n"]});
        if bookmark.is_string() {
            query["bookmark"] = bookmark;
        }
        let page = find(query);
        seen.extend(page["docs"].as_array().unwrap().clone());
        bookmark = page["bookmark"].clone();
    }
    let mut expected: Vec<u64> = (0..60).map(|n| n % 7).filter(|n| *n > 2).collect();
    expected.sort_unstable_by(|left, right| right.cmp(left));
    let found: Vec<u64> = seen.iter().map(|document| document["n"].as_u64().unwrap()).collect();
    assert_eq!(found, expected);
    assert!(server.client.post("/things/_explain", &json!({"selector": {"n": 1}})).expect(200).is_object());
    let index = server.client.post("/things/_index", &json!({"index": {"fields": ["n"]}, "name": "by-n"})).expect(200);
    assert_eq!((&index["result"], &index["name"]), (&json!("exists"), &json!("by-n")));
}

#[test]
fn answers_are_compressed_for_who_takes_it_and_feeds_are_not() {
    let server = server();
    server.client.put("/things/a", &json!({"text": "x".repeat(1000)})).expect(201);
    let gzip = [("accept-encoding", "gzip")];
    let answer = server.client.send("GET", "/things/a", &gzip, None);
    let mut text = String::new();
    match answer.header("content-encoding") {
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).expect("gzip");
        }
        None => panic!("not compressed: {:?}", answer.headers),
    }
    assert!(text.contains("xxxx") && answer.body.len() < 500);
    let plain = server.client.get("/things/a");
    assert_eq!(plain.header("content-encoding"), None);
    let feed = server.client.send("GET", "/things/_changes?feed=continuous&timeout=100&include_docs=true", &gzip, None);
    assert_eq!(feed.header("content-encoding"), None);
}

#[test]
fn compaction_gives_space_back_and_keeps_documents() {
    let server = server();
    let text = "x".repeat(100_000);
    for n in 0..40 {
        server.client.put(&format!("/things/{n}"), &json!({"text": text})).expect(201);
    }
    let file_bytes = || server.client.get("/things").expect(200)["sizes"]["file"].as_u64().expect("bytes");
    let before = file_bytes();
    assert!(before > 4_000_000, "{before}");
    assert_eq!(server.client.post("/things/_compact", &json!({})).expect(202), json!({"ok": true}));
    // A request to the same database is answered after the compaction.
    assert_eq!(server.client.get("/things/39").expect(200)["text"], text);
    assert!(file_bytes() <= before, "{} is more than {before}", file_bytes());
    let full = server.client.post("/things/_ensure_full_commit", &json!({})).expect(201);
    assert_eq!(full, json!({"ok": true, "instance_start_time": "0"}));
    server.client.put("/things/new", &json!({})).expect(201);
}

#[test]
fn many_documents_are_fetched_at_once() {
    let server = server();
    let docs: Vec<Value> = (0..200).map(|n| json!({"_id": format!("{n:03}"), "n": n})).collect();
    let rows = server.client.post("/things/_bulk_docs", &json!({"docs": docs})).expect(201);
    let wanted: Vec<Value> =
        rows.as_array().unwrap().iter().map(|row| json!({"id": row["id"], "rev": row["rev"]})).collect();
    let answer = server.client.post("/things/_bulk_get", &json!({"docs": wanted})).expect(200);
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), 200);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result["docs"][0]["ok"]["n"], n);
    }
    let odd = server.client.post("/things/_bulk_get", &json!({"docs": [{}, {"id": "000", "rev": "x"}]})).expect(200);
    let error = |at: usize| odd["results"][at]["docs"][0]["error"]["error"].clone();
    assert_eq!((error(0), error(1)), (json!("bad_request"), json!("bad_request")));
    assert_eq!(server.client.post("/things/_bulk_get", &json!({"docs": []})).expect(200), json!({"results": []}));
}
