//! The changes feed in all its forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

fn server_with_database(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.client.create("things");
    server
}

fn put(client: &Client, id: &str) {
    client.put(&format!("/things/{id}"), &json!({"n": 1})).expect(201);
}

fn fill(client: &Client, count: usize) {
    for start in (0..count).step_by(500) {
        let docs: Vec<Value> =
            (start..count.min(start + 500)).map(|n| json!({"_id": format!("{n:05}"), "even": n % 2 == 0})).collect();
        client.post("/things/_bulk_docs", &json!({"docs": docs})).expect(201);
    }
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().expect("rows").iter().map(|row| row["id"].as_str().expect("an id")).collect()
}

#[test]
fn a_long_feed_is_whole_and_in_order_and_can_be_resumed() {
    let server = server_with_database(&[]);
    fill(&server.client, 2500);
    let whole = server.client.get("/things/_changes").expect(200);
    let expected: Vec<String> = (0..2500).map(|n| format!("{n:05}")).collect();
    assert_eq!(ids(&whole), expected);
    assert_eq!(whole["pending"], 0);
    let part = server.client.get("/things/_changes?limit=1200").expect(200);
    assert_eq!(ids(&part), expected[..1200]);
    assert_eq!(part["pending"], 1300);
    let since = part["last_seq"].as_str().expect("a sequence");
    let rest = server.client.get(&format!("/things/_changes?since={since}")).expect(200);
    assert_eq!(ids(&rest), expected[1200..]);
    assert_eq!(rest["last_seq"], whole["last_seq"]);
    let nothing = server.client.get(&format!("/things/_changes?since={}", whole["last_seq"].as_str().unwrap()));
    assert_eq!(nothing.expect(200)["results"], json!([]));
    let documents = server.client.get("/things/_changes?include_docs=true&since=now").expect(200);
    assert_eq!((&documents["results"], &documents["last_seq"]), (&json!([]), &whole["last_seq"]));
    let down = server.client.get("/things/_changes?descending=true&limit=2").expect(200);
    assert_eq!(ids(&down), ["02499", "02498"]);
    let even =
        server.client.post("/things/_changes?filter=_selector", &json!({"selector": {"even": true}})).expect(200);
    assert_eq!(ids(&even).len(), 1250);
    let last = server
        .client
        .post("/things/_changes?filter=_selector&limit=1", &json!({"selector": {"_id": "02499"}}))
        .expect(200);
    assert_eq!(ids(&last), ["02499"]);
}

