//! The peer's feed of changes, held against the database here and cut into steps of missing revisions.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use futures_util::stream::{Stream, try_unfold};

use super::ReplicationError;
use super::documents::Fetched;
use super::fetch::{Fetch, Wants};
use super::messages::{Change, ChangesAnswer, Sequence, percent_encoded, strings_json};
use super::options::Filter;
use super::peer::Reply;
use super::pipeline::Step;
use super::status::{Denied, Observer};
use crate::database::Database;
use crate::effects::{Clock, Method, Random, Request, Transport};
use crate::json;
use crate::storage::Kv;

/// A peer that answers a longpoll with nothing, at once, is asked again after this many milliseconds.
const PACE_MS: u64 = 1_000;
/// How many bytes a page should come to.
const PAGE_BYTES: usize = 4 << 20;

/// A document that changes while a feed is read moves to its end, maybe past it, and is not in what was read: our own push does that
/// to what both sides have changed. So the end is looked for again, until nothing more is there or this often.
const LOOKS_MAX: u32 = 8;

/// A revision that is missing here: the document's id and the revision.
pub(super) type Wanted = (String, String);

/// What remains of a page: a row's sequence and what is missing of its document.
struct Row {
    seq: Sequence,
    id: String,
    missing: Vec<String>,
    document: Option<Fetched>,
    /// The leaves that the peer has, if it is to be looked whether the document still matches.
    listed: Option<Vec<String>>,
}

