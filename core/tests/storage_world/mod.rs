//! A store on a disk that fails on purpose, beside a list of the states that a map went through.

mod disk;
mod operations;

use std::collections::BTreeSet;

use firkin_core::storage::blocks::{BlockKey, Blocks};
use firkin_core::storage::store::{LogSnapshot, LogStore, StoreOptions};
use firkin_core::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};
use futures_util::future::join_all;

use crate::storage_conformance::{self, Model};
use crate::storage_simulation::{Dice, Faults};
pub use disk::{Disk, open};
use operations::{Operations, change, drawn, to_batch};

const STEPS: usize = 50;

pub struct World<D: Disk> {
    seed: u64,
    dice: Dice,
    disk: D,
    options: StoreOptions,
    faults: Faults,
    store: LogStore<D::Blocks>,
    /// The states that a restart may bring back: the last is the current one, the first the last that is synced.
    states: Vec<Model>,
    snapshots: Vec<(LogSnapshot<D::Blocks>, Model)>,
    /// Snapshots of stores that were taken over.
    stale: Vec<(LogSnapshot<D::Blocks>, Model)>,
    /// Stores that were taken over and do not know it yet.
    rivals: Vec<LogStore<D::Blocks>>,
}

impl<D: Disk> World<D> {
    fn new(seed: u64, disk: D) -> Self {
        let mut dice = Dice::new(seed);
        let mut odds = |from: u64| if dice.once_in(3) { 0 } else { from + dice.below(60) };
        let faults = Faults {
            crash: odds(10),
            refused_step: odds(6),
            unknown_step: odds(30),
            failed_read: odds(8),
            hang: odds(2),
        };
        let mut options = StoreOptions {
            cache_bytes: [0, 40_000, 1_000_000][dice.below(3) as usize],
            memtable_bytes_max: 500 + dice.below(8_000) as usize,
            logged_batch_bytes_max: [300, 3_000, 200_000][dice.below(3) as usize],
            log_blocks_max: 2 + dice.below(20) as usize,
            step_bytes: [1, 1_000, 100_000][dice.below(3) as usize],
            ..StoreOptions::new([0; 16])
        };
        let store = open(&disk, &mut options, Faults::default());
        disk.set_faults(faults);
        Self {
            seed,
            dice,
            disk,
            options,
            faults,
            store,
            states: vec![Model::new()],
            snapshots: Vec::new(),
            stale: Vec::new(),
            rivals: Vec::new(),
        }
    }

    fn model(&self) -> &Model {
        self.states.last().unwrap()
    }

    fn commit(&mut self) {
        let operations = drawn(&mut self.dice);
        let (batch, mut after) = (to_batch(&operations), self.model().clone());
        change(&mut after, &operations);
        let durability = if self.dice.once_in(3) { Durability::Strict } else { Durability::Relaxed };
        let drops = self.dice.once_in(4);
        match self.disk.drive(drops, self.store.commit(batch, durability)) {
            Some(Ok(())) => {
                if durability == Durability::Strict {
                    self.states.clear();
                }
                self.states.push(after);
                self.check_current();
            }
            Some(Err(StorageError::QuotaExceeded | StorageError::Failed(_))) => self.check_current(),
            Some(Err(StorageError::Closed)) => self.expect_closed_then_reopen(after),
            // There was no room for more than to read it, and now there is.
            Some(Err(StorageError::Fenced)) if !self.store.is_owner() => self.reopen([self.model().clone()].into()),
            Some(Err(error)) => panic!("seed {}: {error}", self.seed),
            None if self.disk.is_dead() => self.restart(Some(after)),
            // It was dropped before it came to its own step.
            None if self.is_open() => self.check_current(),
            None => self.expect_closed_then_reopen(after),
        }
    }

