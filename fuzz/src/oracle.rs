//! JSON as `serde_json` reads it, with the rules that the core adds: what the core's own reader is held to.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value as text: one for one value, whatever the white space, the escapes and the spelling of numbers.
pub struct Text(pub String);

/// What `serde_json` makes of `text`; `None` if it is not JSON, or not by the core's rules.
pub fn read(text: &[u8]) -> Option<String> {
    serde_json::from_slice::<Text>(text).ok().map(|text| text.0)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text("null".into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Ok(number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Ok(number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
        Ok(number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(Text(format!("{value:?}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Text, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<Text>()? {
            elements.push(element.0);
        }
        Ok(Text(format!("[{}]", elements.join(","))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        let (mut names, mut members) = (HashSet::new(), Vec::new());
        while let Some((name, member)) = map.next_entry::<String, Text>()? {
            members.push(format!("{name:?}:{}", member.0));
            if !names.insert(name) {
                return Err(de::Error::custom("a name occurs twice"));
            }
        }
        Ok(Text(format!("{{{}}}", members.join(","))))
    }
}

/// The bits of a number say all of it.
pub fn number(number: f64) -> Text {
    Text(format!("{:016x}", (number + 0.0).to_bits()))
}
