//! Scripts of transactions, run by the engine side by side and by a naive model one after the other.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use firkin_core::database::{Database, GetOptions, Transaction, TransactionError};
use firkin_core::json::{self, Object, Patch};
use firkin_core::query::{FindQuery, project};
use firkin_core::revision::Rev;
use firkin_core::storage::{Kv, Overlay};
use serde_json::{Value, json};

use crate::common::Seeded;

/// What transactions are run on.
pub trait Store {
    async fn get(&mut self, id: &str) -> Result<Value, String>;
    async fn find(&mut self, query: &Value) -> Result<Value, String>;
    async fn put(&mut self, document: &Value) -> Result<String, String>;
    async fn remove(&mut self, id: &str, rev: &str) -> Result<String, String>;
    async fn patch(&mut self, id: &str, patch: &Value) -> Result<String, String>;
}

/// The engine's own transaction.
pub struct Engine<'database, K: Kv> {
    pub database: &'database Database<K>,
    pub transaction: Transaction<K::Snapshot>,
}

fn told(error: &TransactionError) -> String {
    let report = error.report();
    format!("{} {}: {}", report.status, report.name, report.reason)
}

impl<K: Kv<Snapshot: Overlay>> Store for Engine<'_, K> {
    async fn get(&mut self, id: &str) -> Result<Value, String> {
        let text =
            self.transaction.get(self.database, id, &GetOptions::default()).await.map_err(|error| told(&error))?;
        Ok(serde_json::from_slice(&text).unwrap())
    }

    async fn find(&mut self, query: &Value) -> Result<Value, String> {
        let query = FindQuery::parse(query.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let page = self.transaction.find(self.database, query).await.map_err(|error| told(&error))?;
        let docs: Vec<Value> = page.docs.iter().map(|doc| serde_json::from_slice(doc).unwrap()).collect();
        Ok(json!({ "docs": docs, "bookmark": page.bookmark }))
    }

    async fn put(&mut self, document: &Value) -> Result<String, String> {
        let written = self.transaction.put(self.database, document.to_string().as_bytes()).await;
        written.map(|written| written.rev).map_err(|error| told(&error))
    }

    async fn remove(&mut self, id: &str, rev: &str) -> Result<String, String> {
        let written = self.transaction.remove(self.database, id, rev).await;
        written.map(|written| written.rev).map_err(|error| told(&error))
    }

    async fn patch(&mut self, id: &str, patch: &Value) -> Result<String, String> {
        let written = self.transaction.patch(self.database, id, patch.to_string().as_bytes()).await;
        written.map(|written| written.rev).map_err(|error| told(&error))
    }
}

/// Documents in a map: each has one branch, of which the newest revision is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub documents: BTreeMap<String, (String, bool, Object)>,
}

impl Model {
    /// The documents that are there, as they are read.
    pub fn alive(&self) -> Vec<Value> {
        let alive = self.documents.iter().filter(|(_, (_, deleted, _))| !deleted);
        alive.map(|(id, (rev, _, body))| document(id, rev, body)).collect()
    }

    /// Writes a revision on top of whatever is there.
    pub fn force(&mut self, id: &str, deleted: bool, body: Object) -> String {
        let parent = self.documents.get(id).map(|(rev, ..)| Rev::parse(rev).unwrap());
        let rev = Rev::of_edit(parent.as_ref(), deleted, &body, &Object::new()).unwrap().to_string();
        self.documents.insert(id.into(), (rev.clone(), deleted, body));
        rev
    }
}

fn document(id: &str, rev: &str, body: &Object) -> Value {
    let mut text = Vec::new();
    json::write_object(body, &mut text);
    let mut document = serde_json::Map::from_iter([("_id".into(), id.into()), ("_rev".into(), rev.into())]);
    let Value::Object(members) = serde_json::from_slice(&text).unwrap() else { panic!("a body is an object") };
    document.extend(members);
    Value::Object(document)
}

pub fn engine_value(value: &Value) -> json::Value {
    json::parse(value.to_string().as_bytes()).unwrap()
}

/// The members of a document that are its own.
pub fn body(value: &Value) -> Object {
    let json::Value::Object(mut body) = engine_value(value) else { panic!("a document is an object") };
    body.retain(|name, _| !name.starts_with('_'));
    body
}

