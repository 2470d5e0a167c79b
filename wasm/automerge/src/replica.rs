//! One side's copy of an Automerge document, in which the place that is merged stands under one name.

use std::collections::HashMap;
use std::ops::Range;

use automerge::hydrate::{self, Value as Hydrated};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, AutomergeError, ObjId, Prop, ROOT, ReadDoc, ScalarValue, TextEncoding};
use firkin_core::json::{Object, Value};
use sha2::{Digest, Sha256};

const PLACE: &str = "place";

/// One side's copy.
pub struct Replica {
    document: AutoCommit,
}

impl Replica {
    /// The copies of two sides of a document with the value; the name of each side makes its actor.
    pub fn pair(value: &Value, names: [&str; 2]) -> Result<([Self; 2], ObjId), AutomergeError> {
        let base = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
        let mut base = Self { document: base.with_actor(ActorId::from([0; 16])) };
        let place = base.create(&ROOT, PLACE.into(), value)?;
        base.commit();
        let mut fork = |name: &str| {
            let digest = Sha256::digest(name.as_bytes());
            let actor = ActorId::from(digest.get(..16).unwrap_or_default());
            Self { document: base.document.fork().with_actor(actor) }
        };
        Ok((names.map(&mut fork), place))
    }

    /// The object in a place of another one.
    pub fn object(&self, parent: &ObjId, prop: &Prop) -> Option<ObjId> {
        self.document.get(parent, prop.clone()).ok().flatten().map(|(_, id)| id)
    }

    /// Sets what stands in a place, or takes it out.
    pub fn set(&mut self, parent: &ObjId, prop: Prop, value: Option<&Value>) -> Result<(), AutomergeError> {
        match value {
            None => self.document.delete(parent, prop),
            Some(value) => match scalar(value) {
                Some(scalar) => self.document.put(parent, prop, scalar),
                None => self.create(parent, prop, value).map(drop),
            },
        }
    }

    fn create(&mut self, parent: &ObjId, prop: Prop, value: &Value) -> Result<ObjId, AutomergeError> {
        self.document.batch_create_object(parent, prop, &hydrated(value), false)
    }

    /// Has characters give way to others.
    pub fn splice_text(&mut self, text: &ObjId, at: &Range<usize>, with: &[char]) -> Result<(), AutomergeError> {
        self.document.splice_text(text, at.start, count(at), &with.iter().collect::<String>())
    }

    /// Has elements give way to others.
    pub fn splice(&mut self, list: &ObjId, at: &Range<usize>, with: &[Value]) -> Result<(), AutomergeError> {
        self.document.splice(list, at.start, count(at), with.iter().map(hydrated))
    }

    /// What stands in the place once the other's edits are made as well.
    pub fn merge(mut self, mut other: Self) -> Result<Option<Value>, AutomergeError> {
        self.commit();
        other.commit();
        self.document.merge(&mut other.document)?;
        let Some((_, place)) = self.document.get(ROOT, PLACE)? else { return Ok(None) };
        Ok(value(self.document.hydrate(&place, None)?))
    }

    /// The clock has no part in what is computed.
    fn commit(&mut self) {
        self.document.commit_with(CommitOptions::default().with_time(0));
    }
}

fn count(range: &Range<usize>) -> isize {
    isize::try_from(range.len()).unwrap_or(isize::MAX)
}

fn scalar(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::Null => Some(ScalarValue::Null),
        Value::Bool(value) => Some(ScalarValue::Boolean(*value)),
        Value::Number(value) => Some(ScalarValue::F64(*value)),
        Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Values are no deeper than documents are.
fn hydrated(value: &Value) -> Hydrated {
    match value {
        Value::String(text) => Hydrated::text(TextEncoding::UnicodeCodePoint, text),
        Value::Array(elements) => elements.iter().map(hydrated).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            let members: HashMap<String, Hydrated> =
                members.iter().map(|(name, value)| (name.into(), hydrated(value))).collect();
            Hydrated::Map(hydrate::Map::from(members))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Hydrated::Scalar(scalar(value).unwrap_or(ScalarValue::Null)),
    }
}

/// `None` for what JSON has not; members in the order of their names.
fn value(hydrated: Hydrated) -> Option<Value> {
    Some(match hydrated {
        Hydrated::Scalar(ScalarValue::Null) => Value::Null,
        Hydrated::Scalar(ScalarValue::Boolean(value)) => Value::Bool(value),
        Hydrated::Scalar(ScalarValue::F64(value)) => Value::Number(value),
        Hydrated::Scalar(_) => return None,
        Hydrated::Text(text) => Value::String(String::from(&text)),
        Hydrated::List(list) => {
            Value::Array(list.iter().map(|element| value(element.value.clone())).collect::<Option<_>>()?)
        }
        Hydrated::Map(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let mut object = Object::new();
            for (name, member) in members {
                object.insert(name, value(member.value.clone())?);
            }
            Value::Object(object)
        }
    })
}
