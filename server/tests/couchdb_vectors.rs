//! What a real CouchDB answered, asked again of this server, step by step.
//!
//! Statuses, content types, error names and reasons must be CouchDB's, and so must the members of every body. What each server
//! makes up is compared by what it means: a recorded revision stands for the same one of ours wherever it occurs, with the
//! same generation; sequences and bookmarks are strings that tell nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use common::{Answer, Client, Server};
use serde_json::Value;

const DATABASE: &str = "vec-http";

/// Steps that do not come out as CouchDB's yet, or never will. One that starts to pass must leave this list.
const NOT_YET: &[(&str, &str)] = &[
    ("index", "nothing is built where every path is indexed: the answer is `exists`"),
    ("indexes", "there is no declared index to list"),
    ("find_bad_sort", "where CouchDB wants an index declared, this server sorts"),
];

/// Members whose values are this server's own; the last column says why. A name that ends in `/*` stands for all below it.
const OWN: &[(&str, &str, &str)] = &[
    ("welcome", "/git_sha", "no CouchDB, so no commit of it"),
    ("welcome", "/uuid", "a server's identity"),
    ("welcome", "/features", "none of CouchDB's optional features"),
    ("welcome", "/vendor", "another vendor"),
    ("uuids", "/uuids/*", "random"),
    ("db_info", "/instance_start_time", "0, as in CouchDB 2"),
    ("db_info", "/firkin_snapshot", "CouchDB has no snapshots"),
    ("db_info", "/sizes/*", "the size of the file only"),
    ("db_info", "/disk_format_version", "not CouchDB's format"),
    ("db_info", "/cluster/*", "one node, one shard"),
    ("changes_ids", "/pending", "CouchDB counts what its filter skipped as well"),
    ("att_doc", "/_attachments/h.txt/digest", "CouchDB compresses text, and digests that"),
    ("att_doc", "/_attachments/b.txt/digest", "CouchDB compresses text, and digests that"),
    ("att_doc_full", "/_attachments/h.txt/digest", "CouchDB compresses text, and digests that"),
    ("att_doc_full", "/_attachments/b.txt/digest", "CouchDB compresses text, and digests that"),
    ("find", "/warning", "every path is indexed"),
    ("find", "/execution_stats/*", "counts of another plan"),
];

#[derive(Clone, Debug)]
struct Step {
    name: String,
    request: Value,
    response: Value,
}

fn steps() -> Vec<Step> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/http.json");
    let text = std::fs::read_to_string(path).expect("the golden data");
    let steps: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let field = |step: &Value, name: &str| step[name].clone();
    steps
        .iter()
        .map(|step| Step {
            name: step["name"].as_str().expect("a name").to_owned(),
            request: field(step, "request"),
            response: field(step, "response"),
        })
        .collect()
}

/// What is known while the steps are replayed.
#[derive(Default)]
struct Replay {
    /// The `rev` that each step returned here.
    revs: HashMap<String, String>,
    /// Recorded hashes and ours.
    hashes: HashMap<String, String>,
    /// The exceptions of [`OWN`] that were needed.
    used: BTreeSet<(String, String)>,
}

impl Replay {
    fn fill_in(&self, text: &str) -> String {
        let filled = text.replace("{db}", DATABASE);
        self.revs.iter().fold(filled, |text, (name, rev)| text.replace(&format!("{{{name}}}"), rev))
    }

