//! Reads from a database that is filled.

use firkin_core::database::{FindPage, GetOptions};
use firkin_core::json;
use firkin_core::query::FindQuery;

use crate::documents::{self, AMOUNT_END};
use crate::fixture::Fixture;
use crate::{Case, Work, now};

pub(super) const CASES: &[Case] = &[
    Case { group: "find", name: "get", what: "one document by its id", set_up: get },
    Case { group: "find", name: "equality", what: "the 100 documents of an owner", set_up: equality },
    Case { group: "find", name: "equality-ids", what: "their ids and revisions alone", set_up: equality_ids },
    Case { group: "find", name: "range", what: "the 1% whose amounts lie in a range", set_up: range },
    Case { group: "find", name: "top-k", what: "a range in its order, the first 20", set_up: top_k },
    Case { group: "find", name: "intersection", what: "an owner, a state, half of the amounts", set_up: intersection },
];

fn get(fixture: &Fixture) -> Work {
    let (database, documents) = (fixture.database(), fixture.documents());
    // Ids far apart, so that no two reads in a row find the same block.
    let ids: Vec<String> = (0..documents).map(|place| documents::id(place * 7919 % documents)).collect();
    let mut next = 0;
    let run = move || {
        next = (next + 1) % ids.len();
        now(database.get(&ids[next], &GetOptions::default()))
    };
    Work::new(run, |text| text.as_ref().is_ok_and(|text| text.starts_with(br#"{"_id":"order-"#) && text.len() > 700))
}

fn equality(fixture: &Fixture) -> Work {
    let owner = documents::owner(7, fixture.documents());
    find(fixture, &format!(r#"{{"selector":{{"owner":"{owner}"}}}}"#))
}

fn equality_ids(fixture: &Fixture) -> Work {
    let owner = documents::owner(7, fixture.documents());
    find(fixture, &format!(r#"{{"selector":{{"owner":"{owner}"}},"fields":["_id","_rev"]}}"#))
}

fn range(fixture: &Fixture) -> Work {
    // Amounts are written with two decimals.
    let (from, to) = (AMOUNT_END / 300, AMOUNT_END / 300 + AMOUNT_END / 10_000);
    find(fixture, &format!(r#"{{"selector":{{"amount":{{"$gte":{from},"$lt":{to}}}}}}}"#))
}

fn top_k(fixture: &Fixture) -> Work {
    let from = AMOUNT_END / 300;
    find(fixture, &format!(r#"{{"selector":{{"amount":{{"$gte":{from}}}}},"sort":["amount"],"limit":20}}"#))
}

fn intersection(fixture: &Fixture) -> Work {
    let (owner, half) = (documents::owner(7, fixture.documents()), AMOUNT_END / 200);
    find(fixture, &format!(r#"{{"selector":{{"owner":"{owner}","state":"open","amount":{{"$lt":{half}}}}}}}"#))
}

fn find(fixture: &Fixture, request: &str) -> Work {
    let database = fixture.database();
    let query = FindQuery::parse(request.as_bytes()).unwrap();
    let expected = fixture.answer(&query);
    assert!(!expected.is_empty(), "{request} has an answer");
    Work::new(move || now(database.find(&query)).unwrap(), move |page| ids(page) == expected)
}

fn ids(page: &FindPage) -> Vec<String> {
    let id = |text: &Vec<u8>| Some(json::parse(text).ok()?.as_object()?.get("_id")?.as_str()?.to_owned());
    page.docs.iter().filter_map(id).collect()
}
