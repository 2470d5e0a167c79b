//! The revision of an own edit: a hash over what the edit says, so that the same edit is the same revision everywhere.

use alloc::string::ToString;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::{Rev, RevError, RevHash};
use crate::json::{Object, canonical_object, write_string};

impl Rev {
    /// The revision of an edit of `parent` (`None` for a new document): one generation on, its hash 32 lower-case hex digits,
    /// the first half of the SHA-256 over the RFC 8785 form of `[parent or null, deleted, body, attachments]`.
    ///
    /// `body` is the document without its underscore members; `attachments` maps the name of each attachment to
    /// `[content type, digest]`. The order of members does not matter.
    ///
    /// # Errors
    /// [`RevError::Exhausted`] when the parent has the greatest generation.
    pub fn of_edit(
        parent: Option<&Self>,
        deleted: bool,
        body: &Object,
        attachments: &Object,
    ) -> Result<Self, RevError> {
        let mut text = Vec::with_capacity(1024);
        text.push(b'[');
        match parent {
            Some(parent) => write_string(&parent.to_string(), &mut text),
            None => text.extend_from_slice(b"null"),
        }
        text.extend_from_slice(if deleted { b",true," } else { b",false," });
        canonical_object(body, &mut text);
        text.push(b',');
        canonical_object(attachments, &mut text);
        text.push(b']');

        let mut hash = [0; 16];
        hash.iter_mut().zip(Sha256::digest(&text)).for_each(|(byte, digest)| *byte = digest);
        let generation = parent.map_or(0, Self::generation) + 1;
        Self::new(generation, RevHash::of_bytes(hash)).map_err(|_| RevError::Exhausted)
    }
}
