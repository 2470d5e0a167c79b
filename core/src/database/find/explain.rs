//! Telling how a query is answered.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{FindStats, Way};
use crate::database::Database;
use crate::json::{self, Object, TypeName, Value};
use crate::path::decode_value;
use crate::query::{FindQuery, PathScan, Plan, QueryError, Source, ValueRange};
use crate::storage::{Direction, Kv};

impl<K: Kv> Database<K> {
    /// How [`find`](Self::find) answers a query, as JSON: it is answered, and told how.
    ///
    /// ```text
    /// { "way": "index" | "sort_order" | "id_order" | "id_range" | "scan",
    ///   "source": a part of the index, or null where the index does not narrow the search,
    ///   "is_exact": whether postings can decide that a document matches,
    ///   "sort": the path that is walked in order, or null,
    ///   "postings_read", "documents_read", "results_returned": counts }
    ///
    /// part of the index: { "path", "bounds": [{ "from", "above", "to", "below" }] },
    ///                    { "all": parts }, { "any": parts } or { "ids" }
    /// ```
    /// `from` and `to` belong to the bounds, `above` and `below` do not; a bound that is missing is open. All values of a type
    /// are `{ "type" }`. A bound that is no whole value is told as the hexadecimal digits of its key.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn explain(&self, query: &FindQuery) -> Result<Vec<u8>, QueryError> {
        let page = self.find(query).await?;
        let plan = Plan::of(&query.selector, &self.index.exclusions);
        let mut out = Vec::new();
        json::write_object(&explanation(query, &plan, &page.stats, page.docs.len()), &mut out);
        Ok(out)
    }
}

fn explanation(query: &FindQuery, plan: &Plan, stats: &FindStats, results: usize) -> Object {
    let sort = query.sort.first().filter(|_| stats.way == Way::SortOrder).map(|field| {
        let mut sort = Object::new();
        sort.insert("path", Value::String(field.path.to_string()));
        sort.insert("direction", if field.direction == Direction::Forward { "asc" } else { "desc" }.into());
        Value::Object(sort)
    });
    let mut told = Object::new();
    told.insert("way", stats.way.name().into());
    told.insert("source", plan.source.as_ref().map_or(Value::Null, source));
    told.insert("is_exact", plan.is_exact.into());
    told.insert("sort", sort.unwrap_or(Value::Null));
    told.insert("postings_read", count(stats.postings_read));
    told.insert("documents_read", count(stats.documents_read));
    told.insert("results_returned", count(results as u64));
    told
}

impl Way {
    /// Its name in an explanation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::IdRange => "id_range",
            Self::Index => "index",
            Self::SortOrder => "sort_order",
            Self::IdOrder => "id_order",
        }
    }
}

fn source(source: &Source) -> Value {
    let list = |parts: &[Source]| Value::Array(parts.iter().map(self::source).collect());
    let mut told = Object::new();
    match source {
        Source::All(parts) => told.insert("all", list(parts)),
        Source::Any(parts) => told.insert("any", list(parts)),
        Source::Ids(ids) => told.insert("ids", Value::Array(ids.iter().map(|id| id.as_str().into()).collect())),
        Source::Scan(PathScan { path, ranges, .. }) => {
            told.insert("path", Value::String(path.to_string()));
            told.insert("bounds", Value::Array(ranges.iter().map(bounds).collect()));
        }
    }
    Value::Object(told)
}

fn bounds(range: &ValueRange) -> Value {
    let mut told = Object::new();
    if let Some(name) = TypeName::ALL.into_iter().find(|name| ValueRange::of_type(*name) == *range) {
        told.insert("type", name.name().into());
        return Value::Object(told);
    }
    if let Some((value, is_after)) = bound(&range.start) {
        told.insert(if is_after { "above" } else { "from" }, value);
    }
    if let Some((value, is_after)) = range.end.as_deref().and_then(bound) {
        told.insert(if is_after { "to" } else { "below" }, value);
    }
    Value::Object(told)
}

/// The value of a bound, and whether the bound stands behind it; `None` of one that is open.
fn bound(bytes: &[u8]) -> Option<(Value, bool)> {
    if bytes.is_empty() {
        return None;
    }
    let behind = bytes.strip_suffix(&[0xff]).and_then(decode_value).map(|value| (value, true));
    let hexadecimal = || Value::String(crate::hex::hex(bytes));
    Some(behind.unwrap_or_else(|| (decode_value(bytes).unwrap_or_else(hexadecimal), false)))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(count: u64) -> Value {
    Value::Number(count as f64)
}
