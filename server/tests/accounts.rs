//! Accounts in `_users`, and who may use which database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Client, JSON, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

const FLAGS: &[&str] = &["--admin", "root:secret", "--password-iterations", "100"];

fn user(name: &str, roles: &[&str]) -> Value {
    let (id, password) = (format!("org.couchdb.user:{name}"), format!("pw-{name}"));
    json!({"_id": id, "type": "user", "name": name, "roles": roles, "password": password})
}

/// A server with three accounts, and its administrator.
fn server() -> (Server, Client) {
    let server = Server::start(FLAGS);
    let admin = server.client.clone().with_credentials("root:secret");
    admin.create("_users");
    let users = json!({"docs": [user("alice", &["crew"]), user("bob", &[]), user("carol", &["chief"])]});
    let rows = admin.post("/_users/_bulk_docs", &users).expect(201);
    assert!(rows.as_array().unwrap().iter().all(|row| row["ok"] == true), "{rows}");
    admin.create("things");
    let security = json!({"admins": {"names": ["carol"]}, "members": {"roles": ["crew"]}});
    admin.put("/things/_security", &security).expect(200);
    (server, admin)
}

fn log_in(server: &Server, name: &str) -> Client {
    server.client.clone().with_credentials(&format!("{name}:pw-{name}"))
}

#[test]
fn a_password_is_kept_as_a_derived_key_only() {
    let (server, admin) = server();
    let stored = admin.get("/_users/org.couchdb.user:alice").expect(200);
    assert_eq!(
        (stored.get("password"), &stored["password_scheme"], &stored["pbkdf2_prf"]),
        (None, &json!("pbkdf2"), &json!("sha256"))
    );
    assert_eq!((stored["derived_key"].as_str().unwrap().len(), stored["iterations"].as_u64()), (64, Some(100)));
    let other = admin.get("/_users/org.couchdb.user:bob").expect(200);
    assert_ne!(stored["salt"], other["salt"]);
    let files = std::fs::read(server.folder().join("_users.redb")).unwrap();
    assert!(!files.windows(8).any(|window| window == b"pw-alice"), "the password is on the disk");
}

#[test]
fn members_read_and_write_and_admins_change_settings() {
    let (server, admin) = server();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| log_in(&server, name));
    alice.put("/things/a", &json!({"n": 1})).expect(201);
    carol.get("/things/a").expect(200);
    for path in ["/things", "/things/a", "/things/_changes", "/things/_security"] {
        bob.get(path).expect_error(403, "forbidden");
        server.client.get(path).expect_error(401, "unauthorized");
    }
    bob.get("/none").expect_error(404, "not_found");
    // What only admins of the database may.
    let rules: [(&str, &str, Value, u16); 5] = [
        ("PUT", "/things/_security", json!({"admins": {"names": ["carol"]}, "members": {"names": ["alice"]}}), 200),
        ("PUT", "/things/_revs_limit", json!(5), 200),
        ("POST", "/things/_compact", json!({}), 202),
        ("POST", "/things/_purge", json!({}), 201),
        ("PUT", "/things/_design/x", json!({}), 201),
    ];
    for (method, path, body, status) in rules {
        let send = |client: &Client| client.send(method, path, &JSON, Some(body.to_string().as_bytes()));
        send(&alice).expect_error(403, "forbidden");
        send(&carol).expect(status);
    }
    let docs = json!({"docs": [{"_id": "_design/y"}, {"_id": "b"}]});
    let rows = alice.post("/things/_bulk_docs", &docs).expect(201);
    assert_eq!(
        (&rows[0]["id"], &rows[1]["id"], &rows[1]["error"]),
        (&json!("b"), &json!("_design/y"), &json!("forbidden"))
    );
    // What only the server's may.
    for client in [&alice, &carol] {
        client.send("PUT", "/new", &[], None).expect_error(403, "forbidden");
        client.delete("/things").expect_error(403, "forbidden");
        client.get("/_all_dbs").expect_error(403, "forbidden");
    }
    assert_eq!(admin.get("/_all_dbs").expect(200), json!(["_users", "things"]));
}

