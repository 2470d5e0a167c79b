//! Writes to a database that is filled.

use std::rc::Rc;

use firkin_core::database::{GetOptions, WriteOptions};
use firkin_core::json;

use crate::documents;
use crate::fixture::{Engine, Fixture, write_all};
use crate::{Case, Work, now};

pub(super) const CASES: &[Case] = &[
    Case { group: "write", name: "insert", what: "put of a new document", set_up: insert },
    Case { group: "write", name: "update", what: "put of a winner's child, two members changed", set_up: update },
    Case { group: "write", name: "bulk", what: "1,000 new documents as one commit", set_up: bulk },
];

const BULK: usize = 1000;

fn insert(fixture: &Fixture) -> Work {
    let database = fixture.database();
    let documents = fixture.documents();
    let mut places = documents..;
    let prepare = move || places.next().map(|place| documents::text(place, documents, 0)).unwrap();
    let run = move |text: String| now(database.put(text.as_bytes(), &WriteOptions::default()));
    Work::with_input(prepare, run, |written| written.as_ref().is_ok_and(|written| written.rev.starts_with("1-")))
}

fn update(fixture: &Fixture) -> Work {
    let database = Rc::new(fixture.database());
    let documents = fixture.documents();
    let (mut edits, read) = (0, Rc::clone(&database));
    let prepare = move || {
        edits += 1;
        // A prime: all documents come up in turn, neighbours far apart.
        let place = edits * 7919 % documents;
        edited(&read, place, documents, edits)
    };
    let run = move |text: String| now(database.put(text.as_bytes(), &WriteOptions::default()));
    Work::with_input(prepare, run, |written| written.as_ref().is_ok_and(|written| !written.rev.starts_with("1-")))
}

/// The text of the document at `place` after so many edits, as a child of what is stored.
pub(super) fn edited(database: &Engine, place: usize, documents: usize, edits: usize) -> String {
    let stored = now(database.get(&documents::id(place), &GetOptions::default())).unwrap();
    let stored = json::parse(&stored).unwrap();
    let rev = stored.as_object().and_then(|members| members.get("_rev")?.as_str()).unwrap();
    let text = documents::text(place, documents, edits);
    format!(r#"{{"_rev":"{rev}",{}"#, text.strip_prefix('{').unwrap())
}

fn bulk(fixture: &Fixture) -> Work {
    let (copies, documents) = (fixture.copies(), fixture.documents());
    let texts: Vec<String> = (documents..documents + BULK).map(|place| documents::text(place, documents, 0)).collect();
    // Each iteration has a database of its own: in one that grows, now and then a bulk would merge all that is there.
    let run = move |database: Engine| (write_all(&database, &texts), database);
    Work::with_input(copies, run, |(written, _)| *written == BULK)
}
