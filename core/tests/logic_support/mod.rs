//! A double of an app's rules, and databases that have them.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use firkin_core::database::{Database, Options};
use firkin_core::logic::{Logic, LogicError, Proposal, Verdict};
use firkin_core::storage::memory::MemoryKv;
use futures_util::future::{LocalBoxFuture, ready};
use pollster::block_on;
use serde_json::{Value, json};

use crate::common::Seeded;

pub type Memory = Database<MemoryKv>;

/// What was shown: the new document, the old one or `null`, and whether it came from a replica.
pub type Seen = (Value, Value, bool);

/// A double of the app's rules that keeps what it was shown, call by call. Documents say what is to become of them:
///
/// - `no`, a string: refused with it, in the name of `who` if there is that;
/// - `stamp`, a number: stored with that number plus one as `stamped`;
/// - `rename`, `break`: shaped into what must not be stored.
#[derive(Default)]
pub struct Rules {
    calls: RefCell<Vec<Vec<Seen>>>,
    /// How it fails, from now on.
    pub failure: RefCell<Option<LogicError>>,
    /// A document of this id takes too long.
    pub slow: Cell<Option<&'static str>>,
}

pub fn judge(new: &Value, replicated: bool) -> Verdict {
    let mut shaped = new.clone();
    match new {
        new if new["no"].is_string() => {
            let reason = new["no"].as_str().unwrap().to_owned();
            if new["who"].is_null() { Verdict::Forbidden(reason) } else { Verdict::Unauthorized(reason) }
        }
        new if new["break"].is_string() => Verdict::Shape(new["break"].as_str().unwrap().as_bytes().to_vec()),
        _ if replicated => Verdict::Accept,
        new if new["stamp"].is_number() => {
            shaped["stamped"] = json!(new["stamp"].as_f64().unwrap() + 1.0);
            Verdict::Shape(shaped.to_string().into_bytes())
        }
        new if new["rename"].is_string() => {
            shaped["_id"] = new["rename"].clone();
            Verdict::Shape(shaped.to_string().into_bytes())
        }
        _ => Verdict::Accept,
    }
}

impl Logic for Rules {
    fn judge(&self, proposals: Vec<Proposal>) -> LocalBoxFuture<'_, Result<Vec<Verdict>, LogicError>> {
        let parse = |text: &[u8]| -> Value { serde_json::from_slice(text).unwrap() };
        let seen: Vec<Seen> = proposals
            .iter()
            .map(|proposal| {
                let old = proposal.old.as_deref().map_or(Value::Null, parse);
                (parse(&proposal.new), old, proposal.replicated)
            })
            .collect();
        let is_slow = seen.iter().any(|(new, ..)| self.slow.get().is_some_and(|slow| new["_id"] == slow));
        let outcome = match self.failure.borrow().clone() {
            Some(failure) => Err(failure),
            None if is_slow => Err(LogicError::TooSlow("for 5,000 ms".into())),
            None => Ok(seen.iter().map(|(new, _, replicated)| judge(new, *replicated)).collect()),
        };
        self.calls.borrow_mut().push(seen);
        Box::pin(ready(outcome))
    }
}

impl Rules {
    /// What the calls so far were shown; they are forgotten.
    pub fn take(&self) -> Vec<Vec<Seen>> {
        self.calls.take()
    }

    /// What the only call was shown.
    pub fn only(&self) -> Vec<Seen> {
        let mut calls = self.take();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.pop().unwrap()
    }
}

pub fn open_plain(seed: u64) -> Memory {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(seed), Options::default())).unwrap()
}

pub fn open() -> (Memory, Rc<Rules>) {
    let rules = Rc::new(Rules::default());
    (open_plain(7).with_logic(rules.clone()), rules)
}
