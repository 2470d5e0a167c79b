//! Reads the payload of a call: a JSON object whose members are cut out as text, and looked at one by one.
//!
//! A document is handed on as the text that it is, so that it is parsed once, by the engine. Members that nobody asks for
//! are passed over, and `null` is as good as absent, so that a page may be newer than its worker. (One reader of members
//! for all methods is a tenth of the code that a derived reader for each of them would be.)

use firkin_core::json::{self, Reader, Value};
use firkin_core::query::QueryError;
use firkin_core::storage::Durability;

use crate::failure::Failure;

/// Numbers up to here are exact in JavaScript.
const WHOLE_NUMBER_MAX: f64 = 9_007_199_254_740_991.0;

/// The members of a JSON object.
#[derive(Default)]
pub struct Payload<'text> {
    members: Vec<(String, &'text str)>,
}

impl<'text> Payload<'text> {
    /// Takes an object apart.
    pub fn parse(text: &'text [u8]) -> Result<Self, Failure> {
        Ok(Self::parse_around(text, None)?.0)
    }

    /// Takes an object apart, and at once the array that is its member `list`: what is long is read once. The texts of its elements are
    /// beside the other members.
    pub fn parse_with_list(text: &'text [u8], list: &str) -> Result<(Self, Vec<&'text str>), Failure> {
        let (payload, elements) = Self::parse_around(text, Some(list))?;
        Ok((payload, elements.ok_or_else(|| missing(list))?))
    }

    fn parse_around(text: &'text [u8], list: Option<&str>) -> Result<(Self, Option<Vec<&'text str>>), Failure> {
        let (mut members, mut elements) = (Vec::new(), None);
        json::read(text, |reader: &mut Reader<'text>| {
            reader.members(&mut |name, reader| {
                if list == Some(name) {
                    elements = Some(reader.cut_elements()?);
                } else {
                    members.push((name.into(), reader.cut()?));
                }
                Ok(())
            })
        })?;
        Ok((Self { members }, elements))
    }

    /// The text of a member.
    pub fn json(&self, name: &str) -> Option<&'text str> {
        // The last of several counts, as in JavaScript.
        let member = self.members.iter().rev().find(|(member, _)| member == name);
        member.map(|(_, text)| *text).filter(|text| *text != "null")
    }

    /// The text of a member that has to be there.
    pub fn required_json(&self, name: &str) -> Result<&'text str, Failure> {
        self.json(name).ok_or_else(|| missing(name))
    }

    /// A member's value.
    pub fn value(&self, name: &str) -> Result<Option<Value>, Failure> {
        let parse = |text: &str| json::parse(text.as_bytes()).map_err(QueryError::from);
        Ok(self.json(name).map(parse).transpose()?)
    }

    /// A member that is an object; one without members where it is absent.
    pub fn object(&self, name: &str) -> Result<Self, Failure> {
        match self.json(name) {
            Some(text) => Self::parse(text.as_bytes()),
            None => Ok(Self::default()),
        }
    }

    /// The texts of the elements of a member that is an array.
    pub fn elements(&self, name: &str) -> Result<Vec<&'text str>, Failure> {
        Ok(json::read(self.required_json(name)?.as_bytes(), Reader::cut_elements)?)
    }

    /// A member that is a string.
    pub fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// A string that has to be there.
    pub fn required_text(&self, name: &str) -> Result<String, Failure> {
        self.text(name)?.ok_or_else(|| wrong(name, "a string"))
    }

    /// A member that is `true` or `false`; `absent` where it is absent.
    pub fn flag_or(&self, name: &str, absent: bool) -> Result<bool, Failure> {
        match self.value(name)? {
            None => Ok(absent),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// A member that is `true` or `false`; `false` where it is absent.
    pub fn flag(&self, name: &str) -> Result<bool, Failure> {
        self.flag_or(name, false)
    }

    /// A member that is a whole number, not below 0.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::Number(number)) if number.fract() == 0.0 && (0.0..=WHOLE_NUMBER_MAX).contains(&number) => {
                Ok(Some(number as u64))
            }
            Some(_) => Err(wrong(name, "a whole number, not below 0")),
        }
    }

    /// A whole number that counts things in memory.
    pub fn count(&self, name: &str) -> Result<Option<usize>, Failure> {
        let in_memory = |number| usize::try_from(number).map_err(|_| wrong(name, "a number of things in memory"));
        self.number(name)?.map(in_memory).transpose()
    }

    /// A member that is an array of strings.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        self.value(name)?.map(|value| texts(value).ok_or_else(|| wrong(name, "a list of strings"))).transpose()
    }

    /// A member that names a durability.
    pub fn durability(&self, name: &str) -> Result<Option<Durability>, Failure> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("relaxed") => Ok(Some(Durability::Relaxed)),
            Some("strict") => Ok(Some(Durability::Strict)),
            Some(_) => Err(wrong(name, "\"relaxed\" or \"strict\"")),
        }
    }
}

fn missing(name: &str) -> Failure {
    Failure::bad_request(format!("{name} is missing"))
}

/// A payload of lines: an object, and what stands on each line behind it.
pub fn lines(text: &[u8]) -> Result<(Payload<'_>, Vec<&str>), Failure> {
    let text = core::str::from_utf8(text).map_err(|_| Failure::bad_request("the payload is no text"))?;
    let mut lines = text.split('\n');
    let head = Payload::parse(lines.next().unwrap_or_default().as_bytes())?;
    Ok((head, lines.collect()))
}

/// The strings of an array of strings; `None` for any other value.
pub fn texts(value: Value) -> Option<Vec<String>> {
    let Value::Array(elements) = value else { return None };
    let text = |element| match element {
        Value::String(text) => Some(text),
        _ => None,
    };
    elements.into_iter().map(text).collect()
}

/// The error for a member that is not what it must be.
pub fn wrong(name: &str, expected: &str) -> Failure {
    Failure::bad_request(format!("{name} must be {expected}"))
}
