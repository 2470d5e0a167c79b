//! Running it: settings, TLS and HTTP/2, logs, metrics, backups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Version};
use common::{BINARY, Client, JSON, Server, run};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connect as LegacyConnect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// What the process says until it is told to stop, and its standard error.
fn serve(command: &mut Command, meanwhile: impl FnOnce(&Client)) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server's binary");
    let mut line = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    let Some(address) = line.strip_prefix("listening on http://") else {
        let output = child.wait_with_output().unwrap();
        panic!("{line:?} {}", String::from_utf8_lossy(&output.stderr));
    };
    meanwhile(&Client::new(address));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn flags_count_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firkin.toml");
    let settings = format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\nadmin = \"file:secret\"\ndocument-bytes-max = 1000\n\
         body-bytes-max = 100000\ncors = [\"https://app.example\"]\nlog = \"warn\"\npassword-iterations = 10\n",
        text(&folder.path().join("data"))
    );
    fs::write(&file, settings).unwrap();
    let sizes = |client: &Client| {
        let put = |bytes: usize| client.put(&format!("/things/{bytes}"), &json!({"text": "x".repeat(bytes)})).status;
        [500, 1500, 2500].map(put)
    };
    let mut command = Command::new(BINARY);
    command.args(["--config", text(&file)]);
    serve(&mut command, |client| {
        let client = client.clone().with_credentials("file:secret");
        client.create("things");
        assert_eq!(sizes(&client), [201, 413, 413], "the file's");
        let answer = client.send("GET", "/", &[("origin", "https://app.example")], None);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    });
    command.env("FIRKIN_DOCUMENT_BYTES_MAX", "2000").env("FIRKIN_ADMIN", "env:secret");
    serve(&mut command, |client| {
        assert_eq!(sizes(&client.clone().with_credentials("env:secret")), [409, 201, 413], "the environment's");
        client.clone().with_credentials("file:secret").get("/").expect_error(401, "unauthorized");
    });
    command.args(["--document-bytes-max", "3000"]);
    serve(&mut command, |client| {
        assert_eq!(sizes(&client.clone().with_credentials("env:secret")), [409, 409, 201], "the flag's");
    });
}

#[test]
fn every_flag_stands_in_the_manual() {
    let help = run(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/server.md")).unwrap();
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let flags = help.split_whitespace().filter(|word| word.starts_with("--"));
    let names: HashSet<&str> = flags.map(|flag| flag.split(|letter| !is_of_name(letter)).next().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    let usual = ["--help", "--version"];
    let missing: Vec<_> =
        names.iter().filter(|name| !usual.contains(name) && !manual.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn settings_that_are_none_are_told_without_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firkin.toml");
    for (settings, told) in [
        ("admin = \"iko:secret\"\nadmn = 1", "unknown field"),
        ("admin = \"iko:secret\nlisten = 1", "line 1"),
        ("listen = \"iko:secret\"", "line 1"),
        ("data = \"d\"\nadmin = \"iko:secret\"\ntls-cert = \"a\"", "belong together"),
        ("data = \"d\"\nupstream = [\"https://iko:secret@\"]", "--upstream"),
        ("admin = \"iko:secret\"", "--data"),
    ] {
        fs::write(&file, settings).unwrap();
        let refused = run(&["--config", text(&file)]);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), error.contains(told)), (Some(2), true), "{settings}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(run(&["--config", text(&folder.path().join("none"))]).status.code(), Some(2));
    assert_eq!(run(&["--data", "d", "--log", "info,,=nonsense=["]).status.code(), Some(2));
    let data = folder.path().join("data");
    let tls = ["--data", text(&data), "--listen", "127.0.0.1:0", "--tls-cert", text(&file), "--tls-key", text(&file)];
    assert_eq!(run(&tls).status.code(), Some(1), "no certificate in there");
}

#[test]
fn the_log_is_an_object_a_line_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["--listen", "127.0.0.1:0", "--data", text(folder.path()), "--admin", "iko:secret-one"]);
    command.args(["--log", "debug", "--log-format", "json", "--password-iterations", "10"]);
    let log = serve(&mut command, |client| {
        let admin = client.clone().with_credentials("iko:secret-one");
        admin.create("_users");
        let id = "org.couchdb.user:bob";
        let account = json!({"_id": id, "name": "bob", "type": "user", "roles": [], "password": "secret-two"});
        admin.post("/_users", &account).expect(201);
        let session = json!({"name": "bob", "password": "secret-two"}).to_string();
        let opened = client.send("POST", "/_session", &JSON, Some(session.as_bytes()));
        let cookie = opened.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        client.send("GET", "/things?x=secret-three", &[("cookie", &cookie)], None).expect_error(404, "not_found");
        client.clone().with_credentials("bob:secret-four").get("/things").expect_error(401, "unauthorized");
        let source = json!({"source": "http://u:secret-five@127.0.0.1:1/x", "target": "y", "continuous": true});
        admin.post("/_replicate", &source).expect(202);
    });
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let answered = |path: &str, status: u16| lines.iter().any(|line| line["path"] == path && line["status"] == status);
    assert!(answered("/things", 404) && answered("/things", 401) && answered("/_session", 200), "{log}");
    for message in ["started", "stopping", "stopped"] {
        assert!(lines.iter().any(|line| line["message"] == message), "{message}: {log}");
    }
    assert!(!log.contains("secret") && !log.contains("AuthSession"), "{log}");
}

