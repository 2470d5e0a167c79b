//! What is known of documents by their ids: the rows that were told, and what became of them since.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use hashbrown::HashMap;

use super::follower::Shown;
use super::rows::Row;

/// What became of a document: it belongs to the answer, or it does not.
#[derive(Debug)]
pub(super) struct News {
    pub(super) id: String,
    pub(super) shown: Option<Shown>,
}

#[derive(Debug, Default)]
struct Known {
    /// The row that was told last.
    row: Option<Rc<Row>>,
    /// What became of it since.
    news: Option<Option<Shown>>,
}

/// The documents of an answer, and those that something became of. **None is held that is neither.**
#[derive(Debug, Default)]
pub(super) struct Documents {
    by_id: HashMap<String, Known>,
    /// Those with news.
    waiting: Vec<String>,
    /// How many bytes of text are held.
    bytes: usize,
}

impl Documents {
    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether anything is known of the document.
    pub(super) fn has(&self, id: &str) -> bool {
        self.by_id.get(id).is_some()
    }

    /// The row of the document that was told last.
    pub(super) fn row(&self, id: &str) -> Option<&Rc<Row>> {
        self.by_id.get(id)?.row.as_ref()
    }

    /// How many documents something became of, and the bytes of their texts.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    /// Notes what became of a document, instead of what had become of it before.
    pub(super) fn add_news(&mut self, id: &str, shown: Option<Shown>) {
        self.bytes += shown.as_ref().map_or(0, |shown| shown.text.len());
        match self.by_id.get_mut(id) {
            Some(known) => match known.news.replace(shown) {
                Some(older) => self.bytes -= older.map_or(0, |older| older.text.len()),
                None => self.waiting.push(id.into()),
            },
            None => {
                self.by_id.insert(id.into(), Known { row: None, news: Some(shown) });
                self.waiting.push(id.into());
            }
        }
    }

    /// Takes what became of documents.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        self.bytes = 0;
        let mut news = Vec::with_capacity(self.waiting.len());
        for id in mem::take(&mut self.waiting) {
            let Some(known) = self.by_id.get_mut(&id) else { continue };
            let shown = known.news.take().flatten();
            if known.row.is_none() {
                self.by_id.remove(&id);
            }
            news.push(News { id, shown });
        }
        news
    }

    /// The row of the document is this one now, or there is none.
    pub(super) fn set_row(&mut self, id: String, row: Option<Rc<Row>>) {
        match (self.by_id.get_mut(&id), row) {
            (Some(known), None) if known.news.is_none() => {
                self.by_id.remove(&id);
            }
            (Some(known), row) => known.row = row,
            (None, None) => {}
            (None, row) => {
                self.by_id.insert(id, Known { row, news: None });
            }
        }
    }
}
