//! Counters, identity and epochs of a database.
//!
//! A local sequence number is reused when a crash lost the commits that had it. So a sequence is told outside as
//! `number-epoch`: an epoch begins with the first write after each open, and a sequence of an earlier epoch is worth no more
//! than what that epoch is known to have reached. A sequence of an unknown epoch is worth nothing: that costs a reader
//! time, never an edit.
//!
//! ```text
//! state    identity: 16 bytes · last seq: 8 · documents: 8 · deleted documents: 8
//! epochs   each: id: 4 bytes · its first seq: 8
//! peers    each: its name: 8 bytes · the last change that it has: 8; who told last comes last
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::bases::PeerKey;
use crate::document::{Head, keys};
use crate::effects::Random;
use crate::hex::hex;
use crate::index::keyspace;
use crate::storage::{Batch, Cursor, Direction, Durability, KeyRange, Kv, Snapshot, StorageError};

/// How many epochs are remembered.
const EPOCHS_MAX: usize = 1000;

/// No counter goes beyond what every JSON reader holds exactly.
const COUNTER_MAX: u64 = (1 << 53) - 1;

/// How many peers are remembered.
const PEERS_MAX: usize = 64;

/// The record of the epochs.
const EPOCHS: &[u8] = b"mepochs";

/// What is known of the whole database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    identity: [u8; 16],
    /// The number of the latest change.
    pub(super) seq: u64,
    pub(super) doc_count: u64,
    pub(super) doc_del_count: u64,
    epochs: Vec<Epoch>,
    /// Up to which change each peer has all; see [`bases`](super::bases).
    peers: Vec<(PeerKey, u64)>,
    /// The epoch that begins with the next write, if none did since the open.
    next_epoch: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Epoch {
    id: u32,
    first_seq: u64,
}

impl State {
    pub(super) async fn open<K: Kv>(kv: &K, random: &impl Random) -> Result<Self, StorageError> {
        let mut epoch = [0; 4];
        random.fill(&mut epoch);
        let next_epoch = Some(u32::from_be_bytes(epoch));
        let records = [keys::STATE, EPOCHS, keys::REPAIR, keys::RESTORED, keys::PEERS];
        // The index and the reviews are asked next whether they fit: what that takes is read along.
        let read_along = [keyspace::EXCLUDED, keys::OPEN_LISTED];
        let records: Vec<Vec<u8>> = records.into_iter().chain(read_along).map(<[u8]>::to_vec).collect();
        let mut records = kv.snapshot()?.get_many(&records).await?.into_iter();
        let mut next = || records.next().flatten();
        let (stored, epochs, repair, restored, peers) = (next(), next(), next(), next(), next());
        if repair.is_some() {
            return Err(StorageError::Corrupt(String::from("a repair of the database did not come to its end")));
        }
        let mut state = Self { next_epoch, ..Self::default() };
        if let Some(record) = &stored {
            let damaged = || StorageError::Corrupt(String::from("the state of the database"));
            state = Self::decode(record, &epochs.unwrap_or_default(), next_epoch).ok_or_else(damaged)?;
        }
        state.peers = peers.iter().flat_map(|record| record.as_chunks::<16>().0).filter_map(peer).collect();
        if stored.is_none() || restored.is_some() {
            random.fill(&mut state.identity);
            let mut batch = Batch::new();
            batch.put(keys::STATE, &state.encode());
            batch.delete(keys::RESTORED);
            if stored.is_none() {
                // There is nothing yet that could be listed.
                batch.put(keys::OPEN_LISTED, &[]);
            }
            kv.commit(batch, Durability::Relaxed).await?;
        }
        Ok(state)
    }

