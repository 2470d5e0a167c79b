//! Attachments: what documents show of them, and where stubs come from.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attachment_support;
mod common;

use attachment_support::*;
use common::{Seeded, content, get, put, replicate, stored, told};
use firkin_core::database::{
    AllDocsQuery, ChangesQuery, Database, GetOptions, OpenRev, OpenRevs, Options, WriteOptions,
};
use firkin_core::query::FindQuery;
use firkin_core::storage::memory::MemoryKv;
use pollster::block_on;
use serde_json::{Value, json};

#[test]
fn digest_is_the_md5_of_the_content_in_base64() {
    let database = open();
    // RFC 1321, appendix A.5.
    for (text, digest) in [
        ("", "md5-1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("abc", "md5-kAFQmDzST7DWlj99KOF/cg=="),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "md5-V+30oivjyVWsSdouIQe2eg==",
        ),
    ] {
        let id = format!("d{}", text.len());
        put_attachment(&database, (&id, "t", None), data(text)).unwrap();
        let stub = json!({
            "content_type": "text/plain", "revpos": 1, "digest": digest, "length": text.len(), "stub": true,
        });
        assert_eq!(get(&database, &id, &default()).unwrap()["_attachments"]["t"], stub);
        assert_eq!(content(&database, &id, "t", None).unwrap(), text.as_bytes());
        let reader = block_on(database.get_attachment(&id, "t", None)).unwrap();
        assert_eq!(format!("md5-{}", reader.md5), digest);
    }
}

#[test]
fn every_reader_shows_stubs_or_the_data_that_is_asked_for() {
    let database = open();
    let given = json!({ "_id": "a", "n": 1, "_attachments": {
        "z.txt": { "content_type": "text/plain", "data": "aGVsbG8=" },
        "b": { "data": "" },
    } });
    let rev = put(&database, &given).unwrap();
    let told = |content: &Value, empty: &Value| {
        let mut shown = json!({ "_id": "a", "_rev": rev, "n": 1, "_attachments": {
            "b": { "content_type": "application/octet-stream", "revpos": 1, "digest": "md5-1B2M2Y8AsgTpgAmY7PhCfg==" },
            "z.txt": { "content_type": "text/plain", "revpos": 1, "digest": "md5-XUFAKrxLKna5cZ2REBfFkg==" },
        } });
        for (name, added) in [("b", empty), ("z.txt", content)] {
            shown["_attachments"][name].as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
        }
        shown
    };
    let stubs = told(&json!({ "length": 5, "stub": true }), &json!({ "length": 0, "stub": true }));
    let full = told(&json!({ "data": "aGVsbG8=" }), &json!({ "data": "" }));
    for (attachments, shown) in [(false, &stubs), (true, &full)] {
        let get_options = GetOptions { attachments, ..default() };
        assert_eq!(get(&database, "a", &get_options).unwrap(), *shown);
        let opened = block_on(database.open_revs("a", OpenRevs::All, &get_options)).unwrap();
        let [OpenRev::Ok(text)] = opened.as_slice() else { panic!("{opened:?}") };
        assert_eq!(serde_json::from_slice::<Value>(text).unwrap(), *shown);
        let all = AllDocsQuery { include_docs: true, attachments, ..default() };
        let all: Value = serde_json::from_slice(&block_on(database.all_docs(&all)).unwrap()).unwrap();
        assert_eq!(all["rows"][0]["doc"], *shown);
        let changes = ChangesQuery { include_docs: true, attachments, ..default() };
        let changes = block_on(database.changes(&changes)).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(changes.rows[0].doc.as_ref().unwrap()).unwrap(), *shown);
    }
    for (query, found) in [
        (json!({ "selector": { "n": 1 } }), &stubs),
        (json!({ "selector": { "n": { "$gt": 0 } }, "sort": ["n"] }), &stubs),
        (json!({ "selector": { "_attachments": { "z\\.txt": { "length": 5 } } } }), &stubs),
        (
            json!({ "selector": { "n": 1 }, "fields": ["_attachments.b.length"] }),
            &json!({ "_attachments": { "b": { "length": 0 } } }),
        ),
    ] {
        let page = block_on(database.find(&FindQuery::parse(query.to_string().as_bytes()).unwrap())).unwrap();
        assert_eq!(page.docs.len(), 1, "{query}");
        assert_eq!(serde_json::from_slice::<Value>(&page.docs[0]).unwrap(), *found, "{query}");
    }
    // Each posting begins with the number of its path; the stubs have brought none.
    assert_eq!(stored(&database, b"p").len(), 1, "only `n` has a path");
}

