//! Replications that the server acts in: `_replicate` and the upstream, from server to server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Client, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

const ADMIN: &[&str] = &["--admin", "root:secret", "--password-iterations", "100"];

fn fill(client: &Client, database: &str, ids: std::ops::Range<usize>) {
    let docs: Vec<Value> = ids.map(|n| json!({"_id": format!("d{n:04}"), "n": n})).collect();
    let rows = client.post(&format!("/{database}/_bulk_docs"), &json!({"docs": docs})).expect(201);
    assert!(rows.as_array().unwrap().iter().all(|row| row["ok"] == true));
}

fn count(client: &Client, database: &str) -> u64 {
    client.get(&format!("/{database}")).expect(200)["doc_count"].as_u64().unwrap()
}

/// All documents with all their leaves.
fn content(client: &Client, database: &str) -> Value {
    let all =
        client.get(&format!("/{database}/_all_docs?include_docs=true&conflicts=true&attachments=true")).expect(200);
    all["rows"].clone()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "it does not come true: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn url(server: &Server, database: &str) -> String {
    format!("http://root:secret@{}/{database}", server.address)
}

#[test]
fn a_database_is_pulled_from_and_pushed_to_another_server() {
    // A long attachment goes behind its document: inside of it, it would be too much.
    let there = Server::start(&[ADMIN, &["--body-bytes-max", "200000"]].concat());
    let here = Server::start(ADMIN);
    let [remote, local] = [&there, &here].map(|server| server.client.clone().with_credentials("root:secret"));
    remote.create("things");
    fill(&remote, "things", 0..300);
    let long = vec![7; 300_000];
    remote.send("PUT", "/things/film/f?", &[("content-type", "video/webm")], Some(&long)).expect(201);
    let pull = json!({"source": url(&there, "things"), "target": "things", "create_target": true});
    let done = local.post("/_replicate", &pull).expect(200);
    assert_eq!((&done["ok"], &done["history"][0]["docs_written"]), (&json!(true), &json!(301)), "{done}");
    assert_eq!(content(&local, "things"), content(&remote, "things"));
    // Nothing new: nothing is done.
    assert_eq!(local.post("/_replicate", &pull).expect(200)["history"][0]["docs_written"], 0);
    fill(&local, "things", 300..400);
    local.send("PUT", "/things/song/s", &[("content-type", "audio/ogg")], Some(&long)).expect(201);
    let push = json!({"source": "things", "target": {
        "url": format!("http://{}/things", there.address), "auth": {"basic": {"username": "root", "password": "secret"}},
    }});
    let done = local.post("/_replicate", &push).expect(200);
    assert_eq!(done["history"][0]["docs_written"], 101, "{done}");
    assert_eq!(content(&local, "things"), content(&remote, "things"));
    assert_eq!(remote.get("/things/song/s").body, long);
}

#[test]
fn databases_of_one_server_are_replicated_by_ids_and_by_selector() {
    let server = Server::start(&[]);
    let client = &server.client;
    client.create("a");
    fill(client, "a", 0..50);
    for (target, filter) in
        [("b", json!({"doc_ids": ["d0001", "d0002"]})), ("c", json!({"selector": {"n": {"$lt": 2}}}))]
    {
        let mut asked = json!({"source": "a", "target": target, "create_target": true});
        asked.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        client.post("/_replicate", &asked).expect(200);
        assert_eq!(count(client, target), 2, "{target}");
    }
}

