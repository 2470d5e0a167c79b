//! `/{database}/_changes`: what a request asks for. How it is answered stands in [`super::feed`].

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::database::{ChangesQuery, Since};
use firkin_core::json::{self, Value};
use firkin_core::query::Selector;

use super::App;
use super::answer::{Failure, Trickles, json_body};
use super::feed::{Feed, Kind};
use super::query::{Query, parse_error, quoted};
use super::request::{JsonBody, Target};
use super::watched::too_many;
use crate::clients::Kind as ClientKind;
use crate::connections::Peer;

/// CouchDB's `changes_timeout` in milliseconds.
const TIMEOUT_DEFAULT_MS: u64 = 60_000;
/// A heartbeat more often than this would be an attack.
const HEARTBEAT_MIN_MS: u64 = 100;
/// Who finds too many feeds open may ask again after so long.
const RETRY_AFTER_SECONDS: &str = "5";
/// What `heartbeat=true` means.
const HEARTBEAT_DEFAULT_MS: u64 = 60_000;

/// `GET /{database}/_changes`
pub async fn by_query(
    State(app): State<Arc<App>>,
    target: Target,
    query: Query,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    answer(&app, target, &query, peer, &headers, &Value::Object(json::Object::new())).await
}

/// `POST /{database}/_changes`: the body holds what a filter needs.
pub async fn by_body(
    State(app): State<Arc<App>>,
    target: Target,
    query: Query,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let body = json::parse(&body).map_err(|_| Failure::bad_json())?;
    answer(&app, target, &query, peer, &headers, &body).await
}

async fn answer(
    app: &App,
    target: Target,
    query: &Query,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    body: &Value,
) -> Result<Response, Failure> {
    let kind = parse_kind(query)?;
    let changes = parse_changes(query, headers, body)?;
    let heartbeat = parse_heartbeat(query)?;
    let timeout = Duration::from_millis(query.count("timeout")?.unwrap_or(TIMEOUT_DEFAULT_MS));
    // What does not wait is over soon.
    let client_kind = if kind == Kind::Normal { ClientKind::Request } else { ClientKind::Feed };
    let Ok(room) = app.feeds.clone().try_acquire_owned() else {
        let failure = Failure::new(503, "service_unavailable", "Too many feeds are open; ask again later.");
        return Ok(([(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))], failure).into_response());
    };
    let place = peer.map(|Extension(Peer(address))| app.clients.place(address, client_kind));
    if matches!(place, Some(None)) {
        return Ok(too_many("Too many feeds of one client are open."));
    }
    let feed = Feed {
        mailbox: target.mailbox,
        query: changes,
        kind,
        heartbeat,
        timeout: heartbeat.is_none().then_some(timeout),
        stopping: app.stopping.clone(),
        room: (room, place.flatten()),
    };
    let body = feed.start().await?;
    let mut response = json_body(StatusCode::OK, body);
    if kind == Kind::EventSource {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    }
    if kind != Kind::Normal {
        response.extensions_mut().insert(Trickles);
    }
    Ok(response)
}

fn parse_kind(query: &Query) -> Result<Kind, Failure> {
    Ok(match query.text("feed").unwrap_or("normal") {
        "normal" => Kind::Normal,
        "longpoll" => Kind::Longpoll,
        "continuous" | "live" => Kind::Continuous,
        "eventsource" => Kind::EventSource,
        _ => {
            return Err(Failure::bad_request(
                "Supported `feed` types: normal, continuous, live, longpoll, eventsource",
            ));
        }
    })
}

fn parse_changes(query: &Query, headers: &HeaderMap, body: &Value) -> Result<ChangesQuery, Failure> {
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(query.text("last-event-id"));
    let (doc_ids, selector) = parse_filter(query, body)?;
    Ok(ChangesQuery {
        since: parse_since(resumed.or(query.text("since"))),
        limit: query.count("limit")?,
        descending: query.is_true("descending"),
        include_docs: query.is_true("include_docs"),
        all_leaves: query.text("style") == Some("all_docs"),
        conflicts: query.is_true("conflicts"),
        attachments: query.is_true("attachments"),
        doc_ids,
        selector,
    })
}

/// CouchDB's clients send tokens as they came, or as JSON.
fn parse_since(since: Option<&str>) -> Since {
    match since.map(|since| since.trim_matches('"')) {
        None | Some("" | "0") => Since::Start,
        Some("now") => Since::Now,
        Some(token) => Since::Token(token.into()),
    }
}

