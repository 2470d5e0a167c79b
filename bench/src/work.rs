//! A case, and what it has set up to be timed.

use std::hint::black_box;

use crate::fixture::Fixture;

/// One thing to time.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it belongs to: `find`.
    pub group: &'static str,
    /// Its name within the group: `equality`.
    pub name: &'static str,
    /// What one iteration does, in a few words.
    pub what: &'static str,
    /// Makes what is timed ready.
    pub set_up: fn(&Fixture) -> Work,
}

impl Case {
    /// The name by which it is chosen: `find/equality`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }
}

/// A case that is set up. An iteration is [`Work::prepare`], which is not timed, and [`Work::run`], which is.
pub struct Work {
    prepare: Option<Box<dyn FnMut()>>,
    /// Runs once and, if asked to, says whether the answer is right.
    run: Box<dyn FnMut(bool) -> bool>,
}

impl Work {
    /// Work that needs nothing prepared: `run` may be called any number of times in a row.
    pub fn new<T>(mut run: impl FnMut() -> T + 'static, is_right: impl Fn(&T) -> bool + 'static) -> Self {
        let run = move |is_checked: bool| {
            let answer = black_box(run());
            !is_checked || is_right(&answer)
        };
        Self { prepare: None, run: Box::new(run) }
    }

    /// Work of which each iteration takes what `prepare` made for it.
    pub fn with_input<I: 'static, T>(
        mut prepare: impl FnMut() -> I + 'static,
        mut run: impl FnMut(I) -> T + 'static,
        is_right: impl Fn(&T) -> bool + 'static,
    ) -> Self {
        let input = std::rc::Rc::new(std::cell::Cell::new(None));
        let prepared = std::rc::Rc::clone(&input);
        let run = move |is_checked: bool| {
            let answer = black_box(run(input.take().expect("an iteration is prepared before it is run")));
            !is_checked || is_right(&answer)
        };
        Self { prepare: Some(Box::new(move || prepared.set(Some(prepare())))), run: Box::new(run) }
    }

    /// Whether each run must be prepared on its own.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.prepare.is_some()
    }

    /// Makes ready what the next run takes.
    pub fn prepare(&mut self) {
        if let Some(prepare) = &mut self.prepare {
            prepare();
        }
    }

    /// One iteration.
    pub fn run(&mut self) {
        (self.run)(false);
    }

    /// One iteration with its preparation, and whether its answer is right.
    pub fn is_right(&mut self) -> bool {
        self.prepare();
        (self.run)(true)
    }
}
