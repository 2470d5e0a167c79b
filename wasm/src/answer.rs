//! Writes answers as JSON text, into which documents go as the bytes that they are.

use firkin_core::json::write_string;

/// What there is room for at first: most answers, and rows of them.
const OBJECT_BYTES: usize = 128;

/// Writes an object member by member.
pub struct ObjectWriter {
    bytes: Vec<u8>,
}

impl Default for ObjectWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectWriter {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(OBJECT_BYTES);
        bytes.push(b'{');
        Self { bytes }
    }

    /// Adds a member whose value is JSON already.
    #[must_use]
    pub fn json(mut self, name: &str, value: &[u8]) -> Self {
        self.begin(name);
        self.bytes.extend_from_slice(value);
        self
    }

    fn begin(&mut self, name: &str) {
        if self.bytes.len() > 1 {
            self.bytes.push(b',');
        }
        write_string(name, &mut self.bytes);
        self.bytes.push(b':');
    }

    /// Adds a string.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.begin(name);
        write_string(value, &mut self.bytes);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> Self {
        self.json(name, value.to_string().as_bytes())
    }

    /// Adds `true` or `false`.
    #[must_use]
    pub fn boolean(self, name: &str, value: bool) -> Self {
        self.json(name, if value { b"true" } else { b"false" })
    }

    /// Adds an array of strings.
    #[must_use]
    pub fn texts(self, name: &str, values: &[String]) -> Self {
        let values = array(values.iter().map(|value| string(value)));
        self.json(name, &values)
    }

    /// The object.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }

    /// The object as text.
    #[must_use]
    pub fn finish_text(self) -> String {
        // All that goes in is UTF-8 already.
        String::from_utf8_lossy(&self.finish()).into_owned()
    }
}

/// An array of values that are JSON already.
#[must_use]
pub fn array(values: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = vec![b'['];
    values.into_iter().for_each(|value| add_element(&mut bytes, &value));
    bytes.push(b']');
    bytes
}

fn add_element(array: &mut Vec<u8>, value: &[u8]) {
    if array.len() > 1 {
        array.push(b',');
    }
    array.extend_from_slice(value);
}

fn string(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 2);
    write_string(value, &mut bytes);
    bytes
}
