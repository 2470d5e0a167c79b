//! The real server process over a folder of its own, and a client for it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::{HeaderMap, Request, Response};

pub const BINARY: &str = env!("CARGO_BIN_EXE_firkin-server");

/// A running server. It is killed when dropped.
pub struct Server {
    child: Child,
    folder: PathBuf,
    flags: Vec<String>,
    pub address: String,
    pub client: Client,
    _own_folder: Option<TempDir>,
}

impl Server {
    /// Starts a server over a folder of its own.
    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::start_over(folder.path(), flags);
        server._own_folder = Some(folder);
        server
    }

    /// Starts a server over `folder`.
    pub fn start_over(folder: &Path, flags: &[&str]) -> Self {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let (child, address) = spawn(folder, &flags);
        let client = Client::new(&address);
        Self { child, folder: folder.to_path_buf(), flags, address, client, _own_folder: None }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server's process is there");
    }

    /// Waits for the process to end; whether it ended well.
    pub fn wait(&mut self) -> bool {
        self.child.wait().expect("the server was started").success()
    }

    /// Ends the process with a signal and starts another over the same folder.
    pub fn restart(&mut self, signal: Signal) {
        self.signal(signal);
        let ended_well = self.wait();
        assert_eq!(ended_well, signal != Signal::KILL, "how the server ended");
        let (child, address) = spawn(&self.folder, &self.flags);
        self.client = Client { authorization: self.client.authorization.take(), ..Client::new(&address) };
        self.child = child;
        self.address = address;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, flags: &[String]) -> (Child, String) {
    // Says that this is meant, so that no warning is printed.
    let is_meant = flags.iter().any(|flag| flag == "--admin" || flag == "--open");
    let mut child = Command::new(BINARY)
        .args(
            (!flags.iter().any(|flag| flag == "--listen")).then_some(["--listen", "127.0.0.1:0"]).into_iter().flatten(),
        )
        .arg("--data")
        .arg(folder)
        .args((!is_meant).then_some("--open"))
        .args(flags)
        .env("FIRKIN_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server's binary");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = lines.next().expect("a line once it is ready").expect("text");
    let url = line.strip_prefix("listening on ").expect("the line that is promised");
    let address = url.split("://").nth(1).expect("a URL").to_owned();
    (child, address)
}

/// Runs the binary, which must end by itself.
pub fn run(arguments: &[&str]) -> Output {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server's binary");
    let started = Instant::now();
    while child.try_wait().expect("the server was started").is_none() {
        if started.elapsed() > Duration::from_secs(20) {
            let _ = child.kill();
            panic!("the server runs with {arguments:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("its output")
}

/// What a request brought.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of text"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON, not {:?}", self.text()))
    }

    /// The body, if the status is what it should be.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Whether this is the error it should be.
    #[track_caller]
    pub fn expect_error(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(error)), "{}", self.text());
    }
}

/// Asks one server.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    pub authorization: Option<String>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.into(), base: format!("http://{address}"), authorization: None }
    }

    pub fn with_credentials(mut self, credentials: &str) -> Self {
        self.authorization = Some(format!("Basic {}", BASE64_STANDARD.encode(credentials)));
        self
    }

    /// Sends a request and gives the answer while it arrives.
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| !names(headers, "authorization")) {
            request = request.header("authorization", authorization);
        }
        match body {
            Some(body) => self.agent.run(request.body(body.to_vec()).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        }
    }

    /// Sends a request to a server that may be gone.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let (parts, mut body) = self.open(method, path, headers, body)?.into_parts();
        let mut bytes = Vec::new();
        body.as_reader().read_to_end(&mut bytes)?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes })
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &JSON, Some(&to_bytes(body)))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &JSON, Some(&to_bytes(body)))
    }

    /// Makes a database.
    #[track_caller]
    pub fn create(&self, name: &str) {
        let answer = self.send("PUT", &format!("/{name}"), &[], None);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// The lines of an answer as they arrive.
    pub fn lines(&self, path: &str) -> Lines {
        let response = self.open("GET", path, &[], None).expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        Lines(BufReader::new(Box::new(response.into_body().into_reader())))
    }
}

pub const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn names(headers: &[(&str, &str)], name: &str) -> bool {
    headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
}

fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

/// The lines of an answer, each read when it is asked for.
pub struct Lines(BufReader<Box<dyn Read + Send>>);

impl Lines {
    /// The next line, without its end; `None` at the end of the answer.
    pub fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.0.read_line(&mut line).expect("a line");
        (bytes > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// The next line that is not a heartbeat, as JSON.
    #[track_caller]
    pub fn next_json(&mut self) -> Value {
        loop {
            let line = self.next_line().expect("another line");
            if !line.is_empty() {
                return serde_json::from_str(&line).unwrap_or_else(|_| panic!("JSON, not {line:?}"));
            }
        }
    }
}
