//! What commits do to the store, and to the map beside it.

use firkin_core::storage::Batch;

use crate::storage_conformance::Model;
use crate::storage_simulation::Dice;

/// Puts and deletions.
pub type Operations = Vec<(Vec<u8>, Option<Vec<u8>>)>;

pub fn to_batch(operations: &Operations) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in operations {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    batch
}

pub fn change(model: &mut Model, operations: &Operations) {
    for (key, value) in operations {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

/// What one commit does, in order; `None` deletes.
pub fn drawn(dice: &mut Dice) -> Operations {
    let mut operations = Operations::new();
    for _ in 0..dice.below(12) {
        let key = format!("{}/{}", "path".repeat(dice.below(3) as usize), dice.below(30)).into_bytes();
        let value = (!dice.once_in(3)).then(|| {
            let bytes = match dice.below(60) {
                0 => 130_000,
                1 | 2 => 17_000,
                _ => dice.below(200),
            };
            let mark = dice.below(256) as u8;
            (0..bytes).map(|position| mark ^ (position / 7) as u8).collect()
        });
        operations.push((key, value));
    }
    operations
}
