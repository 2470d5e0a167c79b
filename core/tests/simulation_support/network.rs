//! A server whose disk fails and a network that loses, cuts, delays, reorders and repeats, as a seed says.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use event_listener::Event;
use firkin_core::database::Options;
use firkin_core::effects::{Clock, Method, Request, Response, ResponseBody, Transport, TransportError};
use firkin_core::storage::Durability;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use super::{Engine, open};
use crate::replication_support::Seeded;
use crate::replication_support::responder::{self, Answer, error};
use crate::replication_support::time::SimulatedClock;
use crate::storage_simulation::{Faults, FaultyBlocks};

/// What the network does, each as so many requests in a hundred, and how slow it is.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub lost_requests: u64,
    pub lost_answers: u64,
    /// No answer ever comes.
    pub hung: u64,
    pub cut_bodies: u64,
    pub errors: u64,
    /// The request arrives once more, up to some seconds later.
    pub repeated: u64,
    /// The session of the replica ends: 401 until its credentials are renewed.
    pub ended_sessions: u64,
    /// Each way takes up to so long.
    pub latency_ms: u64,
}

impl Weather {
    /// Some of everything, or nothing of some things, as a seed says.
    pub fn any(random: &Seeded) -> Self {
        let percent = |most: u64| if random.below(3) == 0 { 0 } else { random.below(most + 1) };
        Self {
            lost_requests: percent(15),
            lost_answers: percent(15),
            hung: percent(4),
            cut_bodies: percent(15),
            errors: percent(15),
            repeated: percent(30),
            ended_sessions: percent(10),
            latency_ms: 1 + random.below(400),
        }
    }
}

/// The server that all replicas sync with.
pub struct Server {
    disk: FaultyBlocks,
    pub forgets: bool,
    /// `None` while it is down.
    database: RefCell<Option<Rc<Engine>>>,
    crashed: Event,
    openings: Cell<u128>,
    pub clock: Rc<SimulatedClock>,
    random: Seeded,
    pub weather: Cell<Weather>,
    /// A longer request is answered 413.
    pub request_bytes_max: Cell<usize>,
    /// Requests that arrive once more, with the moment.
    repeated: RefCell<Vec<(u64, Request)>>,
    handlers: RefCell<FuturesUnordered<Pin<Box<dyn Future<Output = ()>>>>>,
    faults: Cell<Faults>,
    pub kind: Cell<Kind>,
}

/// What a server can do.
#[derive(Clone, Copy, Default)]
pub struct Kind {
    pub knows_bulk_get: bool,
    /// Whether documents come with the rows of the feed.
    pub gives_documents: bool,
    pub takes_multipart: bool,
}

/// What a request comes to.
#[derive(Default)]
struct Outcome {
    answer: Cell<Option<Result<Answer, TransportError>>>,
    known: Event,
}

impl Outcome {
    fn set(&self, answer: Result<Answer, TransportError>) {
        self.answer.set(Some(answer));
        self.known.notify(usize::MAX);
    }

    async fn get(&self) -> Result<Answer, TransportError> {
        loop {
            let known = self.known.listen();
            if let Some(answer) = self.answer.take() {
                return answer;
            }
            known.await;
        }
    }
}

fn gone() -> TransportError {
    TransportError::Unreachable("the server is down".into())
}

impl Server {
    /// A server; one that `forgets` answers before its disk has synced, and may lose the end of that with the power.
    pub fn new(clock: Rc<SimulatedClock>, seed: u64, forgets: bool) -> Self {
        let disk = FaultyBlocks::new(seed ^ 0x5e1f);
        let server = Self {
            disk,
            forgets,
            database: RefCell::default(),
            crashed: Event::new(),
            openings: Cell::new(u128::from(seed) << 32),
            clock,
            random: Seeded::new(seed ^ 0x5e),
            weather: Cell::default(),
            request_bytes_max: Cell::new(usize::MAX),
            repeated: RefCell::default(),
            handlers: RefCell::default(),
            faults: Cell::default(),
            kind: Cell::default(),
        };
        server.start();
        server
    }

