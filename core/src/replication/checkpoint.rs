//! Checkpoints: up to where a replication has come, written down on both sides.
//!
//! Both sides keep the same document under `_local/{replication id}`, with one history entry for each session, as the
//! protocol has it. A later session begins at the newest entry that both sides know. Where they disagree within it (one was
//! written and the other was not, or one side was set back to a backup) the lower one counts, which an ascending
//! `checkpoint_number` tells, since sequences themselves cannot be compared. **A checkpoint that is lost or does not match
//! costs time, never data.** What a peer writes here is data from outside: what cannot be read counts as absent.
//!
//! Before a session writes a checkpoint it looks whether the peer is the same database, by what it tells of itself, and whether
//! it still remembers the checkpoint before. A peer that does not was set back or made anew meanwhile, and may lack what this
//! session brought it: the session begins again. Our side's document also keeps what was refused, and which changes came from
//! the peer ([`Arrivals`]).

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::ReplicationError;
use super::log::{Entry, HISTORY_MAX, Log};
use super::messages::{Sequence, string};
use super::options::{Filter, Options};
use super::peer::{Peer, Reply};
use super::refusals::Refusals;
use super::status::{Event, Observer, Status};
use crate::database::{Arrivals, Database, GetOptions, Ranges};
use crate::effects::{Clock, Method, Random, Transport};
use crate::hex::hex;
use crate::json::{self, write_string};
use crate::storage::Kv;

/// How often a checkpoint is tried to be written: it can be left undone.
const ATTEMPTS_MAX: u32 = 3;
/// Within so many milliseconds no peer becomes another unnoticed.
const LOOK_MS: u64 = 1_000;
/// How often in a row a replication begins again because the peer does not remember: some never do.
const BEGINNINGS_MAX: u32 = 3;

/// Which way documents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Pull,
    Push,
    /// The part of a pull that looks for documents that no longer match.
    Drop,
}

/// The name under which both sides keep the checkpoint: it differs with everything on which the meaning of a sequence
/// depends.
fn replication_id(identity: &str, peer: &str, direction: Direction, filter: &Filter) -> String {
    let mut text = b"[".to_vec();
    let direction = match direction {
        Direction::Pull => "pull",
        Direction::Push => "push",
        Direction::Drop => "drop",
    };
    for part in [identity, peer, direction] {
        write_string(part, &mut text);
        text.push(b',');
    }
    filter.fingerprint(&mut text);
    text.push(b']');
    hex(&Sha256::digest(&text))
}

/// The checkpoints of one running replication.
pub(super) struct Checkpoints<'a, K: Kv> {
    database: &'a Database<K>,
    /// `_local/{replication id}`
    id: String,
    peer_rev: Option<String>,
    session_id: String,
    started_ms: u64,
    started_at: Sequence,
    /// The entries of earlier sessions that both sides know.
    history: Vec<Entry>,
    /// What a pull brought, or a push need not offer back.
    arrivals: Rc<Arrivals>,
    number: u64,
    /// The number of the latest checkpoint that the peer took, 0 if there was none.
    written: u64,
    done: Sequence,
    saved: Sequence,
    saved_ms: u64,
    /// When it was looked last whether the peer is the same.
    looked_ms: u64,
}

impl<'a, K: Kv> Checkpoints<'a, K> {
    /// Reads what both sides remember and finds where to begin.
    pub(super) async fn load<T: Transport, C: Clock, R: Random, O: Observer>(
        database: &'a Database<K>,
        peer: &Peer<'_, T, C, R, O>,
        direction: Direction,
    ) -> Result<Self, ReplicationError> {
        let options = peer.options;
        let identity = database.info().await.map_err(|error| ReplicationError::Local(error.report()))?.identity;
        let id = document_id(&identity, options, direction);
        let mut ours = read_own(database, &id).await?;
        let theirs = read_peer(peer, &id, u32::MAX).await?;
        let history = ours.agreed(&theirs);
        let agreed = history.first().map_or_else(Sequence::start, |entry| entry.seq.clone());
        let start = options.since.as_deref().map_or(agreed, Sequence::from_text);
        // Who begins at the beginning offers everything anyway.
        peer.refusals.begin(if history.is_empty() { Vec::new() } else { core::mem::take(&mut ours.refused) });
        let known = match direction {
            Direction::Pull | Direction::Drop if ours.is_confirmed_by(&theirs) => ours.arrived,
            Direction::Pull | Direction::Drop => Ranges::default(),
            Direction::Push => pulled_before(database, peer, &identity, start.number()).await?,
        };
        let arrivals = database.note_arrivals(&options.peer, known);
        let mut random = [0; 16];
        peer.effects.random.fill(&mut random);
        let now_ms = peer.effects.clock.now_ms();
        Ok(Self {
            database,
            id,
            peer_rev: theirs.rev,
            session_id: hex(&random),
            started_ms: now_ms,
            started_at: start.clone(),
            history,
            arrivals,
            number: 0,
            written: 0,
            done: start.clone(),
            saved: start,
            saved_ms: now_ms,
            looked_ms: now_ms,
        })
    }