#[test]
fn stubs_stand_for_what_the_parent_has_and_what_is_left_out_goes() {
    let database = open();
    let attachment = |data: &str| json!({ "content_type": "text/plain", "data": data });
    let first =
        put(&database, &json!({ "_id": "a", "_attachments": { "x": attachment("eA=="), "y": attachment("eQ==") } }));
    let first = first.unwrap();
    let read = get(&database, "a", &default()).unwrap();
    let mut next = read.clone();
    next["n"] = json!(1);
    next["_attachments"].as_object_mut().unwrap().remove("y");
    let second = put(&database, &next).unwrap();
    let now = get(&database, "a", &default()).unwrap();
    assert_eq!(now["_attachments"], json!({ "x": read["_attachments"]["x"] }), "revpos and all");
    assert_eq!(content(&database, "a", "x", None).unwrap(), b"x");
    assert_eq!(content(&database, "a", "y", None), Err((404, "not_found", "Document is missing attachment".into())));
    assert_eq!(content(&database, "a", "y", Some(&first)).unwrap(), b"y");

    let stub = |id: &str, rev: Option<&str>, name: &str, more: Value| {
        let mut document = json!({ "_id": id, "_attachments": { name: more } });
        if let Some(rev) = rev {
            document["_rev"] = json!(rev);
        }
        put(&database, &document)
    };
    for (id, rev, name) in [("new", None, "x"), ("a", Some(second.as_str()), "y")] {
        let refused = stub(id, rev, name, json!({ "stub": true })).unwrap_err();
        assert_eq!(refused, (412, "missing_stub", format!("Invalid attachment stub in {id} for {name}")));
    }
    let other = json!({ "stub": true, "digest": "md5-1B2M2Y8AsgTpgAmY7PhCfg==" });
    assert_eq!(stub("a", Some(&second), "x", other).unwrap_err().0, 412, "another content is meant");
    assert!(stub("a", Some(&second), "x", json!({ "stub": true })).is_ok());
    // What another branch has, as a merge takes it over.
    let branch = json!({
        "_id": "a", "_rev": "2-b", "_revisions": { "start": 2, "ids": ["b", &first[2..]] },
        "_attachments": { "theirs": attachment("dGhlaXJz") },
    });
    assert_eq!(replicate(&database, &[branch]), []);
    let leaf = get(&database, "a", &default()).unwrap()["_rev"].clone();
    let theirs = GetOptions { rev: Some("2-b".into()), ..default() };
    let mut merged = get(&database, "a", &theirs).unwrap();
    merged["_rev"] = leaf;
    put(&database, &merged).unwrap();
    assert_eq!(content(&database, "a", "theirs", None).unwrap(), b"theirs");
    assert_eq!(get(&database, "a", &default()).unwrap()["_attachments"]["theirs"]["revpos"], 4);
    // A parent of the same write.
    let texts = [
        json!({ "_id": "p", "_attachments": { "x": attachment("eA==") } }).to_string(),
        json!({ "_id": "p", "_deleted": true, "_attachments": { "x": { "stub": true } } }).to_string(),
    ];
    let write = WriteOptions { force: true, ..default() };
    let rows = block_on(database.bulk_docs(&texts.each_ref().map(|text| text.as_bytes()), true, &write)).unwrap();
    let tombstone = rows[1].as_ref().unwrap().rev.clone();
    assert_eq!(content(&database, "p", "x", Some(&tombstone)).unwrap(), b"x", "a tombstone may keep some");
}