    fn start(&self) {
        self.openings.set(self.openings.get() + 1);
        self.disk.set_faults(Faults::default());
        let durability = if self.forgets { Durability::Relaxed } else { Durability::Strict };
        let options = Options { durability, ..Options::default() };
        let database = open(&self.disk, self.openings.get(), options);
        self.disk.set_faults(self.faults.get());
        self.database.replace(Some(Rc::new(database)));
    }

    /// What its disk does from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.faults.set(faults);
        self.disk.set_faults(faults);
    }

    /// Its database; waits until it is up.
    pub async fn database(&self) -> Rc<Engine> {
        loop {
            if let Some(database) = self.database.borrow().clone() {
                return database;
            }
            self.clock.sleep(50).await;
        }
    }

    /// Which of these revisions it does not have for certain; all of them while it is down.
    pub async fn lacks(&self, id: &str, revs: Vec<String>) -> Vec<String> {
        let Some(database) = self.database.borrow().clone().filter(|_| !self.forgets) else { return revs };
        let rows = database.revs_diff(&[(id.into(), revs)]).await.unwrap();
        rows.into_iter().flat_map(|row| row.missing).collect()
    }

    /// Works: answers what was sent, starts again whenever it died, and lets repeated requests arrive; for ever.
    pub async fn run(&self) {
        loop {
            let mut tick = pin!(self.clock.sleep(20));
            poll_fn(|context| {
                while let Poll::Ready(Some(())) = self.handlers.borrow_mut().poll_next_unpin(context) {}
                tick.as_mut().poll(context)
            })
            .await;
            if self.disk.is_dead() {
                self.stop();
                // Longer than anything is on its way: who wrote to it before hears of that.
                self.clock.sleep(1_000 + self.random.below(3_000)).await;
                self.disk.restart(self.random.below(2) == 0);
                self.start();
            }
            let now_ms = self.clock.now_ms();
            let (arrived, later) = self.repeated.take().into_iter().partition(|(at_ms, _)| *at_ms <= now_ms);
            self.repeated.replace(later);
            for (_, request) in arrived {
                // Nobody hears the answer.
                drop(self.receive(request));
            }
        }
    }

    /// What was on its way is lost: it must not vouch for what a server forgot.
    fn stop(&self) {
        self.database.replace(None);
        self.repeated.borrow_mut().clear();
        self.crashed.notify(usize::MAX);
    }

    /// Begins to answer a request; it is carried out whether or not anybody waits for that.
    fn receive(&self, mut request: Request) -> Rc<Outcome> {
        let outcome = Rc::new(Outcome::default());
        if !self.kind.get().gives_documents {
            request.path = request.path.replace("&include_docs=true", "");
        }
        if !self.kind.get().takes_multipart && request.upload.is_some() {
            outcome.set(Ok(error(415, "bad_content_type", "Content-Type must be application/json")));
            return outcome;
        }
        if !self.kind.get().knows_bulk_get && request.path.starts_with("_bulk_get") {
            outcome.set(Ok(error(405, "method_not_allowed", "Only GET,HEAD,PUT,DELETE,COPY allowed")));
            return outcome;
        }
        let Some(database) = self.database.borrow().clone() else {
            outcome.set(Err(gone()));
            return outcome;
        };
        let (told, clock, disk, crashed) =
            (outcome.clone(), self.clock.clone(), self.disk.clone(), self.crashed.listen());
        if request.path.is_empty() {
            let info = format!("{{\"db_name\":\"server\",\"instance_start_time\":\"{}\"}}", self.openings.get());
            outcome.set(Ok((200, info.into_bytes())));
            return outcome;
        }
        self.handlers.borrow().push(Box::pin(async move {
            let answering = pin!(responder::answer(&*database, &*clock, &request));
            let died = pin!(poll_fn(|_| if disk.is_dead() { Poll::Ready(()) } else { Poll::Pending }));
            told.set(match select(answering, select(crashed, died)).await {
                Either::Left((answer, _)) => Ok(answer),
                Either::Right(_) => Err(gone()),
            });
        }));
        outcome
    }

    fn happens(&self, percent: u64) -> bool {
        percent > 0 && self.random.below(100) < percent
    }

    /// How long something takes at most `most_ms` long.
    async fn some_time(&self, most_ms: u64) {
        self.clock.sleep(self.random.below(most_ms + 1)).await;
    }
}

