//! JSON Pointer (RFC 6901): a place in a value, as the names and positions that lead there.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::Value;

/// A place in a value. Without tokens it is the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// Reads a pointer: empty, or each token behind a `/`, in which `~1` stands for `/` and `~0` for `~`. `None` for any
    /// other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let tokens = text.strip_prefix('/')?.split('/').map(unescape).collect::<Option<_>>()?;
        Some(Self { tokens })
    }

    /// The pointer of these names and positions.
    pub(super) fn of_tokens(tokens: Vec<String>) -> Self {
        Self { tokens }
    }

    /// The names and positions along the way.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Whether this is a place inside of what stands at `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.tokens.len() > other.tokens.len() && self.tokens.starts_with(&other.tokens)
    }

    /// What stands at this place in `root`.
    #[must_use]
    pub fn find<'value>(&self, root: &'value Value) -> Option<&'value Value> {
        self.tokens.iter().try_fold(root, |value, token| match value {
            Value::Object(object) => object.get(token),
            Value::Array(elements) => elements.get(position(token)?),
            _ => None,
        })
    }

    /// As [`find`](Self::find), to be changed.
    pub(super) fn find_mut<'value>(&self, root: &'value mut Value) -> Option<&'value mut Value> {
        walk(&self.tokens, root)
    }

    /// The last token, and the value in which it stands.
    pub(super) fn parent_in<'value>(&self, root: &'value mut Value) -> Option<(&str, &'value mut Value)> {
        let (last, parents) = self.tokens.split_last()?;
        Some((last, walk(parents, root)?))
    }
}

fn walk<'value>(tokens: &[String], root: &'value mut Value) -> Option<&'value mut Value> {
    tokens.iter().try_fold(root, |value, token| match value {
        Value::Object(object) => object.get_mut(token),
        Value::Array(elements) => elements.get_mut(position(token)?),
        _ => None,
    })
}

/// The position in an array that `token` names: digits without leading zeros.
pub(super) fn position(token: &str) -> Option<usize> {
    let is_number = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if is_number { token.parse().ok() } else { None }
}

fn unescape(token: &str) -> Option<String> {
    let mut name = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(name)
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.tokens {
            formatter.write_char('/')?;
            for character in token.chars() {
                match character {
                    '~' => formatter.write_str("~0")?,
                    '/' => formatter.write_str("~1")?,
                    other => formatter.write_char(other)?,
                }
            }
        }
        Ok(())
    }
}
