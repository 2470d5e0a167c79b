//! Bytes as people and URLs have them.

use alloc::format;
use alloc::string::String;

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
