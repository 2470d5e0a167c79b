//! The revisions that a local edit grew from and that a peer has: a branch which that peer brings later may grow from them too,
//! and a review needs their bodies then. Compaction leaves these alone.
//!
//! A checkpoint, ours or a peer's, says up to which change a peer has all ([`State::peers`]). A local edit of a document that
//! did not change since takes down the revision that it replaces, for each peer that has it; what was taken down for that peer
//! before makes way. So there is **one such revision for each peer at most**, on each branch, and documents that nobody edits cost nothing.
//!
//! ```text
//! k id 0 rev    -> the peers that had it, 8 bytes each
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::edit::Edit;
use super::state::State;
use crate::document::keys;
use crate::json::{Object, Value};
use crate::revision::Rev;
use crate::storage::{Batch, Cursor, Direction, KeyRange, Snapshot, StorageError};

/// Names a peer: the beginning of a hash of the local document in which its checkpoint is kept.
pub(super) type PeerKey = [u8; 8];

/// What is taken down of one document: a revision, and the peers that had it.
pub(super) type Base = (Rev, Vec<PeerKey>);

/// The peer whose checkpoint the local document `id` is, if it is one, and the change up to which it has all of ours. A checkpoint of
/// changes that came from elsewhere names a sequence of another database, which is none of an epoch that is known here.
pub(super) fn checkpoint_in(id: &str, body: &Object, state: &State) -> Option<(PeerKey, u64)> {
    let token = body.get("source_last_seq").and_then(Value::as_str)?;
    let seq = token.contains('-').then(|| state.resolve(token)).flatten().filter(|seq| *seq > 0)?;
    let hash = Sha256::digest(id);
    Some((*hash.first_chunk()?, seq))
}

/// Takes down what the edit replaced, if a peer has it.
pub(super) async fn stage<S: Snapshot>(
    edit: &Edit,
    snapshot: &S,
    state: &State,
    batch: &mut Batch,
) -> Result<(), StorageError> {
    let Some(stored) = edit.stored.as_ref().filter(|_| !edit.replaced.is_empty()) else { return Ok(()) };
    let knowing = state.peers_that_know(stored.seq);
    if knowing.is_empty() {
        return Ok(());
    }
    for (rev, mut peers) in bases_of(snapshot, &edit.id).await? {
        let before = peers.len();
        peers.retain(|peer| !knowing.contains(peer));
        match peers.len() {
            0 => batch.delete(&keys::base(&edit.id, &rev)),
            after if after < before => batch.put(&keys::base(&edit.id, &rev), peers.as_flattened()),
            _ => {}
        }
    }
    for rev in &edit.replaced {
        batch.put(&keys::base(&edit.id, rev), knowing.as_flattened());
    }
    Ok(())
}

/// What is taken down of the document called `id`.
pub(super) async fn bases_of<S: Snapshot>(snapshot: &S, id: &str) -> Result<Vec<Base>, StorageError> {
    let prefix = keys::bases_of(id);
    let mut records = snapshot.range(KeyRange::prefix(&prefix), Direction::Forward)?;
    let mut bases = Vec::new();
    while records.advance().await? {
        let rev = records.key().get(prefix.len()..).and_then(Rev::decode);
        let (rev, _) = rev.ok_or_else(|| StorageError::Corrupt(String::from("the key of a base")))?;
        bases.push((rev, peers_in(records.value())));
    }
    Ok(bases)
}

/// The peers that a record names.
pub(super) fn peers_in(record: &[u8]) -> Vec<PeerKey> {
    record.as_chunks().0.to_vec()
}