/// One replica's way to the server.
pub struct Wire<'s> {
    pub server: &'s Server,
    /// Nothing gets through.
    pub is_offline: Cell<bool>,
    session_ended: Cell<bool>,
}

impl<'s> Wire<'s> {
    pub fn new(server: &'s Server) -> Self {
        Self { server, is_offline: Cell::new(false), session_ended: Cell::new(false) }
    }

    /// An answer that is not the truth, or nothing if there is none this time.
    fn excuse(&self, request: &Request, weather: &Weather) -> Option<(Answer, Option<u64>)> {
        let server = self.server;
        if server.happens(weather.ended_sessions) {
            self.session_ended.set(true);
        }
        if self.session_ended.get() {
            return Some((error(401, "unauthorized", "the session has ended"), None));
        }
        if server.happens(weather.errors) {
            let status = [429, 500, 503, 504][usize::try_from(server.random.below(4)).unwrap()];
            let retry_after_ms = (server.random.below(3) == 0).then(|| server.random.below(4_000));
            return Some((error(status, "busy", "later"), retry_after_ms));
        }
        let length = request.body.as_ref().map_or(0, Vec::len);
        let length = request.upload.as_ref().map_or(length, |upload| upload.length() as usize);
        if length > server.request_bytes_max.get() {
            return Some((error(413, "too_large", "the request entity is too large"), None));
        }
        None
    }
}

pub struct Body {
    chunks: Vec<Vec<u8>>,
    breaks: bool,
}

impl ResponseBody for Body {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        match self.chunks.pop() {
            Some(chunk) => Ok(Some(chunk)),
            None if self.breaks => Err(TransportError::Unreachable("the connection broke".into())),
            None => Ok(None),
        }
    }
}

impl Transport for Wire<'_> {
    type Body = Body;

    async fn send(&self, request: Request) -> Result<Response<Body>, TransportError> {
        let server = self.server;
        let weather = server.weather.get();
        server.some_time(weather.latency_ms).await;
        if self.is_offline.get() || server.happens(weather.lost_requests) {
            return Err(TransportError::Unreachable("the request was lost".into()));
        }
        if server.happens(weather.hung) {
            server.clock.sleep(request.idle_timeout_ms).await;
            return Err(TransportError::TimedOut);
        }
        let is_repeated = server.happens(weather.repeated) && server.database.borrow().is_some();
        if request.method != Method::Get && !request.path.contains("longpoll") && is_repeated {
            let at_ms = server.clock.now_ms() + server.random.below(5_000);
            server.repeated.borrow_mut().push((at_ms, request.clone()));
        }
        let ((status, mut text), retry_after_ms) = match self.excuse(&request, &weather) {
            Some(excuse) => excuse,
            None => (server.receive(request).get().await?, None),
        };
        server.some_time(weather.latency_ms).await;
        if self.is_offline.get() || server.happens(weather.lost_answers) {
            return Err(TransportError::Unreachable("the answer was lost".into()));
        }
        let is_cut = !text.is_empty() && server.happens(weather.cut_bodies);
        if is_cut {
            text.truncate(usize::try_from(server.random.below(text.len() as u64)).unwrap());
        }
        // Some connections break, others just end early.
        let breaks = is_cut && server.random.below(2) == 0;
        let second = text.split_off(text.len() / 2);
        Ok(Response { status, retry_after_ms, body: Body { chunks: vec![second, text], breaks } })
    }

    async fn renew_credentials(&self) -> bool {
        self.server.some_time(500).await;
        self.session_ended.set(false);
        true
    }
}
