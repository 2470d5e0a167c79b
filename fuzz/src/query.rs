//! Queries that come in: any text is answered or refused, and an answer is that of a look at the document itself.
//!
//! The input is a query and, after the first line break, a document.

use firkin_core::database::{Database, GetOptions, Options, WriteOptions};
use firkin_core::effects::Random;
use firkin_core::json;
use firkin_core::path::Path;
use firkin_core::query::FindQuery;
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;

/// Asks a database that holds one document.
pub fn run(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (query, document) = input.split_at(end);
    if let Ok(text) = core::str::from_utf8(query) {
        let path = Path::parse(text);
        assert_eq!(Path::parse(&path.to_string()), path, "a path reads as it was written");
    }
    if let Ok(query) = FindQuery::parse(query) {
        block_on(ask(&query, document));
    }
}

async fn ask(query: &FindQuery, document: &[u8]) {
    let database = Database::open(MemoryKv::new(), &Constant, Options::default()).await.expect("memory does not fail");
    let Ok(written) = database.put(document, &WriteOptions::default()).await else { return };
    if written.id.starts_with('_') {
        return;
    }
    let page = database.find(query).await.expect("a sound index answers");
    database.explain(query).await.expect("a sound index answers");
    let Ok(text) = database.get(&written.id, &GetOptions::default()).await else {
        assert!(page.docs.is_empty(), "a deleted document is in no answer");
        return;
    };
    let document = json::parse(&text).expect("a document is JSON");
    let after_bookmark = |place: &Vec<_>| query.bookmark.as_ref().is_none_or(|last| query.compare(place, last).is_gt());
    let belongs = query.selector.matches(&document)
        && query.place_of(&document).as_ref().is_some_and(after_bookmark)
        && query.skip == 0
        && query.limit != Some(0);
    assert_eq!(page.docs.len(), usize::from(belongs), "the index answers as a scan would");
}

/// Randomness that is none: a database needs some to tell its epochs apart.
pub struct Constant;

impl Random for Constant {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
