//! What is set for one database, kept in its file: who may use it, and how many revisions it remembers.

use firkin_core::storage::StorageError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::Caller;
use crate::mailbox::Engine;
use crate::redb_kv::RedbKv;

const NAME: &str = "settings";

/// The settings of a database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The security object; CouchDB's default if there is none.
    #[serde(default)]
    pub security: Option<Security>,
    /// How many revisions of each branch are remembered; the server's default if it is not said.
    #[serde(default)]
    pub revs_limit: Option<u32>,
}

impl Settings {
    /// Reads them from a database's file.
    ///
    /// # Errors
    /// The disk failed, or what stands there is no settings.
    pub fn read(kv: &RedbKv) -> Result<Self, StorageError> {
        let Some(text) = kv.setting(NAME)? else { return Ok(Self::default()) };
        serde_json::from_slice(&text).map_err(|error| StorageError::Corrupt(format!("the settings: {error}")))
    }

    /// Writes them to the database's file, and has the database follow them.
    ///
    /// # Errors
    /// The disk failed.
    pub fn apply(&self, database: &Engine) -> Result<(), StorageError> {
        let text = serde_json::to_vec(self).map_err(|error| StorageError::Failed(error.to_string()))?;
        database.kv().set_setting(NAME, &text)?;
        if let Some(limit) = self.revs_limit {
            database.set_revs_limit(limit);
        }
        Ok(())
    }
}

/// Who may use a database, as CouchDB's `_security` says it: `admins` and `members`, each with `names` and `roles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Security(Value);

impl Default for Security {
    fn default() -> Self {
        Self(json!({"admins": {"roles": ["_admin"]}, "members": {"roles": ["_admin"]}}))
    }
}

impl Security {
    /// A security object, if it is one; else what is wrong with it.
    ///
    /// # Errors
    /// `admins` or `members` are no objects, or what they list is no list of strings.
    pub fn new(value: Value) -> Result<Self, String> {
        let Some(object) = value.as_object() else { return Err("Request body must be a JSON object".into()) };
        for group in ["admins", "members"] {
            let Some(listed) = object.get(group) else { continue };
            let listed = listed.as_object().ok_or_else(|| format!("{group} must be a JSON object"))?;
            for list in ["names", "roles"] {
                let is_list = listed
                    .get(list)
                    .is_none_or(|list| list.as_array().is_some_and(|elements| elements.iter().all(Value::is_string)));
                if !is_list {
                    return Err(format!("{list} must be a JSON list of strings"));
                }
            }
        }
        Ok(Self(value))
    }

    /// As it was put.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Whether the caller may change design documents and settings.
    #[must_use]
    pub fn is_admin(&self, caller: &Caller) -> bool {
        caller.is_server_admin() || self.lists("admins", caller)
    }

    /// Whether the caller may read and write. A database without members is for everyone who has an account.
    #[must_use]
    pub fn is_member(&self, caller: &Caller) -> bool {
        self.is_admin(caller) || self.lists("members", caller) || (caller.name.is_some() && self.has_no_members())
    }

    fn lists(&self, group: &str, caller: &Caller) -> bool {
        let name = caller.name.as_deref();
        name.is_some_and(|name| self.list(group, "names").any(|listed| listed == name))
            || self.list(group, "roles").any(|listed| caller.roles.iter().any(|role| role == listed))
    }

    fn has_no_members(&self) -> bool {
        self.list("members", "names").chain(self.list("members", "roles")).next().is_none()
    }

    fn list(&self, group: &str, list: &str) -> impl Iterator<Item = &str> {
        let listed = self.0.get(group).and_then(|group| group.get(list)).and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, roles: &[&str]) -> Caller {
        Caller::named(name.into(), roles.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_and_roles_let_in() {
        let security = Security::new(json!({
            "admins": {"names": ["iko"], "roles": ["chief"]}, "members": {"names": ["bob"], "roles": ["crew"]}, "more": 1,
        }))
        .expect("a security object");
        for (who, admin, member) in [
            (caller("iko", &[]), true, true),
            (caller("x", &["chief"]), true, true),
            (caller("x", &["_admin"]), true, true),
            (caller("bob", &[]), false, true),
            (caller("x", &["crew"]), false, true),
            (caller("x", &["other"]), false, false),
            (Caller::anonymous(), false, false),
        ] {
            assert_eq!((security.is_admin(&who), security.is_member(&who)), (admin, member), "{who:?}");
        }
    }

    #[test]
    fn without_members_all_accounts_are_members_but_nobody_else() {
        let security = Security::new(json!({})).expect("a security object");
        assert!(security.is_member(&caller("bob", &[])) && !security.is_admin(&caller("bob", &[])));
        assert!(!security.is_member(&Caller::anonymous()));
        assert!(!Security::default().is_member(&caller("bob", &[])));
    }

    #[test]
    fn what_is_no_security_object_is_refused() {
        for bad in
            [json!([]), json!({"admins": 1}), json!({"members": {"names": "x"}}), json!({"members": {"roles": [1]}})]
        {
            assert!(Security::new(bad.clone()).is_err(), "{bad}");
        }
    }
}
