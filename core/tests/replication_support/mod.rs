//! What the tests of replication share: a simulated world in one thread, and a double of a server.
//!
//! Time is simulated: it moves only when nothing else can. [`FakeServer`] answers the endpoints of the protocol from a
//! database of the engine, and does so late, wrongly or not at all, as a seed says. It is a double for injecting faults;
//! real servers are met in the end-to-end tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod responder;
pub mod server;
pub mod time;

use std::cell::Cell;
use std::collections::BTreeMap;

use firkin_core::database::{
    ChangesQuery, Database, GetOptions, OpenRev, OpenRevs, Options as DatabaseOptions, WriteOptions,
};
use firkin_core::effects::Random;
use firkin_core::replication::{
    Control, Effects, Event, Options, ReplicationError, Status, pull, pull_from_snapshot, push,
};
use firkin_core::storage::Kv;
use firkin_core::storage::blocks::Blocks;
use firkin_core::storage::memory::MemoryKv;
use firkin_core::storage::store::LogStore;
use serde_json::Value;
use server::FakeServer;
use time::SimulatedClock;

/// A seeded generator (SplitMix64).
pub struct Seeded(pub Cell<u64>);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

pub type Memory = Database<MemoryKv>;

pub async fn database(seed: u64) -> Memory {
    Database::open(MemoryKv::new(), &Seeded::new(seed), DatabaseOptions::default()).await.unwrap()
}

pub async fn put<K: Kv>(database: &Database<K>, document: &str) -> String {
    database.put(document.as_bytes(), &WriteOptions::default()).await.unwrap().rev
}

/// The winning revision, with its conflicts.
pub async fn get<K: Kv>(database: &Database<K>, id: &str) -> Value {
    let options = GetOptions { conflicts: true, ..GetOptions::default() };
    serde_json::from_slice(&database.get(id, &options).await.unwrap()).unwrap()
}

/// Every leaf of every document with its whole path and body, the winner first: what two replicas must agree on.
pub async fn content<K: Kv>(database: &Database<K>) -> BTreeMap<String, Vec<Value>> {
    let query = ChangesQuery { all_leaves: true, ..ChangesQuery::default() };
    let mut content = BTreeMap::new();
    for row in database.changes(&query).await.unwrap().rows {
        let mut leaves = Vec::new();
        for rev in row.revs {
            let get = GetOptions { revs: true, attachments: true, ..GetOptions::default() };
            let opened = database.open_revs(&row.id, OpenRevs::These(vec![rev.clone()]), &get).await.unwrap();
            let [OpenRev::Ok(text)] = opened.as_slice() else { panic!("the leaf {rev} of {} has no body", row.id) };
            leaves.push(serde_json::from_slice(text).unwrap());
        }
        content.insert(row.id, leaves);
    }
    content
}

/// Something that a replication told, without its borrows.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Active,
    Paused,
    BackingOff(u64),
    Change(u64),
    Denied(String, String),
    Checkpoint,
}

/// `None` for a number that changed, which says nothing about what is going on.
pub fn told(event: Event<'_>) -> Option<Told> {
    Some(match event {
        Event::Active => Told::Active,
        Event::Paused => Told::Paused,
        Event::BackingOff { delay_ms } => Told::BackingOff(delay_ms),
        Event::Change { documents } => Told::Change(documents),
        Event::Denied(denied) => Told::Denied(denied.id.clone(), denied.error.clone()),
        Event::Checkpoint => Told::Checkpoint,
        Event::Waiting => return None,
    })
}

/// One replica's side of replications with a server: its seed names its sessions.
pub struct Client<'a, K: Kv = MemoryKv> {
    pub database: &'a Database<K>,
    pub clock: &'a SimulatedClock,
    pub random: Seeded,
    pub control: Control,
    pub told: std::cell::RefCell<Vec<Told>>,
    /// How many changes waited when something was told last.
    pub pending: Cell<Option<u64>>,
}

impl<B: Blocks + 'static> Client<'_, LogStore<B>> {
    pub async fn pull_from_snapshot(
        &self,
        server: &FakeServer<'_>,
        options: &Options,
    ) -> Result<Status, ReplicationError> {
        self.run(server, async |effects| Box::pin(pull_from_snapshot(self.database, effects, options)).await).await
    }
}

impl<'a, K: Kv<Snapshot: 'static>> Client<'a, K> {
    pub fn new(database: &'a Database<K>, clock: &'a SimulatedClock, seed: u64) -> Self {
        let told = std::cell::RefCell::default();
        let (random, control, pending) = (Seeded::new(seed), Control::new(), Cell::new(None));
        Self { database, clock, random, control, told, pending }
    }

    pub async fn pull(&self, server: &FakeServer<'_>, options: &Options) -> Result<Status, ReplicationError> {
        // In a debug build a pull over a store in blocks is too large for the stack of a test's thread.
        self.run(server, async |effects| Box::pin(pull(self.database, effects, options)).await).await
    }

    pub async fn push(&self, server: &FakeServer<'_>, options: &Options) -> Result<Status, ReplicationError> {
        self.run(server, async |effects| Box::pin(push(self.database, effects, options)).await).await
    }

    async fn run<'s, 'd: 's>(
        &self,
        server: &'s FakeServer<'d>,
        replicate: impl AsyncFn(
            &Effects<'_, FakeServer<'d>, SimulatedClock, Seeded, &dyn Fn(Event<'_>, &Status)>,
        ) -> Result<Status, ReplicationError>,
    ) -> Result<Status, ReplicationError> {
        let observer: &dyn Fn(Event<'_>, &Status) = &|event, status| {
            self.pending.set(status.pending);
            self.told.borrow_mut().extend(told(event));
        };
        let effects = Effects {
            transport: server,
            clock: self.clock,
            random: &self.random,
            observer: &observer,
            control: &self.control,
        };
        replicate(&effects).await
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }
}

/// Options for a server that is called `name`.
pub fn options(name: &str) -> Options {
    Options { peer: name.into(), ..Options::default() }
}
