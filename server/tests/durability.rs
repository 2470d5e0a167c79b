//! What was acknowledged is there after the server ended, however it ended; and what many write at once is what each wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, JSON, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Puts documents one after the other until told to stop or until the server is gone; what was acknowledged.
fn write_until(client: &Client, writer: usize, stop: &AtomicBool) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{writer}-{number}");
        let body = json!({"writer": writer, "number": number}).to_string();
        match client.try_send("PUT", &format!("/things/{id}"), &JSON, Some(body.as_bytes())) {
            Ok(answer) => {
                let rev = answer.expect(201)["rev"].as_str().expect("a revision").to_owned();
                acknowledged.push((id, rev));
            }
            Err(_) => break,
        }
    }
    acknowledged
}

/// Ends the server so many times while four write.
fn every_acknowledged_document_survives(signal: Signal, rounds: usize) {
    let mut server = Server::start(&[]);
    server.client.create("things");
    let mut survived = 0;
    for round in 0..rounds {
        let stop = AtomicBool::new(false);
        let acknowledged: Vec<(String, String)> = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let (client, stop) = (server.client.clone(), &stop);
                    scope.spawn(move || write_until(&client, round * 4 + writer, stop))
                })
                .collect();
            // At another moment each time.
            thread::sleep(Duration::from_millis(40 + (round as u64 * 37) % 60));
            server.restart(signal);
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
        });
        survived += acknowledged.len();
        for (id, rev) in acknowledged {
            let found = server.client.get(&format!("/things/{id}")).expect(200);
            assert_eq!(found["_rev"], *rev, "{id}");
            let number = id.split('-').nth(1).expect("a number");
            assert_eq!(found["number"].to_string(), number, "{id}");
        }
        let info = server.client.get("/things").expect(200);
        let rows = server.client.get("/things/_changes").expect(200)["results"].as_array().expect("rows").len();
        assert_eq!(info["doc_count"], rows, "the count and the feed agree");
    }
    let count = server.client.get("/things").expect(200)["doc_count"].as_u64().unwrap();
    // A write whose answer was cut off may be there.
    assert!(
        (survived..=survived + 4 * rounds).contains(&(count as usize)),
        "{count} documents, {survived} acknowledged"
    );
    assert!(survived > 5 * rounds, "only {survived} writes were acknowledged");
}

#[test]
fn sigterm_loses_no_acknowledged_document() {
    every_acknowledged_document_survives(Signal::TERM, 5);
}

#[test]
fn fifty_kills_lose_no_acknowledged_document() {
    every_acknowledged_document_survives(Signal::KILL, 50);
}

#[test]
fn a_restart_keeps_databases_identity_and_sequences() {
    let mut server = Server::start(&[]);
    server.client.create("team%2Fnotes");
    server.client.create("gone");
    server.client.put("/team%2Fnotes/a", &json!({"n": 1})).expect(201);
    server.client.put("/team%2Fnotes/_local/checkpoint", &json!({"seq": 1})).expect(201);
    server.client.delete("/gone").expect(200);
    let before = (
        server.client.get("/").expect(200)["uuid"].clone(),
        server.client.get("/_all_dbs").expect(200),
        server.client.get("/team%2Fnotes/_changes").expect(200),
        server.client.get("/team%2Fnotes/_local/checkpoint").expect(200),
    );
    assert_eq!(before.1, json!(["team/notes"]));
    server.restart(Signal::INT);
    let after = (
        server.client.get("/").expect(200)["uuid"].clone(),
        server.client.get("/_all_dbs").expect(200),
        server.client.get("/team%2Fnotes/_changes").expect(200),
        server.client.get("/team%2Fnotes/_local/checkpoint").expect(200),
    );
    assert_eq!(before, after);
    server.client.get("/gone").expect_error(404, "not_found");
}