impl Store for Model {
    async fn get(&mut self, id: &str) -> Result<Value, String> {
        match self.documents.get(id) {
            None => Err("404 not_found: missing".into()),
            Some((_, true, _)) => Err("404 not_found: deleted".into()),
            Some((rev, false, body)) => Ok(document(id, rev, body)),
        }
    }

    async fn find(&mut self, query: &Value) -> Result<Value, String> {
        let query = FindQuery::parse(query.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let mut rows: Vec<(Vec<json::Value>, json::Value)> = self
            .alive()
            .iter()
            .map(engine_value)
            .filter(|document| query.selector.matches(document))
            .filter_map(|document| Some((query.place_of(&document)?, document)))
            .filter(|(place, _)| query.bookmark.as_ref().is_none_or(|start| query.compare(place, start).is_gt()))
            .collect();
        rows.sort_by(|left, right| query.compare(&left.0, &right.0));
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let rows: Vec<_> = rows.into_iter().skip(query.skip as usize).take(limit).collect();
        let text = |value: &json::Value| {
            let mut out = Vec::new();
            json::write(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        let bookmark = rows.last().map_or("nil".into(), |(place, _)| text(&json::Value::Array(place.clone())));
        let docs: Vec<Value> = rows
            .iter()
            .map(|(_, document)| match &query.fields {
                Some(fields) => text(&project(document, fields)),
                None => text(document),
            })
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect();
        Ok(json!({ "docs": docs, "bookmark": bookmark }))
    }

    async fn put(&mut self, document: &Value) -> Result<String, String> {
        let id = document["_id"].as_str().unwrap();
        let named = document.get("_rev").map(|rev| rev.as_str().unwrap().to_owned());
        let fits = match (self.documents.get(id), &named) {
            (None, None) | (Some((_, true, _)), None) => true,
            (Some((rev, ..)), Some(named)) => rev == named,
            _ => false,
        };
        if !fits {
            return Err("409 conflict: Document update conflict.".into());
        }
        let deleted = document.get("_deleted") == Some(&Value::Bool(true));
        Ok(self.force(id, deleted, body(document)))
    }

    async fn remove(&mut self, id: &str, rev: &str) -> Result<String, String> {
        if !self.documents.contains_key(id) {
            return Err("404 not_found: missing".into());
        }
        self.put(&json!({ "_id": id, "_rev": rev, "_deleted": true })).await
    }

    async fn patch(&mut self, id: &str, patch: &Value) -> Result<String, String> {
        let found = self.get(id).await?;
        let patch = Patch::parse(&engine_value(patch)).unwrap();
        let patched = patch.apply(&json::Value::Object(body(&found)), 1 << 20).map_err(|error| {
            let report = error.report();
            format!("{} {}: {}", report.status, report.name, report.reason)
        })?;
        let json::Value::Object(patched) = patched else { panic!("a document is an object") };
        let mut document = document(id, "", &patched);
        document["_rev"] = found["_rev"].clone();
        self.put(&document).await
    }
}

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    Get(String),
    Find(Value),
    /// As the last find, where its page ended.
    FindNext,
    /// Over the revision that was read last, with what was read in it.
    Put(String),
    Remove(String),
    Patch(String),
}

/// A transaction that always does the same with the same data.
#[derive(Clone, Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    pub salt: i64,
}

impl Script {
    pub fn random(random: &Seeded) -> Self {
        let writes = random.below(4) > 0;
        let steps = (0..2 + random.below(6)).map(|_| Self::step(random, writes)).collect();
        Self { steps, salt: random.below(1000) as i64 }
    }

    fn step(random: &Seeded, writes: bool) -> Step {
        let id = format!("d{}", random.below(7));
        match random.below(if writes { 12 } else { 6 }) {
            0..=2 => Step::Get(id),
            3 | 4 => Step::Find(any_query(random)),
            5 => Step::FindNext,
            6..=8 => Step::Put(id),
            9 => Step::Remove(id),
            _ => Step::Patch(id),
        }
    }

