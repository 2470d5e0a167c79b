//! The index as one thing, and what a write changes of it.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::cardinality::{Cardinalities, Cardinality, Tally};
use super::dictionary::{Dictionary, Interner, PathId};
use super::exclusion::Exclusions;
use super::postings::{Postings, post_document};
use crate::json::Object;
use crate::storage::{Batch, Snapshot, StorageError};

/// What is held in memory of the path index.
#[derive(Debug, Default)]
pub struct PathIndex {
    /// The numbers of paths.
    pub dictionary: Dictionary,
    /// What is kept out.
    pub exclusions: Exclusions,
    cardinalities: Cardinalities,
}

/// What one write changes of the index. Nothing of it counts before its batch is committed and [`PathIndex::adopt`] has
/// taken it over.
pub struct IndexUpdate<'index, S> {
    index: &'index PathIndex,
    snapshot: &'index S,
    interner: Interner<'index, S>,
    tally: Tally,
}

/// What a committed update left, for [`PathIndex::adopt`].
#[derive(Debug)]
pub struct Updated {
    paths: HashMap<Vec<u8>, PathId>,
    cardinalities: Vec<(PathId, Cardinality)>,
}

impl PathIndex {
    /// The index of a database that keeps `exclusions` out of it.
    #[must_use]
    pub fn new(exclusions: Exclusions) -> Self {
        Self { exclusions, ..Self::default() }
    }

    /// Begins an update of what `snapshot` shows.
    pub fn update<'index, S: Snapshot>(&'index self, snapshot: &'index S) -> IndexUpdate<'index, S> {
        let interner = Interner::new(&self.dictionary, snapshot);
        IndexUpdate { index: self, snapshot, interner, tally: Tally::default() }
    }

    /// Takes over what a committed update left.
    pub fn adopt(&self, updated: Updated) {
        self.dictionary.adopt(updated.paths);
        self.cardinalities.adopt(updated.cardinalities);
    }
}

impl<S: Snapshot> IndexUpdate<'_, S> {
    /// Adds to `batch` what the winner of `document` changes of the index: the body `before`, if there was one, and `after`,
    /// if there is one.
    pub async fn replace(
        &mut self,
        document: &str,
        before: Option<&Object>,
        after: Option<&Object>,
        batch: &mut Batch,
    ) -> Result<(), StorageError> {
        let (before, after) = (self.post(before).await?, self.post(after).await?);
        Postings::stage_difference(&before, &after, document, &mut self.tally, batch);
        Ok(())
    }

    /// Adds new paths and counts to `batch`.
    pub async fn stage(self, batch: &mut Batch) -> Result<Updated, StorageError> {
        let paths = self.interner.stage(batch);
        let cardinalities = self.index.cardinalities.stage(self.snapshot, self.tally, batch).await?;
        Ok(Updated { paths, cardinalities })
    }

    /// The postings of a document with this body.
    pub(crate) async fn post(&mut self, body: Option<&Object>) -> Result<Postings, StorageError> {
        match body {
            Some(body) => post_document(body, &self.index.exclusions, &mut self.interner).await,
            None => Ok(Postings::default()),
        }
    }
}