    /// The state of a database that is being repaired: another replica, which has counted nothing yet, and whose numbers go on
    /// behind those that are known.
    pub(super) async fn anew<K: Kv>(kv: &K, random: &impl Random) -> Result<Self, StorageError> {
        let snapshot = kv.snapshot()?;
        let known = Self::seq_in(&snapshot).await?;
        let mut rows = snapshot.range(KeyRange::prefix(keys::changes()), Direction::Backward)?;
        let latest = if rows.advance().await? { keys::change_seq(rows.key()).unwrap_or(0) } else { 0 };
        let (mut identity, mut epoch) = ([0; 16], [0; 4]);
        random.fill(&mut identity);
        random.fill(&mut epoch);
        let epochs = Vec::from([Epoch { id: u32::from_be_bytes(epoch), first_seq: 0 }]);
        let seq = known.max(latest).min(COUNTER_MAX);
        Ok(Self { identity, seq, epochs, ..Self::default() })
    }

    /// Adds the records of such a database to `batch`. Sequences of earlier epochs are worth nothing any more.
    pub(super) fn stage_anew(&self, batch: &mut Batch) {
        batch.put(EPOCHS, &self.encode_epochs());
        batch.put(keys::STATE, &self.encode());
    }

    /// How many documents there are, as of `snapshot`.
    pub(super) async fn read_doc_count<S: Snapshot>(snapshot: &S) -> Result<u64, StorageError> {
        let record = snapshot.get(keys::STATE).await?.unwrap_or_default();
        Ok(Self::decode(&record, &[], None).map_or(0, |state| state.doc_count))
    }

    /// What `snapshot` counts.
    pub(super) async fn counted_in<S: Snapshot>(snapshot: &S) -> Result<Self, StorageError> {
        let record = snapshot.get(keys::STATE).await?.unwrap_or_default();
        Self::decode(&record, &[], None).ok_or_else(|| StorageError::Corrupt(String::from("the state of the database")))
    }

    /// Counts what another replica counted; `None` for numbers that nobody counts to, and behind which there would be no room.
    pub(super) fn count_as(&mut self, seq: u64, doc_count: u64, doc_del_count: u64) -> Option<()> {
        (self.seq, self.doc_count, self.doc_del_count) = (seq, doc_count, doc_del_count);
        [seq, doc_count, doc_del_count].iter().all(|count| *count <= COUNTER_MAX / 2).then_some(())
    }

    /// The number of the latest change that `snapshot` shows.
    pub(super) async fn seq_in<S: Snapshot>(snapshot: &S) -> Result<u64, StorageError> {
        let record = snapshot.get(keys::STATE).await?.unwrap_or_default();
        Ok(Self::decode(&record, &[], None).map_or(0, |state| state.seq))
    }

    /// Begins an epoch, if none has begun since the open, and adds the records to `batch`.
    pub(super) fn stage(&mut self, first_seq: u64, batch: &mut Batch) {
        if let Some(id) = self.next_epoch.take() {
            // An epoch in which nothing was written leaves no trace.
            self.epochs.retain(|epoch| epoch.first_seq < first_seq);
            let surplus = (self.epochs.len() + 1).saturating_sub(EPOCHS_MAX);
            self.epochs.drain(..surplus);
            self.epochs.push(Epoch { id, first_seq });
            batch.put(EPOCHS, &self.encode_epochs());
        }
        batch.put(keys::STATE, &self.encode());
    }

    /// The count that a document with this head is part of; none if its winner is lost.
    pub(super) fn count_of(&mut self, head: &Head) -> Option<&mut u64> {
        match head.winner() {
            Some(leaf) if leaf.is_alive() => Some(&mut self.doc_count),
            Some(leaf) if leaf.deleted => Some(&mut self.doc_del_count),
            _ => None,
        }
    }

    /// A sequence as it is told outside.
    pub(super) fn token(&self, seq: u64) -> String {
        let epoch = self.epochs.iter().rev().find(|epoch| epoch.first_seq <= seq);
        match epoch {
            Some(epoch) => format!("{seq}-{:08x}", epoch.id),
            None => String::from("0"),
        }
    }

