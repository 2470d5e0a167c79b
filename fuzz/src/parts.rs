//! Bodies of many parts, as the server splits them: however a body is cut on its way, its parts are the same.

use super::splitter::{Malformed, Piece, Splitter, file_name};

/// The bytes of each part's head and content.
type Parts = Vec<(Vec<u8>, Vec<u8>)>;

/// What is found in a body that arrives in these chunks, and whether it ended.
fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Parts, Result<bool, Malformed>) {
    let mut splitter = Splitter::new("b");
    let mut parts = Parts::new();
    for chunk in chunks {
        splitter.push(chunk);
        loop {
            match splitter.pull() {
                Ok(None) => break,
                Ok(Some(Piece::Head(head))) => {
                    let _ = file_name(&head);
                    parts.push((head.to_vec(), Vec::new()));
                }
                Ok(Some(Piece::Content(bytes))) => {
                    assert!(!bytes.is_empty(), "a piece of nothing");
                    parts.last_mut().expect("a head comes first").1.extend_from_slice(&bytes);
                }
                Ok(Some(Piece::PartEnd)) => {}
                Ok(Some(Piece::End)) => return (parts, Ok(true)),
                Err(error) => return (parts, Err(error)),
            }
        }
    }
    (parts, Ok(false))
}

/// The first byte says how the rest is cut.
pub fn run(input: &[u8]) {
    let Some((size, body)) = input.split_first() else { return };
    let whole = split(std::iter::once(body));
    let cut = split(body.chunks(usize::from(*size).max(1)));
    assert_eq!(whole.1, cut.1, "how it ends");
    assert_eq!(whole.0.len(), cut.0.len(), "how many parts there are");
    for (place, (whole, cut)) in std::iter::zip(&whole.0, &cut.0).enumerate() {
        assert_eq!(whole, cut, "part {place}");
    }
    let bytes: usize = whole.0.iter().map(|(head, content)| head.len() + content.len()).sum();
    assert!(bytes <= body.len(), "more than came");
}
