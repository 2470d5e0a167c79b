//! A disk with files that fails on purpose: it dies in the middle of a write, loses with the power what was not flushed, sector
//! by sector, refuses to write, and lets another take over between any two operations. Everything follows from a seed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use firkin_core::storage::StorageError;
use firkin_core::storage::files::{File, FileBlocks, Files, Lane, Limits};

use crate::storage_simulation::{Dice, Faults};

/// What the power cannot tear.
const SECTOR_BYTES: usize = 512;

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug, Default)]
struct Content {
    /// What is there as long as the power is.
    current: Vec<u8>,
    /// What survives without power for certain.
    flushed: Vec<u8>,
    unflushed: Vec<Change>,
}

fn apply(content: &mut Vec<u8>, change: &Change, mut keeps: impl FnMut() -> bool) {
    match change {
        Change::Truncate(bytes) => content.truncate(*bytes),
        Change::Write(offset, bytes) => {
            let mut position = 0;
            while position < bytes.len() {
                let begin = offset + position;
                let end = bytes.len().min(position + SECTOR_BYTES - begin % SECTOR_BYTES);
                if keeps() {
                    content.resize(content.len().max(offset + end), 0);
                    content[begin..offset + end].copy_from_slice(&bytes[position..end]);
                }
                position = end;
            }
        }
    }
}

/// What another does between two operations of someone.
type Interruption = Box<dyn FnOnce()>;

struct State {
    dice: RefCell<Dice>,
    faults: Cell<Faults>,
    is_dead: Cell<bool>,
    /// How often the machine was started. Who held files before holds them no more.
    starts: Cell<u64>,
    files: RefCell<BTreeMap<String, Content>>,
    /// The owners of lanes.
    owners: RefCell<Vec<Weak<()>>>,
    operations: Cell<u64>,
    writes: Cell<u64>,
    interruption: RefCell<Option<(u64, Interruption)>>,
}

/// Files on such a disk. Clones share it.
#[derive(Clone)]
pub struct FaultyFiles {
    state: Rc<State>,
    limits: Limits,
}

impl FaultyFiles {
    pub fn new(seed: u64, limits: Limits) -> Self {
        let state = State {
            dice: Dice::new(seed).into(),
            faults: Cell::default(),
            is_dead: false.into(),
            starts: 0.into(),
            files: RefCell::default(),
            owners: RefCell::default(),
            operations: 0.into(),
            writes: 0.into(),
            interruption: RefCell::default(),
        };
        Self { state: Rc::new(state), limits }
    }

    /// Files for another opening: all lanes that there are, of which those are its own that nobody has.
    pub fn files(&self) -> Files<FaultyFile> {
        let mut owners = self.state.owners.borrow_mut();
        if owners.iter().all(|owner| owner.strong_count() > 0) {
            owners.push(Weak::new());
        }
        let token = Rc::new(());
        let file = |name: String| FaultyFile {
            name,
            state: Rc::clone(&self.state),
            starts: self.state.starts.get(),
            _owner: Rc::clone(&token),
        };
        let lane = |(number, owner): (usize, &mut Weak<()>)| {
            let is_own = owner.strong_count() == 0;
            if is_own {
                *owner = Rc::downgrade(&token);
            }
            let [one, other, data] = ["one", "other", "data"].map(|name| file(format!("{number}.{name}")));
            Lane { journals: [one, other], data, is_own }
        };
        Files { lanes: owners.iter_mut().enumerate().map(lane).collect(), fence: file("fence".into()) }
    }

    pub fn connect(&self) -> Result<FileBlocks<FaultyFile>, StorageError> {
        FileBlocks::open(self.files(), self.limits)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state.faults.set(faults);
    }

    pub fn is_dead(&self) -> bool {
        self.state.is_dead.get()
    }

    /// Starts the machine again. If the power was lost, so is any of the sectors that were not flushed.
    pub fn restart(&self, power_lost: bool) {
        let state = &self.state;
        let mut dice = state.dice.borrow_mut();
        for content in state.files.borrow_mut().values_mut().filter(|_| power_lost) {
            let mut left = std::mem::take(&mut content.flushed);
            let odds = 1 + dice.below(20);
            for change in content.unflushed.drain(..) {
                apply(&mut left, &change, || !dice.once_in(odds));
            }
            content.current.clone_from(&left);
            content.flushed = left;
        }
        state.is_dead.set(false);
        state.starts.set(state.starts.get() + 1);
        state.owners.borrow_mut().iter_mut().for_each(|owner| *owner = Weak::new());
    }

