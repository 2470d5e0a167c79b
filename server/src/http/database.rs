//! `/{database}` itself: its life, its figures and its settings.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use firkin_core::database::{Compaction, SNAPSHOT_MEMBER, SNAPSHOT_VERSION, WriteError, WriteOptions};
use firkin_core::storage::StorageError;
use serde_json::json;

use super::App;
use super::answer::{self, Failure};
use super::document::path_of;
use super::query::Query;
use super::request::{DatabaseName, JsonBody, Members, Target};
use crate::mailbox::{Closed, Engine, Mailbox};

/// As in CouchDB 2 and later, a replicator learns nothing from it.
const INSTANCE_START_TIME: &str = "0";

/// `GET /{database}`
pub async fn info(State(app): State<Arc<App>>, target: Target) -> Result<Response, Failure> {
    let info = target.mailbox.run(async |database| database.info().await).await??;
    let mut told = json!({
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
    });
    if let Some(members) = told.as_object_mut().filter(|_| !target.is_users()) {
        members.insert(SNAPSHOT_MEMBER.into(), SNAPSHOT_VERSION.into());
    }
    Ok(answer::json(StatusCode::OK, &told))
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
pub async fn compact(target: Target, _: JsonBody) -> Result<Response, Failure> {
    target.by_admins_only()?;
    tokio::spawn(async move {
        if let Ok(Err(error)) = compact_all(&target.mailbox).await {
            tracing::warn!(database = target.name, %error, "could not be compacted");
        }
    });
    Ok(answer::ok(StatusCode::ACCEPTED))
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
        match mailbox.run(work).await? {
            Ok((true, slice)) => compaction = slice,
            Ok((false, _)) => return mailbox.compact().await,
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// `POST /{database}/_purge`: takes leaves out of this replica, `{"id": ["1-a"]}`; what is none is passed over.
pub async fn purge(target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    target.by_admins_only()?;
    let asked: Vec<(String, Vec<String>)> = Members::parse(&body)?
        .iter()
        .map(|(id, revs)| {
            let revs = serde_json::from_str(revs.get());
            Ok((id.to_owned(), revs.map_err(|_| Failure::bad_request("Request body must be a JSON object"))?))
        })
        .collect::<Result<_, Failure>>()?;
    target.mailbox.snapshots().forget().await;
    let purged = target
        .mailbox
        .run(async move |database| {
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