    /// Up to where all is done.
    pub(super) fn done(&self) -> &Sequence {
        &self.done
    }

    /// All up to `seq` is done.
    pub(super) fn advance(&mut self, seq: Sequence) {
        self.done = seq;
    }

    /// Where a pull notes what it brings.
    pub(super) fn arrivals(&self) -> Rc<Arrivals> {
        Rc::clone(&self.arrivals)
    }

    /// Whether there is progress that is not written down.
    pub(super) fn is_dirty<T, C, R, O>(&self, peer: &Peer<'_, T, C, R, O>) -> bool {
        self.done != self.saved || peer.refusals.is_changed()
    }

    /// For how many milliseconds the latest write, or the start, is past.
    pub(super) fn age_ms(&self, clock: &impl Clock) -> u64 {
        clock.now_ms().saturating_sub(self.saved_ms)
    }

    /// Writes the progress down on both sides; `false` if the peer turns out to have been set back or made anew. That the peer
    /// does not take it is no error: what is not written down is done again by the next session.
    pub(super) async fn save<T: Transport, C: Clock, R: Random, O: Observer>(
        &mut self,
        peer: &Peer<'_, T, C, R, O>,
    ) -> Result<bool, ReplicationError> {
        if !self.is_dirty(peer) {
            return Ok(true);
        }
        self.saved_ms = peer.effects.clock.now_ms();
        let mut saved = self.save_at_peer(peer).await;
        for _ in 1..ATTEMPTS_MAX {
            if peer.options.retry && matches!(&saved, Err(error) if *error != ReplicationError::Cancelled) {
                // What it was on its way to may be another by now.
                saved = self.save_at_peer(peer).await;
            }
        }
        match saved {
            Ok(Saved::Yes(entry)) => {
                let document = self.document(None, &entry, Some(&peer.refusals));
                self.database.put_local(&document).await.map_err(|error| ReplicationError::Local(error.report()))?;
                self.saved = self.done.clone();
                peer.refusals.remembered();
                peer.monitor.tell(Event::Checkpoint);
                Ok(true)
            }
            Ok(Saved::No) => Ok(true),
            Ok(Saved::Forgotten) => Ok(false),
            Err(ReplicationError::Cancelled) => Err(ReplicationError::Cancelled),
            Err(_) => Ok(true),
        }
    }

    async fn save_at_peer<T: Transport, C: Clock, R: Random, O: Observer>(
        &mut self,
        peer: &Peer<'_, T, C, R, O>,
    ) -> Result<Saved, ReplicationError> {
        let now_ms = peer.effects.clock.now_ms();
        if peer.was_away.get() || now_ms.saturating_sub(self.looked_ms) >= LOOK_MS {
            // What fails from here on is looked at again.
            peer.was_away.set(false);
            let theirs = match peer.is_same(ATTEMPTS_MAX).await {
                Ok(false) => return Ok(Saved::Forgotten),
                Ok(true) => read_peer(peer, &self.id, ATTEMPTS_MAX).await,
                Err(error) => Err(error),
            };
            let theirs = theirs.inspect_err(|_| peer.was_away.set(true))?;
            self.looked_ms = now_ms;
            if self.is_remembered_in(&theirs) {
                if self.written > 0 {
                    peer.beginnings.set(0);
                }
            } else if peer.beginnings.get() < BEGINNINGS_MAX {
                peer.beginnings.set(peer.beginnings.get() + 1);
                return Ok(Saved::Forgotten);
            }
            self.peer_rev = theirs.rev;
        }
        self.number += 1;
        let entry = self.entry(&peer.monitor.status());
        Ok(if self.write_peer(peer, &entry).await? { Saved::Yes(entry) } else { Saved::No })
    }

    /// Whether what the peer remembers shows that it has been there all along.
    fn is_remembered_in(&self, theirs: &Log) -> bool {
        let Some(newest) = theirs.entries.first() else { return self.peer_rev.is_none() };
        if newest.session_id == self.session_id {
            return newest.number >= self.written;
        }
        match self.history.iter().position(|known| known.session_id == newest.session_id) {
            Some(0) => self.written == 0 && self.history.first().is_some_and(|known| newest.number >= known.number),
            Some(_) => false,
            // Another session of the same replication wrote it.
            None => true,
        }
    }

