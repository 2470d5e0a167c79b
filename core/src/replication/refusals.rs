//! Revisions that one side refused: they are passed over, remembered, and offered again later.
//!
//! They are remembered with our side of the checkpoint that passes them over, so that they are known whenever that counts. They
//! are offered again when the next session begins and after credentials were renewed. What is refused again stays; the rest is
//! forgotten, be it that it was taken or that it is here no more.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::messages::Sequence;
use super::status::Denied;
use crate::json::{self, write_string};
use crate::revision::Rev;

/// How many are remembered; of more, the oldest are forgotten.
const REFUSALS_MAX: usize = 1_000;
/// How many bytes their ids may have together.
const BYTES_MAX: usize = 256 << 10;

/// A revision that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    id: String,
    rev: String,
    /// The source's sequence at which it was passed over.
    seq: Sequence,
    /// Whether it is under way again.
    is_offered: bool,
}

impl Refusal {
    /// Reads `["id", "rev", seq]`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let read = json::read(text.as_bytes(), |reader| {
            reader.elements(&mut |reader| {
                parts.push(reader.cut()?);
                Ok(())
            })
        });
        let [id, rev, seq] = parts.as_slice() else { return None };
        let string = |text: &str| json::parse(text.as_bytes()).ok()?.as_str().map(String::from);
        read.ok()?;
        Some(Self { id: string(id)?, rev: string(rev)?, seq: Sequence::from_text(seq), is_offered: false })
    }
}

/// The revisions that were refused and are still of interest.
#[derive(Default)]
pub(super) struct Refusals {
    list: RefCell<Vec<Refusal>>,
    /// How often credentials had been renewed when they were offered last; none if they were not yet.
    offered_at: Cell<Option<u64>>,
    is_changed: Cell<bool>,
}

impl Refusals {
    /// Begins with what is remembered.
    pub(super) fn begin(&self, remembered: Vec<Refusal>) {
        self.list.replace(remembered);
        self.offered_at.set(None);
        self.is_changed.set(false);
    }

    /// What is to be offered now, when credentials have been renewed so often, as (id, revision).
    pub(super) fn due(&self, renewals: u64) -> Vec<(String, String)> {
        if self.offered_at.replace(Some(renewals)) == Some(renewals) {
            return Vec::new();
        }
        let offer = |refusal: &mut Refusal| {
            refusal.is_offered = true;
            (refusal.id.clone(), refusal.rev.clone())
        };
        self.list.borrow_mut().iter_mut().map(offer).collect()
    }

    /// A revision was refused, at `seq`. One that the peer does not have, or of which nothing is known, is not of interest.
    pub(super) fn add(&self, denied: &Denied, seq: &Sequence) {
        let is_known = |rev: &&String| denied.error != "not_found" && Rev::parse(rev).is_ok();
        let Some(rev) = denied.rev.as_ref().filter(is_known) else { return };
        let mut list = self.list.borrow_mut();
        if let Some(same) = list.iter_mut().find(|refusal| refusal.id == denied.id && refusal.rev == *rev) {
            same.is_offered = false;
            return;
        }
        list.push(Refusal { id: denied.id.clone(), rev: rev.clone(), seq: seq.clone(), is_offered: false });
        let mut bytes: usize = list.iter().map(|refusal| refusal.id.len()).sum();
        while list.len() > REFUSALS_MAX || bytes > BYTES_MAX {
            bytes -= list.remove(0).id.len();
        }
        self.is_changed.set(true);
    }

    /// What was offered again has been dealt with.
    pub(super) fn settle(&self) {
        let mut list = self.list.borrow_mut();
        let count = list.len();
        list.retain(|refusal| !refusal.is_offered);
        if list.len() < count {
            self.is_changed.set(true);
        }
    }

    /// Whether they differ from what is remembered.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed.get()
    }

    /// Appends them as JSON: `[["id", "rev", seq], …]`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (place, Refusal { id, rev, seq, .. }) in self.list.borrow().iter().enumerate() {
            out.extend_from_slice(if place > 0 { b",[" } else { b"[" });
            write_string(id, out);
            out.push(b',');
            write_string(rev, out);
            out.push(b',');
            out.extend_from_slice(seq.as_json().as_bytes());
            out.push(b']');
        }
        out.push(b']');
    }

    /// They are remembered as they are now.
    pub(super) fn remembered(&self) {
        self.is_changed.set(false);
    }
}
