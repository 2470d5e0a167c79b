//! Applies the steps of a replication in order, reads ahead meanwhile, and writes checkpoints.

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
}

/// Applies all of `steps`, in order. A step that was begun to be applied is finished, even when cancelled.
pub(super) async fn run<K, T, C, R, O, W>(
    peer: &Peer<'_, T, C, R, O>,
    mut checkpoints: Checkpoints<'_, K>,
    steps: impl Stream<Item = Result<Step<W>, ReplicationError>>,
    apply: impl AsyncFn(W) -> Result<u64, ReplicationError>,
) -> Result<Status, ReplicationError>
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
            None => next_or_checkpoint(peer, &mut checkpoints, steps.as_mut()).await?,
        };
        let Some(step) = next else { break };
        let step = step?;
        let applied = {
            let mut applying = pin!(apply(step.work));
            match select(applying.as_mut(), steps.next()).await {
                Either::Left((applied, _)) => applied,
                Either::Right((next, _)) => {
                    ahead = Some(next);
                    applying.await
                }
            }
        };
        let documents = applied?;
        checkpoints.advance(step.until);
        peer.monitor.step_done(step.rows, checkpoints.done().as_json());
        if documents > 0 {
            peer.monitor.tell(Event::Change { documents });
        }
        if checkpoints.age_ms(peer.effects.clock) >= peer.options.limits.checkpoint_ms {
            checkpoints.save(peer).await?;
        }
    }
    checkpoints.save(peer).await?;
    peer.monitor.update(|status| status.state = State::Complete);
    Ok(peer.monitor.status())
}

/// The next step. While the source is quiet, progress is written down.
async fn next_or_checkpoint<K, T, C, R, O, W, S>(
    peer: &Peer<'_, T, C, R, O>,
    checkpoints: &mut Checkpoints<'_, K>,
    mut steps: Pin<&mut S>,
) -> Result<Option<Result<Step<W>, ReplicationError>>, ReplicationError>
where
    K: Kv,
    T: Transport,
    C: Clock,
    R: Random,
    O: Observer,
    S: Stream<Item = Result<Step<W>, ReplicationError>>,
{
    if checkpoints.is_dirty() {
        let quiet = pin!(peer.effects.clock.sleep(peer.options.limits.quiet_ms));
        match select(steps.next(), quiet).await {
            Either::Left((next, _)) => return Ok(next),
            Either::Right(_) => {}
        }
        checkpoints.save(peer).await?;
    }
    Ok(steps.next().await)
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