#[test]
fn metrics_are_for_the_administrator_and_count_what_happens() {
    let server = Server::start(&["--admin", "iko:secret"]);
    server.client.get("/_metrics").expect_error(401, "unauthorized");
    let admin = server.client.clone().with_credentials("iko:secret");
    admin.create("things");
    let value = |name: &str| -> f64 {
        let text = admin.get("/_metrics").text().to_owned();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let line = text.lines().find(|line| line.starts_with(name) && line.as_bytes()[name.len()] == b' ');
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    assert_eq!(value("firkin_requests_total{method=\"Put\",status=\"201\"}"), 1.0);
    for n in 0..5 {
        admin.put(&format!("/things/{n}"), &json!({})).expect(201);
    }
    assert_eq!(value("firkin_requests_total{method=\"Put\",status=\"201\"}"), 6.0);
    assert_eq!((value("firkin_feeds"), value("firkin_open_databases")), (0.0, 1.0));
    let feed = admin.lines("/things/_changes?feed=continuous&heartbeat=1000");
    assert_eq!((value("firkin_feeds"), value("firkin_requests_in_flight")), (1.0, 1.0));
    drop(feed);
    let file = fs::metadata(server.folder().join("things.redb")).unwrap().len();
    assert_eq!(value("firkin_database_file_bytes{database=\"things\"}"), file as f64);
    assert!(value("firkin_request_duration_seconds_count") > 8.0);
}

/// A certificate for `localhost` in files, and a configuration that trusts it.
fn certificate(folder: &Path) -> (String, String, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    (text(&certificate).into(), text(&key).into(), config.with_no_client_auth())
}

async fn ask(client: &HttpClient<impl Connect, Body>, method: &str, url: &str, body: &str) -> (u16, Version, Value) {
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let response = client.request(request.body(Body::from(body.to_owned())).unwrap()).await.expect("an answer");
    let (status, version) = (response.status().as_u16(), response.version());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, version, serde_json::from_slice(&bytes).unwrap())
}

trait Connect: LegacyConnect + Clone + Send + Sync + 'static {}
impl<C: LegacyConnect + Clone + Send + Sync + 'static> Connect for C {}

#[tokio::test]
async fn tls_is_spoken_with_http_2_and_1_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key, config) = certificate(folder.path());
    let server = Server::start(&["--tls-cert", &certificate, "--tls-key", &key]);
    let port = server.address.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}");
    let http = || {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector
    };
    let builder = || HttpsConnectorBuilder::new().with_tls_config(config.clone()).https_only();
    let second = builder().enable_all_versions().wrap_connector(http());
    let first = builder().enable_http1().wrap_connector(http());
    let second = HttpClient::builder(TokioExecutor::new()).build(second);
    let first = HttpClient::builder(TokioExecutor::new()).build(first);
    let made = ask(&second, "PUT", &format!("{url}/things"), "").await;
    assert_eq!(made, (201, Version::HTTP_2, json!({"ok": true})));
    // Many requests at one time over one connection.
    let puts = (0..50).map(|n| {
        let (second, url) = (second.clone(), format!("{url}/things/{n}"));
        tokio::spawn(async move { ask(&second, "PUT", &url, "{}").await.0 })
    });
    for put in puts.collect::<Vec<_>>() {
        assert_eq!(put.await.unwrap(), 201);
    }
    let (status, version, info) = ask(&first, "GET", &format!("{url}/things"), "").await;
    assert_eq!((status, version, &info["doc_count"]), (200, Version::HTTP_11, &json!(50)));
    let request = Request::delete(format!("{url}/_session")).body(Body::empty()).unwrap();
    let response = second.request(request).await.expect("an answer");
    assert!(response.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    assert!(server.client.try_send("GET", "/", &[], None).is_err(), "no TLS, no answer");
}

