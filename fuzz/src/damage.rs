//! Damage to stored entries, as an input describes it.
//!
//! Random bytes are hardly ever a store. So the targets for stored bytes begin with entries that were really written, and the
//! input says what happens to them, edit by edit:
//!
//! ```text
//! what: 1 byte · which entry: 1 byte · where in it: 2 bytes, little-endian · count: 1 byte · as many bytes
//! ```

/// An entry: its name, and the bytes that stand there.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The entries after all edits of `input`. Later entries of one name count.
pub fn damaged(mut entries: Vec<Entry>, input: &[u8]) -> Vec<Entry> {
    let mut rest = input;
    while let Some(([what, which, low, high, count], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(usize::from(*count).min(after.len()));
        rest = after;
        if entries.is_empty() {
            break;
        }
        let place = usize::from(*which) % entries.len();
        let at = usize::from(u16::from_le_bytes([*low, *high]));
        if what & COPY != 0 {
            entries.push(entries[place].clone());
        }
        let place = if what & COPY != 0 { entries.len() - 1 } else { place };
        let (name, content) = &mut entries[place];
        let edited = if what & NAME != 0 { name } else { content };
        let at = at % (edited.len() + 1);
        match what % 4 {
            0 => {
                let end = (at + bytes.len()).min(edited.len());
                edited.splice(at..end, bytes.iter().copied());
            }
            1 => drop(edited.splice(at..at, bytes.iter().copied())),
            2 => edited.truncate(at),
            _ => drop(entries.remove(place)),
        }
    }
    entries
}

/// The edit goes to a copy of the entry.
const COPY: u8 = 4;
/// The edit goes to the name of the entry.
const NAME: u8 = 8;
