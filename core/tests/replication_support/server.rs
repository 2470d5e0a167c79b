//! The double of a server.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;

use firkin_core::database::{ChangesQuery, GetOptions, OpenRev, OpenRevs, Since, WriteOptions};
use firkin_core::effects::{Clock, Method, Request, Response, ResponseBody, Transport, TransportError};
use firkin_core::query::Selector;
use futures_util::future::{Either, select};
use serde_json::{Value, json};

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
    pub database: &'d Memory,
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
    /// A request with a longer body is answered 413.
    pub request_bytes_max: Cell<usize>,
    pub script: RefCell<Option<Script>>,
    /// Method and path of each request.
    pub requests: RefCell<Vec<String>>,
    pub in_flight: Cell<u64>,
    pub in_flight_max: Cell<u64>,
}

impl<'d> FakeServer<'d> {
    pub fn new(database: &'d Memory, clock: &'d SimulatedClock, seed: u64) -> Self {
        Self {
            database,
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
            request_bytes_max: Cell::new(usize::MAX),
            script: RefCell::default(),
            requests: RefCell::default(),
            in_flight: Cell::new(0),
            in_flight_max: Cell::new(0),
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

    async fn answer(&self, request: &Request) -> (u16, String) {
        if self.lock_at.get().is_some_and(|path| request.path.starts_with(path)) {
            self.lock_at.set(None);
            self.locked.set(true);
        }
        if self.locked.get() {
            return error(401, "unauthorized", "You are not authorized to access this db.");
        }
        if let Some(answer) = self.script.borrow().as_ref().and_then(|script| script(request)) {
            return answer;
        }
        let length = request.body.as_ref().map_or(0, Vec::len);
        if length > self.request_bytes_max.get() {
            self.too_long.set(self.too_long.get() + 1);
            return error(413, "too_large", "the request entity is too large");
        }
        self.longest.set(self.longest.get().max(length));
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.into(), decoded(value)))
            .collect();
        let body = request.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        let whole = query.get("attachments").is_some_and(|asked| asked == "true");
        match (request.method, path) {
            (Method::Get, "") => ok(&json!({"db_name": "fake", "update_seq": "0", "instance_start_time": "0"})),
            (_, "_changes") => self.changes(&query, &body).await,
            (Method::Post, "_revs_diff") => self.revs_diff(&body).await,
            (Method::Post, "_bulk_docs") => self.bulk_docs(&body).await,
            (Method::Post, "_bulk_get") if self.knows_bulk_get.get() => self.bulk_get(&body, whole).await,
            (Method::Post, "_bulk_get") => error(405, "method_not_allowed", "Only GET,HEAD,PUT,DELETE,COPY allowed"),
            (Method::Put, path) if path.starts_with("_local/") => {
                let mut document = body;
                document["_id"] = json!(path);
                self.written.borrow_mut().push(document.clone());
                let written = self.database.put_local(document.to_string().as_bytes()).await.unwrap();
                ok(&json!({"ok": true, "id": written.id, "rev": written.rev}))
            }
            (Method::Get, path) if path.starts_with("_local/") => {
                match self.database.get(path, &GetOptions::default()).await {
                    Ok(text) => (200, String::from_utf8(text).unwrap()),
                    Err(_) => error(404, "not_found", "missing"),
                }
            }
            (Method::Get, path) if query.contains_key("open_revs") => {
                let revs = serde_json::from_str::<Vec<String>>(&query["open_revs"]).unwrap();
                ok(&Value::Array(self.opened(&decoded(path), revs, whole).await))
            }
            (method, path) => panic!("the fake server does not know {} {path}", method.name()),
        }
    }

    async fn changes(&self, query: &BTreeMap<String, String>, body: &Value) -> (u16, String) {
        assert_eq!(query["style"], "all_docs");
        let since = match query["since"].as_str() {
            "0" => Since::Start,
            token => Since::Token(token.into()),
        };
        let filter = query.get("filter").map(String::as_str);
        let selector = (filter == Some("_selector")).then(|| {
            let text = body["selector"].to_string();
            Selector::parse(&firkin_core::json::parse(text.as_bytes()).unwrap()).unwrap()
        });
        let ids = body["doc_ids"].as_array();
        let doc_ids = ids.map(|ids| ids.iter().map(|id| id.as_str().unwrap().into()).collect());
        assert_eq!(doc_ids.is_some(), filter == Some("_doc_ids"));
        let asked = ChangesQuery {
            since,
            limit: Some(query["limit"].parse().unwrap()),
            all_leaves: true,
            selector,
            doc_ids,
            ..ChangesQuery::default()
        };
        loop {
            let changed = self.database.changed();
            let page = self.database.changes(&asked).await.unwrap();
            if page.rows.is_empty() && query.get("feed").is_some_and(|feed| feed == "longpoll") {
                let timeout = pin!(self.clock.sleep(25_000));
                if let Either::Left(_) = select(changed, timeout).await {
                    continue;
                }
            }
            let rows: Vec<Value> = page
                .rows
                .iter()
                .map(|row| {
                    let revs: Vec<Value> = row.revs.iter().map(|rev| json!({"rev": rev})).collect();
                    let mut row = json!({"seq": row.seq, "id": row.id, "changes": revs, "deleted": row.deleted});
                    if row["deleted"] == false {
                        row.as_object_mut().unwrap().remove("deleted");
                    }
                    row
                })
                .collect();
            return ok(&json!({"results": rows, "last_seq": page.last_seq, "pending": page.pending}));
        }
    }

