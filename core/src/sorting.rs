//! Sorting where speed is not everything.
//!
//! The standard library's sorts are compiled anew for each type and each order, several kilobytes every time. So all sorts but
//! the two that a bulk write spends its time in sort places instead of items: one sort, which is told the order through a
//! pointer, and then a few swaps. A few items are swapped into their order at once.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// From so many items on, places are sorted.
const FEW: usize = 20;

/// Sorts `items`; those that are equal keep their order.
pub(crate) fn sort_by<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    if items.len() < FEW {
        for sorted in 1..items.len() {
            let mut rest = items.get_mut(..=sorted).unwrap_or_default();
            while let [before @ .., left, right] = rest
                && order(left, right) == Ordering::Greater
            {
                core::mem::swap(left, right);
                let shorter = before.len() + 1;
                rest = rest.get_mut(..shorter).unwrap_or_default();
            }
        }
        return;
    }
    let mut places = sorted_places(items.len(), &|left, right| match (items.get(left), items.get(right)) {
        (Some(left), Some(right)) => order(left, right),
        _ => Ordering::Equal,
    });
    // Each cycle of places is walked once: an item is swapped to where it belongs, and its place is settled.
    for start in 0..places.len() {
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

/// The places of `count` items in their order.
fn sorted_places(count: usize, order: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|left, right| order(*left, *right));
    places
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
