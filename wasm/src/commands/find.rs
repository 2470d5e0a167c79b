//! Queries.

use firkin_core::database::FindPage;
use firkin_core::query::FindQuery;

use crate::answer::{ObjectWriter, array};
use crate::engine::Store;
use crate::failure::Failure;

/// `{ selector, fields, sort, limit, skip, bookmark }` → `{ docs, bookmark }`
pub async fn find(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(page(database.find(&FindQuery::parse(payload)?).await?))
}

/// The answer to a query.
pub fn page(page: FindPage) -> Vec<u8> {
    ObjectWriter::new().json("docs", &array(page.docs)).text("bookmark", &page.bookmark).finish()
}

/// As `find` → the plan and its counts.
pub async fn explain(database: &Store, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(database.explain(&FindQuery::parse(payload)?).await?)
}
