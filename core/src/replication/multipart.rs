//! A document and its attachments as one body of type `multipart/related` (RFC 2387), as CouchDB takes it.
//!
//! The document comes first and says of each attachment that it follows; the contents come in the same order. They are read
//! from the database part by part while the body is sent.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use async_lock::Mutex;
use futures_util::future::LocalBoxFuture;

use super::messages::percent_encoded;
use crate::database::AttachmentReader;
use crate::effects::{TransportError, Upload};
use crate::storage::Snapshot;

/// Such a body.
pub(super) struct Multipart<S> {
    boundary: String,
    /// The document.
    text: Vec<u8>,
    state: Mutex<State<S>>,
    length: u64,
}

struct State<S> {
    attachments: Vec<AttachmentReader<S>>,
    /// Which attachment is read, once its head was given out.
    current: Option<usize>,
}

impl<S> fmt::Debug for Multipart<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Multipart").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<S: Snapshot> Multipart<S> {
    /// A body of a document's text and the attachments that follow it. `boundary` must not occur in them.
    pub(super) fn new(boundary: String, text: Vec<u8>, attachments: Vec<AttachmentReader<S>>) -> Self {
        let mut length = (head_of_document(&boundary, &text).len() + text.len() + end(&boundary).len()) as u64;
        for attachment in &attachments {
            length += head(&boundary, attachment).len() as u64 + attachment.length;
        }
        Self { boundary, text, state: Mutex::new(State { attachments, current: None }), length }
    }
}

fn head_of_document(boundary: &str, text: &[u8]) -> String {
    format!("--{boundary}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len())
}

fn head<S>(boundary: &str, attachment: &AttachmentReader<S>) -> String {
    // What would end the line says nothing about the content.
    let content_type: String = attachment.content_type.chars().filter(|letter| !letter.is_control()).collect();
    format!(
        "\r\n--{boundary}\r\ncontent-disposition: attachment; filename=\"{}\"\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        quoted(&attachment.name),
        attachment.length
    )
}

/// A name as it stands between quotes in a header: CouchDB goes by the order of the parts, PouchDB Server by their names.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '"' => quoted.push_str("%22"),
            letter if letter.is_control() => quoted.push_str(&percent_encoded(letter.encode_utf8(&mut [0; 4]))),
            letter => quoted.push(letter),
        }
    }
    quoted
}

fn end(boundary: &str) -> String {
    format!("\r\n--{boundary}--")
}

impl<S: Snapshot> Upload for Multipart<S> {
    fn content_type(&self) -> String {
        format!("multipart/related; boundary=\"{}\"", self.boundary)
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn part(&self, place: usize) -> LocalBoxFuture<'_, Result<Option<Vec<u8>>, TransportError>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            let State { attachments, current } = &mut *state;
            if place == 0 {
                attachments.iter_mut().for_each(|attachment| attachment.seek(0));
                *current = None;
                return Ok(Some([head_of_document(&self.boundary, &self.text).as_bytes(), &self.text].concat()));
            }
            if let Some(attachment) = current.and_then(|current| attachments.get_mut(current)) {
                let part = attachment.part().await;
                if let Some(part) = part.map_err(|error| TransportError::Unreadable(format!("{error}")))? {
                    return Ok(Some(part));
                }
            }
            let next = current.map_or(0, |current| current + 1);
            *current = Some(next);
            Ok(match attachments.get(next) {
                Some(attachment) => Some(head(&self.boundary, attachment).into_bytes()),
                None if next == attachments.len() => Some(end(&self.boundary).into_bytes()),
                None => None,
            })
        })
    }
}
