//! `_find`, `_explain` and `_index`: Mango queries.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use firkin_core::query::FindQuery;
use serde_json::{Value, json};

use super::answer::{self, Failure};
use super::query::quoted;
use super::request::{JsonBody, Members, Target};

/// CouchDB's limit where a query names none.
const LIMIT_DEFAULT: u64 = 25;

/// `POST /{database}/_find`
pub async fn find(target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let started = Instant::now();
    let query = parse(&body)?;
    let wants_stats = Members::parse(&body)?.get::<bool>("execution_stats").and_then(Result::ok).unwrap_or(false);
    let page = target.mailbox.run(async move |database| database.find(&query).await).await??;
    let mut text = b"{\"docs\":[".to_vec();
    for (at, document) in page.docs.iter().enumerate() {
        text.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
        text.extend_from_slice(document);
    }
    text.extend_from_slice(format!("\n],\n\"bookmark\":{}", quoted(&page.bookmark)).as_bytes());
    if wants_stats {
        let stats = json!({
            "total_keys_examined": page.stats.postings_read,
            "total_docs_examined": page.stats.documents_read,
            "total_quorum_docs_examined": 0,
            "results_returned": page.docs.len(),
            "execution_time_ms": started.elapsed().as_secs_f64() * 1000.0,
        });
        text.extend_from_slice(format!(",\n\"execution_stats\":{stats}").as_bytes());
    }
    text.push(b'}');
    Ok(answer::json_text(StatusCode::OK, text))
}

/// `POST /{database}/_explain`: the plan, among the members that CouchDB answers with.
pub async fn explain(target: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let query = parse(&body)?;
    let members = Members::parse(&body)?;
    let given = |name: &str, usual: Value| members.get(name).and_then(Result::ok).unwrap_or(usual);
    let mut told = json!({
        "dbname": target.name,
        "index": all_docs_index(),
        "partitioned": false,
        "selector": given("selector", json!({})),
        "fields": given("fields", json!("all_fields")),
        "limit": given("limit", json!(LIMIT_DEFAULT)),
        "skip": given("skip", json!(0)),
        "opts": {"bookmark": given("bookmark", json!("nil")), "sort": given("sort", json!({}))},
    });
    let plan = target.mailbox.run(async move |database| database.explain(&query).await).await??;
    if let (Some(told), Ok(plan)) = (told.as_object_mut(), serde_json::from_slice::<serde_json::Map<_, _>>(&plan)) {
        for (name, value) in plan {
            told.entry(name).or_insert(value);
        }
    }
    Ok(answer::json(StatusCode::OK, &told))
}

/// The one index that has a name.
fn all_docs_index() -> Value {
    json!({"ddoc": null, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}})
}

fn parse(body: &[u8]) -> Result<FindQuery, Failure> {
    // Tells malformed JSON in the words of all other requests.
    Members::parse(body)?;
    let mut query = FindQuery::parse(body)?;
    query.limit = query.limit.or(Some(LIMIT_DEFAULT));
    Ok(query)
}

/// `GET /{database}/_index`: every path of every document is indexed; the one index that has a name is CouchDB's own.
pub async fn indexes(_: Target) -> Response {
    answer::json(StatusCode::OK, &json!({"total_rows": 1, "indexes": [all_docs_index()]}))
}

/// `POST /{database}/_index`: there is nothing to build, for whatever is asked for is indexed already.
pub async fn create_index(_: Target, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let members = Members::parse(&body)?;
    if members.raw("index").is_none() {
        return Err(Failure::new(400, "missing_required_key", "Missing required key: index"));
    }
    let text = |name: &str| members.get::<String>(name).and_then(Result::ok);
    let name = text("name").unwrap_or_else(|| "paths".into());
    let design = text("ddoc").unwrap_or_else(|| "firkin".into());
    let id = if design.starts_with("_design/") { design } else { format!("_design/{design}") };
    Ok(answer::json(StatusCode::OK, &json!({"result": "exists", "id": id, "name": name})))
}
