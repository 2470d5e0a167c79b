//! Bytes that cross beside JSON, so that contents of attachments need no base64: the length of the JSON in four bytes, the
//! highest first, then the JSON, then the bytes.

use crate::failure::Failure;

/// JSON and the bytes behind it.
#[must_use]
pub fn join(json: &[u8], bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.as_slice(), json, bytes].concat()
}

/// The JSON and the bytes behind it.
pub fn split(frame: &[u8]) -> Result<(&[u8], &[u8]), Failure> {
    let parts = || {
        let (length, rest) = frame.split_first_chunk()?;
        rest.split_at_checked(u32::from_be_bytes(*length) as usize)
    };
    parts().ok_or_else(|| Failure::bad_request("the payload is cut short"))
}
