//! `/{database}` itself: its life, its figures and its settings.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use firkin_core::database::{Compaction, WriteError, WriteOptions};
use firkin_core::json::{self, Value};
use firkin_core::storage::StorageError;
use serde_json::json;

use super::App;
use super::answer::{self, Failure};
use super::document::path_of;
use super::query::Query;
use super::request::{DatabaseName, JsonBody, Members, Target, WholeBody};
use crate::config::Access;
use crate::mailbox::{Closed, Engine, Mailbox};

/// As in CouchDB 2 and later, a replicator learns nothing from it.
const INSTANCE_START_TIME: &str = "0";

/// `GET /{database}`
pub async fn info(State(app): State<Arc<App>>, target: Target) -> Result<Response, Failure> {
    let info = target.mailbox.read(async |database| database.info().await).await??;
    Ok(answer::json(
        StatusCode::OK,
        &json!({
            "db_name": target.name,
            "doc_count": info.doc_count,
            "doc_del_count": info.doc_del_count,
            "update_seq": info.update_seq,
            "purge_seq": "0",
            "sizes": {"file": app.databases.file_bytes(&target.name)?},
            "props": {},
            // A compaction runs on the thread that has just answered.
            "compact_running": false,
            "cluster": {"q": 1, "n": 1, "w": 1, "r": 1},
            "instance_start_time": INSTANCE_START_TIME,
        }),
    ))
}

/// `PUT /{database}`
pub async fn create(State(app): State<Arc<App>>, DatabaseName(name): DatabaseName) -> Result<Response, Failure> {
    app.databases.create(&name).await?;
    let mut response = answer::ok(StatusCode::CREATED);
    if let Ok(location) = HeaderValue::from_str(&path_of(&name, None)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `DELETE /{database}`
pub async fn delete(
    State(app): State<Arc<App>>,
    DatabaseName(name): DatabaseName,
    query: Query,
) -> Result<Response, Failure> {
    if query.text("rev").is_some() {
        return Err(Failure::bad_request(
            "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?",
        ));
    }
    app.databases.delete(&name).await?;
    Ok(answer::ok(StatusCode::OK))
}

/// `POST /{database}/_compact`: drops old bodies and unused contents, and gives free space back, after the answer.
pub async fn compact(target: Target, _: JsonBody) -> Response {
    tokio::spawn(async move {
        if let Ok(Err(error)) = compact_all(&target.mailbox).await {
            eprintln!("firkin-server: {} could not be compacted: {error}", target.name);
        }
    });
    answer::ok(StatusCode::ACCEPTED)
}

/// Each slice is a job of its own, so that others get their turn.
async fn compact_all(mailbox: &Mailbox) -> Result<Result<(), StorageError>, Closed> {
    let mut compaction = Compaction::default();
    loop {
        let mut slice = std::mem::take(&mut compaction);
        let work = async move |database: &Engine| {
            let goes_on = database.compact_slice(&mut slice).await?;
            Ok((goes_on, slice))
        };
        match mailbox.read(work).await? {
            Ok((true, slice)) => compaction = slice,
            Ok((false, _)) => return mailbox.compact().await,
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// `POST /{database}/_purge`: takes leaves out of this replica, `{"id": ["1-a"]}`; what is none is passed over.
pub async fn purge(target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let asked: Vec<(String, Vec<String>)> = Members::parse(&body)?
        .iter()
        .map(|(id, revs)| {
            let revs = serde_json::from_str(revs.get());
            Ok((id.to_owned(), revs.map_err(|_| Failure::bad_request("Request body must be a JSON object"))?))
        })
        .collect::<Result<_, Failure>>()?;
    let purged = target
        .mailbox
        .write(async move |database| {
            let mut purged = serde_json::Map::new();
            for (id, revs) in asked {
                let mut gone = Vec::new();
                for rev in revs {
                    match database.purge(&id, &rev, &WriteOptions::default()).await {
                        Ok(_) => gone.push(rev),
                        Err(WriteError::NotFound | WriteError::NotALeaf) => {}
                        Err(error) => return Err(error),
                    }
                }
                purged.insert(id, gone.into());
            }
            Ok(purged)
        })
        .await??;
    Ok(answer::json(StatusCode::CREATED, &json!({"purge_seq": null, "purged": purged})))
}

/// `POST /{database}/_ensure_full_commit`: every write was on the disk before its answer.
pub async fn ensure_full_commit(_: Target, _: JsonBody) -> Response {
    answer::json(StatusCode::CREATED, &json!({"ok": true, "instance_start_time": INSTANCE_START_TIME}))
}

/// `GET /{database}/_revs_limit`
pub async fn revs_limit(State(app): State<Arc<App>>, _: Target) -> Response {
    answer::json(StatusCode::OK, &app.databases.options().revs_limit)
}

/// `PUT /{database}/_revs_limit`
pub async fn set_revs_limit(_: Target, WholeBody(body): WholeBody) -> Result<Response, Failure> {
    match json::parse(&body) {
        Ok(Value::Number(limit)) if limit >= 1.0 && limit.fract() == 0.0 => {
            Err(Failure::not_implemented("A limit of revisions for one database"))
        }
        Ok(_) => Err(Failure::bad_request("`revs_limit` must be a positive integer")),
        Err(_) => Err(Failure::bad_json()),
    }
}

/// `GET /{database}/_security`: who may use the database, as far as CouchDB's terms can say it.
pub async fn security(State(app): State<Arc<App>>, _: Target) -> Response {
    let roles = match app.access {
        Access::Open { .. } => json!([]),
        Access::Administrator(_) => json!(["_admin"]),
    };
    answer::json(StatusCode::OK, &json!({"admins": {"roles": roles}, "members": {"roles": roles}}))
}

/// `PUT /{database}/_security`
pub async fn set_security(_: Target) -> Failure {
    Failure::not_implemented("Security settings of one database")
}
