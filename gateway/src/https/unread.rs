//! What a client still sends of a body that no operation reads, because the request was refused.
//! A body that is let go resets its stream over HTTP/2, and its connection over HTTP/1.1 once bytes
//! arrive that nobody takes; either way clients lose the answer that is on its way. So a bounded
//! rest is read and thrown away, and less of it the more strangers send on one connection.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::EXPECT;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

use super::body::RequestBody;
use crate::listener::Standing;

/// Bytes of a rest that are thrown away, twice the blocks in which SDKs send files. What sends more
/// is reset.
const DISCARDED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The same of a stranger's that has been heard for long enough.
const STRANGERS_BYTES_MAX: usize = 64 * 1024;
/// How long a rest may take. A stream counts as open until then, so a connection has few.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The request, whose body reads itself to its end when it is dropped early; how far depends on how
/// its sender stands by then.
pub(super) fn discarding(request: Request<Incoming>, sender: &Standing) -> Request<Discarding<Incoming>> {
    let invited = request.version() == Version::HTTP_2 || !request.headers().contains_key(EXPECT);
    request.map(|body| Discarding { body: Some(body), invited, sender: sender.clone() })
}

/// See [`discarding`].
pub(super) struct Discarding<B: RequestBody> {
    body: Option<B>,
    /// Whether the client sends without being told to. The first read tells it to, so what it was
    /// never asked for is not read.
    invited: bool,
    sender: Standing,
}

impl<B: RequestBody> HttpBody for Discarding<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.invited = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: RequestBody> Drop for Discarding<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| self.invited && !body.is_end_stream())
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(discard(body, self.sender.clone()));
        }
    }
}

/// Whatever it holds, and however it ends, nobody waits for it.
async fn discard(mut rest: impl RequestBody, sender: Standing) {
    let read_on = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = rest.frame().await {
            let more = frame.data_ref().map_or(0, Bytes::len);
            bytes += more;
            if bytes > DISCARDED_BYTES_MAX || (bytes > STRANGERS_BYTES_MAX && !sender.hears(more)) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, read_on).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::{StreamExt as _, stream};
    use tokio::sync::mpsc;

    use super::*;
    use crate::https::test_hub::peer;

    /// A body of `chunks` chunks of 64 KiB, and what tells when each was read, and its end.
    fn body(chunks: usize) -> (Discarding<Body>, mpsc::UnboundedReceiver<usize>) {
        let (read, reads) = mpsc::unbounded_channel();
        let stream = stream::iter(0..chunks).map(move |number| {
            let _ = read.send(number);
            Ok::<_, Infallible>(Bytes::from(vec![0; 64 * 1024]))
        });
        (sent(Body::from_stream(stream)), reads)
    }

    fn sent(body: Body) -> Discarding<Body> {
        let peer = peer();
        peer.admitted();
        Discarding { body: Some(body), invited: true, sender: peer.standing }
    }

    async fn chunks_read(mut reads: mpsc::UnboundedReceiver<usize>) -> usize {
        let mut count = 0;
        while reads.recv().await.is_some() {
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_read_to_its_end() {
        let (unread, reads) = body(3);
        drop(unread);
        assert_eq!(chunks_read(reads).await, 3);
    }

    #[tokio::test]
    async fn a_body_that_waits_to_be_asked_for_is_not_asked_for() {
        let (mut unread, reads) = body(3);
        unread.invited = false;
        drop(unread);
        assert_eq!(chunks_read(reads).await, 0);
    }

    #[tokio::test]
    async fn a_body_of_which_one_frame_was_read_is_read_to_its_end() {
        let (mut started, reads) = body(3);
        assert!(started.frame().await.is_some());
        drop(started);
        assert_eq!(chunks_read(reads).await, 3);
    }

    #[tokio::test]
    async fn an_endless_body_is_let_go() {
        let (unread, reads) = body(usize::MAX);
        drop(unread);
        assert_eq!(chunks_read(reads).await, DISCARDED_BYTES_MAX / (64 * 1024) + 1);
    }

    #[tokio::test]
    async fn the_more_a_stranger_sends_the_less_is_read() {
        let stranger = Standing::default();
        // Of each body one chunk for nothing, 128 of all, and of each the one that is too many.
        for chunks in [129, 3, 2, 2] {
            let (mut unread, reads) = body(usize::MAX);
            unread.sender = stranger.clone();
            drop(unread);
            assert_eq!(chunks_read(reads).await, chunks);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_is_let_go() {
        let (held, mut let_go) = mpsc::channel::<Infallible>(1);
        let silent = stream::pending::<Result<Bytes, Infallible>>().map(move |chunk| (chunk, &held).0);
        drop(sent(Body::from_stream(silent)));
        assert_eq!(let_go.recv().await, None);
    }
}
