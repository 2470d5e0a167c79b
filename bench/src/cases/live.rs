//! Live queries.

use std::rc::Rc;

use firkin_core::database::WriteOptions;
use firkin_core::query::FindQuery;

use super::write::edited;
use crate::documents;
use crate::fixture::Fixture;
use crate::{Case, Work, now};

pub(super) const CASES: &[Case] = &[
    Case {
        group: "live",
        name: "update",
        what: "put of one of the 100 documents of an owner, and its difference",
        set_up: update,
    },
    Case {
        group: "live",
        name: "window",
        what: "put that comes first of 20 in the order of all 100,000 documents, and its difference",
        set_up: window,
    },
];

const WINDOW: usize = 20;
const WINDOW_DOCUMENTS: usize = 100_000;

fn update(fixture: &Fixture) -> Work {
    let (database, documents) = (Rc::new(fixture.database()), fixture.documents());
    let owner = documents::owner(7, documents);
    let query = FindQuery::parse(format!(r#"{{"selector":{{"owner":"{owner}"}}}}"#).as_bytes()).unwrap();
    let places: Vec<usize> = (0..documents).filter(|place| documents::owner(*place, documents) == owner).collect();
    let mut live = database.live(query).unwrap();
    assert_eq!(now(live.next(&database)).unwrap().added.len(), places.len());
    let (mut edits, read) = (0, Rc::clone(&database));
    let prepare = move || {
        edits += 1;
        edited(&read, places[edits % places.len()], documents, edits)
    };
    let run = move |text: String| {
        now(database.put(text.as_bytes(), &WriteOptions::default())).unwrap();
        now(live.next(&database)).unwrap()
    };
    Work::with_input(prepare, run, |difference| difference.changed.len() == 1 && difference.added.is_empty())
}

/// A database of its own: what a window costs must not grow with the collection under it.
fn window(_: &Fixture) -> Work {
    let documents = WINDOW_DOCUMENTS;
    let database = Rc::new(Fixture::new(documents).database());
    let query = format!(r#"{{"selector":{{}},"sort":[{{"edits":"desc"}}],"limit":{WINDOW}}}"#);
    let mut live = database.live(FindQuery::parse(query.as_bytes()).unwrap()).unwrap();
    assert_eq!(now(live.next(&database)).unwrap().added.len(), WINDOW);
    let (mut edits, read) = (0, Rc::clone(&database));
    let prepare = move || {
        edits += 1;
        // A prime: all documents come up in turn, neighbours far apart.
        edited(&read, edits * 7919 % documents, documents, edits)
    };
    let run = move |text: String| {
        now(database.put(text.as_bytes(), &WriteOptions::default())).unwrap();
        now(live.next(&database)).unwrap()
    };
    Work::with_input(prepare, run, |difference| difference.added.len() == 1 && difference.removed.len() == 1)
}
