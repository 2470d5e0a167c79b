//! Mango queries: [`Selector`] is the language, [`FindQuery`] one request, [`plan`] the way through the index.
//!
//! The meaning of a selector is CouchDB's (`tests/vectors/mango.json`), except that strings collate by their bytes. The
//! matcher alone decides whether a document belongs to an answer unless a plan's bounds decide it exactly; the index only
//! says where to look, so **an answer served from the index equals that of a scan**.

mod bounds;
mod error;
mod matcher;
mod pattern;
mod plan;
mod request;
mod selector;
mod selector_parse;
mod verdict;
mod watched;

pub use bounds::ValueRange;
pub use error::QueryError;
pub use pattern::{Pattern, PatternError};
pub use plan::{PathScan, Plan, Source};
pub use request::{FindQuery, SortField, project};
pub use selector::{Condition, Selector};
pub use watched::Watched;
