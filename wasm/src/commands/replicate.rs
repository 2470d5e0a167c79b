//! Replications: starting them, telling of them, ending them.

use std::rc::Rc;

use firkin_core::error::ErrorReport;
use firkin_core::replication::{self, Control, Effects, Event, Filter, Limits, Options, Status};
use web_sys::RequestCredentials;

use crate::address::Address;
use crate::answer::ObjectWriter;
use crate::clock::BrowserClock;
use crate::engine::Opened;
use crate::failure::Failure;
use crate::headers::AppHeaders;
use crate::payload::{self, Payload};
use crate::random::CryptoRandom;
use crate::transport::FetchTransport;

/// `{ id, direction, url, live, retry, since, doc_ids, selector, drop, snapshot, credentials, batch_bytes, batch_documents,
/// idle_timeout_ms }` → the status
/// with which it ended, and `ok`. Meanwhile the page gets events named `replication`.
pub async fn replicate(engine: &Rc<Opened>, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let id = number(&payload)?;
    let direction = payload.required_text("direction")?;
    let address = Address::parse(&payload.required_text("url")?)?;
    let headers = AppHeaders::new(engine.host.clone(), id, &address.url);
    let options = options(&payload, &address)?;
    let transport = FetchTransport::new(address, headers, credentials(&payload)?);
    let under_way = UnderWay::begin(engine, id)?;
    let observer = |event: Event<'_>, status: &Status| tell(engine, id, event, status);
    let effects = Effects {
        transport: &transport,
        clock: &BrowserClock,
        random: &CryptoRandom,
        observer: &observer,
        control: &under_way.control,
    };
    let ended = match direction.as_str() {
        "push" => replication::push(&engine.database, &effects, &options).await,
        "pull" => replication::pull_from_snapshot(&engine.database, &effects, &options).await,
        _ => return Err(payload::wrong("direction", "\"push\" or \"pull\"")),
    };
    Ok(members(ObjectWriter::new().boolean("ok", true), &ended?).finish())
}

/// `{ id }` →
pub fn cancel(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let id = number(&Payload::parse(payload)?)?;
    if let Some(control) = engine.replications.borrow().get(&id) {
        control.cancel();
    }
    Ok(Vec::new())
}

/// The network is said to be back: replications that wait for their next attempt make it now.
pub fn wake(engine: &Opened) -> Vec<u8> {
    engine.replications.borrow().iter().for_each(|(_, control)| control.wake());
    Vec::new()
}

/// A replication in the list of those under way.
struct UnderWay {
    engine: Rc<Opened>,
    id: u64,
    control: Control,
}

impl UnderWay {
    fn begin(engine: &Rc<Opened>, id: u64) -> Result<Self, Failure> {
        let control = Control::new();
        let mut replications = engine.replications.borrow_mut();
        if replications.contains(&id) {
            return Err(Failure::bad_request(format!("the replication {id} is under way already")));
        }
        replications.insert(id, control.clone());
        Ok(Self { engine: Rc::clone(engine), id, control })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.engine.replications.borrow_mut().remove(&self.id);
    }
}

/// The page's number for a replication, unique among those under way.
fn number(payload: &Payload<'_>) -> Result<u64, Failure> {
    payload.number("id")?.ok_or_else(|| payload::wrong("id", "a number"))
}

fn options(payload: &Payload<'_>, address: &Address) -> Result<Options, Failure> {
    let mut limits = Limits::default();
    if let Some(bytes) = payload.count("batch_bytes")? {
        limits.batch_bytes = bytes;
    }
    if let Some(documents) = payload.count("batch_documents")? {
        limits.batch_documents = documents;
    }
    if let Some(milliseconds) = payload.number("idle_timeout_ms")? {
        limits.idle_timeout_ms = milliseconds;
    }
    Ok(Options {
        peer: address.url.clone(),
        live: payload.flag("live")?,
        retry: payload.flag("retry")?,
        since: payload.json("since").map(String::from),
        filter: filter(payload)?,
        keep: !payload.flag("drop")?,
        snapshot: payload.flag_or("snapshot", true)?,
        limits,
    })
}

fn filter(payload: &Payload<'_>) -> Result<Filter, Failure> {
    match (payload.texts("doc_ids")?, payload.value("selector")?) {
        (None, None) => Ok(Filter::Everything),
        (Some(ids), None) => Ok(Filter::ids(ids)),
        (None, Some(selector)) => Ok(Filter::selector(selector)?),
        (Some(_), Some(_)) => Err(Failure::bad_request("doc_ids and selector exclude each other")),
    }
}

/// Whether the browser's own credentials go along, as `fetch` words it.
fn credentials(payload: &Payload<'_>) -> Result<RequestCredentials, Failure> {
    match payload.text("credentials")?.as_deref() {
        None | Some("same-origin") => Ok(RequestCredentials::SameOrigin),
        Some("omit") => Ok(RequestCredentials::Omit),
        Some("include") => Ok(RequestCredentials::Include),
        Some(_) => Err(payload::wrong("credentials", "\"omit\", \"same-origin\" or \"include\"")),
    }
}

fn tell(engine: &Opened, id: u64, event: Event<'_>, status: &Status) {
    let writer = ObjectWriter::new().number("id", id);
    let writer = match event {
        Event::Active => writer.text("type", "active"),
        Event::Paused => writer.text("type", "paused"),
        Event::BackingOff { delay_ms } => writer.text("type", "error").number("delay_ms", delay_ms),
        Event::Change { documents } => writer.text("type", "change").number("documents", documents),
        Event::Checkpoint => writer.text("type", "checkpoint"),
        Event::Waiting => writer.text("type", "waiting"),
        Event::Denied(denied) => {
            let refused = ObjectWriter::new()
                .text("id", &denied.id)
                .text("rev", denied.rev.as_deref().unwrap_or_default())
                .text("error", &denied.error)
                .text("reason", &denied.reason);
            writer.text("type", "denied").json("denied", &refused.finish())
        }
    };
    engine.host.event("replication", members(writer, status));
}

fn members(writer: ObjectWriter, status: &Status) -> ObjectWriter {
    let or_null = |json: String| if json.is_empty() { "null".into() } else { json };
    writer
        .text("state", status.state.name())
        .number("docs_read", status.docs_read)
        .number("docs_written", status.docs_written)
        .number("doc_write_failures", status.doc_write_failures)
        .number("bytes_read", status.bytes_read)
        .number("bytes_written", status.bytes_written)
        .json("pending", or_null(status.pending.map(|pending| pending.to_string()).unwrap_or_default()).as_bytes())
        .json("last_seq", or_null(status.last_seq.clone()).as_bytes())
        .json("error", &status.error.as_ref().map_or_else(|| b"null".to_vec(), error))
}

fn error(report: &ErrorReport) -> Vec<u8> {
    ObjectWriter::new()
        .number("status", report.status.into())
        .text("name", report.name)
        .text("reason", &report.reason)
        .finish()
}
