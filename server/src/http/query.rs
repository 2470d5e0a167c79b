//! The query of a URL, read as CouchDB reads it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use firkin_core::json;

use super::answer::Failure;

/// The parameters of a request's query in their order; of several with one name, the first counts.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    /// Reads a URL's query, without its question mark.
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter as it was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is `true`; CouchDB takes everything else for `false` where it is lenient.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A parameter that must be `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.text(name)
            .map(|text| match text {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(parse_error(format!("Invalid boolean parameter: {}", quoted(text)))),
            })
            .transpose()
    }

    /// A parameter that must be a whole number from 0 on.
    pub fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.text(name)
            .map(|text| {
                text.parse::<u64>().map_err(|_| match text.parse::<i64>() {
                    Ok(_) => parse_error(format!("Invalid value for positive integer: {}", quoted(text))),
                    Err(_) => parse_error(format!("Invalid value for integer: {}", quoted(text))),
                })
            })
            .transpose()
    }

    /// A parameter that holds JSON.
    pub fn json(&self, name: &str) -> Result<Option<json::Value>, Failure> {
        self.text(name).map(|text| json::parse(text.as_bytes()).map_err(|_| Failure::bad_json())).transpose()
    }
}

/// `400 query_parse_error`
pub fn parse_error(reason: impl Into<String>) -> Failure {
    Failure::new(400, "query_parse_error", reason)
}

/// A string as JSON writes it, to be shown in an error.
pub fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    json::write_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(failure: Failure) -> String {
        format!("{} {}: {}", failure.0.status, failure.0.name, failure.0.reason)
    }

    #[test]
    fn parameters_are_decoded_and_the_first_of_a_name_counts() {
        let query = Query::parse("a=1&a=2&b=%22x%20y%22&c=p+q&d");
        assert_eq!(query.text("a"), Some("1"));
        assert_eq!(query.json("b").expect("json"), Some(json::Value::from("x y")));
        assert_eq!(query.text("c"), Some("p q"));
        assert_eq!(query.text("d"), Some(""));
        assert_eq!(query.text("e"), None);
    }

    #[test]
    fn bad_values_are_told_in_couchdbs_words() {
        let query = Query::parse("limit=x&skip=-1&huge=99999999999999999999&descending=yes&key=%7B");
        let limit = query.count("limit").expect_err("a letter");
        assert_eq!(reason(limit), "400 query_parse_error: Invalid value for integer: \"x\"");
        let skip = query.count("skip").expect_err("negative");
        assert_eq!(reason(skip), "400 query_parse_error: Invalid value for positive integer: \"-1\"");
        let huge = query.count("huge").expect_err("beyond 64 bits");
        assert_eq!(reason(huge), "400 query_parse_error: Invalid value for integer: \"99999999999999999999\"");
        let descending = query.boolean("descending").expect_err("neither");
        assert_eq!(reason(descending), "400 query_parse_error: Invalid boolean parameter: \"yes\"");
        assert_eq!(reason(query.json("key").expect_err("cut")), "400 bad_request: invalid UTF-8 JSON");
    }
}
