//! The name of a revision: its parsing, order and stored form.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crate::error::ErrorReport;

/// The greatest generation: the greatest integer that every JSON reader holds exactly.
pub const GENERATION_MAX: u64 = (1 << 53) - 1;
/// How many bytes the text after the generation may have.
pub const HASH_BYTES_MAX: usize = 255;

/// Why something is not a revision, or not a path of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevError {
    /// Not `N-text`, or out of bounds.
    #[error("Invalid rev format")]
    Format,
    /// `_revisions` is no object, or its `start` is no generation that reaches over all its ids.
    #[error("_revisions.start isn't an integer.")]
    Start,
    /// `_revisions.ids` is no array of one to [`REVISIONS_MAX`](super::REVISIONS_MAX) elements.
    #[error("_revisions.ids isn't a array.")]
    Ids,
    /// An element of `_revisions.ids` is no text that a revision could have.
    #[error("RevId isn't a string")]
    Id,
    /// The parent has the greatest generation, so nothing can follow it.
    #[error("no revision can follow one of generation {GENERATION_MAX}")]
    Exhausted,
}

impl RevError {
    /// What a caller is told.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let name = match self {
            Self::Format | Self::Exhausted => "bad_request",
            Self::Start | Self::Ids | Self::Id => "doc_validation",
        };
        ErrorReport::new(400, name, self.to_string())
    }
}

/// The name of a revision, written `generation-hash`.
///
/// Revisions are ordered by generation, then by hash. They are equal only when their texts are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev {
    generation: u64,
    hash: RevHash,
}

impl Rev {
    /// A revision; fails unless `generation` lies in `1..=GENERATION_MAX`.
    pub fn new(generation: u64, hash: RevHash) -> Result<Self, RevError> {
        if (1..=GENERATION_MAX).contains(&generation) { Ok(Self { generation, hash }) } else { Err(RevError::Format) }
    }

    /// Reads `N-text`: a generation without leading zeros, then 1 to 255 bytes without control characters.
    pub fn parse(text: &str) -> Result<Self, RevError> {
        let (generation, hash) = text.split_once('-').ok_or(RevError::Format)?;
        // `u64::from_str` would take a sign and leading zeros, which would not come back as they were written.
        if generation.starts_with('0') || !generation.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RevError::Format);
        }
        Self::new(generation.parse().map_err(|_| RevError::Format)?, RevHash::parse(hash)?)
    }

    /// A revision whose generation the caller knows to be within the bounds.
    pub(super) fn from_valid(generation: u64, hash: RevHash) -> Self {
        Self { generation, hash }
    }

    /// How many edits led here, this one included; 1 for the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What stands after the generation.
    #[must_use]
    pub fn hash(&self) -> &RevHash {
        &self.hash
    }

    /// The revision of the generation before this one that has `hash`; `None` for a first generation.
    pub(super) fn before(&self, hash: RevHash) -> Option<Self> {
        Self::new(self.generation - 1, hash).ok()
    }

    /// A bound below all revisions of the generation after this one; itself no revision.
    pub(super) fn below_next_generation(&self) -> Self {
        Self { generation: self.generation + 1, hash: RevHash(Repr::Text(Box::default())) }
    }

    /// Appends the stored form, which delimits itself and orders by generation (not by hash): the generation (one byte
    /// below 248, else a byte 247 + n and n big-endian bytes), then the hash as [`RevHash::encode`] writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match u8::try_from(self.generation) {
            Ok(byte) if byte <= GENERATION_BYTE_MAX => out.push(byte),
            _ => {
                let bytes = self.generation.to_be_bytes();
                let significant = bytes.get(self.generation.leading_zeros() as usize / 8..).unwrap_or_default();
                out.push(GENERATION_BYTE_MAX.saturating_add(u8::try_from(significant.len()).unwrap_or(8)));
                out.extend_from_slice(significant);
            }
        }
        self.hash.encode(out);
    }

    /// Reads a stored form back and returns what follows it; `None` for bytes that [`encode`](Self::encode) never writes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (first, rest) = bytes.split_first()?;
        let (generation, rest) = match first.checked_sub(GENERATION_BYTE_MAX) {
            None | Some(0) => (u64::from(*first), rest),
            Some(length) => {
                let (digits, rest) = rest.split_at_checked(usize::from(length))?;
                let generation = digits.iter().fold(0, |value: u64, digit| value << 8 | u64::from(*digit));
                let minimal = generation > u64::from(GENERATION_BYTE_MAX) && digits.first() != Some(&0);
                minimal.then_some((generation, rest))?
            }
        };
        let (hash, rest) = RevHash::decode(rest)?;
        Some((Self::new(generation, hash).ok()?, rest))
    }
}

