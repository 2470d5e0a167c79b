//! The door: who is asking, and whether they may.
//!
//! What a whole server or its administrator is asked for is decided here. Whether an account may use a database is decided
//! where the database is found, by [`Target`](super::request::Target).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::answer::Failure;
use super::users;
use crate::auth::Caller;
use crate::config::Access;

/// Lets a request through, with its [`Caller`] beside it, or answers 401 without reading its body. As in CouchDB there is
/// no `WWW-Authenticate` header: it would make browsers open their own password window over an app's.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if !may_be_asked_as(&app.access, request.headers()) {
        return Failure::new(
            403,
            "forbidden",
            "This server is open to its own machine only, under the names of that: localhost or an address.",
        )
        .into_response();
    }
    let caller = match users::identify(&app, request.headers()).await {
        Ok(caller) => caller,
        Err(failure) => return failure.into_response(),
    };
    if let Some(failure) = refusal(&caller, &request) {
        return failure.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// `401 unauthorized`
pub fn unauthorized(reason: &str) -> Failure {
    Failure::new(401, "unauthorized", reason)
}

/// What an account is told that may not do this; who gave none is asked for one.
pub fn refused(caller: &Caller, reason: &str) -> Failure {
    if caller.name.is_none() { unauthorized(reason) } else { Failure::new(403, "forbidden", reason) }
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

fn refusal(caller: &Caller, request: &Request) -> Option<Failure> {
    let path = request.uri().path();
    if caller.is_server_admin() || matches!(path, "/" | "/_up" | "/_session") {
        return None;
    }
    let of_a_whole_database = !path.trim_matches('/').contains('/');
    let by_admins_only = (path.starts_with("/_") && !path.starts_with("/_users/") && path != "/_uuids")
        || (of_a_whole_database && (request.method() == Method::PUT || request.method() == Method::DELETE));
    if by_admins_only && path != "/_uuids" {
        return Some(refused(caller, "You are not a server admin."));
    }
    caller.name.is_none().then(|| unauthorized("You are not authorized to access this db."))
}
