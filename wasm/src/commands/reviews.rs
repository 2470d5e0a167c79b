//! Reviews: what they tell, closing them, and taking that back.

use firkin_core::database::{Branch, Choice, Pick, Review, ReviewsNews};
use firkin_core::json::{self, Object, Value};
use firkin_core::merge::Clash;
use firkin_core::path::Path;

use super::Asked;
use super::documents::{write_options, written};
use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;
use crate::payload::{self, Payload};

/// `{ id }` → `{ id, base, branches: [{ rev, history, doc, diff }], clashes: [{ path, base, ours, theirs }], proposal, is_decided, is_pinned,
/// failure }`
pub async fn review(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let id = Payload::parse(payload)?.required_text("id")?;
    Ok(told(&database.review(&id, database.policies()).await?))
}

/// `{ id, leaves, choice, told, options }` → `{ ok, id, rev }`; the choice is `{ branch } | { document } | { paths: { path: { branch } |
/// { value } | {} } } | {}`: the last is what the policies propose, and of a path what the base has.
pub async fn merge(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let (id, leaves) = (payload.required_text("id")?, payload.texts("leaves")?.unwrap_or_default());
    let (choice, told, write) = (choice(&payload)?, object(&payload, "told")?, write_options(&payload, asked.request)?);
    let policies = database.policies();
    Ok(written(&database.merge_review(&id, &leaves, &choice, &told, policies, &write).await?))
}

/// `{ id, rev, told, options }` → `{ ok, id, rev }`
pub async fn revert(database: &Store, asked: &Asked<'_>) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(asked.payload)?;
    let (id, rev) = (payload.required_text("id")?, payload.required_text("rev")?);
    let (told, write) = (object(&payload, "told")?, write_options(&payload, asked.request)?);
    Ok(written(&database.revert_merge(&id, &rev, &told, &write).await?))
}

/// `{ open: [review], closed: [id] }`
pub fn news(news: &ReviewsNews) -> Vec<u8> {
    let open = array(news.open.iter().map(told));
    ObjectWriter::new().json("open", &open).texts("closed", &news.closed).finish()
}

fn object(payload: &Payload<'_>, name: &str) -> Result<Object, Failure> {
    match payload.value(name)? {
        Some(Value::Object(members)) => Ok(members),
        None => Ok(Object::new()),
        Some(_) => Err(payload::wrong(name, "an object")),
    }
}

fn choice(payload: &Payload<'_>) -> Result<Choice, Failure> {
    let choice = object(payload, "choice")?;
    if let Some(rev) = choice.get("branch").and_then(Value::as_str) {
        return Ok(Choice::Branch(rev.into()));
    }
    if let Some(Value::Object(members)) = choice.get("document") {
        return Ok(Choice::Document(members.clone()));
    }
    let Some(paths) = choice.get("paths").and_then(Value::as_object) else { return Ok(Choice::Proposal) };
    let pick = |(path, pick): (&str, &Value)| {
        let member = |name| pick.as_object().and_then(|pick| pick.get(name));
        let pick = match (member("branch").and_then(Value::as_str), member("value")) {
            (Some(rev), _) => Pick::Branch(rev.into()),
            (None, Some(value)) => Pick::Value(value.clone()),
            (None, None) => Pick::Base,
        };
        (Path::parse(path), pick)
    };
    Ok(Choice::Paths(paths.iter().map(pick).collect()))
}

fn told(review: &Review) -> Vec<u8> {
    let branches = array(review.branches.iter().map(|branch| branch_of(review, branch)));
    let mut proposal = review.proposal.members.clone();
    proposal.insert("_id", review.id.as_str().into());
    let told = ObjectWriter::new()
        .text("id", &review.id)
        .json("base", review.base.as_ref().map_or(b"null", |base| base.document.as_slice()))
        .json("branches", &branches)
        .json("clashes", &array(review.proposal.clashes.iter().map(clash)))
        .json("proposal", &text(&Value::Object(proposal)))
        .boolean("is_decided", review.proposal.is_decided)
        .boolean("is_pinned", review.is_pinned);
    match review.failure.as_ref().map(firkin_core::logic::LogicError::report) {
        Some(report) => {
            let failure = ObjectWriter::new().number("status", report.status.into()).text("name", report.name);
            told.json("failure", &failure.text("reason", &report.reason).finish()).finish()
        }
        None => told.finish(),
    }
}

fn branch_of(review: &Review, branch: &Branch) -> Vec<u8> {
    let diff = review.diff(&branch.rev).unwrap_or(Value::Null);
    let told = ObjectWriter::new().text("rev", &branch.rev).texts("history", &branch.history);
    told.json("doc", &branch.document).json("diff", &text(&diff)).finish()
}

/// A clash. `path` and each value that there is.
pub fn clash(clash: &Clash) -> Vec<u8> {
    let sides = [("base", &clash.base), ("ours", &clash.ours), ("theirs", &clash.theirs)];
    let told = ObjectWriter::new().text("path", &clash.path.to_string());
    let there = sides.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    there.fold(told, |told, (name, value)| told.json(name, &text(value))).finish()
}

fn text(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    json::write(value, &mut text);
    text
}