    /// Runs a future to its end; `None` if the machine dies.
    pub fn drive<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                _ if self.is_dead() => return None,
                Poll::Ready(output) => return Some(output),
                Poll::Pending => {}
            }
        }
    }

    /// How many operations there were on any file.
    pub fn operations(&self) -> u64 {
        self.state.operations.get()
    }

    /// How many of them wrote.
    pub fn writes(&self) -> u64 {
        self.state.writes.get()
    }

    /// Has `interruption` happen before the operation with this number.
    pub fn interrupt(&self, operation: u64, interruption: impl FnOnce() + 'static) {
        self.state.interruption.replace(Some((operation, Box::new(interruption))));
    }

    /// Damages what is there.
    pub fn damage(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.state.files.borrow_mut();
        let content = files.entry(name.into()).or_default();
        damage(&mut content.current);
        content.flushed.clone_from(&content.current);
        content.unflushed.clear();
    }

    /// What a file holds.
    pub fn content(&self, name: &str) -> Vec<u8> {
        self.state.files.borrow().get(name).map(|content| content.current.clone()).unwrap_or_default()
    }

    /// How many bytes all files hold.
    pub fn bytes(&self) -> usize {
        self.state.files.borrow().values().map(|content| content.current.len()).sum()
    }
}

/// A file as one opening has it.
pub struct FaultyFile {
    name: String,
    state: Rc<State>,
    starts: u64,
    _owner: Rc<()>,
}

fn gone() -> StorageError {
    StorageError::Failed("the machine is off".into())
}

impl FaultyFile {
    fn operation<T>(
        &self,
        odds: impl FnOnce(&Faults) -> u64,
        kills: bool,
        work: impl FnOnce(&mut Content, bool) -> T,
        error: StorageError,
    ) -> Result<T, StorageError> {
        let state = &self.state;
        let number = state.operations.replace(state.operations.get() + 1);
        let interruption = state.interruption.take();
        match interruption {
            Some((at, interruption)) if at == number => interruption(),
            other => drop(state.interruption.replace(other)),
        }
        if state.is_dead.get() || self.starts != state.starts.get() {
            return Err(gone());
        }
        let faults = state.faults.get();
        let strikes = |odds: u64| odds > 0 && state.dice.borrow_mut().once_in(odds);
        let (dies, fails) = (kills && strikes(faults.crash * 4), strikes(odds(&faults)));
        let mut files = state.files.borrow_mut();
        if !files.contains_key(&self.name) {
            files.insert(self.name.clone(), Content::default());
        }
        let done = work(files.get_mut(&self.name).unwrap(), dies || fails);
        state.is_dead.set(dies);
        match (dies, fails) {
            (true, _) => Err(gone()),
            (false, true) => Err(error),
            (false, false) => Ok(done),
        }
    }

    fn change(&self, change: Change) -> Result<(), StorageError> {
        // A write that fails may be there whole all the same.
        let part = self.state.dice.borrow_mut().below(2_000).min(1_000) as usize;
        self.operation(
            |faults| faults.refused_step * 2,
            true,
            |content, fails| {
                let change = match change {
                    Change::Write(offset, mut bytes) if fails => {
                        bytes.truncate(bytes.len() * part / 1_000);
                        Change::Write(offset, bytes)
                    }
                    change => change,
                };
                apply(&mut content.current, &change, || true);
                content.unflushed.push(change);
            },
            StorageError::QuotaExceeded,
        )
    }
}

impl File for FaultyFile {
    fn bytes(&self) -> Result<u64, StorageError> {
        self.operation(|_| 0, false, |content, _| content.current.len() as u64, gone())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StorageError> {
        let read = |content: &mut Content, _| {
            let there = content.current.get(offset as usize..).unwrap_or_default();
            let bytes = there.len().min(into.len());
            into[..bytes].copy_from_slice(&there[..bytes]);
            bytes
        };
        let error = StorageError::Failed("the disk would not read".into());
        self.operation(|faults| faults.failed_read * 4, false, read, error)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.state.writes.set(self.state.writes.get() + 1);
        self.change(Change::Write(offset as usize, bytes.to_vec()))
    }

    fn truncate(&self, bytes: u64) -> Result<(), StorageError> {
        self.change(Change::Truncate(bytes as usize))
    }

    fn flush(&self) -> Result<(), StorageError> {
        let flush = |content: &mut Content, fails: bool| {
            if !fails {
                content.flushed.clone_from(&content.current);
                content.unflushed.clear();
            }
        };
        let error = StorageError::Failed("the disk would not flush".into());
        self.operation(|faults| faults.unknown_step, true, flush, error)
    }
}