#[tokio::test]
async fn http_2_is_spoken_without_tls_to_who_begins_with_it() {
    let server = Server::start(&[]);
    let client = HttpClient::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new());
    let answer = ask(&client, "PUT", &format!("http://{}/things", server.address), "").await;
    assert_eq!(answer, (201, Version::HTTP_2, json!({"ok": true})));
    let long = format!("http://{}/things/_bulk_docs", server.address);
    let docs: Vec<Value> = (0..2000).map(|n| json!({"_id": n.to_string(), "text": "x".repeat(500)})).collect();
    let answer = ask(&client, "POST", &long, &json!({"docs": docs}).to_string()).await;
    assert_eq!((answer.0, answer.2.as_array().unwrap().len()), (201, 2000));
}

#[test]
fn a_copy_is_whole_and_a_folder_is_made_of_it() {
    let mut server = Server::start(&[]);
    server.client.create("team%2Fnotes");
    server.client.create("empty");
    let docs: Vec<Value> = (0..500).map(|n| json!({"_id": n.to_string(), "n": n})).collect();
    server.client.post("/team%2Fnotes/_bulk_docs", &json!({"docs": docs})).expect(201);
    server.client.send("PUT", "/team%2Fnotes/a/f", &[("content-type", "a/b")], Some(&vec![9; 2_000_000])).expect(201);
    server.client.put("/team%2Fnotes/_revs_limit", &json!(7)).expect(200);
    let outer = tempfile::tempdir().unwrap();
    let (data, copy, restored) =
        (text(server.folder()).to_owned(), outer.path().join("copy"), outer.path().join("new"));
    let before = server.client.get("/team%2Fnotes/_changes?include_docs=true").expect(200);
    let refused = run(&["backup", "--data", &data, "--to", text(&copy)]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("in use"));
    server.signal(Signal::TERM);
    assert!(server.wait());
    for (arguments, told) in [
        (vec!["check", "--data", &data], "team/notes: 501 documents, sound"),
        (vec!["backup", "--data", &data, "--to", text(&copy)], "team/notes: 501 documents"),
        (vec!["restore", "--data", text(&restored), "--from", text(&copy)], "team/notes: 501 documents"),
    ] {
        let done = run(&arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        let lines = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(lines.lines().any(|line| line == told) && lines.contains("empty: 0 documents"), "{lines}");
    }
    let again = run(&["restore", "--data", text(&restored), "--from", text(&copy)]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is not empty"));
    assert!(!run(&["check", "--data", text(&outer.path().join("none"))]).status.success());
    let server = Server::start_over(&restored, &[]);
    assert_eq!(server.client.get("/team%2Fnotes/_changes?include_docs=true").expect(200), before);
    assert_eq!(server.client.get("/team%2Fnotes/a/f").body, vec![9; 2_000_000]);
    assert_eq!(server.client.get("/team%2Fnotes/_revs_limit").expect(200), json!(7));
}

#[test]
fn a_damaged_database_is_found_and_not_copied() {
    let mut server = Server::start(&[]);
    for name in ["sound", "hurt"] {
        server.client.create(name);
        let docs: Vec<Value> = (0..2000).map(|n| json!({"_id": n.to_string(), "text": "x".repeat(200)})).collect();
        server.client.post(&format!("/{name}/_bulk_docs"), &json!({"docs": docs})).expect(201);
    }
    server.signal(Signal::TERM);
    assert!(server.wait());
    let file = server.folder().join("hurt.redb");
    let mut bytes = fs::read(&file).unwrap();
    // Wherever documents stand.
    for place in (0..bytes.len() - 100).step_by(5000) {
        if bytes[place..place + 100].iter().all(|byte| *byte == b'x') {
            bytes[place] = b'y';
        }
    }
    fs::write(&file, bytes).unwrap();
    let data = text(server.folder());
    let outer = tempfile::tempdir().unwrap();
    let copy = outer.path().join("copy");
    for arguments in [vec!["check", "--data", data], vec!["backup", "--data", data, "--to", text(&copy)]] {
        let done = run(&arguments);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!((done.status.code(), told.contains("damaged: hurt")), (Some(1), true), "{arguments:?}: {told}");
    }
    assert!(copy.join("sound.redb").exists() && !copy.join("hurt.redb").exists());
}
