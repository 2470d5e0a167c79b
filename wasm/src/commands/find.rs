//! Queries.

use firkin_core::query::FindQuery;

use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;

/// `{ selector, fields, sort, limit, skip, bookmark }` → `{ docs, bookmark }`
pub async fn find(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let page = database.find(&FindQuery::parse(payload)?).await?;
    Ok(ObjectWriter::new().json("docs", &array(page.docs)).text("bookmark", &page.bookmark).finish())
}

/// As `find` → the plan and its counts.
pub async fn explain(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(database.explain(&FindQuery::parse(payload)?).await?)
}
