//! Reads a pattern into a tree.
//!
//! Taken are: bytes, `.`, classes with ranges, nested classes and `[:names:]`, the usual escapes, `*` `+` `?` `{2}` `{2,}`
//! `{2,5}` (lazy or not: that makes no difference to whether there is a match), groups, named groups, `|`, `^` `$` `\A` `\z`
//! `\b` `\B`, and the flags `i`, `m`, `s` and `U`. A character beyond ASCII stands for its bytes, outside of classes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::str::Chars;

use super::byte_set::ByteSet;
use super::classes::{named, perl};

/// How deep groups and classes may be nested.
const DEPTH_MAX: usize = 50;

/// What a pattern asks for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One byte of the set.
    Byte(ByteSet),
    /// A condition on the place.
    Assert(Assertion),
    /// All of these, one after the other.
    All(Vec<Node>),
    /// One of these.
    Either(Vec<Node>),
    /// As often as that.
    Repeat { node: Box<Node>, least: u32, most: Option<u32> },
}

/// A condition on a place in a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Assertion {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
    WordStart,
    WordEnd,
}

impl Assertion {
    /// Whether it holds between these two bytes, which are absent at the ends of the text.
    pub(super) fn holds(self, before: Option<u8>, after: Option<u8>) -> bool {
        let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_line_end = |byte: Option<u8>| byte.is_none_or(|byte| byte == b'\n');
        match self {
            Self::TextStart => before.is_none(),
            Self::TextEnd => after.is_none(),
            Self::LineStart => is_line_end(before),
            Self::LineEnd => is_line_end(after),
            Self::WordBoundary => is_word(before) != is_word(after),
            Self::NoWordBoundary => is_word(before) == is_word(after),
            Self::WordStart => !is_word(before) && is_word(after),
            Self::WordEnd => is_word(before) && !is_word(after),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    any_case: bool,
    lines: bool,
    dot_takes_all: bool,
}

/// What an escape stands for.
enum Escaped {
    Character(char),
    /// A byte beyond ASCII, given by its number: no character.
    Byte(u8),
    Set(ByteSet),
    Assertion(Assertion),
}

/// Reads a pattern; `None` if it is none.
pub(super) fn parse(pattern: &str) -> Option<Node> {
    let mut parser = Parser { rest: pattern.chars(), flags: Flags::default(), depth: 0, names: Vec::new() };
    let node = parser.either()?;
    parser.rest.next().is_none().then_some(node)
}

struct Parser<'pattern> {
    rest: Chars<'pattern>,
    flags: Flags,
    depth: usize,
    names: Vec<&'pattern str>,
}

impl<'pattern> Parser<'pattern> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// Takes `text` if it stands here.
    fn take(&mut self, text: &str) -> bool {
        let after = self.rest.as_str().strip_prefix(text);
        if let Some(after) = after {
            self.rest = after.chars();
        }
        after.is_some()
    }

    /// Reads up to the end of the group, or of the pattern.
    fn either(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        loop {
            parts.push(self.all()?);
            if !self.take("|") {
                return if parts.len() == 1 { parts.pop() } else { Some(Node::Either(parts)) };
            }
        }
    }

    fn all(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        while let Some(character) = self.peek().filter(|character| !matches!(character, '|' | ')')) {
            self.rest.next();
            let part = match character {
                '*' | '+' | '?' | '{' => self.repeat(character, parts.pop()??)?,
                '(' => match self.group()? {
                    Some(node) => node,
                    // Flags for what follows; nothing that could be repeated.
                    None => {
                        parts.push(None);
                        continue;
                    }
                },
                _ => self.single(character)?,
            };
            parts.push(Some(part));
        }
        Some(Node::All(parts.into_iter().flatten().collect()))
    }

