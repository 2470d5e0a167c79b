//! Documents on their way out, and what they have for attachments.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ReplicationError;
use super::documents::{Stub, read_stubs};
use crate::database::{AttachmentReader, Database, GetOptions, OpenRev, OpenRevs, ReadError};
use crate::json::{self, Object, Value};
use crate::storage::Kv;

/// A revision that goes to the peer, its attachments as stubs or with their data.
pub(super) struct Parcel {
    pub(super) id: String,
    pub(super) rev: String,
    pub(super) text: Vec<u8>,
    /// Its attachments, as long as their data is not in the text.
    pub(super) stubs: Vec<Stub>,
}

impl Parcel {
    /// The revisions as they are stored.
    pub(super) async fn open<K: Kv>(
        database: &Database<K>,
        id: &str,
        revs: Vec<String>,
        with_data: bool,
    ) -> Result<Vec<Self>, ReplicationError> {
        let get = GetOptions { revs: true, attachments: with_data, ..GetOptions::default() };
        let opened = database.open_revs(id, OpenRevs::These(revs), &get).await.map_err(local)?;
        let parcel = |opened| match opened {
            OpenRev::Ok(text) => Some(Self::read(id, text)),
            OpenRev::Missing(_) => None,
        };
        Ok(opened.into_iter().filter_map(parcel).collect())
    }

    /// A parcel of a text that the database wrote.
    fn read(id: &str, text: Vec<u8>) -> Self {
        let (mut rev, mut stubs) = (String::new(), Vec::new());
        let read = json::read(&text, |reader| {
            reader.members(&mut |member, reader| {
                match member {
                    "_rev" => rev = reader.string()?.into_owned(),
                    "_attachments" => stubs = read_stubs(&reader.value()?),
                    _ => reader.pass_over()?,
                }
                Ok(())
            })
        });
        let rev = read.map(|()| rev).unwrap_or_default();
        Self { id: id.into(), rev, text, stubs }
    }

    /// The text in which attachments follow, apart from those that an ancestor among `known` brought: these stay stubs. And the
    /// names of those that follow.
    pub(super) fn followed(&self, known: &[String]) -> Result<(Vec<u8>, Vec<String>), ReplicationError> {
        let Value::Object(mut members) = json::parse(&self.text)? else { return Ok((self.text.clone(), Vec::new())) };
        let there = generation_there(&members, known);
        let mut names = Vec::new();
        if let Some(Value::Object(attachments)) = members.get_mut("_attachments") {
            for stub in self.stubs.iter().filter(|stub| stub.revpos > there) {
                if let Some(Value::Object(attachment)) = attachments.get_mut(&stub.name) {
                    // A digest of ours may not be the peer's for the same content.
                    attachment.remove("stub");
                    attachment.remove("digest");
                    attachment.insert("follows", true.into());
                    names.push(stub.name.clone());
                }
            }
        }
        let mut text = Vec::with_capacity(self.text.len());
        json::write_object(&members, &mut text);
        Ok((text, names))
    }

    /// What reads the attachments called `names`.
    pub(super) async fn contents<K: Kv>(
        &self,
        database: &Database<K>,
        names: &[String],
    ) -> Result<Vec<AttachmentReader<K::Snapshot>>, ReplicationError> {
        let mut readers = Vec::with_capacity(names.len());
        for name in names {
            readers.push(database.get_attachment(&self.id, name, Some(&self.rev)).await.map_err(local)?);
        }
        Ok(readers)
    }
}

fn local(error: ReadError) -> ReplicationError {
    ReplicationError::Local(error.report())
}

/// The generation of the newest revision on the document's path that is among `known`, 0 if none is.
fn generation_there(members: &Object, known: &[String]) -> u64 {
    let path = members.get("_revisions").and_then(Value::as_object);
    let start = path.and_then(|path| super::messages::count(path.get("start")?)).unwrap_or(0);
    let ids = path.and_then(|path| path.get("ids")?.as_array()).unwrap_or_default();
    let revs = ids.iter().enumerate().filter_map(|(place, hash)| {
        let generation = start.checked_sub(place as u64)?;
        Some((generation, format!("{generation}-{}", hash.as_str()?)))
    });
    let newest = revs.into_iter().find(|(_, rev)| known.contains(&rev.to_string()));
    newest.map_or(0, |(generation, _)| generation)
}
