//! One replica: its disk, its user, and its replications with the server, through crashes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use firkin_core::database::{Options as DatabaseOptions, Settling};
use firkin_core::effects::Clock;
use firkin_core::json;
use firkin_core::replication::{
    Control, Effects, Event, Filter, Limits, Options, ReplicationError, Status, pull, push,
};
use futures_util::future::{Either, join, select};

use super::network::{Server, Wire};
use super::{Engine, open, user};
use crate::replication_support::Seeded;
use crate::replication_support::time::SimulatedClock;
use crate::storage_simulation::{Faults, FaultyBlocks};

/// Which documents a replica holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    All,
    /// Those of one kind.
    Kind(&'static str),
    Ids(BTreeSet<String>),
}

impl Part {
    pub fn has(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => id.starts_with(kind),
            Self::Ids(ids) => ids.contains(id),
        }
    }

    fn filter(&self) -> Filter {
        match self {
            Self::All => Filter::Everything,
            Self::Kind(kind) => {
                let selector = format!("{{\"kind\":\"{kind}\"}}");
                Filter::selector(json::parse(selector.as_bytes()).unwrap()).unwrap()
            }
            Self::Ids(ids) => Filter::ids(ids.iter().cloned().collect()),
        }
    }
}

/// Revisions that were acknowledged to the user, by document.
type Known = BTreeMap<String, BTreeSet<String>>;

pub struct Replica<'s> {
    seed: u64,
    pub part: Part,
    /// The version of the policies that close reviews after its pulls, if any do.
    pub version: Option<u64>,
    disk: FaultyBlocks,
    faults: Faults,
    openings: Cell<u128>,
    wire: Wire<'s>,
    clock: Rc<SimulatedClock>,
    random: Seeded,
    /// What must not be gone, whatever happens.
    pub safe: RefCell<Known>,
    /// What a loss of power may take.
    relaxed: RefCell<Known>,
}

impl<'s> Replica<'s> {
    pub fn new(seed: u64, number: u64, part: Part, server: &'s Server) -> Self {
        let random = Seeded::new(seed.wrapping_mul(101) ^ (number + 1));
        let odds = |from: u64| if random.below(2) == 0 { 0 } else { from + random.below(200) };
        let faults = Faults {
            crash: odds(40),
            refused_step: odds(40),
            unknown_step: odds(80),
            failed_read: odds(200),
            hang: odds(3),
        };
        Self {
            seed,
            part,
            version: [None, Some(0), Some(1)][usize::try_from(random.below(3)).unwrap()],
            disk: FaultyBlocks::new(random.next()),
            faults,
            openings: Cell::new(u128::from(seed) << 40 | u128::from(number) << 32),
            wire: Wire::new(server),
            clock: server.clock.clone(),
            random,
            safe: RefCell::default(),
            relaxed: RefCell::default(),
        }
    }

    /// Opens what is on the disk, with its policies.
    pub fn open(&self) -> Engine {
        let database = self.open_without_policies();
        match self.version {
            Some(version) => database.with_policies(user::policies(version)),
            None => database,
        }
    }

    pub fn open_without_policies(&self) -> Engine {
        self.openings.set(self.openings.get() + 1);
        self.disk.set_faults(Faults::default());
        open(&self.disk, self.openings.get(), DatabaseOptions::default())
    }

    /// Works and syncs until `until_ms`, dying now and then.
    pub async fn run(&self, until_ms: u64) {
        while self.clock.now_ms() < until_ms {
            let database = self.open();
            self.disk.set_faults(self.faults);
            let is_killed = {
                let work = pin!(join(self.work(&database, until_ms), self.sync(&database, until_ms)));
                let died = pin!(poll_fn(|_| if self.disk.is_dead() { Poll::Ready(()) } else { Poll::Pending }));
                let killed = pin!(self.clock.sleep(1_000 + self.random.below(40_000)));
                // The disk is looked at after each step of the work.
                matches!(select(work, select(died, killed)).await, Either::Right(_))
            };
            self.disk.set_faults(Faults::default());
            drop(database);
            let loses_power = (is_killed || self.disk.is_dead()) && self.random.below(2) == 0;
            self.disk.restart(loses_power);
            if loses_power {
                self.forget().await;
            }
        }
    }

