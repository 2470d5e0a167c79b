//! How `_changes` is answered: page by page, and for feeds that wait, whenever something was written.
//!
//! A page is read with one job on the database's thread and sent before the next is read, so that memory stays bounded,
//! however long the feed and however slow the client. A feed takes note of the counter of writes before it reads, so it
//! misses none. It ends when its client goes, when the database closes, and when the server stops.

use std::time::Duration;

use axum::body::Body;
use firkin_core::database::{ChangesPage, ChangesQuery, ChangesRow, Since};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::answer::Failure;
use super::stream::{Chunks, Gone, streamed};
use crate::clients::Place;
use crate::mailbox::Mailbox;

/// So many changes are read in one job.
const PAGE_ROWS: u64 = 1000;
/// The same where each brings its document.
const PAGE_DOCUMENTS: u64 = 100;

/// When a feed ends, and how its rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What there is, as one JSON object.
    Normal,
    /// The same, but an empty answer waits for a first change.
    Longpoll,
    /// A line per change, until the timeout.
    Continuous,
    /// The same as server-sent events.
    EventSource,
}

/// A `_changes` request that is being answered.
pub struct Feed {
    /// The database.
    pub mailbox: Mailbox,
    /// What is asked for; `since` moves along.
    pub query: ChangesQuery,
    /// How.
    pub kind: Kind,
    /// Sends a sign of life whenever nothing was sent for so long.
    pub heartbeat: Option<Duration>,
    /// Ends the feed after so long without a change.
    pub timeout: Option<Duration>,
    /// Turns `true` when the server stops.
    pub stopping: watch::Receiver<bool>,
    /// Its place among all feeds, and among its client's.
    pub room: (OwnedSemaphorePermit, Option<Place>),
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Write,
    Heartbeat,
    End,
}

impl Feed {
    /// Reads the first page, so that a bad request can still be answered with an error, and streams from there.
    pub async fn start(mut self) -> Result<Body, Failure> {
        let mut writes = self.mailbox.writes();
        writes.mark_unchanged();
        let first = self.page().await?;
        let (chunks, body) = streamed();
        tokio::spawn(async move {
            let done = match self.kind {
                Kind::Normal | Kind::Longpoll => self.send_object(&chunks, writes, first).await,
                Kind::Continuous | Kind::EventSource => self.send_lines(&chunks, writes, first).await,
            };
            drop(self.room);
            if let Err(Ended::Failed(failure)) = done {
                chunks.cut(&failure).await;
            }
        });
        Ok(body)
    }

    fn page_rows(&self) -> u64 {
        if self.query.include_docs { PAGE_DOCUMENTS } else { PAGE_ROWS }
    }

    /// The next page; a later one goes on behind it.
    async fn page(&mut self) -> Result<Page, Failure> {
        let mut query = self.query.clone();
        if !query.descending {
            // A walk down the feed cannot be resumed at a place.
            query.limit = Some(query.limit.map_or(self.page_rows(), |limit| limit.min(self.page_rows())));
        }
        let asked = query.limit;
        let page = self.mailbox.run(async move |database| database.changes(&query).await).await??;
        let rows = page.rows.len() as u64;
        self.query.since = Since::Token(page.last_seq.clone());
        self.query.limit = self.query.limit.map(|limit| limit.saturating_sub(rows));
        let is_last = asked.is_none_or(|asked| rows < asked) || self.query.limit == Some(0);
        Ok(Page { page, is_last })
    }