    /// Several commits at once, one of them the first to get the writer and the others joined.
    fn commit_at_once(&mut self) {
        let commits: Vec<(Operations, Durability)> = (0..2 + self.dice.below(3))
            .map(|_| {
                let durability = if self.dice.once_in(6) { Durability::Strict } else { Durability::Relaxed };
                (drawn(&mut self.dice), durability)
            })
            .collect();
        let drops = self.dice.once_in(4);
        let all = join_all(
            commits.iter().map(|(operations, durability)| self.store.commit(to_batch(operations), *durability)),
        );
        let outcomes = self.disk.drive(drops, all);
        let is_known = outcomes.as_ref().is_some_and(|outcomes| !outcomes.contains(&Err(StorageError::Closed)));
        let Some(outcomes) = outcomes.filter(|_| is_known) else {
            // Some are there, in their order; those that were refused before are not.
            let mut allowed = vec![self.model().clone()];
            for (operations, _) in &commits {
                for mut state in allowed.clone() {
                    change(&mut state, operations);
                    allowed.push(state);
                }
            }
            if self.disk.is_dead() {
                self.restart_with(allowed);
            } else {
                self.reopen(allowed.clone());
                // They may have been several steps, of which the power can still take some.
                let found = self.states.pop();
                self.states.extend(allowed.into_iter().chain(found));
            }
            return;
        };
        for ((operations, durability), outcome) in commits.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    let mut after = self.model().clone();
                    change(&mut after, operations);
                    if *durability == Durability::Strict {
                        self.states.clear();
                    }
                    self.states.push(after);
                }
                Err(StorageError::QuotaExceeded | StorageError::Failed(_)) => {}
                Err(StorageError::Fenced) if !self.store.is_owner() => {}
                Err(error) => panic!("seed {}: {error}", self.seed),
            }
        }
        // One of them may have merged meanwhile, in a step that ended with an answer that nobody knows.
        if self.is_open() {
            self.check_current();
        } else {
            self.reopen([self.model().clone()].into());
        }
    }

    fn is_open(&self) -> bool {
        self.disk.set_faults(Faults::default());
        // A relaxed one with nothing in it would not reach the disk.
        let committed = pollster::block_on(self.store.commit(Batch::new(), Durability::Strict));
        self.disk.set_faults(self.faults);
        committed.is_ok()
    }

    /// Slices of merging, some of which fail or are dropped midway.
    fn maintain(&mut self) {
        for _ in 0..1 + self.dice.below(6) {
            let (drops, bytes) = (self.dice.once_in(6), 1 + self.dice.below(30_000) as usize);
            match self.disk.drive(drops, self.store.maintain(bytes)) {
                Some(Ok(true)) => {}
                Some(Ok(false) | Err(StorageError::QuotaExceeded | StorageError::Failed(_))) => break,
                Some(Err(StorageError::Closed)) => break,
                Some(Err(StorageError::Fenced)) if !self.store.is_owner() => break,
                Some(Err(error)) => panic!("seed {}: {error}", self.seed),
                None if self.disk.is_dead() => return self.restart(None),
                None => break,
            }
        }
        // Its last step may have been dropped, or ended with an answer that nobody knows.
        if self.is_open() {
            self.check_current();
        } else {
            self.reopen([self.model().clone()].into());
        }
    }

    /// The effect of a commit is unknown: the store takes no other, and a fresh one shows the batch whole or not at all.
    fn expect_closed_then_reopen(&mut self, unknown: Model) {
        let refused = pollster::block_on(self.store.commit(Batch::new(), Durability::Strict));
        let is_refused = refused == Err(StorageError::Closed);
        // One that only reads may have been refused before it came to a step of its own.
        let is_kept_out = refused == Err(StorageError::Fenced) && !self.store.is_owner();
        assert!(is_refused || is_kept_out, "seed {}: {refused:?}", self.seed);
        self.reopen([self.model().clone(), unknown].into());
    }

    fn restart(&mut self, unfinished: Option<Model>) {
        self.restart_with(unfinished.into_iter().collect());
    }

    /// The machine starts again; what was under way may have led to one of the `unfinished` states.
    fn restart_with(&mut self, unfinished: Vec<Model>) {
        let power_lost = self.dice.once_in(2);
        self.disk.restart(power_lost);
        let first = if power_lost { 0 } else { self.states.len() - 1 };
        let allowed: Vec<Model> = self.states[first..].iter().cloned().chain(unfinished).collect();
        self.snapshots.clear();
        self.stale.clear();
        self.rivals.clear();
        let faults = self.faults;
        self.faults.crash = 0;
        self.reopen(allowed.clone());
        self.faults = faults;
        if !power_lost {
            let found = self.states.pop();
            self.states.extend(allowed.into_iter().chain(found));
        }
        if power_lost {
            self.states = vec![self.model().clone()];
        }
        self.disk.set_faults(faults);
    }

    fn reopen(&mut self, allowed: Vec<Model>) {
        self.stale.append(&mut self.snapshots);
        let is_undisputed = self.rivals.is_empty() && self.dice.once_in(2);
        self.disk.set_undisputed(is_undisputed);
        self.store = open(&self.disk, &mut self.options, self.faults);
        let found = self.read_all(&self.store.snapshot().unwrap());
        let same = allowed.iter().rposition(|state| *state == found);
        assert!(same.is_some(), "seed {}: none of the {} states that may be", self.seed, allowed.len());
        self.states.push(found);
    }

    /// Everything in a snapshot, tried again where the disk fails to read.
    fn read_all(&self, snapshot: &LogSnapshot<D::Blocks>) -> Model {
        let mut cursor = snapshot.range(KeyRange::all(), Direction::Forward).unwrap();
        let mut found = Model::new();
        while self.advance(&mut cursor) {
            let before = found.insert(cursor.key().to_vec(), cursor.value().to_vec());
            assert!(before.is_none(), "seed {}: a key came twice", self.seed);
        }
        found
    }

    fn advance(&self, cursor: &mut impl Cursor) -> bool {
        loop {
            match self.disk.drive(true, cursor.advance()) {
                Some(Ok(moved)) => return moved,
                Some(Err(StorageError::Failed(_))) | None => {}
                Some(Err(error)) => panic!("seed {}: {error}", self.seed),
            }
        }
    }

    fn check_current(&mut self) {
        let snapshot = self.store.snapshot().unwrap();
        let model = self.model().clone();
        self.check_some(&snapshot, &model);
        if self.snapshots.len() < 4 && self.dice.once_in(3) {
            self.snapshots.push((snapshot, model));
        }
    }

    /// Some keys, and a walk over some range.
    fn check_some(&mut self, snapshot: &LogSnapshot<D::Blocks>, model: &Model) {
        for _ in 0..3 {
            let key = format!("{}/{}", "path".repeat(self.dice.below(3) as usize), self.dice.below(30)).into_bytes();
            match self.disk.drive(true, snapshot.get(&key)) {
                Some(Ok(found)) => assert_eq!(found.as_ref(), model.get(&key), "seed {}", self.seed),
                Some(Err(StorageError::Failed(_))) | None => {}
                Some(Err(error)) => panic!("seed {}: {error}", self.seed),
            }
        }
        let direction = if self.dice.once_in(2) { Direction::Forward } else { Direction::Backward };
        let range = KeyRange::prefix(["", "/1", "path/", "pathpath/2"][self.dice.below(4) as usize].as_bytes());
        let mut expected: Vec<_> = model.iter().filter(|(key, _)| range.contains(key)).collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        let mut cursor = snapshot.range(range, direction).unwrap();
        for (key, value) in expected {
            assert!(self.advance(&mut cursor), "seed {}: too few entries", self.seed);
            assert!(cursor.key() == key && cursor.value() == value, "seed {}: a wrong entry", self.seed);
        }
        assert!(!self.advance(&mut cursor), "seed {}: too many entries", self.seed);
    }

    fn check_old_snapshot(&mut self) {
        if !self.snapshots.is_empty() {
            let chosen = self.dice.below(self.snapshots.len() as u64) as usize;
            let (snapshot, model) = self.snapshots.swap_remove(chosen);
            self.check_some(&snapshot, &model);
        }
    }

    /// A snapshot of a store that was taken over is right for as long as its blocks are there.
    fn check_stale_snapshots(&mut self) {
        for (snapshot, model) in &self.stale {
            for (key, value) in model {
                match self.disk.drive(true, snapshot.get(key)) {
                    Some(Ok(found)) => assert_eq!(found.as_ref(), Some(value), "seed {}", self.seed),
                    Some(Err(StorageError::Failed(_) | StorageError::Fenced)) | None => {}
                    Some(Err(error)) => panic!("seed {}: {error}", self.seed),
                }
            }
        }
        self.stale.truncate(2);
    }

    /// Another opens the store: the one before may not write any more.
    fn take_over(&mut self) {
        self.stale.append(&mut self.snapshots);
        let faults = self.faults;
        self.faults = Faults::default();
        let state = self.model().clone();
        self.disk.set_undisputed(false);
        let successor = open(&self.disk, &mut self.options, Faults::default());
        self.rivals.push(std::mem::replace(&mut self.store, successor));
        // It may sleep for long before it tries.
        if self.dice.once_in(2) {
            self.rival_writes();
        }
        assert!(self.read_all(&self.store.snapshot().unwrap()) == state, "seed {}", self.seed);
        self.faults = faults;
        self.disk.set_faults(faults);
    }

    /// One of those who had the store before wakes up: nothing that it writes is told to be there, or ever is.
    fn rival_writes(&mut self) {
        let Some(rival) = self.rivals.pop() else { return };
        self.disk.set_faults(Faults::default());
        let mut batch = Batch::new();
        batch.put(b"from", b"the one before");
        let refused = pollster::block_on(rival.commit(batch, Durability::Relaxed));
        // A store whose last step has an unknown end takes no more in any case; nor does one whose machine was off meanwhile.
        let is_refused = matches!(refused, Err(StorageError::Fenced | StorageError::Closed | StorageError::Failed(_)));
        assert!(is_refused, "seed {}: {refused:?}", self.seed);
        self.disk.set_faults(self.faults);
    }

    fn close(&mut self) {
        if self.disk.drive(false, self.store.close()).is_none() {
            return self.restart(None);
        }
        assert!(self.store.snapshot().is_err());
        self.reopen([self.model().clone()].into());
    }
}

