//! Request bodies that nobody read to their end, because the request failed before.
//!
//! Closing a connection on which a client still sends makes it lose the answer, or find its connection gone with the next
//! request. So what is left of a body is read and thrown away before the answer, within bounds; where there is more, the answer
//! says that the connection ends with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, timeout, timeout_at};

/// So much is thrown away.
const BYTES_MAX: usize = 64 << 20;
/// For so long.
const DURATION_MAX: Duration = Duration::from_secs(5);
/// The client must go on sending.
const PAUSE_MAX: Duration = Duration::from_millis(500);

type Left = Arc<Mutex<Option<Body>>>;

/// A body that is left behind if it is dropped before its end.
struct Kept {
    body: Option<Body>,
    left: Left,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

/// Answers a request, and then deals with what it left of its body.
pub async fn discard(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who asked first whether to send the body at all is not to be told to.
    let asked_first = request.headers().contains_key(header::EXPECT);
    let left = Left::default();
    let kept = |body| Body::new(Kept { body: Some(body), left: left.clone() });
    let mut response = next.run(request.map(kept)).await;
    let rest = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest
        && (asked_first || !reached_end(rest).await)
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn reached_end(rest: Body) -> bool {
    let mut chunks = rest.into_data_stream();
    let mut bytes = 0;
    let discarded = timeout_at(Instant::now() + DURATION_MAX, async {
        while bytes < BYTES_MAX {
            match timeout(PAUSE_MAX, chunks.next()).await {
                Ok(None) => return true,
                Ok(Some(Ok(chunk))) => bytes += chunk.remaining(),
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
        false
    });
    discarded.await.unwrap_or(false)
}
