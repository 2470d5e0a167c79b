//! Sorting where speed is not everything.
//!
//! The standard library's sorts are compiled anew for each type and each order, several kilobytes every time. So all sorts but
//! the two that a bulk write spends its time in sort places instead of items: one sort, which is told the order through a
//! pointer, and then a few swaps. A few items are swapped into their order at once.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// From so many items on, places are sorted.
const FEW: usize = 20;

/// Items that are told apart, and moved, by their places.
trait Places {
    fn order(&self, left: usize, right: usize) -> Ordering;
    fn swap(&mut self, left: usize, right: usize);
}

struct Items<'i, T, O> {
    items: &'i mut [T],
    order: O,
}

impl<T, O: Fn(&T, &T) -> Ordering> Places for Items<'_, T, O> {
    fn order(&self, left: usize, right: usize) -> Ordering {
        match (self.items.get(left), self.items.get(right)) {
            (Some(left), Some(right)) => (self.order)(left, right),
            _ => Ordering::Equal,
        }
    }

    fn swap(&mut self, left: usize, right: usize) {
        self.items.swap(left, right);
    }
}

/// Sorts `items`; those that are equal keep their order.
pub(crate) fn sort_by<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    let count = items.len();
    sort(count, &mut Items { items, order });
}

fn sort(count: usize, items: &mut dyn Places) {
    if count < FEW {
        for sorted in 1..count {
            for place in (0..sorted).rev() {
                if items.order(place, place + 1) != Ordering::Greater {
                    break;
                }
                items.swap(place, place + 1);
            }
        }
        return;
    }
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|left, right| items.order(*left, *right));
    // Each cycle of places is walked once: an item is swapped to where it belongs, and its place is settled.
    for start in 0..count {
        let mut at = start;
        while let Some(from) = places.get_mut(at).map(|place| core::mem::replace(place, at))
            && from != start
            && from != at
        {
            items.swap(at, from);
            at = from;
        }
    }
}

/// The texts of `names` in order, to be searched.
pub(crate) fn in_order(names: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sort_by(&mut sorted, |left, right| left.cmp(right));
    sorted
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::sort_by;

    proptest! {
        #[test]
        fn items_come_into_their_order_and_equal_ones_keep_theirs(keys in prop::collection::vec(0u8..20, 0..60)) {
            let mut items: Vec<(u8, usize)> = keys.into_iter().zip(0..).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            sort_by(&mut items, |left, right| left.0.cmp(&right.0));
            prop_assert_eq!(items, expected);
        }
    }
}