    /// After a loss of power only that is certain which was strict or is on the server.
    async fn forget(&self) {
        let relaxed = self.relaxed.take();
        for (id, revs) in relaxed {
            let lacking = self.wire.server.lacks(&id, revs.iter().cloned().collect()).await;
            self.safe.borrow_mut().entry(id).or_default().extend(revs.into_iter().filter(|rev| !lacking.contains(rev)));
        }
    }

    /// What was acknowledged and not lost with the power.
    pub fn known(&self) -> Known {
        let mut known = self.safe.borrow().clone();
        for (id, revs) in self.relaxed.borrow().iter() {
            known.entry(id.clone()).or_default().extend(revs.iter().cloned());
        }
        known
    }

    async fn work(&self, database: &Engine, until_ms: u64) {
        while self.clock.now_ms() < until_ms {
            self.clock.sleep(self.random.below(2_000)).await;
            let id = user::any_id(&self.random, &|id| self.part.has(id));
            let (written, is_strict) = user::act(database, &id, &self.random).await;
            let mut known = if is_strict { self.safe.borrow_mut() } else { self.relaxed.borrow_mut() };
            for written in written {
                known.entry(written.id).or_default().insert(written.rev);
            }
        }
    }

    /// One replication after the other, both ways at once, until the storage fails.
    async fn sync(&self, database: &Engine, until_ms: u64) {
        // Where the storage fails, the next opening goes on.
        let _ = Box::pin(database.settle_all(&mut Settling::default())).await;
        while self.clock.now_ms() < until_ms {
            self.clock.sleep(self.random.below(1_000)).await;
            self.wire.is_offline.set(self.random.below(6) == 0);
            let options = self.options(self.random.below(2) == 0, self.random.below(4) > 0);
            let (pulling, pushing) = (Control::new(), Control::new());
            let replicating = join(
                self.replicate(database, &options, &pulling, true),
                self.replicate(database, &options, &pushing, false),
            );
            let stopping = async {
                self.clock.sleep(self.random.below(20_000)).await;
                self.wire.is_offline.set(self.random.below(6) == 0);
                self.clock.sleep(self.random.below(20_000)).await;
                pulling.cancel();
                pushing.cancel();
            };
            let ((pulled, pushed), ()) = join(replicating, stopping).await;
            for ended in [pulled, pushed] {
                if matches!(ended, Err(ReplicationError::Local(_))) {
                    // A store that is closed stays so until it is opened anew.
                    return;
                }
            }
        }
    }

    /// Pulls and pushes once, with nothing in the way; how many revisions moved.
    pub async fn settle(&self, database: &Engine) -> u64 {
        self.wire.is_offline.set(false);
        let options = self.options(false, true);
        let mut moved = 0;
        for pulls in [true, false] {
            let status = self.replicate(database, &options, &Control::new(), pulls).await;
            let status = status.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
            assert_eq!(status.doc_write_failures, 0, "seed {}: {status:?}", self.seed);
            moved += status.docs_written;
        }
        moved
    }

    fn options(&self, live: bool, retry: bool) -> Options {
        let random = &self.random;
        let limits = Limits {
            page_rows: 1 + random.below(12),
            batch_documents: usize::try_from(1 + random.below(6)).unwrap(),
            batch_bytes: 500 << random.below(10),
            batches_in_flight: usize::try_from(1 + random.below(4)).unwrap(),
            inline_bytes: random.below(2_000),
            attachments_in_flight: usize::try_from(1 + random.below(3)).unwrap(),
            answer_bytes_max: 20_000 << random.below(6),
            idle_timeout_ms: 30_000,
            checkpoint_ms: random.below(5_000),
            quiet_ms: random.below(2_000),
            backoff_ms_max: 500 << random.below(4),
            ..Limits::default()
        };
        Options { peer: "server".into(), live, retry, filter: self.part.filter(), limits, ..Options::default() }
    }

    async fn replicate(
        &self,
        database: &Engine,
        options: &Options,
        control: &Control,
        pulls: bool,
    ) -> Result<Status, ReplicationError> {
        // Nothing is refused; but what a server forgot after it told of it cannot be fetched.
        let observer = |event: Event<'_>, _: &Status| {
            if let Event::Denied(denied) = event
                && !self.wire.server.forgets
            {
                panic!("seed {}: {denied:?}", self.seed);
            }
        };
        let random = Seeded::new(self.random.next());
        let effects =
            Effects { transport: &self.wire, clock: &*self.clock, random: &random, observer: &observer, control };
        match pulls {
            true => pull(database, &effects, options).await,
            false => push(database, &effects, options).await,
        }
    }
}
