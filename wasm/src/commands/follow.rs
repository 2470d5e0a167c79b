//! Live queries, watches and open reviews. The page asks for one piece of news after the other, so that nothing is sent that nobody is
//! ready to take.

use std::cell::RefCell;
use std::rc::Rc;

use firkin_core::database::{Live, OpenReviews, Watch};
use firkin_core::error::ErrorReport;
use firkin_core::json;
use firkin_core::path::Path;
use firkin_core::query::{FindQuery, Selector};

use super::reviews;
use crate::cancellation::Cancellation;
use crate::engine::{Opened, Store};
use crate::failure::Failure;
use crate::payload::{self, Payload};

/// What a page follows.
pub struct Followed {
    /// Taken while its news are waited for.
    feed: RefCell<Option<Feed>>,
    ended: Cancellation,
}

enum Feed {
    Live(Live),
    Watch(Watch),
    Reviews(OpenReviews),
}

/// `{ id, query: { selector, fields, sort, limit, skip } }` → the first of its news: all documents as added
pub async fn live(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let query = FindQuery::parse(payload.required_json("query")?.as_bytes())?;
    begin(engine, number(&payload)?, Feed::Live(engine.database.live(query)?)).await
}

/// `{ id, document, path }` → the first of its news: the value, or nothing
pub async fn watch(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let path = payload.text("path")?.map(|path| Path::parse(&path));
    let watch = engine.database.watch(&payload.required_text("document")?, path);
    begin(engine, number(&payload)?, Feed::Watch(watch.map_err(|error| Failure(error.report()))?)).await
}

/// `{ id, selector }` → the first of its news: all that are open
pub async fn reviews(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let payload = Payload::parse(payload)?;
    let selector = payload.value("selector")?.map(|selector| Selector::parse(&selector)).transpose()?;
    let reviews = OpenReviews::new(selector.unwrap_or_else(Selector::everything));
    begin(engine, number(&payload)?, Feed::Reviews(reviews)).await
}

/// `{ id }` → the next of its news, once there are any: of a live query
/// `{ removed: [index], moved: [{ from, to }], added: [{ index, id, doc }], changed: [{ index, doc }] }`, of a watch the
/// value, or nothing, of reviews `{ open: [review], closed: [document] }`. 404 `unknown_feed` if nothing is followed here under this number: it ended, or another tab led.
pub async fn next(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let id = number(&Payload::parse(payload)?)?;
    let followed = engine.followed.borrow().get(&id).cloned().ok_or_else(unknown)?;
    news(engine, &followed).await
}

/// `{ id }` →
pub fn end(engine: &Opened, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let id = number(&Payload::parse(payload)?)?;
    if let Some(followed) = engine.followed.borrow_mut().remove(&id) {
        followed.ended.cancel();
    }
    Ok(Vec::new())
}

async fn begin(engine: &Opened, id: u64, feed: Feed) -> Result<Vec<u8>, Failure> {
    let followed = Rc::new(Followed { feed: RefCell::new(Some(feed)), ended: Cancellation::default() });
    if let Some(earlier) = engine.followed.borrow_mut().insert(id, Rc::clone(&followed)) {
        earlier.ended.cancel();
    }
    news(engine, &followed).await
}

async fn news(engine: &Opened, followed: &Followed) -> Result<Vec<u8>, Failure> {
    let feed = followed.feed.take();
    let mut feed = feed.ok_or_else(|| Failure::bad_request("the next news are waited for already"))?;
    let news = engine.closing.unless_cancelled(followed.ended.unless_cancelled(feed.next(&engine.database)));
    let news = match news.await {
        Some(Some(news)) => news,
        Some(None) => Err(unknown()),
        None => Err(Failure::closed()),
    };
    followed.feed.replace(Some(feed));
    news
}

impl Feed {
    async fn next(&mut self, database: &Store) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Live(live) => Ok(live.next(database).await?.to_json()),
            Self::Reviews(followed) => Ok(reviews::news(&followed.next(database).await?)),
            Self::Watch(watch) => {
                let mut text = Vec::new();
                if let Some(value) = watch.next(database).await? {
                    json::write(&value, &mut text);
                }
                Ok(text)
            }
        }
    }
}

/// The page's number for what it follows, unique among what all pages follow.
fn number(payload: &Payload<'_>) -> Result<u64, Failure> {
    payload.number("id")?.ok_or_else(|| payload::wrong("id", "a number"))
}

fn unknown() -> Failure {
    Failure(ErrorReport::new(404, "unknown_feed", "Nothing is followed here under this number."))
}
