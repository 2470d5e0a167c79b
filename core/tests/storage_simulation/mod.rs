//! A disk for blocks that fails on purpose: it dies between two steps, loses what was not synced with the power, refuses
//! steps, and lets futures hang so that they can be dropped midway. Everything follows from a seed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use firkin_core::storage::blocks::{BLOCK_BYTES_MAX, BlockBatch, BlockKey, Blocks};
use firkin_core::storage::{Durability, StorageError};

/// The first seed to run and how many; `FIRKIN_FIRST_SEED` and `FIRKIN_SEEDS` say otherwise than 0 and `usual`.
pub fn seeds(usual: u64) -> (u64, u64) {
    let number = |name, usual| std::env::var(name).map_or(usual, |number| number.parse().unwrap());
    (number("FIRKIN_FIRST_SEED", 0), number("FIRKIN_SEEDS", usual))
}

/// Random numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    /// `true` once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What goes wrong, each once in so many times; 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub crash: u64,
    pub refused_step: u64,
    pub unknown_step: u64,
    pub failed_read: u64,
    pub hang: u64,
}

/// Blocks are shared by all states of a disk: copying them would cost more than all else.
type Disk = BTreeMap<BlockKey, Rc<Vec<u8>>>;

#[derive(Debug)]
struct Step {
    puts: Vec<(BlockKey, Rc<Vec<u8>>)>,
    deletes: Vec<BlockKey>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    faults: Faults,
    is_dead: bool,
    is_undisputed: bool,
    /// What is there as long as the power is.
    current: Disk,
    /// What survives without power for certain.
    synced: Disk,
    unsynced: Vec<Step>,
}

/// Blocks on such a disk. Clones share it.
#[derive(Clone, Debug)]
pub struct FaultyBlocks(Rc<RefCell<State>>);

fn apply(blocks: &mut Disk, step: &Step) {
    for key in &step.deletes {
        blocks.remove(key);
    }
    blocks.extend(step.puts.iter().cloned());
}

impl State {
    fn strikes(&mut self, odds: u64) -> bool {
        odds > 0 && self.dice.once_in(odds)
    }

    fn holds(&self, key: &BlockKey, bytes: &[u8]) -> bool {
        self.current.get(key).is_some_and(|block| block.as_slice() == bytes)
    }

    /// Whether a block is there already that the step calls new.
    fn is_hindered(&self, batch: &BlockBatch) -> bool {
        let exists = |(key, _): &(BlockKey, Vec<u8>)| self.current.contains_key(key);
        batch.are_new && batch.deletes.is_empty() && batch.puts.iter().any(exists)
    }

    /// Whether the step writes new blocks and nothing else.
    fn is_taken_as_new(&self, batch: &BlockBatch) -> bool {
        batch.are_new && batch.deletes.is_empty() && !self.is_hindered(batch)
    }

    fn take(&mut self, batch: &BlockBatch, durability: Durability) {
        let puts = batch.puts.iter().map(|(key, block)| (*key, Rc::new(block.clone()))).collect();
        let step = Step { puts, deletes: batch.deletes.clone() };
        apply(&mut self.current, &step);
        self.unsynced.push(step);
        if durability == Durability::Strict {
            self.unsynced.clear();
            self.synced = self.current.clone();
        }
    }
}

impl FaultyBlocks {
    pub fn new(seed: u64) -> Self {
        let (dice, faults) = (Dice::new(seed), Faults::default());
        let (current, synced, unsynced) = (Disk::new(), Disk::new(), Vec::new());
        Self(Rc::new(RefCell::new(State {
            dice,
            faults,
            is_dead: false,
            is_undisputed: false,
            current,
            synced,
            unsynced,
        })))
    }

    pub fn set_faults(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    /// Whether whoever opens it next is the only one who can write.
    pub fn set_undisputed(&self, is_undisputed: bool) {
        self.0.borrow_mut().is_undisputed = is_undisputed;
    }

    pub fn is_dead(&self) -> bool {
        self.0.borrow().is_dead
    }

    /// Starts the machine again. If the power was lost, so is a suffix of what was not synced.
    pub fn restart(&self, power_lost: bool) {
        let mut state = self.0.borrow_mut();
        if power_lost {
            let steps = state.unsynced.len() as u64;
            let kept = state.dice.below(steps + 1) as usize;
            let mut current = state.synced.clone();
            state.unsynced.iter().take(kept).for_each(|batch| apply(&mut current, batch));
            state.synced = current.clone();
            state.current = current;
            state.unsynced.clear();
        }
        state.is_dead = false;
    }

    /// Runs a future until it is done; `None` if the machine dies, or if the future hangs and `drops_hanging`.
    pub fn drive<T>(&self, drops_hanging: bool, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(output) => return Some(output),
                Poll::Pending if self.is_dead() || drops_hanging => return None,
                Poll::Pending => {}
            }
        }
    }

    async fn maybe_hang(&self) {
        let mut hangs = {
            let mut state = self.0.borrow_mut();
            let odds = state.faults.hang;
            state.strikes(odds)
        };
        poll_fn(|context| {
            if std::mem::take(&mut hangs) {
                // Whoever does not drop it goes on later.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Blocks for FaultyBlocks {
    async fn read(&self, keys: &[BlockKey]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.maybe_hang().await;
        let mut state = self.0.borrow_mut();
        let odds = state.faults.failed_read;
        if state.strikes(odds) {
            return Err(StorageError::Failed("the disk would not read".into()));
        }
        Ok(keys.iter().map(|key| state.current.get(key).map(|block| block.to_vec())).collect())
    }

    async fn keys(&self, first: BlockKey, last: BlockKey) -> Result<Vec<BlockKey>, StorageError> {
        Ok(self.0.borrow().current.range(first..=last).map(|(key, _)| *key).collect())
    }

    fn is_undisputed(&self) -> bool {
        self.0.borrow().is_undisputed
    }

    async fn commit(&self, batch: BlockBatch, durability: Durability) -> Result<(), StorageError> {
        assert!(batch.puts.iter().all(|(_, block)| block.len() <= BLOCK_BYTES_MAX));
        self.maybe_hang().await;
        {
            let mut state = self.0.borrow_mut();
            let faults = state.faults;
            if state.is_dead || state.strikes(faults.crash) {
                let lands = !state.is_dead && state.dice.once_in(2);
                let may_land = batch.guard.as_ref().is_none_or(|(key, bytes)| state.holds(key, bytes));
                if lands && (may_land && !state.is_hindered(&batch) || state.is_taken_as_new(&batch)) {
                    state.take(&batch, Durability::Relaxed);
                }
                state.is_dead = true;
            } else if batch.guard.as_ref().is_some_and(|(key, bytes)| !state.holds(key, bytes)) {
                // A medium may find that out too late.
                if state.is_taken_as_new(&batch) {
                    state.take(&batch, durability);
                }
                return Err(StorageError::Fenced);
            } else if state.is_hindered(&batch) {
                return Err(StorageError::Fenced);
            } else if state.strikes(faults.refused_step) {
                return Err(StorageError::QuotaExceeded);
            } else if state.strikes(faults.unknown_step) {
                if state.dice.once_in(2) {
                    state.take(&batch, durability);
                }
                return Err(StorageError::Closed);
            } else {
                state.take(&batch, durability);
            }
        }
        if self.is_dead() {
            pending::<()>().await;
        }
        self.maybe_hang().await;
        Ok(())
    }
}
