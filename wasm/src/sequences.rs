//! What merges texts and lists: a module of its own, which the host loads when it is asked first.
//!
//! The question is `{ places: [[base, ours, theirs, [name of ours, name of theirs]]] }`. The answer is
//! `{ merged: [{ value, clash }] }`, without a value where a person is to decide; or `{ failed }` with a reason.

use firkin_core::json::{Value, write};
use firkin_core::merge::{Concurrent, Sequences, Woven};
use futures_util::future::LocalBoxFuture;

use crate::answer::{ObjectWriter, array};
use crate::host::Host;
use crate::logic::read;
use crate::payload::Payload;

/// What the host asks.
pub struct HostSequences(pub Host);

impl Sequences for HostSequences {
    fn merge(&self, places: Vec<Concurrent>) -> LocalBoxFuture<'_, Result<Vec<Option<Woven>>, String>> {
        let place = |Concurrent { sides: [base, ours, theirs], names }: Concurrent| {
            let names = Value::Array(names.into_iter().map(Value::String).collect());
            let mut text = Vec::new();
            write(&Value::Array(vec![base, ours, theirs, names]), &mut text);
            text
        };
        let question = ObjectWriter::new().json("places", &array(places.into_iter().map(place)));
        Box::pin(async move {
            let answer = self.0.ask_text("weave", question).await?;
            let woven = |text: &str| {
                let woven = Payload::parse(text.as_bytes())?;
                let is_clash = woven.flag("clash")?;
                Ok(woven.value("value")?.map(|value| Woven { value, is_clash }))
            };
            read(&answer, "merged", woven).map_err(|failure| failure.0.reason)?.map_err(|error| error.to_string())
        })
    }
}
