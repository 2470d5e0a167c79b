//! JSON as the engine sees it: numbers are doubles, -0 is 0, members keep their order and their names are unique.
//!
//! [`parse`] refuses what other replicas could read otherwise: duplicate names, lone
//! surrogates, numbers beyond a double. [`write`] gives the compact text that is stored; [`canonical`] the RFC 8785 form
//! that revisions are hashed over; [`collate`] the one total order of values; [`Patch`] is JSON Patch, and [`diff`] makes one.

mod canonical;
mod collation;
mod diff;
mod error;
mod number;
mod parse;
mod patch;
mod pointer;
mod reader;
mod type_name;
mod value;
mod write;

pub use canonical::{canonical, canonical_object};
pub use collation::collate;
pub use diff::diff;
pub use error::JsonError;
pub use parse::{DEPTH_MAX, parse, read};
pub use patch::{Patch, PatchError};
pub use pointer::Pointer;
pub use reader::Reader;
pub use type_name::TypeName;
pub use value::{Object, Value};
pub use write::{write, write_object, write_string};
