//! Paths into documents and the order-preserving encoding of the values found there.
//!
//! [`Path`] is Mango's syntax: names joined by dots, a dot inside a name escaped by a backslash. [`IndexPath`] can also mean the elements of an
//! array, wherever they stand. [`encode_value`] turns a
//! value into bytes that sort as [`crate::json::collate`] does; long values are cut, and whoever reads a cut one must
//! look at the document.

mod index_path;
mod syntax;
mod value_key;

pub use index_path::{IndexPath, Step, write_step};
pub(crate) use syntax::position;
pub use syntax::{Found, Path};
pub use value_key::{Encoded, VALUE_BYTES_MAX, decode_value, encode_value, type_of_encoded, type_prefix, value_length};
