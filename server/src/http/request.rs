//! What handlers take from a request: the database, the document's id, the body.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde_json::value::RawValue;
use tower_http::timeout::TimeoutError;

use super::App;
use super::answer::Failure;
use super::guard::refused;
use super::users;
use crate::auth::Caller;
use crate::database_name::USERS;
use crate::mailbox::Mailbox;
use crate::settings::Security;

/// A named part of the request's path, percent-decoded.
async fn path_part(parts: &mut Parts, names: &[&str]) -> Result<(String, String), Failure> {
    let path = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| Failure::bad_request("The path is not percent-encoded UTF-8."))?;
    let found = path.iter().find(|(name, _)| names.contains(name));
    let (name, value) = found.ok_or_else(|| Failure::not_found("missing"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The name of the database that the path names, whether or not there is one.
pub struct DatabaseName(pub String);

impl FromRequestParts<Arc<App>> for DatabaseName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
        path_part(parts, &["database"]).await.map(|(_, name)| Self(name))
    }
}

/// The database that the path names, for a caller who may use it.
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// Who asks.
    pub caller: Caller,
}

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let DatabaseName(name) = DatabaseName::from_request_parts(parts, app).await?;
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_else(Caller::anonymous);
        let mailbox = app.databases.get(&name).await?;
        let target = Self { name, mailbox, caller };
        let may = if target.name == USERS {
            // Accounts are the administrator's, but for everyone's own.
            let own = target.caller.name.as_ref().map(|name| format!("{}{name}", users::ID_PREFIX));
            let asked = DocumentId::from_request_parts(parts, app).await.ok().map(|DocumentId(id)| id);
            target.caller.is_server_admin() || (own.is_some() && own == asked)
        } else {
            target.security().is_member(&target.caller)
        };
        if may { Ok(target) } else { Err(refused(&target.caller, "You are not allowed to access this db.")) }
    }
}

impl Target {
    fn security(&self) -> Security {
        self.mailbox.settings().security.unwrap_or_default()
    }

    /// Whether the caller may change settings and design documents.
    pub fn is_admin(&self) -> bool {
        self.caller.is_server_admin() || self.security().is_admin(&self.caller)
    }

    /// Refuses a caller who may not.
    pub fn by_admins_only(&self) -> Result<(), Failure> {
        if self.is_admin() { Ok(()) } else { Err(refused(&self.caller, "You are not a db or server admin.")) }
    }

    /// Refuses a caller who may not write the document.
    pub fn may_write(&self, id: &str) -> Result<(), Failure> {
        if id.starts_with("_design/") { self.by_admins_only() } else { Ok(()) }
    }

    /// Whether this is the database of accounts.
    pub fn is_users(&self) -> bool {
        self.name == USERS
    }
}

/// The id of the document that the path names.
pub struct DocumentId(pub String);

impl FromRequestParts<Arc<App>> for DocumentId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
        let (name, value) = path_part(parts, &["document", "design", "local"]).await?;
        Ok(Self(match name.as_str() {
            "design" => format!("_design/{value}"),
            "local" => format!("_local/{value}"),
            _ => value,
        }))
    }
}

/// The name of the attachment that the path names.
pub struct AttachmentName(pub String);

impl FromRequestParts<Arc<App>> for AttachmentName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
        path_part(parts, &["attachment"]).await.map(|(_, name)| Self(name))
    }
}

/// A body, whole, of whatever content type.
pub struct WholeBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for WholeBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { too_large() } else { unreadable(&rejection) }
        })
    }
}

/// `413 too_large`
pub fn too_large() -> Failure {
    Failure::new(413, "too_large", "the request entity is too large")
}

/// What is told of a body that did not arrive.
pub fn unreadable(error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TimeoutError>() {
            return Failure::new(408, "request_timeout", "The body did not arrive in time.");
        }
        if error.is::<LengthLimitError>() {
            return too_large();
        }
        cause = error.source();
    }
    Failure::bad_request("The body could not be read.")
}

/// A body that says that it is JSON. Pages of other origins cannot say so without asking first, so this also keeps a forged
/// form from changing anything.
pub struct JsonBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if content_type(request.headers()) != "application/json" {
            return Err(Failure::new(415, "bad_content_type", "Content-Type must be application/json"));
        }
        WholeBody::from_request(request, state).await.map(|WholeBody(bytes)| Self(bytes))
    }
}

/// The content type in lower case, without its parameters; empty if there is none.
pub fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The members of a JSON object that a body holds; each is parsed where it is used.
pub struct Members<'a>(HashMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    /// Reads the body of a request.
    pub fn parse(body: &'a [u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| Failure::bad_json())?;
        match serde_json::from_str(text) {
            Ok(members) => Ok(Self(members)),
            Err(error) if error.is_data() => Err(Failure::bad_request("Request body must be a JSON object")),
            Err(_) => Err(Failure::bad_json()),
        }
    }

    /// A member's JSON text.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    /// A member as a `T`; the error tells that it is none.
    pub fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<Result<T, serde_json::Error>> {
        self.raw(name).map(|raw| serde_json::from_str(raw.get()))
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), *raw))
    }
}
