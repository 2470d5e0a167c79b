//! Reading a selector from JSON.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Condition, Pattern, PatternError, QueryError, Selector};
use crate::json::{self, Object, TypeName, Value, collate};
use crate::path::Path;
use crate::sorting::sort_by;

impl Selector {
    /// Reads a selector: an object of operators and fields, all of which must hold.
    ///
    /// # Errors
    /// [`QueryError::InvalidOperator`] and [`QueryError::BadArgument`]; [`QueryError::BadMember`] if it is no object.
    pub fn parse(selector: &Value) -> Result<Self, QueryError> {
        match selector {
            Value::Object(object) => parse_object(&Path::default(), object),
            other => Err(QueryError::BadMember { member: "selector", value: text(other) }),
        }
    }
}

/// Reads what is asked of the value at `path`: an object of operators and subfields, or a value to equal.
fn parse_at(path: &Path, asked: &Value) -> Result<Selector, QueryError> {
    match asked {
        // An empty object asks for equality, except at the top, where it asks for nothing.
        Value::Object(object) if !object.is_empty() || path.is_empty() => parse_object(path, object),
        other => Ok(Selector::Field(path.clone(), Condition::Equal(other.clone()))),
    }
}

fn parse_object(path: &Path, object: &Object) -> Result<Selector, QueryError> {
    let mut parts = Vec::with_capacity(object.len());
    for (name, argument) in object.iter() {
        parts.push(match name.strip_prefix('$') {
            Some(_) => parse_operator(path, name, argument)?,
            None => parse_at(&path.join(name), argument)?,
        });
    }
    Ok(match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Selector::And(parts)
        }
        None => Selector::everything(),
    })
}

fn parse_operator(path: &Path, operator: &str, argument: &Value) -> Result<Selector, QueryError> {
    let bad = || QueryError::BadArgument { operator: operator.into(), argument: text(argument) };
    let list = || argument.as_array().map(<[Value]>::to_vec).ok_or_else(bad);
    let ordered_list = || {
        let mut values = list()?;
        sort_by(&mut values, collate);
        Ok::<_, QueryError>(values)
    };
    let inner = || match argument {
        Value::Object(_) => parse_at(&Path::default(), argument).map(Box::new),
        _ => Err(bad()),
    };
    let condition = match operator {
        "$and" => return Ok(Selector::And(parse_parts(path, argument).ok_or_else(bad)??)),
        "$or" => return Ok(Selector::Or(parse_parts(path, argument).ok_or_else(bad)??)),
        "$nor" => return Ok(Selector::Or(parse_parts(path, argument).ok_or_else(bad)??).negated()),
        "$not" => return Ok(parse_at(path, argument)?.negated()),
        "$eq" => Condition::Equal(argument.clone()),
        "$ne" => Condition::NotEqual(argument.clone()),
        "$lt" => Condition::Less(argument.clone()),
        "$lte" => Condition::LessOrEqual(argument.clone()),
        "$gt" => Condition::Greater(argument.clone()),
        "$gte" => Condition::GreaterOrEqual(argument.clone()),
        "$in" => Condition::In(ordered_list()?),
        "$nin" => Condition::NotIn(ordered_list()?),
        "$all" => Condition::All(list()?),
        "$exists" => match argument {
            Value::Bool(exists) => Condition::Exists(*exists),
            _ => return Err(bad()),
        },
        "$type" => Condition::Type(argument.as_str().and_then(TypeName::parse).ok_or_else(bad)?),
        "$size" => Condition::Size(whole(argument).and_then(|size| size.try_into().ok()).ok_or_else(bad)?),
        "$mod" => match argument.as_array() {
            Some([divisor, remainder]) => match (whole(divisor), whole(remainder)) {
                (Some(divisor), Some(remainder)) if divisor != 0 => Condition::Modulo(divisor, remainder),
                _ => return Err(bad()),
            },
            _ => return Err(bad()),
        },
        "$beginsWith" => Condition::BeginsWith(argument.as_str().map(String::from).ok_or_else(bad)?),
        "$regex" => match Pattern::parse(argument.as_str().ok_or_else(bad)?) {
            Ok(pattern) => Condition::Regex(Box::new(pattern)),
            Err(PatternError::Malformed) => return Err(bad()),
            Err(error @ PatternError::TooLarge) => return Err(QueryError::PatternTooLarge(error)),
        },
        "$elemMatch" => Condition::ElementMatch(inner()?),
        "$allMatch" => Condition::AllMatch(inner()?),
        "$keyMapMatch" => Condition::KeyMatch(inner()?),
        _ => return Err(QueryError::InvalidOperator(operator.into())),
    };
    Ok(Selector::Field(path.clone(), condition))
}

fn parse_parts(path: &Path, argument: &Value) -> Option<Result<Vec<Selector>, QueryError>> {
    Some(argument.as_array()?.iter().map(|part| parse_at(path, part)).collect())
}

/// The whole number that `value` is, if it is one that a double holds exactly.
pub(super) fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.as_number()?;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let whole = (-EXACT..=EXACT).contains(&number).then_some(number as i64)?;
    #[expect(clippy::cast_precision_loss, reason = "the range was checked")]
    (whole as f64 == number).then_some(whole)
}

pub(super) fn text(value: &Value) -> String {
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
