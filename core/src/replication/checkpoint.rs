//! Checkpoints: up to where a replication has come, written down on both sides.
//!
//! Both sides keep the same document under `_local/{replication id}`, with one history entry for each session, as the
//! protocol has it. A later session begins at the newest entry that both sides know. Where they disagree within it (one was
//! written and the other was not, or one side was set back to a backup) the lower one counts, which an ascending
//! `checkpoint_number` tells, since sequences themselves cannot be compared. **A checkpoint that is lost or does not match
//! costs time, never data.** What a peer writes here is data from outside: what cannot be read counts as absent.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::ReplicationError;
use super::messages::{SEQUENCE_BYTES_MAX, Sequence, count, string};
use super::options::Filter;
use super::peer::{Peer, Reply};
use super::status::{Event, Observer, Status};
use crate::database::{Database, GetOptions};
use crate::effects::{Clock, Method, Random, Transport};
use crate::json::{self, JsonError, write_string};
use crate::storage::Kv;

/// How many sessions a checkpoint remembers.
const HISTORY_MAX: usize = 20;
/// How many bytes an entry of the peer's may have, lest it fill our side with what it likes.
const ENTRY_BYTES_MAX: usize = 4 * SEQUENCE_BYTES_MAX;

/// Which way documents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Pull,
    Push,
}

/// The name under which both sides keep the checkpoint: it differs with everything on which the meaning of a sequence
/// depends.
fn replication_id(identity: &str, peer: &str, direction: Direction, filter: &Filter) -> String {
    let mut text = b"[".to_vec();
    for part in [identity, peer, if direction == Direction::Pull { "pull" } else { "push" }] {
        write_string(part, &mut text);
        text.push(b',');
    }
    filter.fingerprint(&mut text);
    text.push(b']');
    hex(&Sha256::digest(&text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What one side remembers.
#[derive(Debug, Default)]
struct Log {
    rev: Option<String>,
    /// Newest first.
    entries: Vec<Entry>,
}

/// What is remembered of one session.
#[derive(Clone, Debug)]
struct Entry {
    session_id: String,
    number: u64,
    seq: Sequence,
    /// The entry as it was written.
    json: String,
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
    fn read(text: &[u8]) -> Self {
        let (mut rev, mut entries) = (None, Vec::new());
        let read = json::read(text, |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "_rev" => rev = Some(reader.string()?.into_owned()),
                    "history" => reader.elements(&mut |reader| {
                        entries.push(Entry::read(reader.cut()?));
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
        Self { rev, entries: entries.into_iter().take(HISTORY_MAX).map_while(|entry| entry).collect() }
    }

    /// The newest entry that both sides know, at the lower of its two places, and the entries from there on.
    fn agreed(&self, other: &Self) -> Vec<Entry> {
        let known = |entry: &Entry| other.entries.iter().find(|theirs| theirs.session_id == entry.session_id).cloned();
        let both = self.entries.iter().filter_map(|ours| {
            let theirs = known(ours)?;
            Some(if theirs.number < ours.number { theirs } else { ours.clone() })
        });
        both.collect()
    }
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
    number: u64,
    done: Sequence,
    saved: Sequence,
    saved_ms: u64,
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
        let id = format!("_local/{}", replication_id(&identity, &options.peer, direction, &options.filter));
        let ours = match database.get(&id, &GetOptions::default()).await {
            Ok(text) => Log::read(&text),
            Err(error) if error.report().status == 404 => Log::default(),
            Err(error) => return Err(ReplicationError::Local(error.report())),
        };
        let theirs = read_peer(peer, &id).await?;
        let history = ours.agreed(&theirs);
        let agreed = history.first().map_or_else(Sequence::start, |entry| entry.seq.clone());
        let start = options.since.as_deref().map_or(agreed, Sequence::from_text);
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
            number: 0,
            done: start.clone(),
            saved: start,
            saved_ms: now_ms,
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

    /// Whether there is progress that is not written down.
    pub(super) fn is_dirty(&self) -> bool {
        self.done != self.saved
    }

    /// For how many milliseconds the latest write, or the start, is past.
    pub(super) fn age_ms(&self, clock: &impl Clock) -> u64 {
        clock.now_ms().saturating_sub(self.saved_ms)
    }

    /// Writes the progress down on both sides. That the peer does not take it is no error: what is not written down is done
    /// again by the next session.
    pub(super) async fn save<T: Transport, C: Clock, R: Random, O: Observer>(
        &mut self,
        peer: &Peer<'_, T, C, R, O>,
    ) -> Result<(), ReplicationError> {
        if !self.is_dirty() {
            return Ok(());
        }
        self.number += 1;
        self.saved_ms = peer.effects.clock.now_ms();
        let entry = self.entry(&peer.monitor.status());
        match self.write_peer(peer, &entry).await {
            Ok(true) => {}
            Err(ReplicationError::Cancelled) => return Err(ReplicationError::Cancelled),
            Ok(false) | Err(_) => return Ok(()),
        }
        let document = self.document(None, &entry);
        self.database.put_local(&document).await.map_err(|error| ReplicationError::Local(error.report()))?;
        self.saved = self.done.clone();
        peer.monitor.tell(Event::Checkpoint);
        Ok(())
    }

    /// Writes the peer's side; `false` when the peer refuses it.
    async fn write_peer<T: Transport, C: Clock, R: Random, O: Observer>(
        &mut self,
        peer: &Peer<'_, T, C, R, O>,
        entry: &str,
    ) -> Result<bool, ReplicationError> {
        // The revision may be outdated: another session of the same replication, or an answer that was lost.
        for _ in 0..2 {
            let document = self.document(self.peer_rev.as_deref(), entry);
            let request = peer.request(Method::Put, self.id.as_str(), Some(document));
            match peer.call(&request, |body| Ok(Log::read(&body).rev.or_else(|| written_rev(&body)))).await? {
                Reply::Done(rev) => {
                    self.peer_rev = rev;
                    return Ok(true);
                }
                Reply::Refused { status: 409, .. } => self.peer_rev = read_peer(peer, &self.id).await?.rev,
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

    /// The whole document.
    fn document(&self, rev: Option<&str>, entry: &str) -> Vec<u8> {
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
        text.extend_from_slice(b"]}");
        text
    }
}

/// What the peer remembers.
async fn read_peer<T: Transport, C: Clock, R: Random, O: Observer>(
    peer: &Peer<'_, T, C, R, O>,
    id: &str,
) -> Result<Log, ReplicationError> {
    match peer.call(&peer.request(Method::Get, id, None), |body| Ok(Log::read(&body))).await? {
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
