//! Applies the steps of a replication in order, reads ahead meanwhile, and writes checkpoints.

use core::future::Future;
use core::pin::{Pin, pin};

use futures_util::future::{Either, select};
use futures_util::stream::{Stream, StreamExt};

use super::ReplicationError;
use super::checkpoint::Checkpoints;
use super::messages::Sequence;
use super::peer::Peer;
use super::status::{Event, Observer, State, Status};
use crate::effects::{Clock, Random, Transport};
use crate::storage::Kv;

/// What accounts for a part of the source's feed: once it is applied, all up to `until` is done.
pub(super) struct Step<W> {
    /// The sequence of the last row that this step accounts for.
    pub(super) until: Sequence,
    /// How many rows it accounts for.
    pub(super) rows: u64,
    /// What there is to do.
    pub(super) work: W,
    /// Whether it is what was refused before.
    pub(super) is_again: bool,
}

/// Applies all of `steps`, in order, each with the sequence that it reaches. A step that was begun to be applied is finished,
/// even when cancelled. `None` if the peer turns out to have been set back or made anew: all is to begin again.
pub(super) async fn run<K, T, C, R, O, W>(
    peer: &Peer<'_, T, C, R, O>,
    mut checkpoints: Checkpoints<'_, K>,
    steps: impl Stream<Item = Result<Step<W>, ReplicationError>>,
    apply: impl AsyncFn(W, &Sequence) -> Result<u64, ReplicationError>,
) -> Result<Option<Status>, ReplicationError>
where
    K: Kv,
    T: Transport,
    C: Clock,
    R: Random,
    O: Observer,
{
    let mut steps = pin!(steps);
    let mut ahead = None;
    loop {
        let next = match ahead.take() {
            Some(next) => next,
            None => match next_or_checkpoint(peer, &mut checkpoints, steps.as_mut()).await? {
                Some(next) => next,
                None => return Ok(None),
            },
        };
        let Some(step) = next else { break };
        let Step { until, rows, work, is_again } = step?;
        let documents = meanwhile(apply(work, &until), steps.as_mut(), &mut ahead).await?;
        if is_again {
            peer.refusals.settle();
        }
        checkpoints.advance(until);
        peer.monitor.step_done(rows, checkpoints.done().as_json());
        if documents > 0 {
            peer.monitor.tell(Event::Change { documents });
        }
        let is_due = checkpoints.age_ms(peer.effects.clock) >= peer.options.limits.checkpoint_ms;
        if is_due && !meanwhile(checkpoints.save(peer), steps.as_mut(), &mut ahead).await? {
            return Ok(None);
        }
    }
    if !checkpoints.save(peer).await? {
        return Ok(None);
    }
    peer.monitor.update(|status| status.state = State::Complete);
    Ok(Some(peer.monitor.status()))
}

/// Does `work`; the next step is read meanwhile.
async fn meanwhile<F: Future, S: Stream>(
    work: F,
    mut steps: Pin<&mut S>,
    ahead: &mut Option<Option<S::Item>>,
) -> F::Output {
    let mut work = pin!(work);
    if ahead.is_none() {
        match select(work.as_mut(), steps.next()).await {
            Either::Left((done, _)) => return done,
            Either::Right((next, _)) => *ahead = Some(next),
        }
    }
    work.await
}

/// The next step, or that there is none. While the source is quiet, progress is written down; `None` as in [`run`].
async fn next_or_checkpoint<K, T, C, R, O, W, S>(
    peer: &Peer<'_, T, C, R, O>,
    checkpoints: &mut Checkpoints<'_, K>,
    mut steps: Pin<&mut S>,
) -> Result<Option<Option<S::Item>>, ReplicationError>
where
    K: Kv,
    T: Transport,
    C: Clock,
    R: Random,
    O: Observer,
    S: Stream<Item = Result<Step<W>, ReplicationError>>,
{
    if checkpoints.is_dirty(peer) {
        let quiet = pin!(peer.effects.clock.sleep(peer.options.limits.quiet_ms));
        match select(steps.next(), quiet).await {
            Either::Left((next, _)) => return Ok(Some(next)),
            Either::Right(_) => {}
        }
        let mut ahead = None;
        if !meanwhile(checkpoints.save(peer), steps.as_mut(), &mut ahead).await? {
            return Ok(None);
        }
        if ahead.is_some() {
            return Ok(ahead);
        }
    }
    Ok(Some(steps.next().await))
}

/// What a replication that ended with `result` tells: one that was cancelled is no failure.
pub(super) fn conclude<T, C, R, O: Observer>(
    peer: &Peer<'_, T, C, R, O>,
    result: Result<Status, ReplicationError>,
) -> Result<Status, ReplicationError> {
    match result {
        Err(ReplicationError::Cancelled) => {
            peer.monitor.update(|status| status.state = State::Cancelled);
            Ok(peer.monitor.status())
        }
        Err(error) => {
            peer.monitor.update(|status| {
                status.state = State::Failed;
                status.error = Some(error.report());
            });
            Err(error)
        }
        done => done,
    }
}
