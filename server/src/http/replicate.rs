//! `/_replicate`: a replication from one database to another, one of them here, by core's state machine.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use firkin_core::error::ErrorReport;
use firkin_core::json;
use firkin_core::replication::{Filter, Options, Status};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::App;
use super::answer::{self, Failure};
use super::request::{JsonBody, Members};
use crate::random::random_id;
use crate::replication::endpoint::Endpoint;
use crate::replication::registry::Job;

/// What `_replicate` takes beside source and target; another member asks for what is not there.
const TAKEN: [&str; 12] = [
    "source",
    "target",
    "continuous",
    "create_target",
    "cancel",
    "doc_ids",
    "selector",
    "since_seq",
    "id",
    "replication_id",
    "use_checkpoints",
    "user_ctx",
];

/// `POST /_replicate`
pub async fn replicate(State(app): State<Arc<App>>, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let members = Members::parse(&body)?;
    if let Some((other, _)) = members.iter().find(|(name, _)| !TAKEN.contains(name)) {
        return Err(Failure::not_implemented(&format!("The member {other:?} of a replication")));
    }
    let value = |name: &str| members.get::<Value>(name).and_then(Result::ok);
    let is_true = |name: &str| value(name) == Some(Value::Bool(true));
    if is_true("cancel")
        && let Some(id) = value("id").or(value("replication_id")).as_ref().and_then(Value::as_str)
    {
        return cancel(&app, id);
    }
    let endpoint = |name: &str| {
        let given = value(name).ok_or_else(|| Failure::bad_request(format!("`{name}` is missing")))?;
        Endpoint::parse(&given).map_err(|reason| Failure::bad_request(format!("`{name}`: {reason}")))
    };
    let (source, target) = (endpoint("source")?, endpoint("target")?);
    let filter = filter(value("doc_ids"), value("selector"))?;
    let since = value("since_seq").map(|since| since.as_str().map_or_else(|| since.to_string(), str::to_owned));
    let live = is_true("continuous");
    let options = Options { live, retry: live, since, filter, ..Options::default() };
    let told = [value("doc_ids"), value("selector")].map(Option::unwrap_or_default);
    let id = id_of(&json!([source.name(), target.name(), live, told]).to_string());
    if is_true("cancel") {
        return cancel(&app, &id);
    }
    let job = Job { source, target, create_target: is_true("create_target"), options };
    if live {
        let (registry, app, own_id) = (app.replications.clone(), app, id.clone());
        tokio::spawn(async move {
            if let Err(error) = registry.run(&app.databases, &own_id, job).await {
                tracing::warn!(id = own_id, error = %error.reason, "a replication ended");
            }
        });
        return Ok(answer::json(StatusCode::ACCEPTED, &json!({"ok": true, "_local_id": id})));
    }
    let began = SystemTime::now();
    let status = app.replications.run(&app.databases, &id, job).await.map_err(Failure::from_report)?;
    Ok(answer::json(StatusCode::OK, &told_of(&status, began)))
}

fn cancel(app: &App, id: &str) -> Result<Response, Failure> {
    if app.replications.cancel(id) {
        Ok(answer::json(StatusCode::OK, &json!({"ok": true, "_local_id": id})))
    } else {
        Err(Failure::not_found("no such replication"))
    }
}

fn filter(doc_ids: Option<Value>, selector: Option<Value>) -> Result<Filter, Failure> {
    match (doc_ids, selector) {
        (None, None) => Ok(Filter::Everything),
        (Some(ids), None) => serde_json::from_value(ids)
            .map(Filter::ids)
            .map_err(|_| Failure::bad_request("`doc_ids` must be an array of strings.")),
        (None, Some(selector)) => {
            let selector = json::parse(selector.to_string().as_bytes()).map_err(|_| Failure::bad_json())?;
            Filter::selector(selector).map_err(|error| Failure::from_report(error.report()))
        }
        (Some(_), Some(_)) => Err(Failure::bad_request("`doc_ids` and `selector` exclude each other.")),
    }
}

fn id_of(told: &str) -> String {
    Sha256::digest(told).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn told_of(status: &Status, began: SystemTime) -> Value {
    let session = random_id();
    // A sequence is kept as the JSON that it came as.
    let last_seq: Value = serde_json::from_str(&status.last_seq).unwrap_or(Value::Null);
    let entry = json!({
        "session_id": session,
        "start_time": httpdate::fmt_http_date(began),
        "end_time": httpdate::fmt_http_date(SystemTime::now()),
        "end_last_seq": last_seq,
        "recorded_seq": last_seq,
        "docs_read": status.docs_read,
        "docs_written": status.docs_written,
        "doc_write_failures": status.doc_write_failures,
    });
    json!({
        "ok": true,
        "session_id": session,
        "source_last_seq": last_seq,
        "replication_id_version": 4,
        "history": [entry],
    })
}

impl Failure {
    /// What ended a replication. What has no HTTP status is the network's.
    fn from_report(report: ErrorReport) -> Self {
        let status = if report.status == 0 { 502 } else { report.status };
        Self(ErrorReport { status, ..report })
    }
}

/// `GET /_active_tasks`: the replications that are under way.
pub async fn active_tasks(State(app): State<Arc<App>>) -> Response {
    let tasks: Vec<Value> = app
        .replications
        .list()
        .into_iter()
        .map(|(id, under_way)| {
            json!({
                "type": "replication",
                "replication_id": id,
                "source": under_way.source,
                "target": under_way.target,
                "continuous": under_way.is_live,
                "state": under_way.status.state.name(),
                "docs_read": under_way.status.docs_read,
                "docs_written": under_way.status.docs_written,
                "doc_write_failures": under_way.status.doc_write_failures,
                "changes_pending": under_way.status.pending,
            })
        })
        .collect();
    answer::json(StatusCode::OK, &tasks)
}
