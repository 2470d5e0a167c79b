//! `_bulk_get` for who takes many parts rather than JSON: a part for each revision, its attachments behind it.

use axum::response::Response;
use firkin_core::database::{GetOptions, OpenRev, OpenRevs};
use serde_json::json;

use super::bulk::Wanted;
use super::query::Query;
use super::related::{self, Parcel};
use super::request::Target;
use super::stream::{Chunks, Gone, streamed};
use crate::random::random_id;

const ERROR: &str = "application/json; error=\"true\"";

/// Answers `_bulk_get` with `multipart/mixed`.
pub fn bulk_get_in_parts(target: Target, query: &Query, wanted: Vec<Wanted>) -> Response {
    let get = GetOptions { latest: query.is_true("latest"), revs: query.is_true("revs"), ..GetOptions::default() };
    let follow = query.is_true("attachments");
    let boundary = random_id();
    let (chunks, body) = streamed();
    let response = related::answer("mixed", &boundary, body);
    tokio::spawn(async move {
        for wanted in wanted {
            send_one(&chunks, &target, wanted, &get, follow, &boundary).await?;
        }
        chunks.send(format!("--{boundary}--")).await
    });
    response
}

async fn send_one(
    chunks: &Chunks,
    target: &Target,
    wanted: Wanted,
    get: &GetOptions,
    follow: bool,
    boundary: &str,
) -> Result<(), Gone> {
    let Some(id) = wanted.id else {
        let error = json!({"id": null, "rev": null, "error": "bad_request", "reason": "document id missed"});
        return related::send_json_part(chunks, boundary, "", ERROR, error.to_string().as_bytes()).await;
    };
    let asked_rev = wanted.rev.clone().unwrap_or_else(|| "undefined".into());
    let revs = wanted.rev.map_or(OpenRevs::All, |rev| OpenRevs::These(vec![rev]));
    let found = {
        let (id, get) = (id.clone(), get.clone());
        target.mailbox.run(async move |database| database.open_revs(&id, revs, &get).await).await
    };
    let headers = head(&id, &asked_rev);
    let mut refusals = Vec::new();
    match found {
        Ok(Ok(found)) => {
            if found.is_empty() {
                refusals.push((asked_rev, "not_found", "missing".to_owned()));
            }
            for rev in found {
                match rev {
                    OpenRev::Ok(document) => {
                        let known = wanted.atts_since.as_deref().unwrap_or_default();
                        let parcel = Parcel::new(document, known, follow);
                        let headers = head(&id, parcel.rev());
                        parcel.send_as_part(chunks, &target.mailbox, boundary, &headers).await?;
                    }
                    OpenRev::Missing(rev) => refusals.push((rev, "not_found", "missing".to_owned())),
                }
            }
        }
        Ok(Err(error)) => {
            let report = error.report();
            refusals.push((asked_rev, report.name, report.reason));
        }
        Err(closed) => {
            chunks.cut(&closed.into()).await;
            return Err(Gone);
        }
    }
    for (rev, error, reason) in refusals {
        let error = json!({"id": id, "rev": rev, "error": error, "reason": reason}).to_string();
        related::send_json_part(chunks, boundary, &headers, ERROR, error.as_bytes()).await?;
    }
    Ok(())
}

/// What tells whose part it is. A header has no line breaks, whatever the id.
fn head(id: &str, rev: &str) -> String {
    let printable = |text: &str| text.chars().filter(|letter| !letter.is_control()).collect::<String>();
    format!("X-Doc-Id: {}\r\nX-Rev-Id: {}\r\n", printable(id), printable(rev))
}
