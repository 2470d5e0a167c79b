//! What a side of a replication remembers of it: read from a document that the other side, or nobody, may have written.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::messages::{SEQUENCE_BYTES_MAX, Sequence, count};
use super::refusals::Refusal;
use crate::database::Ranges;
use crate::json::{self, JsonError};

/// How many sessions are remembered.
pub(super) const HISTORY_MAX: usize = 20;
/// How many bytes an entry of the peer's may have, lest it fill our side with what it likes.
const ENTRY_BYTES_MAX: usize = 4 * SEQUENCE_BYTES_MAX;

/// What one side remembers.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) rev: Option<String>,
    /// Newest first.
    pub(super) entries: Vec<Entry>,
    /// What of our feed came from the peer; our side alone tells.
    pub(super) arrived: Ranges,
    /// What was refused; our side alone tells.
    pub(super) refused: Vec<Refusal>,
}

/// What is remembered of one session.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) session_id: String,
    pub(super) number: u64,
    pub(super) seq: Sequence,
    /// The entry as it was written.
    pub(super) json: String,
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        if text.len() > ENTRY_BYTES_MAX {
            return None;
        }
        let (mut session_id, mut number, mut seq) = (None, 0, None);
        let read = json::read(text.as_bytes(), |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "session_id" => session_id = Some(reader.string()?.into_owned()),
                    "checkpoint_number" => number = count(&reader.value()?).ok_or(JsonError::Missing("a number"))?,
                    "recorded_seq" => seq = Some(Sequence::from_text(reader.cut()?)),
                    _ => reader.pass_over()?,
                }
                Ok(())
            })
        });
        read.ok()?;
        Some(Self { session_id: session_id?, number, seq: seq?, json: text.to_owned() })
    }
}

impl Log {
    /// Reads what a side remembers; what makes no sense counts as absent.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut log = Self::default();
        let mut entries = Vec::new();
        let read = json::read(text, |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "_rev" => log.rev = Some(reader.string()?.into_owned()),
                    "history" => reader.elements(&mut |reader| {
                        entries.push(Entry::read(reader.cut()?));
                        Ok(())
                    })?,
                    "arrived" => reader.elements(&mut |reader| {
                        let range = reader.value()?;
                        let bound = |place| range.as_array().and_then(|range| count(range.get(place)?));
                        if let (Some(first), Some(last)) = (bound(0), bound(1)) {
                            log.arrived.add(first, last);
                        }
                        Ok(())
                    })?,
                    "refused" => reader.elements(&mut |reader| {
                        log.refused.extend(Refusal::read(reader.cut()?));
                        Ok(())
                    })?,
                    _ => reader.pass_over()?,
                }
                Ok(())
            })
        });
        if read.is_err() {
            return Self::default();
        }
        log.entries = entries.into_iter().take(HISTORY_MAX).map_while(|entry| entry).collect();
        log
    }

    /// The newest entry that both sides know, at the lower of its two places, and the entries from there on.
    pub(super) fn agreed(&self, other: &Self) -> Vec<Entry> {
        let known = |entry: &Entry| other.entries.iter().find(|theirs| theirs.session_id == entry.session_id).cloned();
        let both = self.entries.iter().filter_map(|ours| {
            let theirs = known(ours)?;
            Some(if theirs.number < ours.number { theirs } else { ours.clone() })
        });
        both.collect()
    }

    /// Whether `theirs` shows that the peer has all that it had when ours was written.
    pub(super) fn is_confirmed_by(&self, theirs: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.entries.first(), theirs.entries.first()) else { return false };
        ours.session_id == theirs.session_id && ours.number <= theirs.number
    }
}