#[test]
fn attachments_are_put_read_and_removed_one_by_one() {
    let database = open();
    let conflict = || (409, "conflict", "Document update conflict.".into());
    let missing = |reason: &str| Err((404, "not_found", reason.into()));
    assert_eq!(content(&database, "a", "x", None), missing("missing"));
    let first = put_attachment(&database, ("a", "x", None), data("one")).unwrap();
    assert_eq!(put_attachment(&database, ("a", "x", None), data("two")), Err(conflict()));
    let second = put_attachment(&database, ("a", "y", Some(&first)), data("two")).unwrap();
    assert!(second.starts_with("2-"));
    for rev in [first.as_str(), "2-00000000000000000000000000000000"] {
        assert_eq!(put_attachment(&database, ("a", "z", Some(rev)), data("three")), Err(conflict()));
    }
    let third = put_attachment(&database, ("a", "x", Some(&second)), data("four")).unwrap();
    let shown = get(&database, "a", &default()).unwrap();
    let revpos = |name: &str| shown["_attachments"][name]["revpos"].clone();
    assert_eq!((revpos("x"), revpos("y")), (json!(3), json!(2)));
    assert_eq!(content(&database, "a", "x", None).unwrap(), b"four");
    assert_eq!(content(&database, "a", "x", Some(&second)).unwrap(), b"one");

    let remove = |name: &str, rev: &str| {
        let removed = block_on(database.remove_attachment("a", name, rev, &default()));
        removed.map(|written| written.rev).map_err(|error| told(error.report()))
    };
    for name in ["x", "none"] {
        assert_eq!(remove(name, &second), Err(conflict()), "the document may have changed in that");
    }
    assert_eq!(remove("none", &third), Err((404, "not_found", "Document is missing attachment".into())));
    let fourth = remove("x", &third).unwrap();
    assert_eq!(content(&database, "a", "x", None), missing("Document is missing attachment"));
    let fifth = remove("y", &fourth).unwrap();
    assert_eq!(get(&database, "a", &default()).unwrap(), json!({ "_id": "a", "_rev": fifth }));
    block_on(database.remove("a", &fifth, &default())).unwrap();
    assert_eq!(content(&database, "a", "x", None), missing("deleted"));
    assert_eq!(put_attachment(&database, ("_local/a", "x", None), data("x")).unwrap_err().1, "doc_validation");
}

#[test]
fn bad_attachments_are_refused_in_couchdbs_words_and_change_nothing() {
    let database = open();
    let refused = |attachments: Value| put(&database, &json!({ "_id": "b", "_attachments": attachments })).unwrap_err();
    assert_eq!(
        refused(json!({ "h": { "data": "***" } })),
        (400, "bad_request", "Invalid attachment data for h".into())
    );
    for attachment in
        [json!({}), json!({ "data": 1 }), json!({ "follows": true, "length": 3 }), json!({ "stub": false })]
    {
        assert_eq!(refused(json!({ "h": attachment })).1, "bad_request", "{attachment}");
    }
    let name = (400, "bad_request", "Attachment name '_h' starts with prohibited character '_'".into());
    assert_eq!(refused(json!({ "_h": { "data": "" } })), name);
    let mixed = json!({ "content_type": 1, "data": "" });
    for attachments in [json!(1), json!([]), json!({ "h": 1 }), json!({ "h": mixed }), json!({ "n".repeat(5000): {} })]
    {
        assert_eq!(refused(attachments).1, "doc_validation");
    }
    assert_eq!(refused(json!({ "h": { "staged": "nothing" } })).1, "content_lost");
    let local = put(&database, &json!({ "_id": "_local/x", "_attachments": { "h": { "data": "" } } }));
    assert_eq!(local.unwrap_err().1, "doc_validation");
    let text = json!({ "_id": "a", "_attachments": { "x": { "data": "!" } } }).to_string();
    let good = b"{\"_id\":\"good\",\"_attachments\":{\"x\":{\"data\":\"eA==\"}}}".as_slice();
    assert!(block_on(database.bulk_docs(&[good, text.as_bytes()], true, &default())).is_err());
    assert!(
        stored(&database, b"").keys().all(|key| key[0] == b'm'),
        "what concerns the whole database and nothing else"
    );
    assert!(put(&database, &json!({ "_id": "b", "_attachments": {} })).is_ok());
}

#[test]
fn data_does_not_count_for_the_size_of_a_document() {
    let options = Options { document_bytes_max: 1000, ..Options::default() };
    let database = block_on(Database::open(MemoryKv::new(), &Seeded::new(7), options)).unwrap();
    let attachments = json!({ "x": { "data": "eHh4".repeat(1000) }, "y": { "data": "eXl5".repeat(1000) } });
    assert!(put(&database, &json!({ "_id": "a", "_attachments": attachments })).is_ok());
    let too_large = |document: Value| assert_eq!(put(&database, &document).unwrap_err().0, 413);
    too_large(json!({ "_id": "b", "n": "n".repeat(1000), "_attachments": attachments }));
    too_large(json!({ "_id": "b", "_attachments": { "x": { "data": "", "more": "n".repeat(1000) } } }));
    too_large(json!({ "_id": "b", "_attachments": { "x": { "data": vec![1; 1000] } } }));
    too_large(json!({ "_id": "b", "data": "n".repeat(1000) }));
}