#[test]
fn what_cannot_be_replicated_is_told() {
    let (there, here) = (Server::start(ADMIN), Server::start(ADMIN));
    let admin = here.client.clone().with_credentials("root:secret");
    admin.create("here");
    let with = |source: Value, target: Value| admin.post("/_replicate", &json!({"source": source, "target": target}));
    let elsewhere = url(&there, "none");
    with(json!("none"), json!("here")).expect_error(404, "db_not_found");
    with(json!("here"), json!("none")).expect_error(404, "db_not_found");
    with(json!(elsewhere), json!("here")).expect_error(404, "db_not_found");
    with(json!("here"), json!("here")).expect_error(400, "bad_request");
    with(json!(elsewhere), json!(elsewhere)).expect_error(501, "not_implemented");
    with(json!(format!("http://{}/none", there.address)), json!("here")).expect_error(401, "unauthorized");
    with(json!("http://127.0.0.1:1/none"), json!("here")).expect_error(502, "network_failed");
    with(json!("ftp://a/b"), json!("here")).expect_error(400, "bad_request");
    with(json!(1), json!("here")).expect_error(400, "bad_request");
    admin.post("/_replicate", &json!({"source": "here"})).expect_error(400, "bad_request");
    let filtered = json!({"source": "here", "target": "b", "filter": "a/b"});
    admin.post("/_replicate", &filtered).expect_error(501, "not_implemented");
    let cancelled = json!({"source": "here", "target": "b", "cancel": true});
    admin.post("/_replicate", &cancelled).expect_error(404, "not_found");
    here.client.post("/_replicate", &json!({})).expect_error(401, "unauthorized");
}

#[test]
fn a_continuous_replication_goes_on_until_it_is_cancelled() {
    let server = Server::start(&[]);
    let client = &server.client;
    client.create("a");
    client.create("b");
    let asked = json!({"source": "a", "target": "b", "continuous": true});
    let begun = client.post("/_replicate", &asked).expect(202);
    fill(client, "a", 0..10);
    eventually("what is written goes over", || count(client, "b") == 10);
    let tasks = client.get("/_active_tasks").expect(200);
    assert_eq!((&tasks[0]["replication_id"], &tasks[0]["docs_written"]), (&begun["_local_id"], &json!(10)), "{tasks}");
    assert!(client.get("/_metrics").text().contains("firkin_replication_docs_written{source=\"a\",target=\"b\"} 10"));
    let mut cancel = asked.clone();
    cancel["cancel"] = json!(true);
    client.post("/_replicate", &cancel).expect(200);
    eventually("it ends", || client.get("/_active_tasks").expect(200) == json!([]));
    fill(client, "a", 10..20);
    assert_eq!(count(client, "b"), 10);
}

#[test]
fn an_upstream_is_kept_the_same_both_ways_and_over_restarts_of_either() {
    let mut cluster = Server::start(ADMIN);
    let remote = cluster.client.clone().with_credentials("root:secret");
    remote.create("team");
    fill(&remote, "team", 0..20);
    let upstream = url(&cluster, "team");
    let mut edge = Server::start(&["--upstream", &upstream]);
    let is_same = |edge: &Server, cluster: &Server, documents: u64| {
        let remote = cluster.client.clone().with_credentials("root:secret");
        let known = edge.client.get("/team").status == 200;
        known && count(&edge.client, "team") == documents && content(&edge.client, "team") == content(&remote, "team")
    };
    eventually("the edge has what the cluster had", || is_same(&edge, &cluster, 20));
    fill(&edge.client, "team", 20..40);
    eventually("the cluster has what the edge wrote", || is_same(&edge, &cluster, 40));
    // The cluster goes away, at the same address; the edge serves on and catches up.
    let address = cluster.address.clone();
    cluster.signal(Signal::TERM);
    assert!(cluster.wait());
    fill(&edge.client, "team", 40..60);
    let cluster = Server::start_over(cluster.folder(), &[ADMIN, &["--listen", &address]].concat());
    eventually("the cluster has what came meanwhile", || is_same(&edge, &cluster, 60));
    edge.restart(Signal::KILL);
    let remote = cluster.client.clone().with_credentials("root:secret");
    fill(&remote, "team", 60..80);
    eventually("the edge has what came meanwhile", || is_same(&edge, &cluster, 80));
    // No credentials reach what is told.
    assert!(!edge.client.get("/_active_tasks").text().contains("secret"));
    assert!(!edge.client.get("/_metrics").text().contains("secret"));
}
