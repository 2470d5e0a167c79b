//! The names of databases: which ones CouchDB allows, and how each is written as a file name.
//!
//! **A name never reaches the file system as it came**: everything but small letters, digits, `_` and `-` is
//! percent-encoded, so no name can leave the data folder.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What ends the name of each database's file.
pub const FILE_ENDING: &str = ".redb";

/// The file name, ending included, must fit into what file systems allow: 255 bytes, less what a half-made file is marked
/// with.
const FILE_NAME_BYTES_MAX: usize = 250;

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// The database of accounts.
pub const USERS: &str = "_users";

/// Whether CouchDB would take `name` for a new database.
#[must_use]
pub fn is_legal(name: &str) -> bool {
    name == USERS
        || name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'$' | b'(' | b')' | b'+' | b'-' | b'/'))
}

/// The name of the file that holds the database, or `None` where it would be too long for a file system.
#[must_use]
pub fn to_file_name(name: &str) -> Option<String> {
    let file_name = format!("{}{FILE_ENDING}", utf8_percent_encode(name, ENCODED));
    (file_name.len() <= FILE_NAME_BYTES_MAX).then_some(file_name)
}

/// The database that the file holds, or `None` if the file is none that this server made.
#[must_use]
pub fn from_file_name(file_name: &str) -> Option<String> {
    let encoded = file_name.strip_suffix(FILE_ENDING)?;
    let name = percent_decode_str(encoded).decode_utf8().ok()?.into_owned();
    (is_legal(&name) && to_file_name(&name).as_deref() == Some(file_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn couchdb_names_are_told_from_others() {
        for name in ["a", "a1_$()+-/b", "team/notes", "_users"] {
            assert!(is_legal(name), "{name}");
        }
        for name in ["", "A", "1a", "_other", "a b", "a.b", "ä", "../a", "a\0"] {
            assert!(!is_legal(name), "{name}");
        }
    }

    #[test]
    fn a_file_name_holds_the_whole_name_and_no_separator() {
        let name = "a1_$()+-/../etc";
        let file_name = to_file_name(name).expect("a short name");
        assert_eq!(file_name, "a1_%24%28%29%2B-%2F%2E%2E%2Fetc.redb");
        assert_eq!(from_file_name(&to_file_name("a/b+c").expect("a short name")).as_deref(), Some("a/b+c"));
    }

    #[test]
    fn foreign_files_are_no_databases() {
        for file_name in ["a", "a.txt", "A.redb", "a%2fb.redb", "%ff.redb", ".redb", "a.redb.new"] {
            assert_eq!(from_file_name(file_name), None, "{file_name}");
        }
    }

    #[test]
    fn a_name_too_long_for_a_file_system_has_no_file_name() {
        assert!(to_file_name(&"a".repeat(245)).is_some());
        assert_eq!(to_file_name(&"a".repeat(246)), None);
        assert_eq!(to_file_name(&format!("a{}", "/".repeat(100))), None);
    }
}