impl Row {
    /// Whether it wants the only revision that its document ever had.
    fn is_first(&self) -> bool {
        matches!(self.missing.as_slice(), [rev] if rev.starts_with("1-"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    CatchingUp,
    Waiting,
    Over,
}

/// The peer's feed from one sequence on.
struct Feed<'f, 'a, K: Kv, T, C, R, O> {
    database: &'f Database<K>,
    fetch: &'f Fetch<'f, 'a, K, T, C, R, O>,
    since: Sequence,
    phase: Phase,
    /// How often it came to the end.
    looks: u32,
    rows: VecDeque<Row>,
    /// The latest page.
    page: Rc<Vec<u8>>,
    /// How many rows are asked for at once.
    page_rows: u64,
    /// Whether documents come with their rows: that spares a request for those that have one revision only.
    with_documents: bool,
    /// Set while a page is not fully handed out: the sequence that stands for the whole of it.
    page_end: Option<Sequence>,
}

/// The revisions that are missing here, from `since` on; without an end if the replication is live.
pub(super) fn steps<'f, K, T, C, R, O>(
    database: &'f Database<K>,
    fetch: &'f Fetch<'f, '_, K, T, C, R, O>,
    since: Sequence,
) -> impl Stream<Item = Result<Step<Wants>, ReplicationError>>
where
    K: Kv,
    T: Transport,
    C: Clock,
    R: Random,
    O: Observer,
{
    let feed = Feed {
        database,
        fetch,
        with_documents: since.is_start() && !fetch.peer.drops,
        since,
        phase: Phase::CatchingUp,
        looks: 0,
        rows: VecDeque::new(),
        page: Rc::default(),
        page_rows: fetch.peer.options.limits.page_rows.max(1),
        page_end: None,
    };
    try_unfold(feed, async |mut feed| Ok(feed.next().await?.map(|step| (step, feed))))
}

impl<K: Kv, T: Transport, C: Clock, R: Random, O: Observer> Feed<'_, '_, K, T, C, R, O> {
    async fn next(&mut self) -> Result<Option<Step<Wants>>, ReplicationError> {
        loop {
            if let Some(page_end) = self.page_end.take() {
                let step = self.cut(page_end);
                self.fetch.peer.monitor.step_begun();
                return Ok(Some(step));
            }
            let due = self.fetch.peer.refusals.due(self.fetch.peer.renewals());
            if !due.is_empty() {
                self.fetch.peer.monitor.step_begun();
                let wanted = self.lacking(due).await?;
                let work = Wants { wanted, given: Vec::new(), page: Rc::default(), listed: Vec::new() };
                return Ok(Some(Step { until: self.since.clone(), rows: 0, work, is_again: true }));
            }
            if self.phase == Phase::Over {
                return Ok(None);
            }
            self.read_page().await?;
        }
    }

    /// Takes a step of about a batch from the page.
    fn cut(&mut self, page_end: Sequence) -> Step<Wants> {
        let batch = self.fetch.batch_documents();
        let page = Rc::clone(&self.page);
        let work = Wants { wanted: Vec::new(), given: Vec::new(), page, listed: Vec::new() };
        let mut step = Step { until: page_end.clone(), rows: 0, work, is_again: false };
        while let Some(row) = self.rows.pop_front() {
            step.rows += 1;
            step.until = row.seq;
            step.work.listed.extend(row.listed.map(|revs| (row.id.clone(), revs)));
            match row.document {
                Some(document) if !row.missing.is_empty() => step.work.given.push(document),
                _ => step.work.wanted.extend(row.missing.into_iter().map(|rev| (row.id.clone(), rev))),
            }
            // Rows that want nothing cost nothing, so a step goes on past them.
            let next_wants = self.rows.front().is_some_and(|next| !next.missing.is_empty());
            if step.work.wanted.len() + step.work.given.len() >= batch && next_wants {
                self.page_end = Some(page_end);
                return step;
            }
        }
        step.until = page_end;
        step
    }

    async fn read_page(&mut self) -> Result<(), ReplicationError> {
        let peer = self.fetch.peer;
        let waits = self.phase == Phase::Waiting;
        let asked_at = peer.effects.clock.now_ms();
        if waits {
            peer.monitor.source_waits(true);
        }
        let read = |body: Vec<u8>| ChangesAnswer::read(&body).map(|page| (body, page));
        let reply = peer.call_held(&self.request(waits), &self.request(false), read).await?;
        let limits = &peer.options.limits;
        if reply == Reply::TooLong && (self.with_documents || self.page_rows > 1) {
            self.page_rows = if self.with_documents { self.page_rows } else { self.page_rows / 2 };
            self.with_documents = false;
            return Ok(());
        }
        let (body, page) = reply.done(limits.answer_bytes_max)?;
        let advances = page.last_seq != self.since;
        if page.rows() > 0 && !advances {
            // One that says again what it has said has nothing new.
            if self.phase == Phase::CatchingUp && self.looks > 0 {
                self.phase = Phase::Over;
                return Ok(());
            }
            return Err(ReplicationError::Malformed("the changes feed gives rows and does not advance".into()));
        }
        if page.rows() > 0 {
            peer.monitor.source_waits(false);
        } else if waits {
            let spent_ms = peer.effects.clock.now_ms().saturating_sub(asked_at);
            peer.control().sleep(peer.effects.clock.sleep(PACE_MS.saturating_sub(spent_ms))).await?;
        }
        for reason in &page.malformed {
            let (error, reason) = ("malformed".into(), reason.clone());
            peer.deny(&Denied { id: String::new(), rev: None, error, reason }, &self.since);
        }
        if self.phase == Phase::CatchingUp {
            let ended = match page.pending {
                _ if page.rows() == 0 => true,
                Some(pending) => pending == 0,
                None => page.rows() < self.page_rows,
            };
            self.looks += u32::from(ended);
            self.phase = match (ended, peer.options.live) {
                (true, true) => Phase::Waiting,
                (true, false) if page.rows() == 0 || self.looks >= LOOKS_MAX => Phase::Over,
                _ => Phase::CatchingUp,
            };
        }
        peer.monitor.page_read(page.changes.len() as u64, page.pending);
        self.since = page.last_seq.clone();
        if advances {
            self.page_end = Some(page.last_seq.clone());
        }
        let weight = body.len() / usize::try_from(page.rows().max(1)).unwrap_or(usize::MAX) + 1;
        if self.with_documents && page.rows() > 0 {
            self.fetch.weighs(weight);
        }
        self.page_rows = ((PAGE_BYTES / weight) as u64).clamp(1, limits.page_rows.max(1));
        self.page = Rc::new(body);
        self.rows = self.missing(page).await?;
        let wanting = self.rows.iter().filter(|row| !row.missing.is_empty());
        let (first, all) = wanting.fold((0, 0), |(first, all), row| (first + usize::from(row.is_first()), all + 1));
        if !self.rows.is_empty() {
            self.with_documents = all > 0 && first * 2 >= all && !peer.drops;
        }
        Ok(())
    }

    /// Holds the page against the database here.
    async fn missing(&self, page: ChangesAnswer) -> Result<VecDeque<Row>, ReplicationError> {
        let ids = match &self.fetch.peer.options.filter {
            Filter::Ids(ids) => Some(ids),
            _ => None,
        };
        // A peer that does not know the filter sends everything.
        let wanted = |id: &String| ids.is_none_or(|ids| ids.binary_search(id).is_ok());
        let asked: Vec<(String, Vec<String>)> = (page.changes.iter())
            .filter(|change| wanted(&change.id))
            .map(|change| (change.id.clone(), change.revs.clone()))
            .collect();
        let lacking = self.database.revs_diff(&asked).await.map_err(|error| ReplicationError::Local(error.report()))?;
        // Its rows stand in the order of the page, without those of which nothing is missing.
        let mut lacking = lacking.into_iter().peekable();
        let drops = self.fetch.peer.drops;
        let row = |Change { seq, id, revs, document }: Change| {
            let (missing, is_here) =
                lacking.next_if(|row| row.id == id).map_or((Vec::new(), true), |row| (row.missing, row.is_here));
            match drops {
                // Of what is not here nothing can leave.
                true if !is_here => Row { seq, id, missing: Vec::new(), document: None, listed: None },
                true => Row { seq, id, missing, document, listed: Some(revs) },
                false => Row { seq, id, missing, document, listed: None },
            }
        };
        Ok(page.changes.into_iter().map(row).collect())
    }

    /// Those that are missing here of some revisions.
    async fn lacking(&self, asked: Vec<Wanted>) -> Result<Vec<Wanted>, ReplicationError> {
        let asked: Vec<(String, Vec<String>)> = asked.into_iter().map(|(id, rev)| (id, vec![rev])).collect();
        let lacking = self.database.revs_diff(&asked).await.map_err(|error| ReplicationError::Local(error.report()))?;
        Ok(lacking.into_iter().flat_map(|row| row.missing.into_iter().map(move |rev| (row.id.clone(), rev))).collect())
    }

    /// The next page; with `held`, as soon as there is one.
    fn request(&self, held: bool) -> Request {
        let peer = self.fetch.peer;
        let limits = &peer.options.limits;
        let since = percent_encoded(&self.since.to_text());
        let mut path = format!("_changes?style=all_docs&since={since}&limit={}", self.page_rows);
        if self.with_documents {
            path.push_str("&include_docs=true");
        }
        if held {
            path.push_str(&format!("&feed=longpoll&heartbeat={}", limits.heartbeat_ms));
        }
        let body = match &peer.options.filter {
            _ if peer.drops => None,
            Filter::Everything => None,
            Filter::Ids(ids) => {
                path.push_str("&filter=_doc_ids");
                Some(format!("{{\"doc_ids\":{}}}", strings_json(ids)).into_bytes())
            }
            Filter::Selector(filter) => {
                path.push_str("&filter=_selector");
                let mut body = b"{\"selector\":".to_vec();
                json::write(&filter.asked, &mut body);
                body.push(b'}');
                Some(body)
            }
        };
        let method = if body.is_some() { Method::Post } else { Method::Get };
        peer.request(method, path, body)
    }
}