    /// The number after which whoever holds `token` must go on; `None` if it is no sequence.
    pub(super) fn resolve(&self, token: &str) -> Option<u64> {
        let Some((number, epoch)) = token.split_once('-') else {
            return token.parse().ok().map(|number: u64| number.min(self.seq));
        };
        let number: u64 = number.parse().ok()?;
        let id = u32::from_str_radix(epoch, 16).ok()?;
        let Some(place) = self.epochs.iter().position(|epoch| epoch.id == id) else { return Some(0) };
        let reached = self.epochs.get(place + 1).map_or(self.seq, |next| next.first_seq.saturating_sub(1));
        Some(number.min(reached))
    }

    pub(super) fn identity(&self) -> String {
        hex(&self.identity)
    }

    fn encode(&self) -> Vec<u8> {
        let counters = [self.seq, self.doc_count, self.doc_del_count].map(u64::to_be_bytes);
        [self.identity.as_slice(), counters.as_flattened()].concat()
    }

    fn encode_epochs(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(12 * self.epochs.len());
        for epoch in &self.epochs {
            record.extend_from_slice(&epoch.id.to_be_bytes());
            record.extend_from_slice(&epoch.first_seq.to_be_bytes());
        }
        record
    }

    fn decode(record: &[u8], epochs: &[u8], next_epoch: Option<u32>) -> Option<Self> {
        let (identity, rest) = record.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (doc_count, rest) = rest.split_first_chunk()?;
        let (doc_del_count, rest) = rest.split_first_chunk()?;
        let (epochs, surplus) = epochs.as_chunks::<12>();
        if !rest.is_empty() || !surplus.is_empty() {
            return None;
        }
        let epoch = |record: &[u8; 12]| {
            let (id, first_seq) = record.split_first_chunk()?;
            Some(Epoch { id: u32::from_be_bytes(*id), first_seq: u64::from_be_bytes(first_seq.try_into().ok()?) })
        };
        // A store that counted without a pause would not come this far; from here on counting would overflow.
        let counter = |bytes: &[u8; 8]| Some(u64::from_be_bytes(*bytes)).filter(|count| *count <= COUNTER_MAX);
        Some(Self {
            identity: *identity,
            seq: counter(seq)?,
            doc_count: counter(doc_count)?,
            doc_del_count: counter(doc_del_count)?,
            epochs: epochs.iter().map(epoch).collect::<Option<_>>()?,
            peers: Vec::new(),
            next_epoch,
        })
    }

    /// The peers that have all changes up to `seq`.
    pub(super) fn peers_that_know(&self, seq: u64) -> Vec<PeerKey> {
        self.peers.iter().filter(|(_, known)| *known >= seq).map(|(peer, _)| *peer).collect()
    }

    /// Whether all of `peers` have all changes up to `seq`. Of one that is forgotten nothing is waited for.
    pub(super) fn know_all(&self, peers: &[PeerKey], seq: u64) -> bool {
        self.peers.iter().filter(|(peer, _)| peers.contains(peer)).all(|(_, known)| *known >= seq)
    }

    /// Notes that the peer has all changes up to `seq`, and adds the record to `batch`.
    pub(super) fn stage_peer(&mut self, peer: PeerKey, seq: u64, batch: &mut Batch) {
        self.peers.retain(|(known, _)| *known != peer);
        let surplus = (self.peers.len() + 1).saturating_sub(PEERS_MAX);
        self.peers.drain(..surplus);
        self.peers.push((peer, seq));
        let mut record = Vec::with_capacity(16 * self.peers.len());
        for (peer, seq) in &self.peers {
            record.extend_from_slice(peer);
            record.extend_from_slice(&seq.to_be_bytes());
        }
        batch.put(keys::PEERS, &record);
    }
}

/// An entry of the record of peers.
fn peer(record: &[u8; 16]) -> Option<(PeerKey, u64)> {
    let (peer, seq) = record.split_first_chunk()?;
    Some((*peer, u64::from_be_bytes(seq.try_into().ok()?)))
}
