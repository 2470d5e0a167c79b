//! The app's logic, which lives in JavaScript: shows it what is about to be written, as one JSON text for each batch.
//!
//! The question is `{ replicated, documents: [{ new, old }] }`, with `old` left out where there is none. The answer is
//! `{ verdicts: [null | { doc } | { forbidden } | { unauthorized } | { faulty }] }` with a verdict for each document, `null`
//! for one that is written as it is; or `{ tooSlow }` or `{ failed }`, each with a reason.
//!
//! Of places that branches changed it is `{ merges: [{ function, clash: { path, base, ours, theirs } }] }`, and the answer
//! `{ merged: [{ value }] }`, without a value where a person is to decide.

use firkin_core::json::Value;
use firkin_core::logic::{Contested, Logic, LogicError, Proposal, Verdict};
use futures_util::future::LocalBoxFuture;

use crate::answer::{ObjectWriter, array};
use crate::commands::reviews::clash;
use crate::failure::Failure;
use crate::host::Host;
use crate::payload::{self, Payload};

/// The logic that the host asks.
pub struct HostLogic(pub Host);

impl Logic for HostLogic {
    fn judge(&self, proposals: Vec<Proposal>) -> LocalBoxFuture<'_, Result<Vec<Verdict>, LogicError>> {
        let replicated = proposals.iter().any(|proposal| proposal.replicated);
        let documents = array(proposals.into_iter().map(document));
        let question = ObjectWriter::new().boolean("replicated", replicated).json("documents", &documents);
        Box::pin(async move {
            let answer = self.0.ask_text("judge", question).await.map_err(LogicError::Failed)?;
            read(&answer, "verdicts", verdict).map_err(|failure| LogicError::Failed(failure.0.reason))?
        })
    }

    fn merge(&self, clashes: Vec<Contested>) -> LocalBoxFuture<'_, Result<Vec<Option<Value>>, LogicError>> {
        let asked = |contested: &Contested| {
            ObjectWriter::new().text("function", &contested.function).json("clash", &clash(&contested.clash)).finish()
        };
        let question = ObjectWriter::new().json("merges", &array(clashes.iter().map(asked)));
        Box::pin(async move {
            let answer = self.0.ask_text("judge", question).await.map_err(LogicError::Failed)?;
            let decided = |text: &str| Payload::parse(text.as_bytes())?.value("value");
            read(&answer, "merged", decided).map_err(|failure| LogicError::Failed(failure.0.reason))?
        })
    }
}

fn document(proposal: Proposal) -> Vec<u8> {
    let document = ObjectWriter::new().json("new", &proposal.new);
    match proposal.old {
        Some(old) => document.json("old", &old).finish(),
        None => document.finish(),
    }
}

/// An answer: what stands in its list called `name`, each read by `element`, or why there is none.
pub(crate) fn read<Element>(
    answer: &str,
    name: &str,
    element: fn(&str) -> Result<Element, Failure>,
) -> Result<Result<Vec<Element>, LogicError>, Failure> {
    let answer = Payload::parse(answer.as_bytes())?;
    if let Some(reason) = answer.text("tooSlow")? {
        return Ok(Err(LogicError::TooSlow(reason)));
    }
    if let Some(reason) = answer.text("failed")? {
        return Ok(Err(LogicError::Failed(reason)));
    }
    Ok(Ok(answer.elements(name)?.into_iter().map(element).collect::<Result<_, _>>()?))
}

fn verdict(text: &str) -> Result<Verdict, Failure> {
    if text == "null" {
        return Ok(Verdict::Accept);
    }
    let verdict = Payload::parse(text.as_bytes())?;
    if let Some(document) = verdict.json("doc") {
        return Ok(Verdict::Shape(document.into()));
    }
    let refusals = [
        ("forbidden", Verdict::Forbidden as fn(String) -> Verdict),
        ("unauthorized", Verdict::Unauthorized),
        ("faulty", Verdict::Faulty),
    ];
    for (name, refusal) in refusals {
        if let Some(reason) = verdict.text(name)? {
            return Ok(refusal(reason));
        }
    }
    Err(payload::wrong("a verdict", "null, a document or a refusal"))
}