/// After quiet days nothing is left of segments that were merged away, given up or never finished.
async fn assert_no_leaks<D: Disk>(mut world: World<D>) {
    world.options.memtable_bytes_max = 500;
    world.stale.clear();
    world.snapshots.clear();
    if !world.store.is_owner() {
        world.store = open(&world.disk, &mut world.options, Faults::default());
    }
    for round in 0..200_u8 {
        let mut batch = Batch::new();
        batch.put(b"filler", &[round; 300]);
        world.store.commit(batch, Durability::Relaxed).await.unwrap();
        while world.store.maintain(10_000).await.unwrap() {}
        if round == 100 {
            world.store.close().await;
            world.store = open(&world.disk, &mut world.options, Faults::default());
        }
    }
    world.store.close().await;
    let (first, last) = (BlockKey::segment(0), BlockKey::segment((1 << 48) - 1));
    let keys = world.store.blocks().keys(first, last).await.unwrap();
    let segments: BTreeSet<u64> = keys.iter().map(|key| key.number() >> 20).collect();
    // Three of each of the two smallest tiers.
    assert!(segments.len() <= 6, "seed {}: segments {segments:?}", world.seed);
}

/// One run on a disk, all of which follows from the seed.
pub fn run(seed: u64, disk: impl Disk) {
    let mut world = World::new(seed, disk);
    for _ in 0..STEPS {
        match world.dice.below(20) {
            0 => world.take_over(),
            1 => world.close(),
            2..4 => world.check_old_snapshot(),
            4 => world.check_stale_snapshots(),
            5 => world.rival_writes(),
            6..9 => world.maintain(),
            9..12 => world.commit_at_once(),
            _ => world.commit(),
        }
    }
    world.disk.set_faults(Faults::default());
    let model = world.model().clone();
    pollster::block_on(async {
        storage_conformance::assert_equals(&world.store.snapshot().unwrap(), &model).await;
        if seed.is_multiple_of(8) {
            assert_no_leaks(world).await;
        }
    });
}
