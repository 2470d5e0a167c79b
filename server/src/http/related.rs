//! Answers of many parts: documents with the contents of their attachments behind them (`multipart/related`), and several of
//! those in one answer (`multipart/mixed`), in CouchDB's shape.
//!
//! Contents are read and sent part by part. What a client says that it has, by ancestors (`atts_since`), stays a stub.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firkin_core::json::{self, Object, Value};

use super::answer::Trickles;
use super::attachment::{self, Asked};
use super::range::Range;
use super::stream::{Chunks, Gone};
use crate::mailbox::Mailbox;
use crate::random::random_id;

/// Whether the client names this type among those that it takes. Who takes anything gets JSON, as from CouchDB.
pub fn is_accepted(headers: &HeaderMap, content_type: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or(one).trim());
    types.any(|one| one.eq_ignore_ascii_case(content_type))
}

/// An answer of many parts.
pub fn answer(kind: &str, boundary: &str, body: Body) -> Response {
    let content_type = HeaderValue::from_str(&format!("multipart/{kind}; boundary=\"{boundary}\""));
    let content_type = content_type.unwrap_or_else(|_| HeaderValue::from_static("multipart/mixed"));
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], body).into_response();
    response.extensions_mut().insert(Trickles);
    response
}

/// A document of which some attachments follow.
pub struct Parcel {
    id: String,
    rev: String,
    text: Vec<u8>,
    names: Vec<String>,
}

impl Parcel {
    /// A parcel of a document as the database writes it, with a stub for each attachment. Those stay stubs that an ancestor
    /// among `known` brought. `follow` is whether any follows.
    pub fn new(text: Vec<u8>, known: &[String], follow: bool) -> Self {
        let Ok(Value::Object(mut document)) = json::parse(&text) else {
            return Self { id: String::new(), rev: String::new(), text, names: Vec::new() };
        };
        let member = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, rev) = (member("_id"), member("_rev"));
        let names = if follow { let_follow(&mut document, known) } else { Vec::new() };
        if names.is_empty() {
            return Self { id, rev, text, names };
        }
        let mut text = Vec::new();
        json::write(&Value::Object(document), &mut text);
        Self { id, rev, text, names }
    }

    /// The revision.
    pub fn rev(&self) -> &str {
        &self.rev
    }

    /// Sends the parcel as one part of `multipart/mixed`, its head included, with these headers beside the content type.
    pub async fn send_as_part(
        self,
        chunks: &Chunks,
        mailbox: &Mailbox,
        outer: &str,
        headers: &str,
    ) -> Result<(), Gone> {
        if self.names.is_empty() {
            return send_json_part(chunks, outer, headers, "application/json", &self.text).await;
        }
        let inner = random_id();
        let head = format!("--{outer}\r\n{headers}Content-Type: multipart/related; boundary=\"{inner}\"\r\n\r\n");
        chunks.send(head).await?;
        self.send(chunks, mailbox, &inner).await?;
        chunks.send(&b"\r\n"[..]).await
    }

    /// Sends the parcel as a body of type `multipart/related`.
    pub async fn send(self, chunks: &Chunks, mailbox: &Mailbox, boundary: &str) -> Result<(), Gone> {
        send_json_part(chunks, boundary, "", "application/json", &self.text).await?;
        for name in self.names {
            let asked = Asked { id: self.id.clone(), name: name.clone(), rev: Some(self.rev.clone()) };
            let part = match attachment::read_part(mailbox, asked.clone(), 0).await {
                Ok(part) => part,
                Err(failure) => {
                    chunks.cut(&failure).await;
                    return Err(Gone);
                }
            };
            let printable = |text: &str| text.chars().filter(|letter| !letter.is_control()).collect::<String>();
            let head = format!(
                "--{boundary}\r\nContent-Disposition: attachment; filename=\"{}\"\r\nContent-Type: {}\r\n\
                 Content-Length: {}\r\n\r\n",
                printable(&name).replace('\\', "\\\\").replace('"', "\\\""),
                printable(&part.content_type),
                part.length
            );
            chunks.send(head).await?;
            let range = Range { start: 0, end: part.length };
            attachment::send(chunks, mailbox, asked, range, part.bytes).await?;
            chunks.send(&b"\r\n"[..]).await?;
        }
        chunks.send(format!("--{boundary}--")).await
    }
}

/// Sends one part that is JSON.
pub async fn send_json_part(
    chunks: &Chunks,
    boundary: &str,
    headers: &str,
    content_type: &str,
    text: &[u8],
) -> Result<(), Gone> {
    let head = format!("--{boundary}\r\n{headers}Content-Type: {content_type}\r\n\r\n");
    chunks.send([head.as_bytes(), text, b"\r\n"].concat()).await
}

/// Turns stubs into attachments that follow; their names in order.
fn let_follow(document: &mut Object, known: &[String]) -> Vec<String> {
    let there = known.iter().filter_map(|rev| rev.split_once('-')?.0.parse::<u64>().ok()).max().unwrap_or(0);
    let Some(Value::Object(attachments)) = document.get("_attachments") else { return Vec::new() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the database wrote whole numbers")]
    let revpos = |stub: &Value| stub.as_object()?.get("revpos")?.as_number().map(|number| number as u64);
    let new = attachments.iter().filter(|(_, stub)| revpos(stub).is_none_or(|revpos| revpos > there));
    let names: Vec<String> = new.map(|(name, _)| name.to_owned()).collect();
    if let Some(Value::Object(attachments)) = document.get_mut("_attachments") {
        for name in &names {
            if let Some(Value::Object(attachment)) = attachments.get_mut(name) {
                attachment.remove("stub");
                attachment.insert("follows", true.into());
            }
        }
    }
    names
}
