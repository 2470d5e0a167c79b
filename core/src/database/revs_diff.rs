//! Which revisions of a peer are not here.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::edit::load_tree;
use super::{Database, ReadError};
use crate::revision::Rev;
use crate::storage::Kv;

/// What is not here of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevsDiffRow {
    /// The document's id.
    pub id: String,
    /// The revisions that were asked for and are not here.
    pub missing: Vec<String>,
    /// Leaves from which the missing ones may descend.
    pub possible_ancestors: Vec<String>,
    /// Whether any revision of the document is here.
    pub is_here: bool,
}

impl<K: Kv> Database<K> {
    /// Which of the revisions asked for are not here; documents of which nothing is missing are left out.
    ///
    /// # Errors
    /// [`ReadError::Revision`] for one that is none.
    pub async fn revs_diff(&self, asked: &[(String, Vec<String>)]) -> Result<Vec<RevsDiffRow>, ReadError> {
        let snapshot = self.kv.snapshot()?;
        let texts = |revs: Vec<&Rev>| revs.into_iter().map(ToString::to_string).collect();
        let mut rows = Vec::new();
        for (id, revs) in asked {
            let revs: Vec<Rev> = revs.iter().map(|rev| Rev::parse(rev)).collect::<Result<_, _>>()?;
            let tree = load_tree(&snapshot, id).await?;
            let missing = tree.missing(&revs);
            if !missing.is_empty() {
                let possible_ancestors = texts(tree.possible_ancestors(&missing));
                let (missing, is_here) = (texts(missing), !tree.is_empty());
                rows.push(RevsDiffRow { id: id.clone(), missing, possible_ancestors, is_here });
            }
        }
        Ok(rows)
    }
}