fn parse_heartbeat(query: &Query) -> Result<Option<Duration>, Failure> {
    let milliseconds = match query.text("heartbeat") {
        None | Some("false") => return Ok(None),
        Some("true") => HEARTBEAT_DEFAULT_MS,
        Some(text) => text.parse().ok().filter(|milliseconds| *milliseconds > 0).ok_or_else(|| {
            Failure::bad_request("The heartbeat value should be a positive integer (in milliseconds).")
        })?,
    };
    Ok(Some(Duration::from_millis(milliseconds.max(HEARTBEAT_MIN_MS))))
}

type Filter = (Option<Vec<String>>, Option<Selector>);

fn parse_filter(query: &Query, body: &Value) -> Result<Filter, Failure> {
    let member = |name| body.as_object().and_then(|body| body.get(name));
    match query.text("filter") {
        None | Some("") => Ok((None, None)),
        Some("_doc_ids") => {
            let in_query = query.json("doc_ids")?;
            let ids = member("doc_ids").or(in_query.as_ref()).and_then(Value::as_array);
            let ids: Option<Vec<String>> =
                ids.and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect());
            let ids =
                ids.ok_or_else(|| Failure::bad_request("`doc_ids` filter parameter is not a list of doc ids."))?;
            Ok((Some(ids), None))
        }
        Some("_selector") => {
            let in_query = query.json("selector")?;
            let selector = member("selector")
                .or(in_query.as_ref())
                .ok_or_else(|| Failure::bad_request("Selector must be specified in POST payload"))?;
            if selector.as_object().is_none() {
                return Err(Failure::bad_request("Selector error: expected a JSON object"));
            }
            Ok((None, Some(Selector::parse(selector)?)))
        }
        Some(filter) if filter == "_view" || filter == "_design" || filter.contains('/') => {
            Err(Failure::not_implemented("Filtering by a function or view"))
        }
        Some(filter) => Err(parse_error(format!(
            "filter parameter must be of the form `designname/filtername`, not {}",
            quoted(filter)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ChangesQuery, Failure> {
        parse_changes(&Query::parse(query), &HeaderMap::new(), &Value::Object(json::Object::new()))
    }

    #[test]
    fn where_a_feed_starts() {
        for (given, meant) in [
            (None, Since::Start),
            (Some("0"), Since::Start),
            (Some("\"0\""), Since::Start),
            (Some("now"), Since::Now),
            (Some("12-ab"), Since::Token("12-ab".into())),
            (Some("\"12-ab\""), Since::Token("12-ab".into())),
        ] {
            assert_eq!(parse_since(given), meant, "{given:?}");
        }
    }

    #[test]
    fn a_heartbeat_is_a_positive_number_and_not_too_fast() {
        let heartbeat = |text: &str| parse_heartbeat(&Query::parse(text)).map_err(|failure| failure.0.status);
        assert_eq!(heartbeat(""), Ok(None));
        assert_eq!(heartbeat("heartbeat=true"), Ok(Some(Duration::from_secs(60))));
        assert_eq!(heartbeat("heartbeat=5000"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(heartbeat("heartbeat=1"), Ok(Some(Duration::from_millis(HEARTBEAT_MIN_MS))));
        for bad in ["heartbeat=0", "heartbeat=-1", "heartbeat=x"] {
            assert_eq!(heartbeat(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn filters_are_told_apart() {
        let ids = parse("filter=_doc_ids&doc_ids=%5B%22a%22%5D").expect("ids").doc_ids;
        assert_eq!(ids, Some(vec!["a".to_owned()]));
        let status = |query: &str| parse(query).map(|_| ()).map_err(|failure| failure.0.status);
        assert_eq!(status("filter=_selector&selector=%7B%22a%22%3A1%7D"), Ok(()));
        assert_eq!(status("doc_ids=%5B%22a%22%5D"), Ok(()));
        assert_eq!(status("filter=_doc_ids"), Err(400));
        assert_eq!(status("filter=_doc_ids&doc_ids=%5B1%5D"), Err(400));
        assert_eq!(status("filter=_selector"), Err(400));
        assert_eq!(status("filter=_selector&selector=1"), Err(400));
        assert_eq!(status("filter=nope"), Err(400));
        assert_eq!(status("filter=design/name"), Err(501));
    }
}
