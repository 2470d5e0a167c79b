//! Addresses of peers and requests by the browser's real `fetch`.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, clippy::panic)]

use firkin_core::effects::{Clock, Method, Random, Request, ResponseBody, Transport, TransportError};
use firkin_wasm::address::Address;
use firkin_wasm::clock::BrowserClock;
use firkin_wasm::headers::AppHeaders;
use firkin_wasm::host::Host;
use firkin_wasm::random::CryptoRandom;
use firkin_wasm::transport::FetchTransport;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::RequestCredentials;

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A host that answers every question for headers with the next of `answers`, a list in JavaScript, and the last one again.
fn host(answers: &str) -> Host {
    let source = format!(
        "(() => {{ const answers = {answers}; return {{ asked: [], event() {{}}, async ask(name, json) {{
            this.asked.push(JSON.parse(json)); return JSON.stringify(answers.length > 1 ? answers.shift() : answers[0]) }},
            fetch(replication, url, init) {{ return fetch(url, init) }} }} }})()"
    );
    js_sys::eval(&source).unwrap().into()
}

fn transport(url: &str, host: Host) -> FetchTransport {
    let address = Address::parse(url).unwrap();
    let headers = AppHeaders::new(host, 7, &address.url);
    FetchTransport::new(address, headers, RequestCredentials::SameOrigin)
}

fn get(path: &str) -> Request {
    Request {
        method: Method::Get,
        path: path.into(),
        headers: Vec::new(),
        body: None,
        upload: None,
        idle_timeout_ms: 10_000,
    }
}

/// The origin that serves this very test.
fn origin() -> String {
    js_sys::eval("self.location.origin").unwrap().as_string().unwrap()
}

#[wasm_bindgen_test]
fn credentials_of_a_url_become_a_header_and_leave_the_url() {
    let address = Address::parse("https://Ali%20ce:p%C3%A4ss%3Aword@example.org:8443/journal/?#top");
    let address = address.unwrap();
    assert_eq!(address.url, "https://example.org:8443/journal");
    // "Ali ce:päss:word"
    assert_eq!(address.authorization.as_deref(), Some("Basic QWxpIGNlOnDDpHNzOndvcmQ="));
    assert_eq!(address.join("_changes?since=0"), "https://example.org:8443/journal/_changes?since=0");
    assert_eq!(address.join(""), "https://example.org:8443/journal");
}

#[wasm_bindgen_test]
fn a_url_without_credentials_makes_no_header() {
    let address = Address::parse("http://example.org/a/b%2Fc//").unwrap();
    assert_eq!(address.url, "http://example.org/a/b%2Fc");
    assert_eq!(address.authorization, None);
}

#[wasm_bindgen_test]
fn a_url_that_no_database_can_be_at_is_refused_without_being_quoted() {
    for url in [
        "",
        "journal",
        "//secret@example.org/x",
        "http://name:secret@",
        "ftp://name:secret@example.org/x",
        "http://name:secret@example.org",
        "http://name:secret@example.org/x?key=secret",
    ] {
        let Err(TransportError::BadUrl(reason)) = Address::parse(url) else { panic!("{url:?} was taken") };
        assert!(!reason.contains("secret"), "{url:?}: {reason}");
    }
}

#[wasm_bindgen_test]
async fn the_head_and_the_body_of_a_response_arrive() {
    let transport = transport(&format!("{}/no-such-database", origin()), host("[{}]"));
    let mut response = transport.send(get("_local/x")).await.unwrap();
    assert_eq!(response.status, 404);
    while let Some(chunk) = response.body.chunk().await.unwrap() {
        assert!(!chunk.is_empty());
    }
    assert_eq!(response.body.chunk().await.unwrap(), None);
}

#[wasm_bindgen_test]
async fn a_peer_that_is_not_there_is_unreachable() {
    let transport = transport("http://name:secret@127.0.0.1:9/x", host("[{}]"));
    let Err(TransportError::Unreachable(reason)) = transport.send(get("")).await else { panic!("it answered") };
    assert!(!reason.contains("secret") && !reason.is_empty(), "{reason}");
}

