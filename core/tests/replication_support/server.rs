//! The double of a server.

use std::cell::{Cell, RefCell};

use firkin_core::database::{SNAPSHOT_MEMBER, SNAPSHOT_VERSION};
use firkin_core::effects::{Clock, Method, Request, Response, ResponseBody, Transport, TransportError};
use serde_json::{Value, json};

use super::responder::{self, Answer, error};
use super::time::SimulatedClock;
use super::{Memory, Seeded};

/// What goes wrong, each as so many requests in a hundred.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub lost_requests: u64,
    pub lost_answers: u64,
    pub cut_bodies: u64,
    pub errors: u64,
}

/// What a server answers to a request: a status and a body, instead of the truth.
pub type Script = Box<dyn Fn(&Request) -> Option<(u16, String)>>;

/// Answers the endpoints of the protocol from a database.
pub struct FakeServer<'d> {
    /// Another one may come to stand behind the same URL.
    pub database: Cell<&'d Memory>,
    pub clock: &'d SimulatedClock,
    pub random: Seeded,
    pub faults: Cell<Faults>,
    /// How long each answer takes.
    pub latency_ms: Cell<u64>,
    /// Answers 401 until credentials are renewed.
    pub locked: Cell<bool>,
    /// Whether renewed credentials are good.
    pub renewable: Cell<bool>,
    pub renewals: Cell<u64>,
    /// Locks when a request of this path comes, once.
    pub lock_at: Cell<Option<&'static str>>,
    /// What 503 tells in `Retry-After`.
    pub retry_after_ms: Cell<Option<u64>>,
    /// How many requests were refused as too long, and how long the longest was that was not.
    pub too_long: Cell<u64>,
    pub longest: Cell<usize>,
    /// Every checkpoint that was written, in order.
    pub written: RefCell<Vec<Value>>,
    pub knows_bulk_get: Cell<bool>,
    pub takes_multipart: Cell<bool>,
    /// Whether documents come with the rows of the feed if that is asked for.
    pub gives_documents: Cell<bool>,
    /// A request with a longer body is answered 413.
    pub request_bytes_max: Cell<usize>,
    /// What it has packed for fresh replicas, and its tag; without it the path is unknown.
    pub snapshot: RefCell<Option<(String, Vec<u8>)>>,
    /// How many bytes of it were asked for, request by request.
    pub snapshot_bytes: RefCell<Vec<usize>>,
    /// The connection breaks in the middle of each answer to this path.
    pub breaks_at: Cell<Option<&'static str>>,
    pub script: RefCell<Option<Script>>,
    /// Method and path of each request.
    pub requests: RefCell<Vec<String>>,
    pub in_flight: Cell<u64>,
    pub in_flight_max: Cell<u64>,
    /// To so many requests nothing comes back, as over connections whose network is gone.
    pub silent: Cell<usize>,
    /// The next answer dies in its middle.
    pub dying: Cell<bool>,
}

/// When the first chunk of an answer comes that dies.
const CHUNK_MS: u64 = 300;

impl<'d> FakeServer<'d> {
    pub fn new(database: &'d Memory, clock: &'d SimulatedClock, seed: u64) -> Self {
        Self {
            database: Cell::new(database),
            clock,
            random: Seeded::new(seed),
            faults: Cell::default(),
            latency_ms: Cell::new(5),
            locked: Cell::new(false),
            renewable: Cell::new(true),
            renewals: Cell::new(0),
            lock_at: Cell::new(None),
            retry_after_ms: Cell::new(None),
            too_long: Cell::new(0),
            longest: Cell::new(0),
            written: RefCell::default(),
            knows_bulk_get: Cell::new(true),
            takes_multipart: Cell::new(true),
            gives_documents: Cell::new(true),
            request_bytes_max: Cell::new(usize::MAX),
            snapshot: RefCell::default(),
            snapshot_bytes: RefCell::default(),
            breaks_at: Cell::new(None),
            script: RefCell::default(),
            requests: RefCell::default(),
            in_flight: Cell::new(0),
            in_flight_max: Cell::new(0),
            silent: Cell::new(0),
            dying: Cell::new(false),
        }
    }

    pub fn script(&self, script: impl Fn(&Request) -> Option<(u16, String)> + 'static) {
        self.script.replace(Some(Box::new(script)));
    }

    pub fn requests_of(&self, part: &str) -> usize {
        self.requests.borrow().iter().filter(|request| request.contains(part)).count()
    }

    fn happens(&self, percent: u64) -> bool {
        percent > 0 && self.random.below(100) < percent
    }