#[test]
fn longpoll_answers_at_once_when_something_is_there() {
    let server = server_with_database(&[]);
    put(&server.client, "a");
    let started = Instant::now();
    let answer = server.client.get("/things/_changes?feed=longpoll").expect(200);
    assert_eq!(ids(&answer), ["a"]);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn longpoll_waits_for_the_first_change() {
    let server = server_with_database(&[]);
    put(&server.client, "a");
    for since in ["now", "the latest"] {
        let last_seq = server.client.get("/things").expect(200)["update_seq"].as_str().unwrap().to_owned();
        let since = if since == "now" { since } else { &last_seq };
        thread::scope(|scope| {
            let path = format!("/things/_changes?feed=longpoll&since={since}&heartbeat=100");
            let waiting = scope.spawn({
                let client = server.client.clone();
                move || client.get(&path)
            });
            thread::sleep(Duration::from_millis(350));
            assert!(!waiting.is_finished());
            let id = format!("b-{}", since.len());
            put(&server.client, &id);
            let answer = waiting.join().expect("an answer");
            assert!(answer.text().contains("\n\n"), "heartbeats came: {:?}", answer.text());
            assert!(ids(&answer.expect(200)).contains(&id.as_str()));
        });
    }
}

#[test]
fn longpoll_ends_empty_at_its_timeout() {
    let server = server_with_database(&[]);
    put(&server.client, "a");
    let started = Instant::now();
    let answer = server.client.get("/things/_changes?feed=longpoll&since=now&timeout=300").expect(200);
    assert!(started.elapsed() >= Duration::from_millis(300));
    let update_seq = server.client.get("/things").expect(200)["update_seq"].clone();
    assert_eq!(answer, json!({"results": [], "last_seq": update_seq, "pending": 0}));
}

#[test]
fn a_filtered_longpoll_sleeps_through_other_changes() {
    let server = server_with_database(&[]);
    thread::scope(|scope| {
        let body = json!({"doc_ids": ["b"]});
        let client = &server.client;
        let waiting = scope.spawn(move || client.post("/things/_changes?feed=longpoll&filter=_doc_ids", &body));
        put(client, "a");
        thread::sleep(Duration::from_millis(300));
        assert!(!waiting.is_finished());
        put(client, "b");
        assert_eq!(ids(&waiting.join().expect("an answer").expect(200)), ["b"]);
    });
}

#[test]
fn continuous_tells_each_change_as_it_happens() {
    let server = server_with_database(&[]);
    put(&server.client, "a");
    let mut lines = server.client.lines("/things/_changes?feed=continuous&heartbeat=100&include_docs=true");
    assert_eq!(lines.next_json()["id"], "a");
    for id in ["b", "c"] {
        put(&server.client, id);
        let row = lines.next_json();
        assert_eq!((&row["id"], &row["doc"]["_id"], &row["doc"]["n"]), (&json!(id), &json!(id), &json!(1)));
    }
    assert_eq!(lines.next_line().as_deref(), Some(""), "a heartbeat");
    let rev = server.client.get("/things/a").expect(200)["_rev"].as_str().unwrap().to_owned();
    server.client.delete(&format!("/things/a?rev={rev}")).expect(200);
    let row = lines.next_json();
    assert_eq!((&row["id"], &row["deleted"]), (&json!("a"), &json!(true)));
}

#[test]
fn continuous_ends_at_its_timeout_and_at_its_limit_with_the_last_sequence() {
    let server = server_with_database(&[]);
    fill(&server.client, 3);
    let mut lines = server.client.lines("/things/_changes?feed=continuous&timeout=200");
    let rows: Vec<Value> = (0..3).map(|_| lines.next_json()).collect();
    assert_eq!(lines.next_json(), json!({"last_seq": rows[2]["seq"], "pending": 0}));
    assert_eq!(lines.next_line(), None);
    let mut lines = server.client.lines("/things/_changes?feed=continuous&limit=2");
    assert_eq!((lines.next_json(), lines.next_json()), (rows[0].clone(), rows[1].clone()));
    assert_eq!(lines.next_json(), json!({"last_seq": rows[1]["seq"], "pending": 1}));
    assert_eq!(lines.next_line(), None);
}

#[test]
fn a_feed_that_runs_while_others_write_misses_nothing() {
    let server = server_with_database(&[]);
    let mut lines = server.client.lines("/things/_changes?feed=continuous&heartbeat=1000");
    let mut seen = BTreeSet::new();
    thread::scope(|scope| {
        for writer in 0..4 {
            let client = server.client.clone();
            scope.spawn(move || (0..100).for_each(|n| put(&client, &format!("{writer}-{n}"))));
        }
        while seen.len() < 400 {
            seen.insert(lines.next_json()["id"].as_str().expect("an id").to_owned());
        }
    });
    assert!(seen.contains("3-99"));
}

#[test]
fn eventsource_writes_events_and_resumes_behind_the_last() {
    let server = server_with_database(&[]);
    fill(&server.client, 2);
    let answer = server.client.get("/things/_changes?feed=eventsource&timeout=200");
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events: Vec<&str> = answer.text().trim_end().split("\n\n").collect();
    assert_eq!(events.len(), 2, "{events:?}");
    let (data, id) = events[0].split_once("\nid: ").expect("data, then an id");
    let row: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
    assert_eq!((&row["id"], &row["seq"]), (&json!("00000"), &json!(id)));
    let resumed =
        server.client.send("GET", "/things/_changes?feed=eventsource&timeout=200", &[("last-event-id", id)], None);
    assert_eq!(resumed.text().trim_end(), events[1]);
}

#[test]
fn a_feed_ends_with_its_database() {
    let server = server_with_database(&[]);
    put(&server.client, "a");
    let mut lines = server.client.lines("/things/_changes?feed=continuous&heartbeat=1000");
    assert_eq!(lines.next_json()["id"], "a");
    server.client.delete("/things").expect(200);
    assert!(lines.next_json()["last_seq"].is_string());
    assert_eq!(lines.next_line(), None);
}

#[test]
fn feeds_end_when_the_server_stops() {
    let mut server = server_with_database(&[]);
    let mut lines = server.client.lines("/things/_changes?feed=continuous&heartbeat=1000&since=now");
    server.signal(Signal::TERM);
    assert!(lines.next_json()["last_seq"].is_string());
    assert_eq!(lines.next_line(), None);
    assert!(server.wait());
}

#[test]
fn feeds_are_bounded_and_give_their_place_back() {
    let server = server_with_database(&["--feeds-max", "2"]);
    // Without a heartbeat nothing is sent on which the server could notice that a client has gone.
    let path = "/things/_changes?feed=continuous&timeout=600000";
    let feeds = (server.client.lines(path), server.client.lines(path));
    let refused = server.client.get("/things/_changes");
    refused.expect_error(503, "service_unavailable");
    assert_eq!(refused.header("retry-after"), Some("5"));
    drop(feeds);
    let started = Instant::now();
    while server.client.get("/things/_changes").status != 200 {
        assert!(started.elapsed() < Duration::from_secs(10), "a closed feed keeps its place");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn feeds_take_the_parameters_that_clients_send() {
    let server = server_with_database(&[]);
    fill(&server.client, 2);
    for parameters in [
        "style=all_docs&seq_interval=100&attachments=true&att_encoding_info=true",
        "since=0&timeout=9000000&heartbeat=10000",
        "since=%220%22&conflicts=true",
        "feed=normal&filter=",
    ] {
        let answer = server.client.get(&format!("/things/_changes?{parameters}")).expect(200);
        assert_eq!(ids(&answer), ["00000", "00001"], "{parameters}");
    }
}
