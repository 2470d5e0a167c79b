//! Which changes of the feed came from a peer, so that a push to it need not offer them back.
//!
//! A change came from a peer if all leaves of its document came with it: then the peer has all that the change tells. A change
//! that also tells of a leaf from elsewhere counts as our own. A later change of the same document has another sequence, of
//! which nothing is known here. **To know less than is true costs a question; to know more would lose an edit.**

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::{BulkRow, Database, WriteError, WriteOptions};
use crate::storage::Kv;

/// How many ranges are remembered; of more, the oldest are forgotten.
const RANGES_MAX: usize = 200;

/// Sequence numbers, as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// First and last of each, ascending, with gaps between them.
    ranges: Vec<(u64, u64)>,
}

impl Ranges {
    /// Adds `first..=last`, which begins after all that is there already; else it is passed over.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        match self.ranges.last_mut() {
            Some((_, end)) if *end >= first => {}
            Some((_, end)) if *end + 1 == first => *end = last.max(first),
            _ => self.ranges.push((first, last.max(first))),
        }
        let surplus = self.ranges.len().saturating_sub(RANGES_MAX);
        self.ranges.drain(..surplus);
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= seq);
        after.checked_sub(1).and_then(|place| self.ranges.get(place)).is_some_and(|(_, last)| seq <= *last)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().copied()
    }

    /// The greatest number, 0 if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, last)| *last)
    }
}

/// What one pull brought so far.
#[derive(Debug)]
pub(crate) struct Arrivals {
    peer: String,
    pub(crate) ranges: RefCell<Ranges>,
}

impl<K: Kv> Database<K> {
    /// Begins to note what came from `peer`, with what is known already. What pulls brought that are over is forgotten: the peer
    /// may be another since. Those under way know theirs.
    pub(crate) fn note_arrivals(&self, peer: &str, known: Ranges) -> Rc<Arrivals> {
        self.arrivals.borrow_mut().retain(|noted| noted.peer != peer || Rc::strong_count(noted) > 1);
        let arrivals = Rc::new(Arrivals { peer: peer.into(), ranges: RefCell::new(known) });
        self.arrivals.borrow_mut().push(Rc::clone(&arrivals));
        arrivals
    }

    /// Whether the change came from `peer` by a pull that is noted.
    pub(crate) fn has_arrived(&self, peer: &str, seq: u64) -> bool {
        let arrivals = self.arrivals.borrow();
        arrivals.iter().any(|arrivals| arrivals.peer == peer && arrivals.ranges.borrow().contains(seq))
    }

    /// Adds revisions of a peer as they are, and notes the changes that came from it.
    pub(crate) async fn take_in(&self, documents: &[&[u8]], arrivals: &Arrivals) -> Result<Vec<BulkRow>, WriteError> {
        let (rows, arrived) = self.write_texts(documents, false, &WriteOptions::default()).await?;
        let mut ranges = arrivals.ranges.borrow_mut();
        arrived.iter().for_each(|(first, last)| ranges.add(first, last));
        Ok(rows)
    }
}
