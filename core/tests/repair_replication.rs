//! After a repair a replication brings back what was lost: no checkpoint of before passes over it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod repair_support;
mod replication_support;

use firkin_core::database::Loss;
use repair_support::{Image, blocks_of, damaged, image_of, open, repair, stored};
use replication_support::server::FakeServer;
use replication_support::time::{SimulatedClock, simulate};
use replication_support::{Client, content, database, options, put};
use serde_json::json;

#[test]
fn a_pull_that_was_complete_before_the_damage_brings_back_what_was_lost_by_it() {
    let clock = SimulatedClock::default();
    simulate(&clock, async {
        let there = database(1).await;
        for n in 0..60 {
            let data = ["eA==", "eHg=", "eHh4"][n % 3];
            let attachments = json!({ "a": { "content_type": "text/plain", "data": data } });
            let document =
                json!({ "_id": format!("d{n:04}"), "text": "words ".repeat(90), "_attachments": attachments });
            put(&there, &document.to_string()).await;
        }
        let server = FakeServer::new(&there, &clock, 3);
        let blocks = blocks_of(&Image::new());
        let here = open(&blocks, 5, false).unwrap();
        Client::new(&here, &clock, 4).pull(&server, &options("there")).await.unwrap();
        // One more commit, which is too long for the log: all is in a segment.
        let long = json!({ "_id": "long", "text": "letters".repeat(43_000) });
        here.put(long.to_string().as_bytes(), &Default::default()).await.unwrap();
        let image = image_of(&blocks);
        let mut brought_back = 0;
        for name in stored(&image) {
            let (here, repaired, _) = repair(&damaged(&image, name, false));
            let lost = repaired.lost.iter().filter(|lost| lost.loss != Loss::Ancestor && lost.id != "long").count();
            let status = Client::new(&here, &clock, 5).pull(&server, &options("there")).await.unwrap();
            assert!(status.docs_written as usize >= lost, "{name:?}");
            let mut found = Box::pin(leaves(&here)).await;
            found.remove("long");
            assert_eq!(found, content(&there).await, "{name:?}");
            brought_back += lost;
        }
        assert!(brought_back > 50, "{brought_back}");
        // Without damage there is nothing to bring.
        let (here, ..) = repair(&image_of(&blocks_of(&image)));
        assert_eq!(Client::new(&here, &clock, 6).pull(&server, &options("there")).await.unwrap().docs_written, 0);
    });
}

async fn leaves(database: &repair_support::Replica) -> std::collections::BTreeMap<String, Vec<serde_json::Value>> {
    let all = repair_support::leaves(database).into_iter();
    all.map(|(id, leaves)| (id, leaves.into_iter().filter_map(|(_, text)| text).collect())).collect()
}