/// A host whose `fetch` answers with `answer`, a promise in JavaScript.
fn answering(answer: &str) -> Host {
    let source = format!("({{ event() {{}}, async ask() {{ return '{{}}' }}, fetch() {{ return {answer} }} }})");
    js_sys::eval(&source).unwrap().into()
}

#[wasm_bindgen_test]
async fn a_request_without_an_answer_ends_in_time() {
    let transport = transport("http://example.invalid/x", answering("new Promise(() => {})"));
    let request = Request { idle_timeout_ms: 20, ..get("") };
    assert_eq!(transport.send(request).await.map(drop), Err(TransportError::TimedOut));
}

#[wasm_bindgen_test]
async fn a_body_that_falls_silent_ends_in_time() {
    let silent =
        "Promise.resolve(new Response(new ReadableStream({ start(it) { it.enqueue(new Uint8Array([1, 2])) } })))";
    let transport = transport("http://example.invalid/x", answering(silent));
    let mut response = transport.send(Request { idle_timeout_ms: 20, ..get("") }).await.unwrap();
    assert_eq!(response.body.chunk().await, Ok(Some(vec![1, 2])));
    assert_eq!(response.body.chunk().await, Err(TransportError::TimedOut));
}

#[wasm_bindgen_test]
async fn an_app_that_throws_rather_than_fetch_is_a_network_that_failed() {
    let transport = transport("http://example.invalid/x", answering("(() => { throw new Error('no way') })()"));
    let Err(TransportError::Unreachable(reason)) = transport.send(get("")).await else { panic!("it was sent") };
    assert!(reason.contains("no way"), "{reason}");
}

#[wasm_bindgen_test]
async fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    let transport = transport(&format!("{}/x", origin()), host(r#"[{"x-token": "sec\nret"}]"#));
    let Err(TransportError::Unreachable(reason)) = transport.send(get("")).await else { panic!("it was sent") };
    assert!(reason.contains("x-token") && !reason.contains("ret"), "{reason}");
}

#[wasm_bindgen_test]
async fn the_app_is_asked_for_headers_once_and_again_only_when_they_were_refused() {
    let host = host(r#"[{"authorization": "old"}, {"authorization": "new"}]"#);
    let headers = AppHeaders::new(host.clone(), 7, "http://example.org/x");
    let (old, same) = futures_util::join!(headers.current(), headers.current());
    let old = old.unwrap();
    assert_eq!(same.unwrap(), old);
    assert_eq!(old.get("authorization").map(String::as_str), Some("old"));
    assert!(headers.renew().await);
    let new = headers.current().await.unwrap();
    assert_eq!(new.get("authorization").map(String::as_str), Some("new"));
    assert!(!headers.renew().await, "the same headers would be refused again");
    let asked = js_sys::Reflect::get(&JsValue::from(host), &"asked".into()).unwrap();
    let asked = js_sys::JSON::stringify(&asked).unwrap().as_string().unwrap();
    let question = |unauthorized: bool| {
        format!(r#"{{"replication":7,"url":"http://example.org/x","unauthorized":{unauthorized}}}"#)
    };
    assert_eq!(asked, format!("[{},{},{}]", question(false), question(true), question(true)));
}

#[wasm_bindgen_test]
async fn a_sleep_takes_its_time() {
    let clock = BrowserClock;
    let before_ms = clock.now_ms();
    clock.sleep(30).await;
    // Timers and the clock round differently by up to a millisecond.
    assert!(clock.now_ms() - before_ms >= 29);
}

#[wasm_bindgen_test]
fn more_bytes_than_the_platform_fills_at_once_are_random() {
    let mut bytes = vec![0; 70_000];
    CryptoRandom.fill(&mut bytes);
    let tail = bytes.split_off(65_536);
    assert!(tail.iter().any(|byte| *byte != 0));
    assert!(bytes.iter().any(|byte| *byte != 0));
    assert_ne!(bytes.get(..tail.len()), Some(tail.as_slice()));
}
