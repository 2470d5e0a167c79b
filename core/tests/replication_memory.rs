//! Long attachments go through: memory holds a part of each that is under way, and never one whole.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod counting_allocator;
mod replication_support;

use std::cell::Cell;
use std::sync::atomic::Ordering;

use counting_allocator::IN_USE;
use firkin_core::database::{Database, Options as DatabaseOptions};
use firkin_core::effects::{Method, Request, Response, ResponseBody, Transport, TransportError};
use firkin_core::replication::{Control, Effects, Event, Status, pull, push};
use firkin_core::storage::blocks_memory::MemoryBlocks;
use firkin_core::storage::store::{LogStore, StoreOptions};
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Seeded, options};
use serde_json::json;

const DOCUMENTS: usize = 4;
const ATTACHMENTS: usize = 2;
const LENGTH: usize = 10 << 20;
const CHUNK: usize = 64 << 10;

/// A peer that makes up what it answers, keeps nothing, and looks how much memory is in use whenever bytes pass by.
struct Peer<'p> {
    blocks: &'p MemoryBlocks,
    most: Cell<usize>,
    received: Cell<u64>,
}

impl Peer<'_> {
    fn look(&self) {
        let beside_what_is_stored = IN_USE.load(Ordering::Relaxed).saturating_sub(self.blocks.bytes());
        self.most.set(self.most.get().max(beside_what_is_stored));
    }

    fn answer(request: &Request) -> (u16, String) {
        let path = request.path.split('?').next().unwrap();
        match (request.method, path) {
            (Method::Get, "") => (200, r#"{"db_name":"made up"}"#.into()),
            (Method::Put, _) => (201, r#"{"ok":true,"rev":"0-1"}"#.into()),
            (_, "_changes") => {
                let stub =
                    json!({"content_type": "a/b", "revpos": 1, "digest": "md5-x", "length": LENGTH, "stub": true});
                let attachments: serde_json::Map<_, _> =
                    (0..ATTACHMENTS).map(|place| (format!("a{place}"), stub.clone())).collect();
                let row = |place| {
                    let id = format!("d{place}");
                    let document = json!({"_id": id, "_rev": "1-a", "_attachments": attachments});
                    json!({"seq": place + 1, "id": id, "changes": [{"rev": "1-a"}], "doc": document})
                };
                let rows: Vec<_> = (0..DOCUMENTS).map(row).collect();
                (200, json!({"results": rows, "last_seq": DOCUMENTS, "pending": 0}).to_string())
            }
            (_, "_revs_diff") => {
                let missing = (0..DOCUMENTS).map(|place| (format!("d{place}"), json!({"missing": ["1-a"]})));
                (200, serde_json::Value::Object(missing.collect()).to_string())
            }
            _ => (404, r#"{"error":"not_found","reason":"missing"}"#.into()),
        }
    }
}

struct Body<'b> {
    peer: &'b Peer<'b>,
    text: Option<Vec<u8>>,
    left: usize,
    mark: u8,
}

impl ResponseBody for Body<'_> {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        self.peer.look();
        if let Some(text) = self.text.take() {
            return Ok(Some(text));
        }
        let bytes = self.left.min(CHUNK);
        self.left -= bytes;
        Ok((bytes > 0).then(|| vec![self.left as u8 ^ self.mark; bytes]))
    }
}

struct Wire<'b>(&'b Peer<'b>);

impl<'b> Transport for Wire<'b> {
    type Body = Body<'b>;

    async fn send(&self, request: Request) -> Result<Response<Body<'b>>, TransportError> {
        let peer = self.0;
        if let Some(upload) = &request.upload {
            let mut place = 0;
            while let Some(part) = upload.part(place).await? {
                peer.received.set(peer.received.get() + part.len() as u64);
                peer.look();
                place += 1;
            }
        }
        let (mut status, mut text, mut left) = (200, None, 0);
        let mark = request.path.bytes().fold(0, u8::wrapping_add);
        if request.path.contains("?rev=") {
            left = LENGTH;
        } else {
            let (answered, answer) = Peer::answer(&request);
            (status, text) = (answered, Some(answer.into_bytes()));
        }
        Ok(Response { status, retry_after_ms: None, body: Body { peer, text, left, mark } })
    }
}

#[test]
fn memory_is_bounded_whatever_the_length_of_attachments() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let blocks = MemoryBlocks::new();
        let store = StoreOptions { cache_bytes: 1 << 20, ..StoreOptions::new([1; 16]) };
        let kv = LogStore::open(blocks.clone(), store).await.unwrap();
        let here = Database::open(kv, &Seeded::new(1), DatabaseOptions::default()).await.unwrap();
        let observer = |_: Event<'_>, _: &Status| {};
        for is_pull in [true, false] {
            let peer = Peer { blocks: &blocks, most: Cell::new(0), received: Cell::new(0) };
            let before = IN_USE.load(Ordering::Relaxed) - blocks.bytes();
            let (random, control) = (Seeded::new(2), Control::new());
            let effects = Effects {
                transport: &Wire(&peer),
                clock: &clock,
                random: &random,
                observer: &observer,
                control: &control,
            };
            let name = options(if is_pull { "from" } else { "to" });
            let status = match is_pull {
                true => pull(&here, &effects, &name).await.unwrap(),
                false => push(&here, &effects, &name).await.unwrap(),
            };
            assert_eq!((status.docs_written, status.doc_write_failures), (DOCUMENTS as u64, 0));
            let moved = (DOCUMENTS * ATTACHMENTS * LENGTH) as u64;
            let (bytes, way) = if is_pull { (status.bytes_read, "pull") } else { (peer.received.get(), "push") };
            assert!(bytes >= moved, "{way}: {bytes} of {moved} bytes");
            let held = peer.most.get() - before;
            println!("{way}: {bytes} bytes moved, at most {held} bytes held beside what is stored");
            assert!(held < LENGTH, "{way} held {held} bytes");
        }
    });
}
