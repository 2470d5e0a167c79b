//! `/_session`: who the caller is, and sessions by cookie.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::answer::{self, Failure};
use super::query::Query;
use super::request::{Members, WholeBody, content_type};
use super::users;
use crate::auth::{COOKIE, Caller, Proof, SESSION_LIFETIME, cookie};

/// `GET /_session`
pub async fn show(Extension(caller): Extension<Caller>) -> Response {
    let mut info = json!({"authentication_handlers": ["cookie", "default"]});
    match caller.proof {
        Proof::Basic => set(&mut info, "authenticated", "default".into()),
        Proof::Cookie => set(&mut info, "authenticated", "cookie".into()),
        Proof::None | Proof::Inside => {}
    }
    let user = json!({"name": caller.name, "roles": caller.roles});
    answer::json(StatusCode::OK, &json!({"ok": true, "userCtx": user, "info": info}))
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.into(), value);
    }
}

/// `POST /_session` with `name` and `password`, as a form or as JSON: opens a session.
pub async fn open(State(app): State<Arc<App>>, request: Request) -> Result<Response, Failure> {
    let is_form = content_type(request.headers()) == "application/x-www-form-urlencoded";
    let WholeBody(body) = WholeBody::from_request(request, &()).await?;
    let (name, password) = if is_form { form_credentials(&body) } else { json_credentials(&body)? };
    let caller = users::log_in(&app, &name, &password).await?;
    let token = app.sessions.open(&name, Instant::now());
    let response = answer::json(StatusCode::OK, &json!({"ok": true, "name": name, "roles": caller.roles}));
    Ok(with_cookie(response, &token, SESSION_LIFETIME.as_secs(), app.speaks_tls))
}

/// `DELETE /_session`: ends the session.
pub async fn close(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers) {
        app.sessions.close(token);
    }
    with_cookie(answer::ok(StatusCode::OK), "", 0, app.speaks_tls)
}

fn form_credentials(body: &[u8]) -> (String, String) {
    let form = Query::parse(&String::from_utf8_lossy(body));
    let field = |name| form.text(name).unwrap_or_default().to_owned();
    (field("name"), field("password"))
}

fn json_credentials(body: &[u8]) -> Result<(String, String), Failure> {
    let members = Members::parse(body)?;
    let field = |name| members.get::<String>(name).and_then(Result::ok).unwrap_or_default();
    Ok((field("name"), field("password")))
}

/// Scripts cannot read the cookie, forms of other sites do not send it, and if it came by TLS it goes by nothing else.
fn with_cookie(mut response: Response, token: &str, max_age_seconds: u64, speaks_tls: bool) -> Response {
    let secure = if speaks_tls { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={token}; Version=1; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_seconds}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response.into_response()
}
