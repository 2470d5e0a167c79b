//! Documents: what callers hand in, and how what is kept of them is written.
//!
//! [`Document`] is a document as it arrives, checked. [`Head`] is what is known of a document without its bodies: its
//! leaves, winner first, and its sequence number. [`keys`] says under which key each record stands. What a document says of
//! its attachments is read by [`GivenAttachment`].

mod attachments;
mod error;
mod head;
mod input;
pub mod keys;

pub use attachments::{DIGEST_BYTES_MAX, GivenAttachment, GivenContent};
pub use error::DocumentError;
pub use head::{Head, Leaf};
pub use input::{Document, ID_BYTES_MAX, NAME_BYTES_MAX, check_id, is_local};
