//! Contents of attachments on their way in: each is stored part by part as it arrives, ahead of the document that names it.

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;

use super::answer::Failure;
use super::request::{too_large, unreadable};
use crate::mailbox::Mailbox;
use crate::random::random_id;

/// Contents on their way in, under names that begin alike and that nobody guesses. What no document took is given up when
/// this is dropped.
pub struct Upload {
    mailbox: Mailbox,
    prefix: String,
    count: usize,
    bytes_max: u64,
}

/// One content.
pub struct Content {
    name: String,
    position: u64,
}

impl Content {
    /// The name that it is staged under.
    pub fn into_name(self) -> String {
        self.name
    }
}

impl Upload {
    /// No content may have more than `bytes_max` bytes.
    pub fn new(mailbox: Mailbox, bytes_max: u64) -> Self {
        Self { mailbox, prefix: random_id(), count: 0, bytes_max }
    }

    /// Begins a content.
    pub async fn begin(&mut self) -> Result<Content, Failure> {
        let name = format!("{}-{}", self.prefix, self.count);
        self.count += 1;
        let mut content = Content { name, position: 0 };
        self.stage(&mut content, Bytes::new()).await?;
        Ok(content)
    }

    /// Stores the next bytes of a content.
    pub async fn stage(&self, content: &mut Content, bytes: Bytes) -> Result<(), Failure> {
        let (name, position) = (content.name.clone(), content.position);
        let end = position + bytes.len() as u64;
        if end > self.bytes_max {
            return Err(too_large());
        }
        self.mailbox.run(async move |database| database.stage(&name, position, &bytes).await).await??;
        content.position = end;
        Ok(())
    }

    /// Stores a whole body as one content.
    pub async fn stage_body(&mut self, body: Body) -> Result<Content, Failure> {
        let mut content = self.begin().await?;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            self.stage(&mut content, chunk).await?;
        }
        Ok(content)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (mailbox, prefix) = (self.mailbox.clone(), std::mem::take(&mut self.prefix));
        tokio::spawn(async move {
            let _ = mailbox.run(async move |database| database.unstage(&prefix).await).await;
        });
    }
}
