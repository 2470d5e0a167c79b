//! Who gets in: credentials, sessions, flags, and pages of other origins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Answer, JSON, Server, run};
use serde_json::{Value, json};

const ADMIN: &[&str] = &["--admin", "iko:pass:word", "--password-iterations", "100"];

#[test]
fn without_credentials_only_the_door_is_seen() {
    let server = Server::start(ADMIN);
    let admin = server.client.clone().with_credentials("iko:pass:word");
    admin.create("things");
    admin.put("/things/a", &json!({})).expect(201);
    for (method, path, reason) in [
        ("GET", "/_all_dbs", "You are not a server admin."),
        ("PUT", "/new", "You are not a server admin."),
        ("DELETE", "/things", "You are not a server admin."),
        ("GET", "/things", "You are not authorized to access this db."),
        ("GET", "/none", "You are not authorized to access this db."),
        ("GET", "/things/a", "You are not authorized to access this db."),
        ("PUT", "/things/b", "You are not authorized to access this db."),
        ("POST", "/things/_bulk_docs", "You are not authorized to access this db."),
        ("GET", "/things/_changes", "You are not authorized to access this db."),
        ("GET", "/_uuids", "You are not authorized to access this db."),
        ("GET", "/things/_nowhere/at/all", "You are not authorized to access this db."),
    ] {
        let body: Option<&[u8]> = (method == "POST" || method == "PUT").then_some(b"{\"docs\":[]}");
        let answer = server.client.send(method, path, &JSON[..usize::from(body.is_some())], body);
        answer.expect_error(401, "unauthorized");
        assert_eq!(answer.json()["reason"], reason, "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    for path in ["/", "/_up", "/_session"] {
        server.client.get(path).expect(200);
    }
    assert_eq!(admin.get("/_all_dbs").expect(200), json!(["things"]));
    assert_eq!(admin.get("/things").expect(200)["doc_count"], 1);
}

#[test]
fn wrong_credentials_open_nothing() {
    let server = Server::start(ADMIN);
    for wrong in ["iko:wrong", "iko:", "other:pass:word", ""] {
        let client = server.client.clone().with_credentials(wrong);
        for path in ["/", "/_all_dbs", "/_session"] {
            let answer = client.get(path);
            answer.expect_error(401, "unauthorized");
            assert_eq!(answer.json()["reason"], "Name or password is incorrect.");
        }
    }
}

#[test]
fn a_session_opens_with_the_password_and_closes() {
    let server = Server::start(ADMIN);
    let client = &server.client;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (headers, body) in
        [(&JSON, r#"{"name":"iko","password":"pass:word"}"#), (&form, "name=iko&password=pass%3Aword")]
    {
        let opened = client.send("POST", "/_session", headers, Some(body.as_bytes()));
        assert_eq!(opened.expect(200), json!({"ok": true, "name": "iko", "roles": ["_admin"]}));
        let cookie = opened.header("set-cookie").expect("a cookie").to_owned();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let pair = cookie.split(';').next().expect("a pair");
        let with_cookie = |method, path| client.send(method, path, &[("cookie", pair)], None);
        assert_eq!(with_cookie("GET", "/_all_dbs").expect(200), json!([]));
        let session = with_cookie("GET", "/_session").expect(200);
        assert_eq!(session["userCtx"], json!({"name": "iko", "roles": ["_admin"]}));
        assert_eq!(session["info"]["authenticated"], "cookie");
        with_cookie("DELETE", "/_session").expect(200);
        with_cookie("GET", "/_all_dbs").expect_error(401, "unauthorized");
    }
    for wrong in [r#"{"name":"iko","password":"no"}"#, r#"{"name":"iko"}"#, "{}"] {
        client.send("POST", "/_session", &JSON, Some(wrong.as_bytes())).expect_error(401, "unauthorized");
    }
    client.send("POST", "/_session", &JSON, Some(b"{")).expect_error(400, "bad_request");
    let nobody = client.get("/_session").expect(200);
    assert_eq!(nobody["userCtx"], json!({"name": null, "roles": []}));
}

#[test]
fn an_open_server_says_that_everyone_is_an_administrator() {
    let server = Server::start(&["--open"]);
    let session = server.client.get("/_session").expect(200);
    assert_eq!(session["userCtx"], json!({"name": null, "roles": ["_admin"]}));
    server.client.create("things");
    let everyone = json!({"admins": {"roles": []}, "members": {"roles": []}});
    assert_eq!(server.client.get("/things/_security").expect(200), everyone);
}

#[test]
fn an_open_server_is_not_asked_by_a_name_that_was_made_to_point_to_it() {
    let open = Server::start(&["--open"]);
    let ask = |server: &Server, host: &str| server.client.send("GET", "/", &[("host", host)], None);
    for host in ["localhost", "LOCALHOST:5984", "app.localhost:80", "127.0.0.1", "127.1.2.3:1", "[::1]", "[::1]:5984"] {
        ask(&open, host).expect(200);
    }
    for host in
        ["evil.example", "evil.example:5984", "localhost.evil.example", "192.0.2.1", "127.0.0.1.evil.example", "[::2]"]
    {
        ask(&open, host).expect_error(403, "forbidden");
    }
    ask(&Server::start(&["--open", "--i-know"]), "db.example").expect(200);
    ask(&Server::start(ADMIN), "db.example").expect(200);
}

#[test]
fn flags_that_would_let_strangers_in_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path of text");
    for (flags, told) in [
        (vec!["--listen", "0.0.0.0:0"], "can be reached from other machines"),
        (vec!["--listen", "0.0.0.0:0", "--open"], "can be reached from other machines"),
        (vec!["--listen", "[::]:0", "--i-know"], "can be reached from other machines"),
        (vec!["--listen", "127.0.0.1:0", "--admin", "name"], "--admin takes NAME:PASSWORD"),
        (vec!["--listen", "127.0.0.1:0", "--admin", "a:b", "--open"], "give one of them"),
        (vec!["--listen", "127.0.0.1:0", "--cors", "app.example"], "--cors takes"),
        (vec!["--listen", "nonsense"], "--listen"),
        (vec!["--listen", "127.0.0.1:0", "--nonsense"], "--nonsense"),
    ] {
        let refused = run(&[&["--data", data], flags.as_slice()].concat());
        assert_eq!(refused.status.code(), Some(2), "{flags:?}");
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(stderr.contains(told), "{flags:?}: {stderr}");
        assert!(refused.stdout.is_empty(), "{flags:?}");
    }
    assert_eq!(run(&[]).status.code(), Some(2), "--data is needed");
}

fn preflight(server: &Server, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    server.client.send("OPTIONS", "/things/a", &headers, None)
}

fn from(server: &Server, origin: &str) -> Answer {
    server.client.send("GET", "/things/a", &[("origin", origin)], None)
}

#[test]
fn named_origins_may_ask_with_credentials_and_others_may_not() {
    let flags = [ADMIN, &["--cors", "https://app.example", "--cors", "http://localhost:8000"]].concat();
    let mut server = Server::start(&flags);
    for origin in ["https://app.example", "http://localhost:8000"] {
        let answer = preflight(&server, origin);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        let methods = answer.header("access-control-allow-methods").expect("methods");
        assert!(["GET", "PUT", "POST", "HEAD", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        let headers = answer.header("access-control-allow-headers").expect("headers");
        assert!(["authorization", "content-type", "if-match"].iter().all(|name| headers.contains(name)), "{headers}");
        // Even an error can be read by the page.
        let answer = from(&server, origin);
        answer.expect_error(401, "unauthorized");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        // How it came may be known by whom it may be read.
        assert_eq!(answer.header("timing-allow-origin"), Some(origin));
        assert!(answer.header("access-control-expose-headers").expect("headers").contains("etag"));
        assert!(answer.headers.get_all("vary").iter().any(|vary| vary.to_str().expect("text").contains("origin")));
    }
    for origin in ["https://evil.example", "http://localhost:8001", "null"] {
        assert_eq!(preflight(&server, origin).header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(from(&server, origin).header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(from(&server, origin).header("timing-allow-origin"), None, "{origin}");
    }
    server = Server::start(&[]);
    assert_eq!(preflight(&server, "https://app.example").header("access-control-allow-origin"), None);
}

#[test]
fn any_origin_may_ask_but_borrows_no_session() {
    let server = Server::start(&[ADMIN, &["--cors", "*"]].concat());
    let answer = preflight(&server, "https://app.example");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    // There is no session to borrow on a server that is open.
    let server = Server::start(&["--open", "--cors", "*"]);
    let answer = preflight(&server, "https://app.example");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let server = Server::start(&["--open"]);
    server.client.create("things");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        for (path, body) in [
            ("/things", r#"{"_id":"a"}"#),
            ("/things/_bulk_docs", r#"{"docs":[{"_id":"a"}]}"#),
            ("/things/_compact", "{}"),
        ] {
            let answer = server.client.send("POST", path, &[("content-type", content_type)], Some(body.as_bytes()));
            answer.expect_error(415, "bad_content_type");
        }
    }
    let info: Value = server.client.get("/things").expect(200);
    assert_eq!(info["doc_count"], 0);
}
