//! Folding what has changed into an answer, and finding the difference.
//!
//! A fold works on the rows that were told last: it notes where each touched document stood, puts the rows where they
//! belong now, and compares. It knows nothing of storage; what has to be read is handed in.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::difference::{Added, Changed, Difference, Moved, Shifts, Touched, ascending};
use super::documents::{Documents, News};
use super::follower::Shown;
use super::rows::{Row, Rows, Window};
use crate::query::FindQuery;

/// What became of one document.
#[derive(Debug)]
struct Touch {
    id: String,
    /// Where it stood among all rows.
    before: Option<usize>,
    /// Its row before.
    old: Option<Rc<Row>>,
    /// Its row and text now.
    new: Option<Shown>,
}

/// An answer on its way from what was told last to what it is now.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) rows: Rows,
    /// How many rows there were.
    count_before: usize,
    touches: Vec<Touch>,
    /// Rows that were given up, though nothing became of their documents.
    trimmed: Vec<Rc<Row>>,
}

/// A difference, and what is still to be read for it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) difference: Difference,
    /// Which of the documents that are added have no text yet: nothing became of them, but they are shown from now on.
    pub(super) lacking: Vec<usize>,
}

impl Fold {
    /// Puts what became of documents into the rows that were told last.
    pub(super) fn of_news(
        query: &FindQuery,
        window: Window,
        mut rows: Rows,
        documents: &Documents,
        news: Vec<News>,
    ) -> Self {
        let count_before = rows.count();
        let mut touches = Vec::with_capacity(news.len());
        for News { id, shown } in news {
            let new = shown.filter(|new| rows.reach(query, &new.row.place));
            let old = documents.row(&id).cloned();
            let is_same = match (&old, &new) {
                (None, None) => true,
                (Some(old), Some(new)) => old.is_as(&new.row, query),
                _ => false,
            };
            if !is_same {
                let before = old.as_ref().and_then(|old| rows.find(query, &old.place).ok());
                touches.push(Touch { id, before, old, new });
            }
        }
        for touch in &touches {
            if let Some(old) = &touch.old {
                rows.remove(query, &old.place);
            }
        }
        for touch in &touches {
            if let Some(new) = &touch.new {
                rows.insert(query, Rc::clone(&new.row));
            }
        }
        let trimmed = rows.trim(window);
        Self { rows, count_before, touches, trimmed }
    }

    /// Compares the rows that were told last with an answer that was read anew.
    pub(super) fn of_answer(
        query: &FindQuery,
        before: &Rows,
        documents: &Documents,
        answer: Vec<Shown>,
        are_all: bool,
    ) -> Self {
        let mut is_kept = vec![false; before.count()];
        let (mut rows, mut touches) = (Rows::default(), Vec::new());
        let list = answer.iter().map(|new| Rc::clone(&new.row)).collect();
        rows.append(list, are_all);
        for new in answer {
            let id = String::from(new.row.id());
            let old = documents.row(&id).cloned();
            let before = old.as_ref().and_then(|old| before.find(query, &old.place).ok());
            if let Some(is_kept) = before.and_then(|before| is_kept.get_mut(before)) {
                *is_kept = true;
            }
            if old.as_ref().is_none_or(|old| !old.is_as(&new.row, query)) {
                touches.push(Touch { id, before, old, new: Some(new) });
            }
        }
        for (index, (old, _)) in before.iter().zip(is_kept).enumerate().filter(|(_, (_, is_kept))| !is_kept) {
            touches.push(Touch { id: old.id().into(), before: Some(index), old: Some(Rc::clone(old)), new: None });
        }
        Self { rows, count_before: before.count(), touches, trimmed: Vec::new() }
    }

    /// Adds what was found behind the edge; `are_all` says that nothing follows.
    pub(super) fn append(&mut self, found: Vec<Shown>, are_all: bool) {
        let list = found.iter().map(|found| Rc::clone(&found.row)).collect();
        self.rows.append(list, are_all);
        for new in found {
            let id = new.row.id();
            // One that moved there from before the edge is among the touches already.
            match self.touches.iter_mut().find(|touch| touch.new.is_none() && touch.id == id) {
                Some(touch) => touch.new = Some(new),
                None => self.touches.push(Touch { id: id.into(), before: None, old: None, new: Some(new) }),
            }
        }
    }

    /// The difference, now that all rows are there.
    pub(super) fn draft(&mut self, query: &FindQuery, window: Window) -> Draft {
        let mut touched = Vec::with_capacity(self.touches.len());
        for touch in &self.touches {
            let after = touch.new.as_ref().and_then(|new| self.rows.find(query, &new.row.place).ok());
            touched.push(Touched { before: touch.before, after });
        }
        let shifts = Shifts::of(&touched, self.count_before, self.rows.count(), window);
        let (before, after) = (window.of_rows(self.count_before), window.of_rows(self.rows.count()));
        let mut draft = Draft { difference: Difference::default(), lacking: Vec::new() };
        let Difference { removed, moved, added, changed } = &mut draft.difference;
        let mut gone: Vec<_> = shifts.left.into_iter().map(|index| (index, 0)).collect();
        let mut come: Vec<_> = shifts.entered.into_iter().map(|index| (index, usize::MAX)).collect();
        for touched in &touched {
            if let Some(was) = touched.before.filter(|was| before.contains(was))
                && touched.after.is_none_or(|is| !after.contains(&is))
            {
                gone.push((was, 0));
            }
        }
        for (is, place) in shifts.after {
            if !after.contains(&is) {
                continue;
            }
            let was = touched.get(place).and_then(|touched| touched.before);
            if was.is_none_or(|was| !before.contains(&was)) {
                come.push((is, place));
            } else if let Some(Touch { old, new: Some(new), .. }) = self.touches.get_mut(place)
                && old.as_ref().is_none_or(|old| old.mark != new.row.mark)
            {
                changed.push(Changed { index: is - after.start, text: core::mem::take(&mut new.text) });
            }
        }
        removed.extend(ascending(gone).into_iter().map(|(index, _)| index - before.start));
        moved.extend(
            shifts.moved.into_iter().map(|(to, from)| Moved { from: from - before.start, to: to - after.start }),
        );
        for (is, place) in ascending(come) {
            let text = match self.touches.get_mut(place).and_then(|touch| touch.new.as_mut()) {
                Some(new) => core::mem::take(&mut new.text),
                None => {
                    draft.lacking.push(added.len());
                    Vec::new()
                }
            };
            let id = self.rows.get(is).map(|row| row.id()).unwrap_or_default().into();
            added.push(Added { index: is - after.start, id, text });
        }
        draft
    }

    /// Brings what is known of documents up to date, and returns the rows.
    pub(super) fn finish(self, documents: &mut Documents) -> Rows {
        for touch in self.touches {
            documents.set_row(touch.id, touch.new.map(|new| new.row));
        }
        for row in self.trimmed {
            documents.set_row(row.id().into(), None);
        }
        self.rows
    }
}
