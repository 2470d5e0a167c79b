//! Ranges of bytes (RFC 9110): one of them, `bytes=1-2`, `bytes=1-` or `bytes=-2`.
//!
//! A header that asks for several ranges, or makes no sense, counts as none: the whole content is always a right answer.

use axum::http::{HeaderMap, HeaderValue, header};

use super::answer::Failure;

/// A range of bytes, its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// The byte behind the last.
    pub end: u64,
}

impl Range {
    /// As `Content-Range` tells it, of a content of `length` bytes.
    pub fn told(self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.start, self.end.saturating_sub(1))
    }
}

/// Whether ranges of contents of this type are served: CouchDB compresses what is text, and serves no ranges of it.
pub fn has_ranges(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = essence.starts_with("text/")
        || matches!(essence.as_str(), "application/javascript" | "application/json" | "application/xml");
    !is_text
}

/// The range that is asked for, of a content of `length` bytes with this tag; `None` for the whole.
///
/// # Errors
/// 416 for a range that lies behind the end.
pub fn asked_for(headers: &HeaderMap, etag: Option<&HeaderValue>, length: u64) -> Result<Option<Range>, Failure> {
    // Who has a part of another content wants this one whole.
    if headers.get(header::IF_RANGE).is_some_and(|given| Some(given) != etag) {
        return Ok(None);
    }
    let Some(text) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else { return Ok(None) };
    let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Range { start: first, end: last.saturating_add(1).min(length) },
        (Ok(first), Err(_)) if last.trim().is_empty() => Range { start: first, end: length },
        (Err(_), Ok(last)) if first.trim().is_empty() => Range { start: length - last.min(length), end: length },
        _ => return Ok(None),
    };
    if range.start >= range.end {
        return Err(Failure::new(416, "requested_range_not_satisfiable", "Requested range not satisfiable"));
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<Option<(u64, u64)>, u16> {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(text).expect("a header value"))]);
        let range = asked_for(&headers, None, 10).map_err(|failure| failure.0.status)?;
        Ok(range.map(|range| (range.start, range.end)))
    }

    #[test]
    fn one_range_is_served_and_what_is_none_means_the_whole() {
        for (text, meant) in
            [("bytes=0-0", (0, 1)), ("bytes=2-", (2, 10)), ("bytes=-3", (7, 10)), ("bytes=5-99", (5, 10))]
        {
            assert_eq!(range(text), Ok(Some(meant)), "{text}");
        }
        for text in ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=1-2,4-5", "items=1-2", "bytes=a-b"] {
            assert_eq!(range(text), Ok(None), "{text}");
        }
        for text in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(range(text), Err(416), "{text}");
        }
    }
}
