//! `/{database}/_security` and `/{database}/_revs_limit`: what is set for one database.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use firkin_core::json::{self, Value};
use serde_json::json;

use super::App;
use super::answer::{self, Failure};
use super::request::{Target, WholeBody};
use crate::config::Access;
use crate::settings::{Security, Settings};

/// `GET /{database}/_security`: who may use the database.
pub async fn security(State(app): State<Arc<App>>, target: Target) -> Response {
    match (target.mailbox.settings().security, &app.access) {
        // Everyone may, until something else is said.
        (None, Access::Open { .. }) => {
            answer::json(StatusCode::OK, &json!({"admins": {"roles": []}, "members": {"roles": []}}))
        }
        (given, _) => answer::json(StatusCode::OK, given.unwrap_or_default().value()),
    }
}

/// `PUT /{database}/_security`
pub async fn set_security(target: Target, WholeBody(body): WholeBody) -> Result<Response, Failure> {
    target.by_admins_only()?;
    let value = serde_json::from_slice(&body).map_err(|_| Failure::bad_json())?;
    let security = Security::new(value).map_err(Failure::bad_request)?;
    let settings = Settings { security: Some(security), ..target.mailbox.settings() };
    target.mailbox.set(settings).await??;
    Ok(answer::ok(StatusCode::OK))
}

/// `GET /{database}/_revs_limit`
pub async fn revs_limit(State(app): State<Arc<App>>, target: Target) -> Response {
    let limit = target.mailbox.settings().revs_limit.unwrap_or(app.databases.options().revs_limit);
    answer::json(StatusCode::OK, &limit)
}

/// `PUT /{database}/_revs_limit`
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number in range")]
pub async fn set_revs_limit(target: Target, WholeBody(body): WholeBody) -> Result<Response, Failure> {
    target.by_admins_only()?;
    match json::parse(&body) {
        Ok(Value::Number(limit)) if limit >= 1.0 && limit.fract() == 0.0 && limit <= f64::from(u32::MAX) => {
            let settings = Settings { revs_limit: Some(limit as u32), ..target.mailbox.settings() };
            target.mailbox.set(settings).await??;
            Ok(answer::ok(StatusCode::OK))
        }
        Ok(_) => Err(Failure::bad_request("`revs_limit` must be a positive integer")),
        Err(_) => Err(Failure::bad_json()),
    }
}