    /// Writes the peer's side; `false` when the peer refuses it.
    async fn write_peer<T: Transport, C: Clock, R: Random, O: Observer>(
        &mut self,
        peer: &Peer<'_, T, C, R, O>,
        entry: &str,
    ) -> Result<bool, ReplicationError> {
        // The revision may be outdated: another session of the same replication, or an answer that was lost.
        for _ in 0..2 {
            let document = self.document(self.peer_rev.as_deref(), entry, None);
            let request = peer.request(Method::Put, self.id.as_str(), Some(document));
            match peer.call_up_to(1, &request, |body| Ok(written_rev(&body))).await? {
                Reply::Done(rev) => {
                    self.peer_rev = rev;
                    self.written = self.number;
                    return Ok(true);
                }
                Reply::Refused { status: 409, .. } => {
                    self.peer_rev = read_peer(peer, &self.id, ATTEMPTS_MAX).await?.rev
                }
                Reply::Refused { .. } | Reply::TooLong => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The history entry of this session. Times are milliseconds since the Unix epoch.
    fn entry(&self, status: &Status) -> String {
        format!(
            "{{\"session_id\":\"{}\",\"checkpoint_number\":{},\"start_time\":{},\"end_time\":{},\"start_last_seq\":{},\
             \"end_last_seq\":{seq},\"recorded_seq\":{seq},\"missing_checked\":{read},\"missing_found\":{read},\
             \"docs_read\":{read},\"docs_written\":{},\"doc_write_failures\":{}}}",
            self.session_id,
            self.number,
            self.started_ms,
            self.saved_ms,
            self.started_at.as_json(),
            status.docs_written,
            status.doc_write_failures,
            seq = self.done.as_json(),
            read = status.docs_read,
        )
    }

    /// The whole document: the peer's, or ours, which also tells what was refused.
    fn document(&self, rev: Option<&str>, entry: &str, refusals: Option<&Refusals>) -> Vec<u8> {
        let mut text = b"{\"_id\":".to_vec();
        write_string(&self.id, &mut text);
        if let Some(rev) = rev {
            text.extend_from_slice(b",\"_rev\":");
            write_string(rev, &mut text);
        }
        let head = format!(
            ",\"replication_id_version\":1,\"session_id\":\"{}\",\"source_last_seq\":{},\"history\":[{entry}",
            self.session_id,
            self.done.as_json()
        );
        text.extend_from_slice(head.as_bytes());
        for earlier in self.history.iter().take(HISTORY_MAX - 1) {
            text.push(b',');
            text.extend_from_slice(earlier.json.as_bytes());
        }
        text.push(b']');
        if let Some(refusals) = refusals {
            text.extend_from_slice(b",\"refused\":");
            refusals.write(&mut text);
            let range = |(first, last)| format!("[{first},{last}]");
            let ranges: Vec<String> = self.arrivals.ranges.borrow().iter().map(range).collect();
            text.extend_from_slice(format!(",\"arrived\":[{}]", ranges.join(",")).as_bytes());
        }
        text.push(b'}');
        text
    }
}

/// What saving at the peer came to.
enum Saved {
    /// It took this entry.
    Yes(String),
    /// It takes none.
    No,
    /// It does not remember what it took before.
    Forgotten,
}

/// `_local/{replication id}`
fn document_id(identity: &str, options: &Options, direction: Direction) -> String {
    format!("_local/{}", replication_id(identity, &options.peer, direction, &options.filter))
}

/// What earlier pulls from the peer brought after the change `since`, if the peer shows that it still has it.
async fn pulled_before<K: Kv, T: Transport, C: Clock, R: Random, O: Observer>(
    database: &Database<K>,
    peer: &Peer<'_, T, C, R, O>,
    identity: &str,
    since: u64,
) -> Result<Ranges, ReplicationError> {
    let id = document_id(identity, peer.options, Direction::Pull);
    let ours = read_own(database, &id).await?;
    if ours.arrived.last() > since && ours.is_confirmed_by(&read_peer(peer, &id, u32::MAX).await?) {
        return Ok(ours.arrived);
    }
    Ok(Ranges::default())
}

/// Where a replication begins if the peer remembers what this side does.
pub(super) async fn newest<K: Kv>(
    database: &Database<K>,
    options: &Options,
    direction: Direction,
) -> Result<Sequence, ReplicationError> {
    if let Some(since) = &options.since {
        return Ok(Sequence::from_text(since));
    }
    let identity = database.info().await.map_err(|error| ReplicationError::Local(error.report()))?.identity;
    let ours = read_own(database, &document_id(&identity, options, direction)).await?;
    Ok(ours.entries.first().map_or_else(Sequence::start, |entry| entry.seq.clone()))
}

/// What our side remembers.
async fn read_own<K: Kv>(database: &Database<K>, id: &str) -> Result<Log, ReplicationError> {
    match database.get(id, &GetOptions::default()).await.map_err(|error| error.report()) {
        Ok(text) => Ok(Log::read(&text)),
        Err(report) if report.status == 404 => Ok(Log::default()),
        Err(report) => Err(ReplicationError::Local(report)),
    }
}

/// What the peer remembers.
async fn read_peer<T: Transport, C: Clock, R: Random, O: Observer>(
    peer: &Peer<'_, T, C, R, O>,
    id: &str,
    attempts_max: u32,
) -> Result<Log, ReplicationError> {
    let request = peer.request(Method::Get, id, None);
    match peer.call_up_to(attempts_max, &request, |body| Ok(Log::read(&body))).await? {
        Reply::Done(log) => Ok(log),
        Reply::Refused { status: 401, answer } => Err(ReplicationError::Unauthorized(answer.reason)),
        Reply::Refused { .. } | Reply::TooLong => Ok(Log::default()),
    }
}

/// The revision in the answer to a write.
fn written_rev(body: &[u8]) -> Option<String> {
    let answer = json::parse(body).ok()?;
    string(answer.as_object()?, "rev").map(String::from)
}