    /// One JSON object.
    async fn send_object(
        &mut self,
        chunks: &Chunks,
        mut writes: watch::Receiver<u64>,
        mut next: Page,
    ) -> Result<(), Ended> {
        chunks.send(&b"{\"results\":[\n"[..]).await?;
        if self.kind == Kind::Longpoll {
            while next.page.rows.is_empty() && self.query.limit != Some(0) {
                match self.wait(chunks, &mut writes, Instant::now()).await? {
                    Wake::Write => next = self.page().await?,
                    Wake::Heartbeat => chunks.send(&b"\n"[..]).await?,
                    Wake::End => break,
                }
            }
        }
        // Whoever writes faster than a client reads must not keep it here for ever.
        self.query.limit = self.query.limit.or(Some(next.page.pending));
        let mut separator: &[u8] = b"";
        loop {
            let mut text = Vec::new();
            for row in &next.page.rows {
                text.extend_from_slice(separator);
                text.extend_from_slice(&row.to_json());
                separator = b",\n";
            }
            chunks.send(text).await?;
            if next.is_last || self.query.limit == Some(0) {
                break;
            }
            next = self.page().await?;
        }
        let end =
            format!("\n],\n\"last_seq\":{},\"pending\":{}}}\n", json_string(&next.page.last_seq), next.page.pending);
        Ok(chunks.send(end).await?)
    }

    /// A line, or an event, for each change.
    async fn send_lines(
        &mut self,
        chunks: &Chunks,
        mut writes: watch::Receiver<u64>,
        mut next: Page,
    ) -> Result<(), Ended> {
        let mut last_change = Instant::now();
        loop {
            if !next.page.rows.is_empty() {
                let mut text = Vec::new();
                next.page.rows.iter().for_each(|row| self.push_line(&mut text, row));
                chunks.send(text).await?;
                last_change = Instant::now();
            }
            if self.query.limit == Some(0) || self.query.descending {
                break;
            }
            if next.is_last {
                match self.wait(chunks, &mut writes, last_change).await? {
                    Wake::Write => {}
                    Wake::Heartbeat => {
                        chunks.send(self.heartbeat_text()).await?;
                        next.page.rows.clear();
                        continue;
                    }
                    Wake::End => break,
                }
            }
            next = self.page().await?;
        }
        if self.kind == Kind::Continuous {
            let end =
                format!("{{\"last_seq\":{},\"pending\":{}}}\n", json_string(&next.page.last_seq), next.page.pending);
            chunks.send(end).await?;
        }
        Ok(())
    }

    fn push_line(&self, out: &mut Vec<u8>, row: &ChangesRow) {
        if self.kind == Kind::EventSource {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&row.to_json());
            out.extend_from_slice(format!("\nid: {}\n\n", row.seq).as_bytes());
        } else {
            out.extend_from_slice(&row.to_json());
            out.push(b'\n');
        }
    }

    fn heartbeat_text(&self) -> &'static [u8] {
        if self.kind == Kind::EventSource { b"event: heartbeat\ndata: \n\n" } else { b"\n" }
    }

    /// Waits for a write, for the next heartbeat, or for the end of the feed.
    async fn wait(
        &mut self,
        chunks: &Chunks,
        writes: &mut watch::Receiver<u64>,
        last_change: Instant,
    ) -> Result<Wake, Ended> {
        let heartbeat_at = self.heartbeat.map(|heartbeat| Instant::now() + heartbeat);
        let end_at = self.timeout.and_then(|timeout| last_change.checked_add(timeout));
        tokio::select! {
            changed = writes.changed() => match changed {
                Ok(()) => Ok(Wake::Write),
                Err(_) => Ok(Wake::End),
            },
            () = sleep_until_some(heartbeat_at) => Ok(Wake::Heartbeat),
            () = sleep_until_some(end_at) => Ok(Wake::End),
            _ = self.stopping.wait_for(|stopping| *stopping) => Ok(Wake::End),
            () = chunks.gone() => Err(Ended::Gone),
        }
    }
}

/// A part of a feed.
struct Page {
    page: ChangesPage,
    /// Nothing more is there for now.
    is_last: bool,
}

/// Why a feed ended before its end.
enum Ended {
    Gone,
    Failed(Failure),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn json_string(text: &str) -> String {
    super::query::quoted(text)
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