#[test]
fn revision_tells_attachments_apart_and_the_same_edit_made_apart_is_one() {
    let revision =
        |attachments: Value| put(&open(), &json!({ "_id": "a", "n": 1, "_attachments": attachments })).unwrap();
    let attachment = |kind: &str, data: &str| json!({ "content_type": kind, "data": data });
    let one = revision(json!({ "x": attachment("a/b", "eA=="), "y": attachment("a/b", "eQ==") }));
    assert_eq!(one, revision(json!({ "y": attachment("a/b", "eQ=="), "x": attachment("a/b", "eA==") })));
    for other in [
        json!({}),
        json!({ "x": attachment("a/b", "eA==") }),
        json!({ "x": attachment("a/b", "eQ=="), "y": attachment("a/b", "eQ==") }),
        json!({ "x": attachment("a/c", "eA=="), "y": attachment("a/b", "eQ==") }),
        json!({ "z": attachment("a/b", "eA=="), "y": attachment("a/b", "eQ==") }),
    ] {
        assert_ne!(revision(other), one);
    }
    let database = open();
    let first = put_attachment(&database, ("a", "x", None), data("x")).unwrap();
    let apart = open();
    let text = json!({ "_id": "a", "_attachments": { "x": { "content_type": "text/plain", "data": "eA==" } } });
    assert_eq!(put(&apart, &text).unwrap(), first);
}

#[test]
fn foreign_digest_and_position_are_kept_as_they_came() {
    let database = open();
    // The digest of a server that compresses: not that of the content.
    let told = json!({ "content_type": "text/plain", "revpos": 2, "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==" });
    let with = |more: Value| {
        let mut attachment = told.clone();
        attachment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        attachment
    };
    let document = |rev: &str, ids: &[&str], attachment: Value| json!({ "_id": "a", "_rev": rev, "_revisions": { "start": ids.len(), "ids": ids }, "_attachments": { "h": attachment } });
    assert_eq!(replicate(&database, &[document("3-c", &["c", "b", "a"], with(json!({ "data": "aGVsbG8=" })))]), []);
    assert_eq!(
        get(&database, "a", &default()).unwrap()["_attachments"]["h"],
        with(json!({ "length": 5, "stub": true }))
    );
    assert_eq!(get(&database, "a", &with_data()).unwrap()["_attachments"]["h"], with(json!({ "data": "aGVsbG8=" })));
    // A stub of a later revision, or of a branch, stands for it.
    let stub = with(json!({ "stub": true, "length": 5 }));
    let later = [document("4-d", &["d", "c", "b", "a"], stub.clone()), document("3-x", &["x", "b", "a"], stub.clone())];
    assert_eq!(replicate(&database, &later), []);
    for rev in ["4-d", "3-x"] {
        assert_eq!(content(&database, "a", "h", Some(rev)).unwrap(), b"hello");
    }
    for unknown in [with(json!({ "stub": true, "digest": "md5-other" })), json!({ "stub": true })] {
        let refused = replicate(&database, &[document("5-e", &["e", "d", "c", "b", "a"], unknown)]);
        assert_eq!(refused, [(412, "missing_stub", "Invalid attachment stub in a for h".into())]);
    }
    // A position beyond the revision is none.
    let far = document("1-f", &["f"], json!({ "data": "", "revpos": 9 }));
    assert_eq!(
        replicate(&database, &[json!({ "_id": "f", "_rev": far["_rev"], "_attachments": far["_attachments"] })]),
        []
    );
    assert_eq!(get(&database, "f", &default()).unwrap()["_attachments"]["h"]["revpos"], 1);
    // The digest goes into the revision of the next edit, here as there.
    let edit = json!({ "_id": "a", "_rev": "4-d", "_attachments": { "h": { "stub": true } } });
    let other = open();
    let whole = document("4-d", &["d", "c", "b", "a"], with(json!({ "data": "aGVsbG8=" })));
    assert_eq!(replicate(&other, &[whole]), []);
    assert_eq!(put(&database, &edit).unwrap(), put(&other, &edit).unwrap());
}

#[test]
fn revision_that_another_server_digested_in_its_own_way_is_the_same() {
    let database = open();
    let rev = put(&database, &json!({ "_id": "a", "n": 1, "_attachments": { "h": { "data": "aGVsbG8=" } } })).unwrap();
    let back = |n: u32| {
        let attachment = json!({ "data": "aGVsbG8=", "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==", "revpos": 1 });
        json!({ "_id": "a", "_rev": rev, "n": n, "_attachments": { "h": attachment } })
    };
    assert_eq!(replicate(&database, &[back(1)]), []);
    assert_eq!(replicate(&database, &[back(2)])[0].0, 409, "another body is still another");
    assert_eq!((stored(&database, b"c").len(), stored(&database, b"u").len()), (1, 1));
}