#[test]
fn settings_of_a_database_survive_a_restart_and_hold() {
    let (mut server, _) = server();
    let carol = log_in(&server, "carol");
    carol.send("PUT", "/things/_revs_limit", &JSON, Some(b"3")).expect(200);
    server.restart(Signal::KILL);
    let carol = log_in(&server, "carol");
    assert_eq!(carol.get("/things/_revs_limit").expect(200), json!(3));
    assert_eq!(carol.get("/things/_security").expect(200)["members"]["roles"], json!(["crew"]));
    let mut rev = Value::Null;
    for n in 0..6 {
        let document = if n == 0 { json!({"n": n}) } else { json!({"n": n, "_rev": rev}) };
        rev = carol.put("/things/a", &document).expect(201)["rev"].clone();
    }
    let revisions = carol.get("/things/a?revs=true").expect(200)["_revisions"]["ids"].as_array().unwrap().len();
    assert_eq!(revisions, 3);
}

#[test]
fn an_account_sees_and_changes_itself_only() {
    let (server, admin) = server();
    let (alice, own) = (log_in(&server, "alice"), "/_users/org.couchdb.user:alice");
    let mut document = alice.get(own).expect(200);
    for path in ["/_users", "/_users/_all_docs?include_docs=true", "/_users/_changes", "/_users/org.couchdb.user:bob"] {
        alice.get(path).expect_error(403, "forbidden");
        server.client.get(path).expect_error(401, "unauthorized");
    }
    document["roles"] = json!(["crew", "chief"]);
    alice.put(own, &document).expect_error(403, "forbidden");
    document["roles"] = json!(["crew"]);
    document["password"] = json!("new");
    alice.put(own, &document).expect(201);
    alice.get(own).expect_error(401, "unauthorized");
    let alice = server.client.clone().with_credentials("alice:new");
    alice.get("/things").expect(200);
    admin.delete(&format!("{own}?rev={}", alice.get(own).expect(200)["_rev"].as_str().unwrap())).expect(200);
    alice.get("/things").expect_error(401, "unauthorized");
}

#[test]
fn a_session_is_an_accounts_and_follows_its_roles() {
    let (server, admin) = server();
    let body = json!({"name": "alice", "password": "pw-alice"}).to_string();
    let opened = server.client.send("POST", "/_session", &JSON, Some(body.as_bytes()));
    assert_eq!(opened.expect(200), json!({"ok": true, "name": "alice", "roles": ["crew"]}));
    let cookie = opened.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let get = |path: &str| server.client.send("GET", path, &[("cookie", cookie.as_str())], None);
    get("/things").expect(200);
    assert_eq!(get("/_session").expect(200)["userCtx"], json!({"name": "alice", "roles": ["crew"]}));
    let mut document = admin.get("/_users/org.couchdb.user:alice").expect(200);
    document["roles"] = json!([]);
    admin.put("/_users/org.couchdb.user:alice", &document).expect(201);
    get("/things").expect_error(403, "forbidden");
}

#[test]
fn what_is_no_account_is_refused() {
    let (server, admin) = server();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = user("dave", &[]);
        change(&mut document);
        document
    };
    let bad = [
        with(&|document| document["_id"] = json!("dave")),
        with(&|document| document["type"] = json!("person")),
        with(&|document| document["name"] = json!("root")),
        with(&|document| drop(document.as_object_mut().unwrap().remove("roles"))),
        with(&|document| document["roles"] = json!(["_admin"])),
        with(&|document| document["roles"] = json!([1])),
        with(&|document| document["password"] = json!(1)),
        with(&|document| document["password"] = json!("")),
        with(&|document| document["password"] = json!("x".repeat(2000))),
    ];
    for document in &bad {
        let rows = admin.post("/_users/_bulk_docs", &json!({"docs": [document]})).expect(201);
        assert_eq!(rows[0]["error"], "forbidden", "{document}");
        admin.post("/_users", document).expect_error(403, "forbidden");
    }
    // Not even as a revision of another replica.
    let replicated = json!({"docs": [with(&|document| document["_rev"] = json!("1-a"))], "new_edits": false});
    admin.post("/_users/_bulk_docs", &replicated).expect(201);
    let forged = json!({"docs": [with(&|document| {
        document["_rev"] = json!("2-a");
        document["roles"] = json!(["_admin"]);
    })], "new_edits": false});
    assert_eq!(admin.post("/_users/_bulk_docs", &forged).expect(201)[0]["error"], "forbidden");
    assert_eq!(log_in(&server, "dave").get("/_session").expect(200)["userCtx"]["roles"], json!([]));
    for wrong in ["alice:", "alice:pw-bob", "erin:pw-erin", "root:pw-root", ":x"] {
        server.client.clone().with_credentials(wrong).get("/things").expect_error(401, "unauthorized");
    }
}