    /// Reads the rest of `*`, `+`, `?` or `{2,5}` behind `node`.
    fn repeat(&mut self, sign: char, node: Node) -> Option<Node> {
        let (least, most) = match sign {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            _ => self.counts()?,
        };
        self.take("?");
        Some(Node::Repeat { node: Box::new(node), least, most })
    }

    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (counts, after) = self.rest.as_str().split_once('}')?;
        self.rest = after.chars();
        let count = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (least, most) = match counts.split_once(',') {
            None => (count(counts)?, Some(count(counts)?)),
            Some((least, "")) => (count(least)?, None),
            Some((least, most)) => (count(least)?, Some(count(most)?)),
        };
        most.is_none_or(|most| least <= most).then_some((least, most))
    }

    /// Reads a group behind its bracket; `Some(None)` for flags that stand alone.
    fn group(&mut self) -> Option<Option<Node>> {
        let outside = self.flags;
        if self.take("?P<") || (self.rest.as_str().starts_with("?<") && self.take("?<")) {
            let (name, after) = self.rest.as_str().split_once('>')?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'[' | b']');
            let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            if !starts_well || !name.bytes().all(is_name) || self.names.contains(&name) {
                return None;
            }
            self.names.push(name);
            self.rest = after.chars();
        } else if self.take("?") && !self.group_flags()? {
            return Some(None);
        }
        self.depth += 1;
        let node = if self.depth > DEPTH_MAX { None } else { self.either() }?;
        self.depth -= 1;
        self.flags = outside;
        self.take(")").then_some(Some(node))
    }

    /// Reads `i-s:`, or `i-s)`; whether a group follows them.
    fn group_flags(&mut self) -> Option<bool> {
        let (mut set, mut any) = (true, false);
        loop {
            match self.rest.next()? {
                'i' => self.flags.any_case = set,
                'm' => self.flags.lines = set,
                's' => self.flags.dot_takes_all = set,
                // Which of several matches is found first makes no difference.
                'U' => {}
                '-' if set => {
                    (set, any) = (false, false);
                    continue;
                }
                ':' if any || set => return Some(true),
                ')' if any => return Some(false),
                _ => return None,
            }
            any = true;
        }
    }

    /// What a character that begins no group and no repetition stands for.
    fn single(&mut self, character: char) -> Option<Node> {
        Some(match character {
            '.' if self.flags.dot_takes_all => Node::Byte(ByteSet::default().negated()),
            '.' => Node::Byte(ByteSet::of(&[b'\n'..=b'\n']).negated()),
            '^' if self.flags.lines => Node::Assert(Assertion::LineStart),
            '^' => Node::Assert(Assertion::TextStart),
            '$' if self.flags.lines => Node::Assert(Assertion::LineEnd),
            '$' => Node::Assert(Assertion::TextEnd),
            '[' => Node::Byte(self.class()?),
            '\\' => match self.escape()? {
                Escaped::Character(character) => self.literal(character),
                Escaped::Byte(byte) => Node::Byte(ByteSet::of(&[byte..=byte])),
                Escaped::Set(set) => Node::Byte(set),
                Escaped::Assertion(assertion) => Node::Assert(assertion),
            },
            character => self.literal(character),
        })
    }

    fn literal(&self, character: char) -> Node {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).bytes();
        let parts: Vec<Node> = bytes.map(|byte| Node::Byte(self.in_case(ByteSet::of(&[byte..=byte])))).collect();
        Node::All(parts)
    }

    fn in_case(&self, set: ByteSet) -> ByteSet {
        if self.flags.any_case { set.in_any_case() } else { set }
    }

    /// Reads an escape behind its backslash.
    fn escape(&mut self) -> Option<Escaped> {
        let character = self.rest.next()?;
        if let Some(set) = perl(character) {
            return Some(Escaped::Set(set));
        }
        Some(match character {
            'b' | 'B' if self.peek() == Some('{') => return None,
            'b' => Escaped::Assertion(Assertion::WordBoundary),
            'B' => Escaped::Assertion(Assertion::NoWordBoundary),
            '<' => Escaped::Assertion(Assertion::WordStart),
            '>' => Escaped::Assertion(Assertion::WordEnd),
            'A' => Escaped::Assertion(Assertion::TextStart),
            'z' => Escaped::Assertion(Assertion::TextEnd),
            'a' => Escaped::Character('\u{7}'),
            'f' => Escaped::Character('\u{c}'),
            'n' => Escaped::Character('\n'),
            'r' => Escaped::Character('\r'),
            't' => Escaped::Character('\t'),
            'v' => Escaped::Character('\u{b}'),
            'x' | 'u' | 'U' => return self.hex(character),
            _ if character.is_ascii_punctuation() => Escaped::Character(character),
            _ => return None,
        })
    }

    /// Reads the number of a character: `{e9}`, or as many digits as the kind of escape has.
    fn hex(&mut self, kind: char) -> Option<Escaped> {
        let text = self.rest.as_str();
        let (digits, after) = match text.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => text.split_at_checked(match kind {
                'x' => 2,
                'u' => 4,
                _ => 8,
            })?,
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.rest = after.chars();
        let number = u32::from_str_radix(digits, 16).ok()?;
        match u8::try_from(number) {
            Ok(byte @ 0x80..) if kind == 'x' && !text.starts_with('{') => Some(Escaped::Byte(byte)),
            _ => char::from_u32(number).map(Escaped::Character),
        }
    }

    /// Reads a class behind its bracket.
    fn class(&mut self) -> Option<ByteSet> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let negated = self.take("^");
        let mut set = ByteSet::default();
        let mut is_empty = true;
        while self.take("-") {
            set.insert(b'-'..=b'-');
            is_empty = false;
        }
        if is_empty && self.take("]") {
            set.insert(b']'..=b']');
        }
        loop {
            // Differences and intersections of classes are not known here.
            if ["&&", "--", "~~"].iter().any(|operator| self.rest.as_str().starts_with(operator)) {
                return None;
            }
            match self.rest.next()? {
                ']' => break,
                '[' => match self.named_class() {
                    Some(named) => set.unite(self.in_case(named)),
                    None => set.unite(self.class()?),
                },
                character => self.class_item(character, &mut set)?,
            }
        }
        self.depth -= 1;
        let set = self.in_case(set);
        Some(if negated { set.negated() } else { set })
    }

    /// Reads `:alpha:]`, behind the bracket; nothing is taken if that does not stand here.
    fn named_class(&mut self) -> Option<ByteSet> {
        let (name, after) = self.rest.as_str().strip_prefix(':')?.split_once(":]")?;
        let set = match name.strip_prefix('^') {
            Some(name) => named(name)?.negated(),
            None => named(name)?,
        };
        self.rest = after.chars();
        Some(set)
    }

    /// Reads a byte, a range or an escaped set of a class.
    fn class_item(&mut self, first: char, set: &mut ByteSet) -> Option<()> {
        let start = match self.class_part(first)? {
            Ok(byte) => byte,
            Err(escaped) => {
                // A set cannot begin a range.
                let text = self.rest.as_str();
                let begins_range = text.starts_with('-') && !text.starts_with("-]") && !text.starts_with("--");
                set.unite(escaped);
                return (!begins_range).then_some(());
            }
        };
        let text = self.rest.as_str();
        let mut end = start;
        if !text.starts_with("-]") && !text.starts_with("--") && self.take("-") {
            let last = self.rest.next()?;
            end = self.class_part(last)?.ok()?;
        }
        set.insert(start..=end);
        (start <= end).then_some(())
    }

    fn class_part(&mut self, character: char) -> Option<Result<u8, ByteSet>> {
        let character = match character {
            '\\' => match self.escape()? {
                Escaped::Character(character) => character,
                Escaped::Byte(byte) => return Some(Ok(byte)),
                Escaped::Set(set) => return Some(Err(set)),
                Escaped::Assertion(_) => return None,
            },
            character => character,
        };
        character.is_ascii().then_some(Ok(character as u8))
    }
}
