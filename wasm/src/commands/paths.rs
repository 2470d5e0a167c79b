//! Reading by path: one value, the values of a path, and the paths there are.

use firkin_core::json;
use firkin_core::path::{IndexPath, Path};
use firkin_core::query::Selector;

use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;
use crate::payload::{self, Payload};

/// `{ id, path }` → the value, or nothing
pub async fn value(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let path = Path::parse(&payload.required_text("path")?);
    Ok(database.get_value(&payload.required_text("id")?, &path).await?.unwrap_or_default())
}

/// `{ selector }` → the number of documents
pub async fn count(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let selector = Payload::parse(payload)?.value("selector")?;
    let selector = selector.ok_or_else(|| payload::wrong("selector", "an object"))?;
    let (count, _) = database.count(&Selector::parse(&selector)?).await?;
    Ok(count.to_string().into_bytes())
}

/// `{ path, counts }` → `[value, ...]`, or with `counts` `[{ value, count }, ...]`
pub async fn distinct(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let (path, with_counts) = (IndexPath::parse(&payload.required_text("path")?), payload.flag("counts")?);
    let values = database.distinct(&path, with_counts).await?;
    Ok(array(values.into_iter().map(|distinct| {
        let mut text = Vec::new();
        json::write(&distinct.value, &mut text);
        match with_counts {
            true => ObjectWriter::new().json("value", &text).number("count", distinct.count).finish(),
            false => text,
        }
    })))
}

/// → `[{ path, types: { type: count } }, ...]`
pub async fn paths(database: &Store) -> Result<Vec<u8>, Failure> {
    let paths = database.paths().await?;
    Ok(array(paths.iter().map(|known| {
        let types =
            known.types.iter().fold(ObjectWriter::new(), |types, (name, count)| types.number(name.name(), *count));
        ObjectWriter::new().text("path", &known.path).json("types", &types.finish()).finish()
    })))
}
