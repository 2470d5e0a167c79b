//! The parts of a body of type `multipart/…` (RFC 2046), split while it arrives.
//!
//! Bytes are pushed in as they come, and what is known then is pulled out: the head of a part, its content piece by piece, its
//! end. Only what may be the beginning of a delimiter is held back, so memory stays small, however long a part. A part may have
//! no header at all, which is why this is not left to a parser of forms.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// So long may the head of a part be, or the line of a delimiter.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part begins; the lines of its head.
    Head(Bytes),
    /// Bytes of the part's content.
    Content(Bytes),
    /// The part has ended.
    PartEnd,
    /// The body has ended. What comes behind it means nothing.
    End,
}

/// Why a body cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A delimiter is followed by something else than a line break or the end.
    #[error("a delimiter is followed by rubbish")]
    Delimiter,
    /// A head goes on and on.
    #[error("the head of a part is too long")]
    Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Behind a delimiter.
    Delimiter,
    Head,
    Content,
    End,
}

/// Splits one body.
#[derive(Debug)]
pub struct Splitter {
    delimiter: Vec<u8>,
    buffer: BytesMut,
    state: State,
}

impl Splitter {
    /// A body whose parts this boundary delimits.
    #[must_use]
    pub fn new(boundary: &str) -> Self {
        // The first delimiter needs no line break before it: here it has one.
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Self { delimiter, buffer: BytesMut::from(&b"\r\n"[..]), state: State::Preamble }
    }

    /// Takes in the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::End {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next piece; `None` until more bytes are pushed.
    ///
    /// # Errors
    /// The body is malformed.
    pub fn pull(&mut self) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.state {
                State::Preamble => match memmem::find(&self.buffer, &self.delimiter) {
                    Some(place) => {
                        self.buffer.advance(place + self.delimiter.len());
                        self.state = State::Delimiter;
                    }
                    None => {
                        self.buffer.advance(self.certain());
                        return Ok(None);
                    }
                },
                State::Delimiter => {
                    let spaces = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                    match self.buffer.get(spaces..spaces + 2) {
                        None if spaces > HEAD_BYTES_MAX => return Err(Malformed::Delimiter),
                        None => return Ok(None),
                        // The line break stays: a head without a header is one more behind it.
                        Some(b"\r\n") => {
                            self.buffer.advance(spaces);
                            self.state = State::Head;
                        }
                        Some(b"--") if spaces == 0 => {
                            self.buffer.clear();
                            self.state = State::End;
                        }
                        Some(_) => return Err(Malformed::Delimiter),
                    }
                }
                State::Head => {
                    let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
                        return if self.buffer.len() > HEAD_BYTES_MAX { Err(Malformed::Head) } else { Ok(None) };
                    };
                    if end > HEAD_BYTES_MAX {
                        return Err(Malformed::Head);
                    }
                    let head = self.buffer.split_to(end).freeze();
                    self.buffer.advance(4);
                    self.state = State::Content;
                    return Ok(Some(Piece::Head(head.slice(2.min(head.len())..))));
                }
                State::Content => {
                    return Ok(match memmem::find(&self.buffer, &self.delimiter) {
                        Some(0) => {
                            self.buffer.advance(self.delimiter.len());
                            self.state = State::Delimiter;
                            Some(Piece::PartEnd)
                        }
                        Some(place) => Some(Piece::Content(self.buffer.split_to(place).freeze())),
                        None => {
                            let certain = self.certain();
                            (certain > 0).then(|| Piece::Content(self.buffer.split_to(certain).freeze()))
                        }
                    });
                }
                State::End => return Ok(Some(Piece::End)),
            }
        }
    }

    /// How many bytes in the buffer cannot belong to a delimiter whose end is not here.
    fn certain(&self) -> usize {
        (self.buffer.len() + 1).saturating_sub(self.delimiter.len())
    }
}

/// The file name that the head of a part tells.
#[must_use]
pub fn file_name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (_, quoted) = line.split_once("filename=\"")?;
    let (mut name, mut escaped) = (String::new(), false);
    for letter in quoted.chars() {
        match letter {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return Some(name),
            letter => {
                name.push(letter);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = Vec<(String, Vec<u8>)>;

    /// The parts of a body that arrives in chunks of `size` bytes: heads and contents, and whether it ended.
    fn split(body: &[u8], size: usize) -> Result<(Parts, bool), Malformed> {
        let mut splitter = Splitter::new("b");
        let mut parts = Vec::new();
        for chunk in body.chunks(size) {
            splitter.push(chunk);
            while let Some(piece) = splitter.pull()? {
                match piece {
                    Piece::Head(head) => parts.push((String::from_utf8_lossy(&head).into_owned(), Vec::new())),
                    Piece::Content(bytes) => parts.last_mut().expect("a head first").1.extend_from_slice(&bytes),
                    Piece::PartEnd => {}
                    Piece::End => return Ok((parts, true)),
                }
            }
        }
        Ok((parts, false))
    }

    #[test]
    fn parts_are_the_same_however_the_body_is_cut() {
        let body =
            b"preamble\r\n--b\r\na: 1\r\nc: 2\r\n\r\none\r\n--\r\n-- b\r\n--b \t\r\n\r\n\r\n--b\r\n\r\ntwo\r\n\r\n\
            --b--epilogue --b";
        let expected = vec![
            ("a: 1\r\nc: 2".to_owned(), b"one\r\n--\r\n-- b".to_vec()),
            (String::new(), Vec::new()),
            (String::new(), b"two\r\n".to_vec()),
        ];
        for size in 1..body.len() {
            assert_eq!(split(body, size), Ok((expected.clone(), true)), "{size}");
        }
    }

    #[test]
    fn a_body_may_begin_with_its_delimiter_and_have_no_part() {
        assert_eq!(split(b"--b--", 1), Ok((Vec::new(), true)));
        assert_eq!(split(b"--b\r\n\r\nx", 3).map(|(_, ended)| ended), Ok(false));
        assert_eq!(split(b"rubbish", 3), Ok((Vec::new(), false)));
    }

    #[test]
    fn rubbish_and_endless_heads_are_refused() {
        assert_eq!(split(b"--bx\r\n\r\n", 2), Err(Malformed::Delimiter));
        assert_eq!(split(b"--b --", 2), Err(Malformed::Delimiter));
        let endless = [b"--b\r\n".as_slice(), &b"a: b\r\n".repeat(HEAD_BYTES_MAX)].concat();
        assert_eq!(split(&endless, 1000), Err(Malformed::Head));
        assert_eq!(
            split(&[b"--b".as_slice(), &b" ".repeat(HEAD_BYTES_MAX * 2)].concat(), 1000),
            Err(Malformed::Delimiter)
        );
    }

    #[test]
    fn a_file_name_is_read_where_there_is_one() {
        let name = |head: &str| file_name(head.as_bytes());
        assert_eq!(name("a: b\r\nContent-Disposition: attachment; filename=\"x y\""), Some("x y".into()));
        assert_eq!(name("content-disposition:attachment; filename=\"a \\\"b\\\" \\\\\""), Some("a \"b\" \\".into()));
        for none in ["", "a: filename=\"x\"", "content-disposition: attachment", "content-disposition: x; filename=\"x"]
        {
            assert_eq!(name(none), None, "{none}");
        }
    }
}
