//! Bounds on what a client may ask for: each is an error of its own, and the server stays up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::Server;
use serde_json::{Value, json};

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.client.create("things");
    server
}

#[test]
fn urls_and_headers_have_a_length() {
    let server = server(&["--url-bytes-max", "1000", "--header-bytes-max", "10000"]);
    server.client.get(&format!("/things/{}", "a".repeat(980))).expect_error(404, "not_found");
    server.client.get(&format!("/things/{}", "a".repeat(1000))).expect_error(414, "uri_too_long");
    server.client.get(&format!("/things?x={}", "a".repeat(1000))).expect_error(414, "uri_too_long");
    let long = "x".repeat(20_000);
    let answer = server.client.send("GET", "/things", &[("x-long", &long)], None);
    assert_eq!(answer.status, 431);
    server.client.get("/things").expect(200);
}

#[test]
fn selectors_are_bounded_in_depth_and_patterns_in_cost() {
    let server = server(&[]);
    let docs: Vec<Value> = (0..50).map(|n| json!({"_id": n.to_string(), "text": "a".repeat(20_000)})).collect();
    server.client.post("/things/_bulk_docs", &json!({"docs": docs})).expect(201);
    for nested in ["{\"$not\":", "{\"a\":", "{\"$and\":["] {
        for depth in [100, 10_000] {
            let end = if nested.ends_with('[') { "]}" } else { "}" };
            let text = format!("{{\"selector\":{}{{}}{}}}", nested.repeat(depth), end.repeat(depth));
            let answer = server.client.send("POST", "/things/_find", &common::JSON, Some(text.as_bytes()));
            assert!(answer.status == 200 || answer.status == 400, "{nested} {depth}: {}", answer.text());
            assert!(depth < 1000 || answer.status == 400, "{nested} {depth}: {}", answer.text());
        }
    }
    // A backtracking engine would take longer than the universe.
    let started = Instant::now();
    for pattern in ["(a+)+$b", "(a|aa)*b", "(a{1,50}){1,50}b", "((a{0,100}){0,100}){0,100}"] {
        let query = json!({"selector": {"text": {"$regex": pattern}}});
        let answer = server.client.post("/things/_find", &query);
        assert!(matches!(answer.status, 200 | 400), "{pattern}: {}", answer.text());
    }
    assert!(started.elapsed() < Duration::from_secs(50), "{:?}", started.elapsed());
    server.client.get("/things").expect(200);
}

#[test]
fn one_client_has_so_many_feeds_and_requests_and_gives_them_back() {
    let server = server(&["--feeds-per-client-max", "3", "--requests-per-client-max", "2"]);
    let open = || server.client.lines("/things/_changes?feed=continuous&heartbeat=1000");
    let feeds = [open(), open(), open()];
    server.client.get("/things/_changes?feed=longpoll&since=now").expect_error(429, "too_many_requests");
    server.client.get("/things/_changes").expect(200);
    drop(feeds);
    let started = Instant::now();
    let again = || server.client.get("/things/_changes?feed=longpoll&since=now&timeout=1").status == 200;
    while !again() {
        assert!(started.elapsed() < Duration::from_secs(20), "places are not given back");
    }
    // Requests whose bodies do not come keep their places.
    let begun = "PUT /things/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{";
    let refused = || server.client.get("/things").status == 429;
    let mut slow = Vec::new();
    while !refused() {
        assert!(slow.len() < 100, "more are answered");
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        slow.push(stream);
    }
    assert_eq!(server.client.get("/things").header("retry-after"), Some("1"));
    drop(slow);
    while refused() {
        assert!(started.elapsed() < Duration::from_secs(20), "places are not given back");
    }
}

#[test]
fn who_connects_and_says_nothing_is_cut_off() {
    let server = server(&["--slow-client-timeout-ms", "300"]);
    for begun in ["", "P", "PRI", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let started = Instant::now();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(started.elapsed() < Duration::from_secs(50), "{begun:?}: {:?}", started.elapsed());
    }
}
