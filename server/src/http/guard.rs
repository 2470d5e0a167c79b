//! The door: who is asking, and whether they may.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::answer::Failure;
use crate::auth::{Caller, identify};
use crate::config::Access;

/// Lets a request through, with its [`Caller`] beside it, or answers 401 without reading its body. As in CouchDB there is
/// no `WWW-Authenticate` header: it would make browsers open their own password window over an app's.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let caller = match identify(&app.access, &app.sessions, request.headers()) {
        Ok(caller) => caller,
        Err(_) => return unauthorized("Name or password is incorrect.").into_response(),
    };
    if !may_be_asked_as(&app.access, request.headers()) {
        return Failure::new(
            403,
            "forbidden",
            "This server is open to its own machine only, under the names of that: localhost or an address.",
        )
        .into_response();
    }
    if let Some(reason) = refusal(&app.access, caller, &request) {
        return unauthorized(reason).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// `401 unauthorized`
pub fn unauthorized(reason: &str) -> Failure {
    Failure::new(401, "unauthorized", reason)
}

/// A site can make its own name point to this machine, and its page then counts as one of this server. An account keeps such
/// a page out; an open server knows it by the name that it asks for.
fn may_be_asked_as(access: &Access, headers: &HeaderMap) -> bool {
    if !matches!(access, Access::Open { by_any_name: false }) {
        return true;
    }
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    host.is_none_or(|host| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
            || name.eq_ignore_ascii_case("localhost")
            || name.to_ascii_lowercase().ends_with(".localhost")
    })
}

fn refusal(access: &Access, caller: Caller, request: &Request) -> Option<&'static str> {
    let path = request.uri().path();
    if matches!(access, Access::Open { .. })
        || caller != Caller::Anonymous
        || matches!(path, "/" | "/_up" | "/_session")
    {
        return None;
    }
    let of_a_whole_database = !path.trim_matches('/').contains('/');
    let by_admins_only = path == "/_all_dbs"
        || (of_a_whole_database && (request.method() == Method::PUT || request.method() == Method::DELETE));
    Some(if by_admins_only { "You are not a server admin." } else { "You are not authorized to access this db." })
}