    async fn revs_diff(&self, body: &Value) -> (u16, String) {
        let asked: Vec<(String, Vec<String>)> =
            serde_json::from_value::<BTreeMap<String, Vec<String>>>(body.clone()).unwrap().into_iter().collect();
        let rows = self.database.revs_diff(&asked).await.unwrap();
        let rows = rows.into_iter().map(|row| (row.id, json!({"missing": row.missing}))).collect();
        ok(&Value::Object(rows))
    }

    async fn bulk_docs(&self, body: &Value) -> (u16, String) {
        assert_eq!(body["new_edits"], false);
        let texts: Vec<String> = body["docs"].as_array().unwrap().iter().map(Value::to_string).collect();
        if texts.iter().any(|text| text.contains("\"unreadable\"")) {
            return error(400, "bad_request", "a document makes no sense");
        }
        let (refused, taken): (Vec<&String>, Vec<&String>) =
            texts.iter().partition(|text| text.contains("\"forbidden\""));
        let documents: Vec<&[u8]> = taken.into_iter().map(|text| text.as_bytes()).collect();
        let rows = self.database.bulk_docs(&documents, false, &WriteOptions::default()).await.unwrap();
        assert!(rows.iter().all(Result::is_ok));
        let refused = refused.into_iter().map(|text| {
            let document: Value = serde_json::from_str(text).unwrap();
            json!({"id": document["_id"], "error": "forbidden", "reason": "a validator says no"})
        });
        (201, Value::Array(refused.collect()).to_string())
    }

    async fn bulk_get(&self, body: &Value, whole: bool) -> (u16, String) {
        let mut results = Vec::new();
        for asked in body["docs"].as_array().unwrap() {
            let (id, rev) = (asked["id"].as_str().unwrap(), asked["rev"].as_str().unwrap());
            let docs: Vec<Value> = self
                .opened(id, vec![rev.into()], whole)
                .await
                .into_iter()
                .map(|row| match row.get("missing") {
                    Some(rev) => json!({"error": {"id": id, "rev": rev, "error": "not_found", "reason": "missing"}}),
                    None => row,
                })
                .collect();
            results.push(json!({"id": id, "docs": docs}));
        }
        ok(&json!({"results": results}))
    }

    /// The leaves below some revisions, with the data of their attachments if `whole`.
    async fn opened(&self, id: &str, revs: Vec<String>, whole: bool) -> Vec<Value> {
        let get = GetOptions { latest: true, revs: true, attachments: whole, ..GetOptions::default() };
        let rows = self.database.open_revs(id, OpenRevs::These(revs), &get).await.unwrap();
        let row = |row| match row {
            OpenRev::Ok(text) => json!({"ok": serde_json::from_slice::<Value>(&text).unwrap()}),
            OpenRev::Missing(rev) => json!({"missing": rev}),
        };
        rows.into_iter().map(row).collect()
    }
}

fn ok(body: &Value) -> (u16, String) {
    (200, body.to_string())
}

pub fn error(status: u16, error: &str, reason: &str) -> (u16, String) {
    (status, json!({"error": error, "reason": reason}).to_string())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            assert!(first.is_ascii_alphanumeric() || b"-_.~/".contains(first), "not encoded: {text}");
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Counts a request as in flight until its body is read or dropped.
pub struct Flight<'s>(&'s Cell<u64>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

pub struct FakeBody {
    chunks: Vec<Vec<u8>>,
    cut: bool,
}

impl ResponseBody for FakeBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        match self.chunks.pop() {
            Some(chunk) => Ok(Some(chunk)),
            None if self.cut => Err(TransportError::Unreachable("the connection broke".into())),
            None => Ok(None),
        }
    }
}

impl Transport for FakeServer<'_> {
    type Body = FakeBody;

    async fn send(&self, request: Request) -> Result<Response<FakeBody>, TransportError> {
        self.requests.borrow_mut().push(format!("{} {}", request.method.name(), request.path));
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_max.set(self.in_flight_max.get().max(self.in_flight.get()));
        let _flight = Flight(&self.in_flight);
        self.clock.sleep(self.latency_ms.get()).await;
        let faults = self.faults.get();
        if self.happens(faults.lost_requests) {
            return Err(TransportError::Unreachable("the request was lost".into()));
        }
        if self.happens(faults.errors) {
            let status = [429, 500, 503][usize::try_from(self.random.below(3)).unwrap()];
            let body = FakeBody { chunks: vec![b"{\"error\":\"busy\",\"reason\":\"later\"}".to_vec()], cut: false };
            return Ok(Response { status, retry_after_ms: self.retry_after_ms.get(), body });
        }
        let (status, text) = self.answer(&request).await;
        if self.happens(faults.lost_answers) {
            return Err(TransportError::TimedOut);
        }
        let mut text = text.into_bytes();
        let cut = self.happens(faults.cut_bodies);
        if cut {
            text.truncate(usize::try_from(self.random.below(text.len() as u64)).unwrap());
        }
        // Some connections break, others just end early.
        let breaks = cut && self.random.below(2) == 0;
        let middle = text.len() / 2;
        let second = text.split_off(middle);
        Ok(Response { status, retry_after_ms: None, body: FakeBody { chunks: vec![second, text], cut: breaks } })
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
