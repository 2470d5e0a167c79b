//! What `run.mjs` calls in the WebAssembly module. The module has no clock and imports nothing: whoever calls times.
#![allow(unsafe_code, reason = "an export keeps its name by an attribute that counts as unsafe; no function here is")]

use std::cell::{OnceCell, RefCell};

use crate::fixture::Fixture;
use crate::{DOCUMENTS, Work, cases};

thread_local! {
    static LIST: OnceCell<String> = const { OnceCell::new() };
    static FIXTURE: OnceCell<Fixture> = const { OnceCell::new() };
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

/// Where the list of cases stands in memory: of each its id, a tab, what it does, and the end of the line.
#[unsafe(no_mangle)]
pub extern "C" fn list() -> *const u8 {
    let line = |case: crate::Case| format!("{}\t{}\n", case.id(), case.what);
    LIST.with(|list| list.get_or_init(|| cases::all().into_iter().map(line).collect()).as_ptr())
}

/// How many bytes the list has.
#[unsafe(no_mangle)]
pub extern "C" fn list_bytes() -> usize {
    LIST.with(|list| list.get().map_or(0, String::len))
}

/// Sets up the case at `place` of the list, in place of the one before; whether its answer is right.
#[unsafe(no_mangle)]
pub extern "C" fn set_up(place: usize) -> bool {
    WORK.take();
    let mut work =
        FIXTURE.with(|fixture| (cases::all()[place].set_up)(fixture.get_or_init(|| Fixture::new(DOCUMENTS))));
    let is_right = work.is_right();
    WORK.replace(Some(work));
    is_right
}

/// Whether each iteration must be prepared on its own.
#[unsafe(no_mangle)]
pub extern "C" fn has_input() -> bool {
    WORK.with_borrow(|work| work.as_ref().is_some_and(Work::has_input))
}

/// Prepares one iteration.
#[unsafe(no_mangle)]
pub extern "C" fn prepare() {
    WORK.with_borrow_mut(|work| work.iter_mut().for_each(Work::prepare));
}

/// Runs so many iterations.
#[unsafe(no_mangle)]
pub extern "C" fn run(iterations: usize) {
    WORK.with_borrow_mut(|work| work.iter_mut().for_each(|work| (0..iterations).for_each(|_| work.run())));
}
