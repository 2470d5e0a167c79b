//! Many at one time: live clients, writers, open feeds. `FIRKIN_LOAD_SECONDS` says for how long the writers write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use common::Server;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

const LIVE_CLIENTS: usize = 200;
const WRITERS: usize = 50;
const OPEN_FEEDS: usize = 1000;

/// The memory of a server under this load, as long as it builds with optimisations or without.
const RESIDENT_BYTES_MAX: u64 = 400 << 20;

type Http = Client<HttpConnector, Body>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

fn seconds() -> u64 {
    std::env::var("FIRKIN_LOAD_SECONDS").map_or(5, |text| text.parse().expect("a number of seconds"))
}

/// The memory that the process has now.
fn resident_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("the process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Reads a feed until it has all ids that are expected once that number is known; what came.
async fn follow(http: Http, url: String, expected: Arc<AtomicUsize>) -> HashSet<String> {
    let request = Request::get(url).body(Body::empty()).unwrap();
    let response = http.request(request).await.expect("a feed");
    assert_eq!(response.status(), 200);
    let mut chunks = Body::new(response.into_body()).into_data_stream();
    let (mut ids, mut rest) = (HashSet::new(), Vec::new());
    while ids.len() < expected.load(Ordering::Relaxed) {
        let chunk = chunks.next().await.expect("the feed goes on").expect("the feed goes on");
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if let Ok(row) = serde_json::from_slice::<Value>(&line) {
                assert!(ids.insert(row["id"].as_str().expect("a change").to_owned()), "told twice: {row}");
            }
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn live_clients_miss_nothing_of_what_many_write() {
    let server = Server::start(&[]);
    server.client.create("things");
    let (http, url) = (http(), format!("http://{}/things", server.address));
    let expected = Arc::new(AtomicUsize::new(usize::MAX));
    let feed = format!("{url}/_changes?feed=continuous&heartbeat=1000");
    let followers: Vec<_> =
        (0..LIVE_CLIENTS).map(|_| tokio::spawn(follow(http.clone(), feed.clone(), expected.clone()))).collect();
    let until = Instant::now() + Duration::from_secs(seconds());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (http, url) = (http.clone(), url.clone());
            tokio::spawn(async move {
                let mut written = Vec::new();
                while Instant::now() < until {
                    let id = format!("{writer}-{}", written.len());
                    let request = Request::put(format!("{url}/{id}")).body(Body::from("{\"n\":1}")).unwrap();
                    let response = http.request(request).await.expect("an answer");
                    assert_eq!(response.status(), 201);
                    response.into_body().collect().await.expect("a whole answer");
                    written.push(id);
                }
                written
            })
        })
        .collect();
    let mut written = HashSet::new();
    for writer in writers {
        written.extend(writer.await.expect("a writer"));
    }
    expected.store(written.len(), Ordering::Relaxed);
    for follower in followers {
        assert!(follower.await.expect("a live client") == written, "a live client missed something");
    }
    let resident = resident_bytes(&server);
    println!("{} documents in {} s, {LIVE_CLIENTS} live clients, {} MiB", written.len(), seconds(), resident >> 20);
    assert!(written.len() > WRITERS, "{} documents", written.len());
    assert!(resident < RESIDENT_BYTES_MAX, "{} MiB", resident >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_feeds_are_open_and_each_hears_of_a_change() {
    let server = Server::start(&[]);
    server.client.create("things");
    let (http, url) = (http(), format!("http://{}/things", server.address));
    let expected = Arc::new(AtomicUsize::new(1));
    let feed = format!("{url}/_changes?feed=continuous&heartbeat=10000");
    let followers: Vec<_> =
        (0..OPEN_FEEDS).map(|_| tokio::spawn(follow(http.clone(), feed.clone(), expected.clone()))).collect();
    let metric = format!("firkin_feeds {OPEN_FEEDS}\n");
    let started = Instant::now();
    loop {
        let request = Request::get(format!("http://{}/_metrics", server.address)).body(Body::empty()).unwrap();
        let text = http.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        if String::from_utf8_lossy(&text).contains(&metric) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "not all feeds are open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let resident = resident_bytes(&server);
    let request = Request::put(format!("{url}/a")).body(Body::from("{}")).unwrap();
    assert_eq!(http.request(request).await.unwrap().status(), 201);
    for follower in followers {
        assert_eq!(follower.await.expect("a feed").len(), 1);
    }
    println!("{OPEN_FEEDS} feeds, {} MiB", resident >> 20);
    assert!(resident < RESIDENT_BYTES_MAX, "{} MiB", resident >> 20);
}
