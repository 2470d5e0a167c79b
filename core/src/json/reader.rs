//! Reads JSON text from front to back, in one pass: values, or the texts of values.
//!
//! Whoever knows what a text should hold walks it with [`Reader::members`] and [`Reader::elements`], takes what it wants as a
//! [`Value`](super::Value), a string or the text that stands there, and passes over the rest. What is passed over is checked
//! to be JSON too, however deep it is.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::JsonError;

/// Reads one text.
#[derive(Clone, Debug)]
pub struct Reader<'text> {
    text: &'text str,
    position: usize,
}

impl<'text> Reader<'text> {
    /// A reader that stands at the beginning of `text`.
    ///
    /// # Errors
    /// [`JsonError::NotUtf8`], and [`JsonError::CutShort`] if it ends within a character.
    pub fn new(text: &'text [u8]) -> Result<Self, JsonError> {
        match core::str::from_utf8(text) {
            Ok(text) => Ok(Self { text, position: 0 }),
            Err(error) if error.error_len().is_none() => Err(JsonError::CutShort),
            Err(_) => Err(JsonError::NotUtf8),
        }
    }

    /// Checks that nothing but white space is left.
    ///
    /// # Errors
    /// [`JsonError::Unexpected`].
    pub fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Reads an object: `member` is given each name and this reader, before the value that it must read.
    ///
    /// # Errors
    /// What `member` returns, and malformed text. That a name occurs twice is not noticed.
    pub fn members(
        &mut self,
        member: &mut dyn FnMut(&str, &mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.take(b'{')?;
        if self.peek() == Some(b'}') {
            return self.take(b'}');
        }
        loop {
            let name = self.name()?;
            member(&name, self)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array: `element` is given this reader before each value, which it must read.
    ///
    /// # Errors
    /// What `element` returns, and malformed text.
    pub fn elements(&mut self, element: &mut dyn FnMut(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        self.take(b'[')?;
        if self.peek() == Some(b']') {
            return self.take(b']');
        }
        loop {
            element(self)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a value and gives the text of it.
    ///
    /// # Errors
    /// As those of [`Reader::pass_over`].
    pub fn cut(&mut self) -> Result<&'text str, JsonError> {
        self.peek();
        let start = self.position;
        self.pass_over()?;
        Ok(self.text.get(start..self.position).unwrap_or_default())
    }

    /// Reads an array and gives the texts of its elements.
    ///
    /// # Errors
    /// As those of [`Reader::pass_over`], or another value.
    pub fn cut_elements(&mut self) -> Result<Vec<&'text str>, JsonError> {
        let mut elements = Vec::new();
        self.elements(&mut |reader| {
            elements.push(reader.cut()?);
            Ok(())
        })?;
        Ok(elements)
    }

    /// Reads a string.
    ///
    /// # Errors
    /// Malformed text, or another value.
    pub fn string(&mut self) -> Result<Cow<'text, str>, JsonError> {
        self.take(b'"')?;
        let start = self.position;
        self.position += plain_bytes(self.rest());
        if self.next_byte() == Some(b'"') {
            let string = self.text.get(start..self.position).unwrap_or_default();
            self.position += 1;
            return Ok(Cow::Borrowed(string));
        }
        self.string_with_escapes(start).map(Cow::Owned)
    }

    /// The first byte of the next token; the reader stands on it then.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.next_byte() {
            self.position += 1;
        }
        self.next_byte()
    }

    /// Reads the token `byte`.
    pub(super) fn take(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.position += 1;
        Ok(())
    }

    /// Reads a comma, or the bracket that closes.
    pub(super) fn goes_on(&mut self, close: u8) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b',') => {
                self.position += 1;
                Ok(true)
            }
            _ => self.take(close).map(|()| false),
        }
    }

    /// Reads the name of a member and the colon behind it.
    pub(super) fn name(&mut self) -> Result<Cow<'text, str>, JsonError> {
        let name = self.string()?;
        self.take(b':')?;
        Ok(name)
    }

    /// Reads `word`.
    pub(super) fn word(&mut self, word: &str) -> Result<(), JsonError> {
        for byte in word.bytes() {
            if self.next_byte() != Some(byte) {
                return Err(self.unexpected());
            }
            self.position += 1;
        }
        Ok(())
    }

    /// Reads a number; its text is as JSON has it.
    pub(super) fn number_text(&mut self) -> Result<&'text str, JsonError> {
        let start = self.position;
        self.pass(b'-');
        if !self.pass(b'0') {
            self.digits()?;
        }
        if self.pass(b'.') {
            self.digits()?;
        }
        if self.pass(b'e') || self.pass(b'E') {
            let _ = self.pass(b'+') || self.pass(b'-');
            self.digits()?;
        }
        Ok(self.text.get(start..self.position).unwrap_or_default())
    }

    /// Where the reader stands, in bytes.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The error for whatever stands here.
    pub(super) fn unexpected(&self) -> JsonError {
        if self.next_byte().is_none() { JsonError::CutShort } else { JsonError::Unexpected(self.position) }
    }

    #[inline(always)]
    fn rest(&self) -> &'text [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }

    #[inline(always)]
    fn next_byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// Passes `byte` if it stands here.
    #[inline(always)]
    fn pass(&mut self, byte: u8) -> bool {
        let stands_here = self.next_byte() == Some(byte);
        self.position += usize::from(stands_here);
        stands_here
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.position += count;
        if count > 0 { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Reads a string and forgets it.
    pub(super) fn pass_over_string(&mut self) -> Result<(), JsonError> {
        self.take(b'"')?;
        loop {
            self.position += plain_bytes(self.rest());
            match self.next_byte() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(b'\\') => drop(self.escape()?),
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// Reads on in a string that began at `start` and has come to an escape, or to a byte that may not stand in one.
    fn string_with_escapes(&mut self, start: usize) -> Result<String, JsonError> {
        let mut string = String::from(self.text.get(start..self.position).unwrap_or_default());
        loop {
            let plain = plain_bytes(self.rest());
            string.push_str(self.text.get(self.position..self.position + plain).unwrap_or_default());
            self.position += plain;
            match self.next_byte() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    let code = self.escape()?;
                    string.push(char::from_u32(code).ok_or(JsonError::LoneSurrogate(self.position))?);
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// The character that an escape stands for, or half of a surrogate pair that stands alone.
    fn escape(&mut self) -> Result<u32, JsonError> {
        self.position += 1;
        let byte = self.next_byte().ok_or(JsonError::CutShort)?;
        self.position += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte.into(),
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => 0x0a,
            b'r' => 0x0d,
            b't' => 0x09,
            b'u' => return self.unicode_escape(),
            _ => return Err(JsonError::Unexpected(self.position - 1)),
        })
    }

    /// Four hex digits, and if they are the first half of a surrogate pair, the other half as well.
    fn unicode_escape(&mut self) -> Result<u32, JsonError> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with(b"\\u") {
            let alone = self.position;
            self.position += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                return Ok(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            }
            self.position = alone;
        }
        Ok(high)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next_byte().and_then(|byte| char::from(byte).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.unexpected())?;
            self.position += 1;
        }
        Ok(code)
    }
}

/// How many bytes stand before the first quotation mark, backslash or control character: eight are looked at at once.
pub(super) fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of each byte that is less than `bound`, up to the first such byte; those behind it may be wrong.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH_BITS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | backslash | below(word, 0x20);
        if found != 0 {
            return place * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| **byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().take_while(is_plain).count()
}
