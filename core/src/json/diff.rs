//! The JSON Patch that turns one value into another.
//!
//! Objects are compared member by member. Of arrays what both begin and end with stays; between these, elements are compared in
//! pairs, and the rest is added or removed. No shortest patch is looked for: that would cost the product of both lengths.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::pointer::Pointer;
use super::{Object, Value, collate};

/// A JSON Patch, as a value, that makes `to` of `from`; empty if they are equal.
#[must_use]
pub fn diff(from: &Value, to: &Value) -> Value {
    let mut diff = Diff { tokens: Vec::new(), operations: Vec::new() };
    diff.value(from, to);
    Value::Array(diff.operations)
}

struct Diff {
    tokens: Vec<String>,
    operations: Vec<Value>,
}

impl Diff {
    fn value(&mut self, from: &Value, to: &Value) {
        match (from, to) {
            (Value::Object(from), Value::Object(to)) => self.object(from, to),
            (Value::Array(from), Value::Array(to)) => self.array(from, to),
            _ if collate(from, to).is_eq() => {}
            _ => self.add("replace", Some(to)),
        }
    }

    fn object(&mut self, from: &Object, to: &Object) {
        for (name, value) in from.iter() {
            self.tokens.push(name.into());
            match to.get(name) {
                Some(other) => self.value(value, other),
                None => self.add("remove", None),
            }
            self.tokens.pop();
        }
        for (name, value) in to.iter().filter(|(name, _)| from.get(name).is_none()) {
            self.at(name.into(), "add", Some(value));
        }
    }

    fn array(&mut self, from: &[Value], to: &[Value]) {
        let is_same = |(left, right): &(&Value, &Value)| collate(left, right).is_eq();
        let start = from.iter().zip(to).take_while(is_same).count();
        let (from, to) = (from.get(start..).unwrap_or_default(), to.get(start..).unwrap_or_default());
        let end = from.iter().rev().zip(to.iter().rev()).take_while(is_same).count();
        let (from, to) =
            (from.get(..from.len() - end).unwrap_or_default(), to.get(..to.len() - end).unwrap_or_default());
        for (place, (left, right)) in from.iter().zip(to).enumerate() {
            self.tokens.push((start + place).to_string());
            self.value(left, right);
            self.tokens.pop();
        }
        let paired = from.len().min(to.len());
        for _ in paired..from.len() {
            self.at((start + paired).to_string(), "remove", None);
        }
        for (place, value) in to.iter().enumerate().skip(paired) {
            self.at((start + place).to_string(), "add", Some(value));
        }
    }

    fn at(&mut self, token: String, operation: &str, value: Option<&Value>) {
        self.tokens.push(token);
        self.add(operation, value);
        self.tokens.pop();
    }

    fn add(&mut self, operation: &str, value: Option<&Value>) {
        let mut members = Object::new();
        members.insert("op", operation.into());
        members.insert("path", Value::String(Pointer::of_tokens(self.tokens.clone()).to_string()));
        if let Some(value) = value {
            members.insert("value", value.clone());
        }
        self.operations.push(Value::Object(members));
    }
}
