//! What suites of reviews need: replicas in memory, and the branches that they have of the document `d`.
#![allow(dead_code, reason = "each suite uses a part of it")]

use firkin_core::database::{Database, GetOptions, OpenRev, OpenRevs, Options};
use firkin_core::merge::Policies;
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;
use serde_json::Value;

use crate::common::{Seeded, value};

/// A replica.
pub type Replica = Database<MemoryKv>;

/// A replica that holds nothing.
pub fn open(seed: u64) -> Replica {
    block_on(Database::open(MemoryKv::new(), &Seeded::new(seed), Options::default())).unwrap()
}

/// Policies, as an app words them.
pub fn policies(policies: &Value) -> Policies {
    Policies::parse(&value(policies)).unwrap()
}

/// All leaves of the document with their ancestry, tombstones included, as a peer gets them.
pub fn leaves(replica: &Replica) -> Vec<Value> {
    let asked = GetOptions { revs: true, attachments: true, ..GetOptions::default() };
    let read = block_on(replica.open_revs("d", OpenRevs::All, &asked)).unwrap();
    let text = |leaf| match leaf {
        OpenRev::Ok(text) => serde_json::from_slice(&text).unwrap(),
        OpenRev::Missing(rev) => panic!("{rev} has no body"),
    };
    read.into_iter().map(text).collect()
}