    fn send(&self, client: &Client, step: &Step) -> Answer {
        let method = step.request["method"].as_str().expect("a method");
        let path = self.fill_in(step.request["path"].as_str().expect("a path"));
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        if let Some(given) = step.request["headers"].as_object() {
            headers.extend(given.iter().map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned())));
        }
        let body = match &step.request["body"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            body => Some(self.fill_in(&body.to_string())),
        };
        if body.is_some() {
            headers.entry("content-type".into()).or_insert_with(|| "application/json".into());
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        client.send(method, &path, &headers, body.as_deref().map(str::as_bytes))
    }

    /// Says how the answer differs from the recorded one.
    fn compare(&mut self, step: &Step, answer: &Answer) -> Result<(), String> {
        let recorded = &step.response;
        if recorded["status"] != answer.status {
            return Err(format!("status {}, not {}: {}", answer.status, recorded["status"], answer.text()));
        }
        let content_type = answer.header("content-type").unwrap_or_default();
        if recorded["content_type"].as_str() != content_type.split(';').next() {
            return Err(format!("content type {content_type:?}, not {}", recorded["content_type"]));
        }
        if let Some(location) = recorded["location"].as_str() {
            let location = self.fill_in(location);
            if answer.header("location") != Some(&location) {
                return Err(format!("location {:?}, not {location}", answer.header("location")));
            }
        }
        let Value::String(text) = &recorded["body"] else {
            let body = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
            self.compare_json(&step.name, "", &recorded["body"], &body)?;
            return self.compare_etag(recorded, answer);
        };
        if text == answer.text() { Ok(()) } else { Err(format!("body {:?}, not {text:?}", answer.text())) }
    }

    /// The tag of a document is its revision; other tags are CouchDB's own.
    fn compare_etag(&mut self, recorded: &Value, answer: &Answer) -> Result<(), String> {
        let Some(recorded) = recorded["etag"].as_str().and_then(|tag| split_rev(tag.trim_matches('"'))) else {
            return Ok(());
        };
        let tag = answer.header("etag").ok_or("no etag")?;
        let ours = split_rev(tag.trim_matches('"')).ok_or(format!("etag {tag}"))?;
        if recorded.0 == ours.0 && self.is_same_hash(recorded.1, ours.1) { Ok(()) } else { Err(format!("etag {tag}")) }
    }

    fn is_same_hash(&mut self, recorded: &str, ours: &str) -> bool {
        self.hashes.entry(recorded.to_owned()).or_insert_with(|| ours.to_owned()) == ours
    }

    fn is_own(&mut self, step: &str, path: &str) -> bool {
        let exception = OWN.iter().find(|(name, place, _)| {
            *name == step && place.strip_suffix('*').map_or(*place == path, |below| path.starts_with(below))
        });
        if let Some((name, place, _)) = exception {
            self.used.insert(((*name).to_owned(), (*place).to_owned()));
        }
        exception.is_some()
    }

    fn compare_json(&mut self, step: &str, path: &str, recorded: &Value, ours: &Value) -> Result<(), String> {
        let different = || Err(format!("{path}: {ours}, not {recorded}"));
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                let names: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
                for name in names {
                    let path = format!("{path}/{name}");
                    match (recorded.get(name), ours.get(name)) {
                        (Some(recorded), Some(ours)) if recorded == ours => {}
                        _ if self.is_own(step, &path) => {}
                        (Some(recorded), Some(ours)) => self.compare_json(step, &path, recorded, ours)?,
                        (recorded, ours) => return Err(format!("{path}: {ours:?}, not {recorded:?}")),
                    }
                }
                Ok(())
            }
            (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => {
                let (recorded, ours) = (in_order(recorded), in_order(ours));
                for (at, (recorded, ours)) in recorded.iter().zip(&ours).enumerate() {
                    let path = format!("{path}/{at}");
                    if !self.is_own(step, &path) {
                        self.compare_json(step, &path, recorded, ours)?;
                    }
                }
                Ok(())
            }
            (Value::String(recorded), Value::String(ours)) => {
                let is_token = ["seq", "last_seq", "update_seq", "purge_seq", "bookmark"]
                    .contains(&path.rsplit('/').next().unwrap_or_default());
                if recorded == ours || is_token || self.is_same_text(recorded, ours) { Ok(()) } else { different() }
            }
            _ if recorded == ours => Ok(()),
            _ => different(),
        }
    }

    fn is_same_text(&mut self, recorded: &str, ours: &str) -> bool {
        match (split_rev(recorded), split_rev(ours)) {
            (Some(recorded), Some(ours)) => recorded.0 == ours.0 && self.is_same_hash(recorded.1, ours.1),
            _ => is_hash(recorded) && is_hash(ours) && self.is_same_hash(recorded, ours),
        }
    }
}

