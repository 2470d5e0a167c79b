//! Which segments are to be merged next.
//!
//! Segments stand newest first, in tiers by size, each tier four times the one before. A segment is merged with those right
//! behind it once there are three of its own tier or below, and the next tier is looked at with the sum. So there are few
//! segments to search, and an entry is written again a few times for each tier that it climbs.

use alloc::rc::Rc;
use core::ops::Range;

use super::segment::Segment;

/// A tier is this many times as large as the one before, and is merged when it has this many members.
const TIER_FACTOR: u64 = 4;
/// The size up to which segments are of the first tier.
const FIRST_TIER_BYTES: u64 = 1024 * 1024;
/// Nothing is merged beyond this: a segment has room for twice as much.
const MERGED_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// The places of neighbouring segments that are to be merged, the newest such ones; `None` if there are none. Those for
/// whose numbers `is_taken` holds stay as they are.
pub(super) fn next_merge(segments: &[Rc<Segment>], is_taken: &dyn Fn(u64) -> bool) -> Option<Range<usize>> {
    (0..segments.len()).find_map(|first| {
        let mut free = segments.get(first..)?.iter().take_while(|segment| !is_taken(segment.number));
        let newest = free.next()?;
        let count = merged_count(newest.bytes, free.map(Rc::as_ref));
        (count > 0).then_some(first..first + 1 + count)
    })
}

/// How many of the `segments`, newest first, are to be merged with one before them of `bytes`.
fn merged_count<'a>(bytes: u64, segments: impl IntoIterator<Item = &'a Segment>) -> usize {
    let mut total = bytes;
    let mut merged = 0;
    let (mut members, mut members_bytes) = (0, 0);
    let mut segments = segments.into_iter().peekable();
    loop {
        let tier = tier(total);
        let is_member =
            |segment: &&Segment| self::tier(segment.bytes) <= tier && total + segment.bytes <= MERGED_BYTES_MAX;
        if let Some(segment) = segments.next_if(is_member) {
            members += 1;
            members_bytes += segment.bytes;
        } else if members + 1 >= TIER_FACTOR as usize {
            merged += members;
            total += members_bytes;
            (members, members_bytes) = (0, 0);
        } else {
            return merged;
        }
    }
}

fn tier(bytes: u64) -> u32 {
    (bytes / FIRST_TIER_BYTES).checked_ilog(TIER_FACTOR).map_or(0, |tier| tier + 1)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn of_bytes(bytes: u64) -> Segment {
        Segment { number: 0, root: 0, height: 1, blocks: 1, bytes }
    }

    fn merged(bytes: u64, sizes: &[u64]) -> usize {
        let segments: Vec<Segment> = sizes.iter().map(|size| of_bytes(*size)).collect();
        merged_count(bytes, &segments)
    }

    #[test]
    fn what_is_taken_already_stands_between_and_older_ones_are_merged_as_well() {
        let sizes = [MIB, MIB, 20 * MIB, 5 * MIB, 5 * MIB, 5 * MIB, 5 * MIB];
        let segments: Vec<Rc<Segment>> =
            (0..).zip(sizes).map(|(number, bytes)| Rc::new(Segment { number, ..of_bytes(bytes) })).collect();
        assert_eq!(next_merge(&segments, &|_| false), Some(2..7));
        assert_eq!(next_merge(&segments, &|number| number == 2), Some(3..7));
        assert_eq!(next_merge(&segments, &|number| number == 5), None);
        assert_eq!(next_merge(&[], &|_| false), None);
    }

    #[test]
    fn a_full_tier_is_merged_and_then_the_next() {
        assert_eq!(merged(1000, &[1000, 1000]), 0);
        assert_eq!(merged(1000, &[1000, 1000, 1000]), 3);
        assert_eq!(merged(1000, &[1000, 1000, 1000, 9 * MIB]), 3);
        assert_eq!(merged(MIB, &[MIB, 20 * MIB, MIB, MIB]), 0);
        assert_eq!(merged(MIB, &[MIB, MIB, MIB, 5 * MIB, 6 * MIB, 7 * MIB]), 6);
    }

    #[test]
    fn segments_stay_few_and_are_rewritten_seldom() {
        let mut segments: Vec<Segment> = Vec::new();
        let mut written = 0;
        let flushes = 5_000;
        for flush in 0..flushes {
            let bytes = if flush % 7 == 0 { 3 * MIB } else { MIB };
            let count = merged_count(bytes, &segments);
            let sum = bytes + segments.drain(..count).map(|segment| segment.bytes).sum::<u64>();
            written += sum;
            segments.insert(0, of_bytes(sum));
            assert!(segments.len() <= 3 * 8, "{}", segments.len());
        }
        let held: u64 = segments.iter().map(|segment| segment.bytes).sum();
        assert!(written < held * 10, "{written} written for {held}");
    }
}