    /// Runs the script; returns all that it read, and what its writes answered.
    pub async fn run(&self, store: &mut impl Store) -> Vec<Value> {
        let mut log = Vec::new();
        let mut revs: HashMap<&str, String> = HashMap::new();
        let mut last: Option<(Value, String)> = None;
        // What is written follows from all that was read.
        let mut sum = self.salt;
        for step in &self.steps {
            yield_now().await;
            let outcome = match step {
                Step::Get(id) => {
                    let got = store.get(id).await;
                    if let Ok(document) = &got {
                        revs.insert(id, document["_rev"].as_str().unwrap().to_owned());
                    }
                    got
                }
                Step::Find(query) => {
                    let found = store.find(query).await;
                    if let Ok(page) = &found {
                        last = Some((query.clone(), page["bookmark"].as_str().unwrap().to_owned()));
                    }
                    found
                }
                Step::FindNext => match &last {
                    Some((query, bookmark)) => {
                        let mut query = query.clone();
                        query["bookmark"] = bookmark.as_str().into();
                        store.find(&query).await
                    }
                    None => continue,
                },
                Step::Put(id) => {
                    let tag = ["a", "b", "c"][(sum % 3) as usize];
                    let mut document = json!({ "_id": id, "n": sum % 6, "tag": tag, "list": [sum % 4] });
                    if sum % 5 == 0 {
                        document.as_object_mut().unwrap().remove("n");
                    }
                    if let Some(rev) = revs.get(id.as_str()) {
                        document["_rev"] = rev.as_str().into();
                    }
                    let written = store.put(&document).await;
                    if let Ok(rev) = &written {
                        revs.insert(id, rev.clone());
                    }
                    written.map(Value::from)
                }
                Step::Remove(id) => {
                    let rev = revs.get(id.as_str()).map_or("1-0", String::as_str);
                    let written = store.remove(id, rev).await;
                    if written.is_ok() {
                        revs.remove(id.as_str());
                    }
                    written.map(Value::from)
                }
                Step::Patch(id) => {
                    let patch = json!([
                        { "op": "add", "path": "/list/-", "value": sum % 4 },
                        { "op": "replace", "path": "/n", "value": sum % 6 },
                    ]);
                    let written = store.patch(id, &patch).await;
                    if let Ok(rev) = &written {
                        revs.insert(id, rev.clone());
                    }
                    written.map(Value::from)
                }
            };
            let outcome = outcome.unwrap_or_else(|error| json!({ "error": error }));
            sum += outcome.to_string().bytes().map(i64::from).sum::<i64>() % 97;
            log.push(outcome);
        }
        log
    }
}

/// A query over the few paths that the scripts' documents have.
pub fn any_query(random: &Seeded) -> Value {
    let number = random.below(6);
    let mut query = match random.below(8) {
        0 => json!({ "selector": {} }),
        1 => json!({ "selector": { "n": number } }),
        2 => json!({ "selector": { "n": { "$gte": number } } }),
        3 => json!({ "selector": { "tag": "b", "n": { "$lt": number } } }),
        4 => json!({ "selector": { "list": { "$elemMatch": { "$eq": number % 4 } } } }),
        5 => json!({ "selector": { "$or": [{ "tag": "a" }, { "n": number }] } }),
        6 => json!({ "selector": { "_id": { "$gt": format!("d{number}") } } }),
        _ => json!({ "selector": { "n": { "$exists": false } } }),
    };
    match random.below(5) {
        0 => query["sort"] = json!([{ "n": "desc" }]),
        1 => query["sort"] = json!(["tag", "n"]),
        2 => query["sort"] = json!([{ "_id": "desc" }]),
        _ => {}
    }
    if random.below(2) == 0 {
        query["limit"] = random.below(4).into();
    }
    if random.below(4) == 0 {
        query["skip"] = random.below(3).into();
    }
    if random.below(4) == 0 {
        query["fields"] = json!(["_id", "tag"]);
    }
    query
}

/// Lets others go on.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Runs tasks side by side on this thread; a random one goes on at each step. Panics if they do not end.
pub fn run_side_by_side(random: &Seeded, mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>) {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000_000 {
        if tasks.is_empty() {
            return;
        }
        let place = random.below(tasks.len());
        if tasks[place].as_mut().poll(&mut context).is_ready() {
            drop(tasks.swap_remove(place));
        }
    }
    panic!("{} tasks wait for ever", tasks.len());
}