/// Rows of the changes feed come in the order of CouchDB's shards there, so they are compared in the order of their ids.
fn in_order(elements: &[Value]) -> Vec<&Value> {
    let mut elements: Vec<&Value> = elements.iter().collect();
    if elements.iter().all(|element| element.get("seq").is_some()) {
        elements.sort_by_key(|row| row["id"].as_str().map(str::to_owned));
    }
    elements
}

fn split_rev(text: &str) -> Option<(&str, &str)> {
    let (generation, hash) = text.split_once('-')?;
    (generation.parse::<u64>().is_ok() && is_hash(hash)).then_some((generation, hash))
}

fn is_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn every_step_is_answered_as_couchdb_answered_it() {
    let server = Server::start(&["--admin", "admin:secret", "--password-iterations", "100"]);
    let client = server.client.clone().with_credentials("admin:secret");
    client.create(DATABASE);
    let mut replay = Replay::default();
    let mut wrong = Vec::new();
    for step in steps() {
        let answer = replay.send(&client, &step);
        if let Some(rev) =
            serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| body["rev"].as_str().map(str::to_owned))
        {
            replay.revs.insert(step.name.clone(), rev);
        }
        let listed = NOT_YET.iter().any(|(name, _)| *name == step.name);
        match (replay.compare(&step, &answer), listed) {
            (Err(how), false) => wrong.push(format!("{}: {how}", step.name)),
            (Ok(()), true) => wrong.push(format!("{} passes now: take it off the list", step.name)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    let names: Vec<String> = steps().into_iter().map(|step| step.name).collect();
    for (name, reason) in NOT_YET {
        assert!(names.iter().any(|step| step == name), "{name} ({reason}) is no step");
    }
    let needed = |(step, place, _): &&(&str, &str, &str)| replay.used.contains(&((*step).into(), (*place).into()));
    let stale: Vec<_> = OWN.iter().filter(|exception| !needed(exception)).collect();
    assert!(stale.is_empty(), "no exceptions any more: {stale:?}");
}

#[test]
fn a_difference_of_any_kind_is_noticed() {
    let step = |body: Value| Step {
        name: "step".into(),
        request: Value::Null,
        response: serde_json::json!({"status": 200, "content_type": "application/json", "body": body}),
    };
    let answer = |body: &str| Answer {
        status: 200,
        headers: [("content-type".parse().unwrap(), "application/json".parse().unwrap())].into_iter().collect(),
        body: body.as_bytes().to_vec(),
    };
    let rev = |digit: &str| format!("1-{}", digit.repeat(32));
    let recorded = serde_json::json!([{"rev": rev("a")}, {"rev": rev("a")}, {"rev": rev("b")}]);
    let ours =
        |revs: [&str; 3]| serde_json::json!(revs.map(|digit| serde_json::json!({"rev": rev(digit)}))).to_string();
    let same = |body: &Value, ours: &str| Replay::default().compare(&step(body.clone()), &answer(ours)).is_ok();
    assert!(same(&recorded, &ours(["c", "c", "d"])));
    assert!(!same(&recorded, &ours(["c", "d", "d"])));
    assert!(!same(&recorded, &ours(["c", "c", "d"]).replace("1-d", "2-d")));
    let error = serde_json::json!({"error": "conflict", "reason": "Document update conflict."});
    assert!(same(&error, &error.to_string()));
    for other in [
        r#"{"error":"conflict","reason":"Conflict."}"#,
        r#"{"error":"conflict"}"#,
        r#"{"error":"conflict","reason":"Document update conflict.","more":1}"#,
        "[]",
    ] {
        assert!(!same(&error, other), "{other}");
    }
}
