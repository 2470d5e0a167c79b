//! A disk without room: an error, nothing half-written, and service again once there is room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use common::{BINARY, Client};
use serde_json::json;

/// So often the full disk is run into.
const REFUSALS: usize = 5;

/// A server over a small file system in memory, which is its own: it goes with the process.
struct Small {
    child: Child,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Small {
    fn start(mebibytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" \
                      && exec \"$0\" --data \"$2\" --listen 127.0.0.1:0 --open --log error";
        let mut child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, BINARY, &format!("{mebibytes}m")])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        let line =
            BufReader::new(child.stdout.take().unwrap()).lines().next().expect("a line once it is ready").unwrap();
        let client = Client::new(line.strip_prefix("listening on http://").expect("the line that is promised"));
        Self { child, client, _folder: folder }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_snapshot_for_which_there_is_no_room_is_refused_and_takes_none() {
    let server = Small::start(16);
    let client = &server.client;
    client.create("things");
    client.create("ballast");
    let texts: Vec<_> = (0..40).map(|n| json!({"_id": format!("d{n}"), "text": "x".repeat(100_000)})).collect();
    client.post("/things/_bulk_docs", &json!({ "docs": texts })).expect(201);
    assert_eq!(client.get("/things/_snapshot").status, 200);
    // Another is made, now that there is too little room.
    client.post("/things/_purge", &json!({})).expect(201);
    let text = "y".repeat(100_000);
    let filled = (0..1000).take_while(|n| client.put(&format!("/ballast/{n}"), &json!({"text": text})).status == 201);
    assert!(filled.count() > 5);
    client.get("/things/_snapshot").expect_error(507, "quota_exceeded");
    assert_eq!(client.get("/things").expect(200)["doc_count"], 40);
    client.delete("/ballast").expect(200);
    assert_eq!(client.get("/things/_snapshot").status, 200);
}

#[test]
fn a_full_disk_is_told_and_service_goes_on_when_there_is_room() {
    let server = Small::start(10);
    let client = &server.client;
    client.create("ballast");
    client.create("things");
    let text = "x".repeat(100_000);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for n in 0..1000 {
        let answer = client.put(&format!("/ballast/{n}"), &json!({"text": text}));
        match answer.status {
            201 => acknowledged.push(n),
            500 | 507 => refused += 1,
            status => panic!("{status}: {}", answer.text()),
        }
        if refused == REFUSALS {
            break;
        }
    }
    assert!(refused == REFUSALS && acknowledged.len() > 20, "{refused} refused, {} acknowledged", acknowledged.len());
    // What was acknowledged is there, and the server answers.
    for n in &acknowledged {
        client.get(&format!("/ballast/{n}")).expect(200);
    }
    assert_eq!(client.get("/ballast").expect(200)["doc_count"], acknowledged.len());
    client.send("PUT", "/ballast/a/f", &[], Some(text.repeat(50).as_bytes())).expect_error(507, "quota_exceeded");
    // There is room again.
    client.delete("/ballast").expect(200);
    for n in 0..20 {
        client.put(&format!("/things/{n}"), &json!({"text": text})).expect(201);
    }
    assert_eq!(client.get("/things").expect(200)["doc_count"], 20);
}
