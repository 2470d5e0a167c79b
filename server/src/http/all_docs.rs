//! `/{database}/_all_docs`: documents in the order of their ids.

use axum::http::StatusCode;
use axum::response::Response;
use firkin_core::database::AllDocsQuery;
use firkin_core::json::{self, Value};

use super::answer::{self, Failure};
use super::query::{Query, parse_error, quoted};
use super::request::{JsonBody, Target};

/// `GET /{database}/_all_docs`
pub async fn by_query(target: Target, query: Query) -> Result<Response, Failure> {
    answer(target, parse_query(&query)?).await
}

/// `POST /{database}/_all_docs`: members of the body count over the query's parameters.
pub async fn by_body(target: Target, query: Query, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let mut asked = parse_query(&query)?;
    match json::parse(&body) {
        Ok(Value::Object(members)) => {
            for (name, value) in members.iter() {
                asked.set(name, value)?;
            }
        }
        Ok(_) => return Err(Failure::bad_request("Request body must be a JSON object")),
        Err(_) => return Err(Failure::bad_json()),
    }
    answer(target, asked).await
}

/// Ids are strings: in the order of all values, other keys stand before all of them or after.
#[derive(Clone, Debug, PartialEq)]
enum Bound {
    BeforeAll,
    At(String),
    AfterAll,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    start: Option<Bound>,
    end: Option<Bound>,
    exclusive_end: bool,
    keys: Option<Vec<String>>,
    limit: Option<u64>,
    skip: u64,
    descending: bool,
    include_docs: bool,
    conflicts: bool,
    attachments: bool,
}

const PARAMETERS: [&str; 13] = [
    "startkey",
    "start_key",
    "endkey",
    "end_key",
    "key",
    "keys",
    "limit",
    "skip",
    "descending",
    "include_docs",
    "conflicts",
    "attachments",
    "inclusive_end",
];

fn parse_query(query: &Query) -> Result<Asked, Failure> {
    let mut asked = Asked::default();
    for name in PARAMETERS {
        let value = match name {
            "limit" | "skip" => query.count(name)?.map(to_number),
            "descending" | "include_docs" | "conflicts" | "attachments" | "inclusive_end" => {
                query.boolean(name)?.map(Value::Bool)
            }
            _ => query.json(name)?,
        };
        if let Some(value) = value {
            asked.set(name, &value)?;
        }
    }
    Ok(asked)
}

#[expect(clippy::cast_precision_loss, reason = "a limit beyond 2^53 is none")]
fn to_number(count: u64) -> Value {
    Value::Number(count as f64)
}

impl Asked {
    fn set(&mut self, name: &str, value: &Value) -> Result<(), Failure> {
        match name {
            "startkey" | "start_key" => self.start = Some(bound(value)),
            "endkey" | "end_key" => self.end = Some(bound(value)),
            "key" => (self.start, self.end) = (Some(bound(value)), Some(bound(value))),
            "keys" => self.keys = Some(keys(value)?),
            "limit" => self.limit = Some(count(value)?),
            "skip" => self.skip = count(value)?,
            "descending" => self.descending = boolean(value)?,
            "include_docs" => self.include_docs = boolean(value)?,
            "conflicts" => self.conflicts = boolean(value)?,
            "attachments" => self.attachments = boolean(value)?,
            "inclusive_end" => self.exclusive_end = !boolean(value)?,
            _ => {}
        }
        Ok(())
    }

    fn into_query(self) -> AllDocsQuery {
        let (first, last) =
            if self.descending { (Bound::AfterAll, Bound::BeforeAll) } else { (Bound::BeforeAll, Bound::AfterAll) };
        let is_empty = self.start.as_ref() == Some(&last) || self.end.as_ref() == Some(&first);
        let key = |bound| if let Some(Bound::At(key)) = bound { Some(key) } else { None };
        AllDocsQuery {
            start_key: key(self.start),
            end_key: key(self.end),
            inclusive_end: !self.exclusive_end,
            keys: self.keys,
            limit: if is_empty { Some(0) } else { self.limit },
            skip: self.skip,
            descending: self.descending,
            include_docs: self.include_docs,
            conflicts: self.conflicts,
            attachments: self.attachments,
        }
    }
}

fn bound(value: &Value) -> Bound {
    match value {
        Value::String(key) => Bound::At(key.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Bound::BeforeAll,
        Value::Array(_) | Value::Object(_) => Bound::AfterAll,
    }
}

fn keys(value: &Value) -> Result<Vec<String>, Failure> {
    let strings = value.as_array().and_then(|keys| keys.iter().map(|key| key.as_str().map(str::to_owned)).collect());
    strings.ok_or_else(|| Failure::bad_request("`keys` member must be an array of strings."))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number from 0 on")]
fn count(value: &Value) -> Result<u64, Failure> {
    let whole = value.as_number().filter(|number| number.fract() == 0.0 && *number >= 0.0);
    whole.map(|number| number as u64).ok_or_else(|| parse_error(format!("Invalid value for integer: {}", shown(value))))
}

fn boolean(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Bool(value) => Ok(*value),
        _ => Err(parse_error(format!("Invalid boolean parameter: {}", shown(value)))),
    }
}

fn shown(value: &Value) -> String {
    if let Value::String(text) = value {
        return quoted(text);
    }
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

async fn answer(target: Target, asked: Asked) -> Result<Response, Failure> {
    let query = asked.into_query();
    let text = target.mailbox.run(async move |database| database.all_docs(&query).await).await??;
    Ok(answer::json_text(StatusCode::OK, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> AllDocsQuery {
        parse_query(&Query::parse(text)).expect("a good query").into_query()
    }

    #[test]
    fn keys_that_are_no_strings_stand_outside_all_ids() {
        let all = query("startkey=1&endkey=%7B%7D");
        assert_eq!((all.start_key, all.end_key, all.limit), (None, None, None));
        let from_the_end = query("startkey=%7B%7D&endkey=null&descending=true");
        assert_eq!((from_the_end.start_key, from_the_end.end_key, from_the_end.limit), (None, None, None));
        assert_eq!(query("startkey=%5B%5D").limit, Some(0));
        assert_eq!(query("endkey=1").limit, Some(0));
        assert_eq!(query("startkey=1&descending=true").limit, Some(0));
    }

    #[test]
    fn one_key_is_a_range_of_one() {
        let one = query("key=%22a%22");
        assert_eq!((one.start_key.as_deref(), one.end_key.as_deref()), (Some("a"), Some("a")));
        assert!(one.inclusive_end);
        assert!(!query("inclusive_end=false").inclusive_end);
    }

    #[test]
    fn bad_values_are_refused() {
        for bad in ["limit=x", "skip=-1", "descending=1", "startkey=b", "keys=%22a%22", "keys=%5B1%5D"] {
            let failure = parse_query(&Query::parse(bad)).expect_err(bad);
            assert_eq!(failure.0.status, 400, "{bad}");
        }
        for (name, value) in [("limit", Value::from("x")), ("limit", Value::Number(1.5)), ("skip", Value::Number(-1.0))]
        {
            assert!(Asked::default().set(name, &value).is_err(), "{name} {value:?}");
        }
    }
}
