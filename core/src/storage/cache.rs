//! The block cache: checked blocks, within a budget of bytes.
//!
//! Second chance: blocks wait in line to be dropped; one that was used since it joined the line joins it again instead.
//! So a long scan passes through without driving out what is in use.

use alloc::collections::VecDeque;
use alloc::rc::Rc;

use hashbrown::HashMap;

use super::blocks::BlockKey;

/// Blocks by name.
#[derive(Debug)]
pub(super) struct BlockCache {
    pub(super) bytes_max: usize,
    bytes: usize,
    slots: HashMap<u64, Slot>,
    line: VecDeque<u64>,
}

#[derive(Debug)]
struct Slot {
    block: Rc<[u8]>,
    used: bool,
}

impl BlockCache {
    /// An empty cache that holds at most `bytes_max` bytes of blocks.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, slots: HashMap::new(), line: VecDeque::new() }
    }

    /// The block, if it is here.
    pub(super) fn get(&mut self, key: BlockKey) -> Option<Rc<[u8]>> {
        let slot = self.slots.get_mut(&key.as_u64())?;
        slot.used = true;
        Some(Rc::clone(&slot.block))
    }

    /// Whether the block is here.
    pub(super) fn holds(&self, key: BlockKey) -> bool {
        self.slots.contains_key(&key.as_u64())
    }

    /// Keeps a block, and drops others if there is no room.
    pub(super) fn insert(&mut self, key: BlockKey, block: Rc<[u8]>) {
        if block.len() > self.bytes_max {
            return;
        }
        self.bytes += block.len();
        match self.slots.insert(key.as_u64(), Slot { block, used: false }) {
            Some(replaced) => self.bytes -= replaced.block.len(),
            None => self.line.push_back(key.as_u64()),
        }
        while self.bytes > self.bytes_max {
            let Some(key) = self.line.pop_front() else { break };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.line.push_back(key);
                }
                _ => self.bytes -= self.slots.remove(&key).map_or(0, |slot| slot.block.len()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: usize) -> Rc<[u8]> {
        alloc::vec![0; bytes].into()
    }

    #[test]
    fn the_budget_holds_and_blocks_in_use_stay() {
        let mut cache = BlockCache::new(1000);
        for number in 0..100 {
            cache.insert(BlockKey::segment(number), block(100));
            assert!(cache.bytes <= 1000);
            assert!(cache.get(BlockKey::segment(0)).is_some(), "block 0 is used all the time; {number}");
        }
        assert!(cache.get(BlockKey::segment(50)).is_none());
        assert!(cache.slots.len() <= 10 && cache.line.len() <= 10);
    }

    #[test]
    fn replaced_and_oversized_blocks_are_counted_right() {
        let mut cache = BlockCache::new(1000);
        cache.insert(BlockKey::segment(1), block(400));
        cache.insert(BlockKey::segment(1), block(300));
        cache.insert(BlockKey::segment(2), block(1001));
        assert!(cache.get(BlockKey::segment(2)).is_none());
        assert_eq!(cache.bytes, 300);
    }
}
