//! How far something that takes long has come, told to whoever embeds the engine.

use alloc::rc::Rc;
use core::fmt;

/// What takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Reading the log again when a database is opened, in blocks.
    Open,
    /// Making the index anew, in documents.
    Index,
    /// A write of many documents, in documents.
    Write,
    /// A repair: in blocks while they are looked through, and in documents while what follows from them is made anew.
    Repair,
}

impl Task {
    /// Its name outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Index => "index",
            Self::Write => "write",
            Self::Repair => "repair",
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What.
    pub task: Task,
    /// How much of it is done.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
}

/// Who is told; nobody by default.
#[derive(Clone, Default)]
pub struct Listener(Option<Rc<dyn Fn(Progress)>>);

impl Listener {
    /// Has `tell` called with every step. It must not call back into the engine.
    pub fn new(tell: impl Fn(Progress) + 'static) -> Self {
        Self(Some(Rc::new(tell)))
    }

    /// Tells of a step.
    pub fn tell(&self, task: Task, done: u64, total: Option<u64>) {
        if let Some(tell) = &self.0 {
            tell(Progress { task, done, total });
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Listener")
    }
}