#[test]
fn of_many_edits_of_one_revision_one_wins() {
    let server = Server::start(&[]);
    let client = &server.client;
    client.create("things");
    let mut rev = client.put("/things/a", &json!({"n": 0})).expect(201)["rev"].clone();
    for round in 0..20 {
        let answers: Vec<Value> = thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    let document = json!({"_rev": rev, "round": round, "writer": writer});
                    scope.spawn(move || client.put("/things/a", &document).json())
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
        });
        let winners: Vec<&Value> = answers.iter().filter(|answer| answer["ok"] == true).collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        assert!(answers.iter().all(|answer| answer["ok"] == true || answer["error"] == "conflict"), "{answers:?}");
        rev = winners[0]["rev"].clone();
    }
    let document = client.get("/things/a?conflicts=true").expect(200);
    assert_eq!((&document["_rev"], &document["_conflicts"]), (&rev, &Value::Null));
}

#[test]
fn many_writers_of_many_databases_each_find_their_own() {
    let server = Server::start(&[]);
    let client = &server.client;
    thread::scope(|scope| {
        for writer in 0..6 {
            scope.spawn(move || {
                let database = format!("db{}", writer % 3);
                // Two writers make the same database; one of them is told that it is there.
                let made = client.send("PUT", &format!("/{database}"), &[], None);
                assert!(matches!(made.status, 201 | 412), "{}", made.text());
                let docs: Vec<Value> = (0..100).map(|n| json!({"_id": format!("{writer}-{n:03}"), "n": n})).collect();
                let rows = client.post(&format!("/{database}/_bulk_docs"), &json!({"docs": docs})).expect(201);
                assert!(rows.as_array().expect("rows").iter().all(|row| row["ok"] == true), "{rows}");
            });
        }
    });
    for number in 0..3 {
        let all = client.get(&format!("/db{number}/_all_docs")).expect(200);
        assert_eq!(all["total_rows"], 200);
        let ids: Vec<&str> = all["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert!(ids.is_sorted(), "{ids:?}");
    }
}

#[test]
fn a_folder_is_served_by_one_server() {
    let server = Server::start(&[]);
    server.client.create("things");
    let folder = server.folder().to_str().expect("a path of text");
    let second = common::run(&["--listen", "127.0.0.1:0", "--data", folder]);
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("is in use by another firkin-server"), "{told}");
    assert!(second.stdout.is_empty());
    server.client.put("/things/a", &json!({})).expect(201);
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "text").expect("a file");
    for data in [file.clone(), file.join("below")] {
        let refused = common::run(&["--listen", "127.0.0.1:0", "--data", data.to_str().expect("text")]);
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("cannot be used") && told.contains(data.to_str().expect("text")), "{told}");
    }
}

#[test]
fn an_address_in_use_is_told() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let refused = common::run(&["--listen", &server.address, "--data", folder.path().to_str().expect("text")]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains(&format!("cannot listen on {}", server.address)), "{told}");
}

#[test]
fn databases_half_made_and_foreign_files_are_no_databases() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["half.redb.new", "notes.txt", "UPPER.redb"] {
        fs::write(folder.path().join(file), "rubbish").expect("a file");
    }
    let server = Server::start_over(folder.path(), &[]);
    assert_eq!(server.client.get("/_all_dbs").expect(200), json!([]));
    assert!(!folder.path().join("half.redb.new").exists());
    assert!(folder.path().join("notes.txt").exists() && folder.path().join("UPPER.redb").exists());
    server.client.create("half");
}

#[test]
fn a_damaged_file_is_an_error_and_the_server_stays_up() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("damaged.redb"), "rubbish".repeat(1000)).expect("a file");
    let server = Server::start_over(folder.path(), &[]);
    for _ in 0..2 {
        server.client.get("/damaged").expect_error(500, "storage_failed");
    }
    server.client.create("sound");
    server.client.put("/sound/a", &json!({})).expect(201);
    server.client.delete("/damaged").expect(200);
    server.client.get("/damaged").expect_error(404, "not_found");
}

#[test]
fn a_stop_does_not_wait_for_idle_clients() {
    let mut server = Server::start(&[]);
    server.client.create("things");
    let feed = server.client.lines("/things/_changes?feed=continuous&heartbeat=1000");
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert!(server.wait());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(feed);
}