/// The greatest generation that is stored as a single byte; greater first bytes tell how many bytes follow.
const GENERATION_BYTE_MAX: u8 = 247;

impl fmt::Display for Rev {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.generation, self.hash)
    }
}

/// What stands after the generation: any text of 1 to 255 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RevHash(Repr);

/// Nearly all hashes are 32 lower-case hex digits: these are held as the 16 bytes that they spell, all others as text.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Hex([u8; 16]),
    Text(Box<str>),
}

impl RevHash {
    /// Takes `text` as the hash of a revision.
    pub fn parse(text: &str) -> Result<Self, RevError> {
        if text.is_empty() || text.len() > HASH_BYTES_MAX || text.contains(char::is_control) {
            return Err(RevError::Format);
        }
        let lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match spelled_bytes(text).filter(|_| lower_case) {
            Some(bytes) => Ok(Self::of_bytes(bytes)),
            None => Ok(Self(Repr::Text(text.into()))),
        }
    }

    /// The hash that spells `bytes` in lower-case hex digits.
    pub(super) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(Repr::Hex(bytes))
    }

    /// Appends the stored form: a zero and 16 bytes for 32 lower-case hex digits, else the length and the text.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Hex(bytes) => {
                out.push(0);
                out.extend_from_slice(bytes);
            }
            Repr::Text(text) => {
                out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// Reads a stored form back and returns what follows it.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (length, rest) = bytes.split_first()?;
        if *length == 0 {
            let (bytes, rest) = rest.split_first_chunk()?;
            return Some((Self::of_bytes(*bytes), rest));
        }
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        let hash = Self::parse(core::str::from_utf8(text).ok()?).ok()?;
        matches!(hash.0, Repr::Text(_)).then_some((hash, rest))
    }

    /// The bytes that the order of hashes looks at: those which 32 hex digits of any case spell, else those of the text.
    fn ordering_bytes<'a>(&'a self, spelled: &'a mut [u8; 16]) -> &'a [u8] {
        match &self.0 {
            Repr::Hex(bytes) => bytes,
            Repr::Text(text) => match spelled_bytes(text) {
                Some(bytes) => {
                    *spelled = bytes;
                    spelled
                }
                None => text.as_bytes(),
            },
        }
    }
}

/// The bytes that 32 hex digits spell.
fn spelled_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let (pairs, _) = digits.as_chunks::<2>();
    let mut bytes = [0; 16];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

impl Ord for RevHash {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Hex(left), Repr::Hex(right)) = (&self.0, &other.0) {
            return left.cmp(right);
        }
        let (mut left, mut right) = ([0; 16], [0; 16]);
        let order = self.ordering_bytes(&mut left).cmp(other.ordering_bytes(&mut right));
        // Two texts may spell the same bytes (`AB…` and `ab…`); they are two revisions, so the order must part them.
        order.then_with(|| self.to_string().cmp(&other.to_string()))
    }
}

impl PartialOrd for RevHash {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RevHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Text(text) => formatter.write_str(text),
            Repr::Hex(bytes) => {
                let mut digits = [0; 32];
                let (pairs, _) = digits.as_chunks_mut::<2>();
                for (pair, byte) in pairs.iter_mut().zip(bytes) {
                    *pair = [hex_digit(byte >> 4), hex_digit(byte & 0x0f)];
                }
                formatter.write_str(core::str::from_utf8(&digits).unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for RevHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' - 10 + value }
}
