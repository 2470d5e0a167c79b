//! The paths that exist, with the types of their values, from the index: a schema that writes itself.

use alloc::string::String;
use alloc::vec::Vec;

use super::Database;
use crate::index::{Cardinality, PathId, Segment, counted_path, keyspace, read_name};
use crate::json::TypeName;
use crate::ordered::Map;
use crate::path::write_step;
use crate::sorting::sort_by;
use crate::storage::{Cursor, Direction, KeyRange, Kv, Snapshot, StorageError};

/// A path of some documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPath {
    /// The path; `[]` means the elements of an array. See [`crate::path::IndexPath`].
    pub path: String,
    /// How many documents have a value of each type there, or, of elements, how many distinct ones there are over all
    /// documents; types that do not occur are left out.
    pub types: Vec<(TypeName, u64)>,
}

impl<K: Kv> Database<K> {
    /// All paths that documents have, in the order of their texts. Elements of arrays are told together, not by position;
    /// paths that are kept out of the index are not told.
    ///
    /// # Errors
    /// What the storage reports.
    pub async fn paths(&self) -> Result<Vec<KnownPath>, StorageError> {
        let snapshot = self.kv.snapshot()?;
        let mut names = read_names(&snapshot).await?;
        let mut counts = snapshot.range(KeyRange::prefix(&[keyspace::CARDINALITY]), Direction::Forward)?;
        let mut known = Vec::new();
        while counts.advance().await? {
            let Some(path) = counted_path(counts.key()).and_then(|path| names.remove(&path)) else { continue };
            let cardinality = Cardinality::decode(counts.value());
            let count = |name: TypeName| (cardinality.of(name) > 0).then(|| (name, cardinality.of(name)));
            known.push(KnownPath { path, types: TypeName::ALL.into_iter().filter_map(count).collect() });
        }
        sort_by(&mut known, |left, right| left.path.cmp(&right.path));
        Ok(known)
    }
}

/// The paths by their numbers, those by position left out. A path's number is greater than its parent's.
async fn read_names<S: Snapshot>(snapshot: &S) -> Result<Map<PathId, String>, StorageError> {
    let mut records = snapshot.range(KeyRange::prefix(&[keyspace::PATH_NAME]), Direction::Forward)?;
    let mut names: Map<PathId, String> = Map::new();
    while records.advance().await? {
        let Some((path, parent, segment)) = read_name(records.key(), records.value()) else {
            return Err(StorageError::Corrupt("the name of a path".into()));
        };
        let mut text = match names.get(&parent) {
            Some(parent) => [parent, "."].concat(),
            None if parent == 0 => String::new(),
            None => continue,
        };
        match segment {
            // Writing to a string does not fail.
            Segment::Name(name) => _ = write_step(name, &mut text),
            Segment::Member => text.push_str("[]"),
            Segment::Position(_) | Segment::Later => continue,
        }
        names.insert(path, text);
    }
    Ok(names)
}
