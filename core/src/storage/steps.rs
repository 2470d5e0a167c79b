//! Steps of the platform that are under way beside the work that makes more of them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;

use super::StorageError;

/// Steps that were begun one after the other; the first failure of any is kept.
pub(super) struct Steps<'store> {
    at_once_max: usize,
    under_way: Vec<LocalBoxFuture<'store, Result<(), StorageError>>>,
    outcome: Result<(), StorageError>,
}

impl<'store> Steps<'store> {
    /// At most so many are under way when no new one is being begun.
    pub(super) fn new(at_once_max: usize) -> Self {
        Self { at_once_max, under_way: Vec::new(), outcome: Ok(()) }
    }

    /// Begins a step, and waits until few enough are under way; fails once any of them has.
    pub(super) async fn begin(
        &mut self,
        step: impl Future<Output = Result<(), StorageError>> + 'store,
    ) -> Result<(), StorageError> {
        self.under_way.push(Box::pin(step));
        self.settle(self.at_once_max).await;
        self.outcome.clone()
    }

    /// Waits for all that are under way, also if some have failed.
    pub(super) async fn end(mut self) -> Result<(), StorageError> {
        self.settle(0).await;
        self.outcome
    }

    /// Waits until no more than `left` are under way. Each is polled at least once.
    async fn settle(&mut self, left: usize) {
        poll_fn(|context| {
            self.poll(context);
            if self.under_way.len() <= left { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        let Self { under_way, outcome, .. } = self;
        under_way.retain_mut(|step| match step.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(done) => {
                if outcome.is_ok() {
                    *outcome = done;
                }
                false
            }
        });
    }
}
