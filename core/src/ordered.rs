//! Maps and sets as sorted vectors.
//!
//! The standard library's trees are compiled anew for each type, some ten kilobytes every time; a vector is a few hundred bytes.
//! What stands after a new entry moves by one place, so these are for what is small, or comes mostly in its order: entries
//! that come in order cost no more than pushing them.

use alloc::vec::{self, Vec};
use core::borrow::Borrow;
use core::slice;

/// Values by their keys, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> Map<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value at `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_entry(key).map(|(_, value)| value)
    }

    /// The entry at `key`, with the key as it is held here.
    pub fn get_entry<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&(K, V)>
    where
        K: Borrow<Q>,
    {
        self.entries.get(self.place(key).ok()?)
    }

    /// The value at `key`, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// Whether there is an entry at `key`.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Puts `value` at `key`; the value that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => self.entries.get_mut(place).map(|(_, earlier)| core::mem::replace(earlier, value)),
            Err(place) => {
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    /// The value at `key`, which is put there first if there is none.
    #[allow(clippy::indexing_slicing)] // The place was found, or filled, just before.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = self.place(&key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, V::default()));
            place
        });
        &mut self.entries[place].1
    }

    /// Takes the entry at `key` away; the value that was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(self.entries.remove(place).1)
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    /// All entries, in order.
    pub fn iter(&self) -> slice::Iter<'_, (K, V)> {
        self.entries.iter()
    }

    /// The entries from `key` on, in order.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> slice::Iter<'_, (K, V)>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).unwrap_or_else(|place| place);
        self.entries.get(place..).unwrap_or_default().iter()
    }

    /// The place of `key`, or where it would have to be inserted.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // What comes in order belongs after all that is here.
        if self.entries.last().is_none_or(|(last, _)| last.borrow() < key) {
            return Err(self.entries.len());
        }
        self.entries.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a Map<K, V> {
    type Item = &'a (K, V);
    type IntoIter = slice::Iter<'a, (K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

/// Keys in their order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<K> {
    keys: Map<K, ()>,
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self { keys: Map::default() }
    }
}

impl<K: Ord> Set<K> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether `key` is here.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.contains(key)
    }

    /// Puts `key` in; whether it was not here.
    pub fn insert(&mut self, key: K) -> bool {
        self.keys.insert(key, ()).is_none()
    }

    /// Takes `key` away; whether it was here.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.remove(key).is_some()
    }

    /// Keeps the keys for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.keys.retain(|key, ()| keep(key));
    }

    /// All keys, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.keys.iter().map(|(key, ())| key)
    }

    /// The keys from `key` on, in order.
    pub fn iter_from<'a, Q: Ord + ?Sized>(&'a self, key: &Q) -> impl Iterator<Item = &'a K> + use<'a, K, Q>
    where
        K: Borrow<Q>,
    {
        self.keys.iter_from(key).map(|(key, ())| key)
    }

    /// All keys, in order.
    #[must_use]
    pub fn into_keys(self) -> Vec<K> {
        self.keys.into_iter().map(|(key, ())| key).collect()
    }
}

impl<K: Ord> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::Map;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        Raise(u8),
        Retain(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0u8..40;
        prop_oneof![
            6 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            3 => key.clone().prop_map(Step::Remove),
            2 => key.prop_map(Step::Raise),
            1 => (2u8..5).prop_map(Step::Retain),
        ]
    }

    proptest! {
        #[test]
        fn a_map_does_what_a_tree_does(steps in prop::collection::vec(step(), 0..200)) {
            let (mut map, mut tree) = (Map::new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value) => prop_assert_eq!(map.insert(key, value), tree.insert(key, value)),
                    Step::Remove(key) => prop_assert_eq!(map.remove(&key), tree.remove(&key)),
                    Step::Raise(key) => {
                        let value: &mut u8 = map.get_or_default(key);
                        *value = value.wrapping_add(1);
                        let value = tree.entry(key).or_default();
                        *value = value.wrapping_add(1);
                    }
                    Step::Retain(divisor) => {
                        map.retain(|_, value| *value % divisor != 0);
                        tree.retain(|_, value| *value % divisor != 0);
                    }
                }
                prop_assert_eq!((map.len(), map.is_empty()), (tree.len(), tree.is_empty()));
                for key in 0..41 {
                    prop_assert_eq!((map.get(&key), map.contains(&key)), (tree.get(&key), tree.contains_key(&key)));
                    let rest: Vec<(u8, u8)> = map.iter_from(&key).copied().collect();
                    prop_assert_eq!(rest, tree.range(key..).map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
                }
                prop_assert!(map.iter().map(|(key, value)| (key, value)).eq(tree.iter()));
            }
        }
    }
}
