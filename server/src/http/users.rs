//! Accounts: the documents of `_users`, in CouchDB's shape.
//!
//! An administrator makes them; who has one may read it and change its password, and nothing else in there. A password is
//! replaced by a key derived from it before its document reaches the database.

use axum::http::HeaderMap;
use firkin_core::database::{GetOptions, ReadError};
use firkin_core::json::{self, Object, Value};
use serde::Deserialize;
use std::time::Instant;

use super::App;
use super::answer::Failure;
use super::guard::unauthorized;
use crate::auth::{ADMIN_ROLE, Caller, Proof, basic_credentials, cookie};
use crate::config::Access;
use crate::database_name::USERS;
use crate::passwords::Stored;

/// What stands before an account's name in its id.
pub const ID_PREFIX: &str = "org.couchdb.user:";
/// A longer password is a way to keep the server busy.
const PASSWORD_BYTES_MAX: usize = 1024;

/// What is read of an account's document.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(flatten)]
    stored: Stored,
}

/// Tells who sent a request with these headers.
///
/// # Errors
/// There are Basic credentials, and they are wrong; or the accounts cannot be read.
pub async fn identify(app: &App, headers: &HeaderMap) -> Result<Caller, Failure> {
    if matches!(app.access, Access::Open { .. }) {
        return Ok(Caller::everyone());
    }
    if let Some(given) = basic_credentials(headers) {
        let (name, password) = given.ok_or_else(wrong)?;
        return log_in(app, &name, &password).await;
    }
    let Some(name) = cookie(headers).and_then(|token| app.sessions.touch(token, Instant::now())) else {
        return Ok(Caller::anonymous());
    };
    // Its roles may be others now, or the account gone.
    let roles = if is_administrator(app, &name) {
        Some(vec![ADMIN_ROLE.into()])
    } else {
        account(app, &name).await?.map(|account| account.roles)
    };
    Ok(roles.map_or_else(Caller::anonymous, |roles| Caller { proof: Proof::Cookie, ..Caller::named(name, roles) }))
}

/// The account with this name and password.
///
/// # Errors
/// 401 if there is none.
pub async fn log_in(app: &App, name: &str, password: &str) -> Result<Caller, Failure> {
    let Access::Administrator(administrator) = &app.access else { return Err(wrong()) };
    if administrator.accepts(name, password) {
        return Ok(Caller::named(name.into(), vec![ADMIN_ROLE.into()]));
    }
    if name.is_empty() || password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(wrong());
    }
    // The administrator's name is nobody else's.
    let account = if is_administrator(app, name) { None } else { account(app, name).await? };
    let stored = account.as_ref().map(|account| &account.stored);
    if !app.passwords.is_right(stored, name, password).await {
        return Err(wrong());
    }
    Ok(Caller::named(name.into(), account.map(|account| account.roles).unwrap_or_default()))
}

fn wrong() -> Failure {
    unauthorized("Name or password is incorrect.")
}

fn is_administrator(app: &App, name: &str) -> bool {
    matches!(&app.access, Access::Administrator(administrator) if administrator.name() == name)
}

async fn account(app: &App, name: &str) -> Result<Option<Account>, Failure> {
    let Some(document) = document(app, format!("{ID_PREFIX}{name}")).await? else { return Ok(None) };
    let account = serde_json::from_slice::<Account>(&document).ok();
    // Whoever writes roles is an administrator; none may be made one beside the server's.
    Ok(account.filter(|account| !account.roles.iter().any(|role| role.starts_with('_'))))
}

async fn document(app: &App, id: String) -> Result<Option<Vec<u8>>, Failure> {
    use crate::databases::DatabaseError;
    let mailbox = match app.databases.get(USERS).await {
        Ok(mailbox) => mailbox,
        Err(DatabaseError::Missing) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match mailbox.run(async move |database| database.get(&id, &GetOptions::default()).await).await? {
        Ok(document) => Ok(Some(document)),
        Err(ReadError::Missing | ReadError::Deleted) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes a document fit for `_users`: it must be an account's, and its password becomes a derived key.
///
/// # Errors
/// It is no account's, or changes what only an administrator may.
pub async fn shape(app: &App, caller: &Caller, document: &mut Object) -> Result<(), Failure> {
    let id = document.get("_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if id.starts_with("_design/") || id.starts_with("_local/") || document.get("_deleted") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let forbidden = |reason: &str| Err(Failure::new(403, "forbidden", reason));
    let Some(name) = id.strip_prefix(ID_PREFIX).filter(|name| !name.is_empty()) else {
        return forbidden("doc._id must be of the form org.couchdb.user:NAME");
    };
    if document.get("type").and_then(Value::as_str) != Some("user") {
        return forbidden("doc.type must be user");
    }
    if document.get("name").and_then(Value::as_str) != Some(name) || name.contains(':') {
        return forbidden("doc.name must be the name in doc._id, without a colon");
    }
    let Some(roles) = document.get("roles").and_then(Value::as_array) else {
        return forbidden("doc.roles must exist and be an array");
    };
    if !roles.iter().all(|role| role.as_str().is_some_and(|role| !role.starts_with('_'))) {
        return forbidden("doc.roles can only contain strings that do not begin with an underscore");
    }
    if !caller.is_server_admin() && Some(roles) != roles_of(app, id.clone()).await?.as_deref() {
        return forbidden("Only _admin may set roles");
    }
    match document.get("password") {
        None | Some(Value::Null) => {}
        Some(Value::String(password)) if !password.is_empty() && password.len() <= PASSWORD_BYTES_MAX => {
            let kept = app.passwords.keep(password.clone()).await;
            document.remove("password");
            for (member, value) in kept {
                if let Ok(value) = json::parse(value.to_string().as_bytes()) {
                    document.insert(member, value);
                }
            }
        }
        Some(_) => return forbidden("doc.password must be a string of up to 1,024 bytes"),
    }
    Ok(())
}

async fn roles_of(app: &App, id: String) -> Result<Option<Vec<Value>>, Failure> {
    let Some(text) = document(app, id).await? else { return Ok(None) };
    let Ok(Value::Object(document)) = json::parse(&text) else { return Ok(None) };
    Ok(document.get("roles").and_then(Value::as_array).map(<[Value]>::to_vec))
}