    async fn answer(&self, request: &Request) -> Answer {
        if self.lock_at.get().is_some_and(|path| request.path.starts_with(path)) {
            self.lock_at.set(None);
            self.locked.set(true);
        }
        if self.locked.get() {
            return error(401, "unauthorized", "You are not authorized to access this db.");
        }
        if let Some(answer) = self.script.borrow().as_ref().and_then(|script| script(request)) {
            return (answer.0, answer.1.into_bytes());
        }
        let length = request.body.as_ref().map_or(0, Vec::len);
        let length = request.upload.as_ref().map_or(length, |upload| upload.length() as usize);
        if request.upload.is_some() && !self.takes_multipart.get() {
            return error(415, "bad_content_type", "Content-Type must be application/json");
        }
        if length > self.request_bytes_max.get() {
            self.too_long.set(self.too_long.get() + 1);
            return error(413, "too_large", "the request entity is too large");
        }
        self.longest.set(self.longest.get().max(length));
        let path = request.path.split('?').next().unwrap();
        match (request.method, path) {
            (Method::Post, "_bulk_get") if !self.knows_bulk_get.get() => {
                return error(405, "method_not_allowed", "Only GET,HEAD,PUT,DELETE,COPY allowed");
            }
            (Method::Get, "") if self.snapshot.borrow().is_some() => {
                let told = format!(r#"{{"db_name":"fake","{SNAPSHOT_MEMBER}":{SNAPSHOT_VERSION}}}"#);
                return (200, told.into_bytes());
            }
            (Method::Get, "_snapshot") => return self.part_of_snapshot(request),
            (Method::Put, path) if path.starts_with("_local/") => {
                let mut document: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
                document["_id"] = json!(path);
                self.written.borrow_mut().push(document);
            }
            _ => {}
        }
        if !self.gives_documents.get() {
            let path = request.path.replace("&include_docs=true", "");
            return responder::answer(self.database.get(), self.clock, &Request { path, ..request.clone() }).await;
        }
        responder::answer(self.database.get(), self.clock, request).await
    }
}

impl FakeServer<'_> {
    /// Packs a snapshot of the database, which is called `tag` from now on.
    pub async fn pack(&self, tag: &str) {
        let mut packing = self.database.get().pack().await.unwrap();
        let mut blocks = Vec::new();
        loop {
            let part = packing.next(10_000).await.unwrap();
            if part.is_empty() {
                break;
            }
            blocks.extend(part);
        }
        let line = packing.head.line(tag, blocks.len() as u64);
        self.snapshot.replace(Some((tag.into(), [line, blocks].concat())));
    }

    fn part_of_snapshot(&self, request: &Request) -> Answer {
        let header = |name: &str| request.headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value);
        let snapshot = self.snapshot.borrow();
        let Some((tag, bytes)) = &*snapshot else { return error(404, "not_found", "missing") };
        if header("if-match").is_some_and(|wanted| *wanted != format!("\"{tag}\"")) {
            return error(412, "precondition_failed", "There is another snapshot by now.");
        }
        let range = header("range").map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap());
        let start: usize = range.map_or(0, |start| start.parse().unwrap());
        self.snapshot_bytes.borrow_mut().push(bytes.len() - start);
        if start >= bytes.len() {
            return error(416, "requested_range_not_satisfiable", "Requested range not satisfiable");
        }
        (if range.is_some() { 206 } else { 200 }, bytes[start..].to_vec())
    }
}

/// Counts a request as in flight until its body is read or dropped.
pub struct Flight<'s>(&'s Cell<u64>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

pub struct FakeBody<'d> {
    chunks: Vec<Vec<u8>>,
    cut: bool,
    /// The connection dies after the first chunk, which takes a while, and nobody hears of that.
    dies: Option<&'d SimulatedClock>,
}

impl ResponseBody for FakeBody<'_> {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        if let Some(clock) = self.dies {
            clock.sleep(if self.chunks.len() > 1 { CHUNK_MS } else { 60_000 }).await;
        }
        match self.chunks.pop() {
            Some(chunk) => Ok(Some(chunk)),
            None if self.cut => Err(TransportError::Unreachable("the connection broke".into())),
            None => Ok(None),
        }
    }
}

impl<'d> Transport for FakeServer<'d> {
    type Body = FakeBody<'d>;

    async fn send(&self, request: Request) -> Result<Response<FakeBody<'d>>, TransportError> {
        self.requests.borrow_mut().push(format!("{} {}", request.method.name(), request.path));
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_max.set(self.in_flight_max.get().max(self.in_flight.get()));
        let _flight = Flight(&self.in_flight);
        if self.silent.get() > 0 {
            self.silent.set(self.silent.get() - 1);
            self.clock.sleep(request.idle_timeout_ms).await;
            return Err(TransportError::TimedOut);
        }
        self.clock.sleep(self.latency_ms.get()).await;
        let faults = self.faults.get();
        if self.happens(faults.lost_requests) {
            return Err(TransportError::Unreachable("the request was lost".into()));
        }
        if self.happens(faults.errors) {
            let status = [429, 500, 503][usize::try_from(self.random.below(3)).unwrap()];
            let body = FakeBody {
                chunks: vec![b"{\"error\":\"busy\",\"reason\":\"later\"}".to_vec()],
                cut: false,
                dies: None,
            };
            return Ok(Response { status, retry_after_ms: self.retry_after_ms.get(), body });
        }
        let (status, mut text) = self.answer(&request).await;
        if self.happens(faults.lost_answers) {
            return Err(TransportError::TimedOut);
        }
        let cut = !text.is_empty() && self.happens(faults.cut_bodies);
        if cut {
            text.truncate(usize::try_from(self.random.below(text.len() as u64)).unwrap());
        }
        let is_broken = self.breaks_at.get() == Some(request.path.as_str());
        if is_broken {
            text.truncate(text.len() / 2);
        }
        // Some connections break, others just end early.
        let breaks = is_broken || cut && self.random.below(2) == 0;
        let middle = text.len() / 2;
        let second = text.split_off(middle);
        let dies = self.dying.take().then_some(self.clock);
        Ok(Response { status, retry_after_ms: None, body: FakeBody { chunks: vec![second, text], cut: breaks, dies } })
    }

    async fn renew_credentials(&self) -> bool {
        self.renewals.set(self.renewals.get() + 1);
        self.clock.sleep(20).await;
        if self.renewable.get() {
            self.locked.set(false);
        }
        true
    }
}
