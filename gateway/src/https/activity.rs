//! Whether a connection is used. hyper bounds the time an HTTP/1.1 head may take; telling the
//! two protocols apart, an HTTP/2 connection that opens no stream, and a client that does not
//! read its answer have no bound of their own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use model::limits::HANDSHAKE_TIMEOUT;
use tokio::time::Instant;

/// How long a connection that has served a request may wait for the next.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a client may leave the next piece of an answer (64 KiB of a file) unread.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Counts the requests under way on one connection.
#[derive(Debug)]
pub(super) struct Activity(Arc<Mutex<Requests>>);

/// One request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Mutex<Requests>>);

#[derive(Debug)]
struct Requests {
    under_way: usize,
    /// Until when a connection without a request may be without one.
    idle_until: Instant,
    /// Answers on their way, and since when a piece of each waits to be taken; none while the hub
    /// has nothing to send of it. At most as many as there may be streams.
    answers: Vec<(u64, Option<Instant>)>,
    answers_begun: u64,
}

impl Requests {
    /// When to look again whether the connection is used; past when it is not.
    fn look_again(&self, now: Instant) -> Instant {
        if self.under_way == 0 {
            return self.idle_until;
        }
        self.answers.iter().filter_map(|(_, since)| *since).min().unwrap_or(now) + STALL_TIMEOUT
    }
}

impl Default for Activity {
    fn default() -> Self {
        let idle_until = Instant::now() + HANDSHAKE_TIMEOUT;
        Self(Arc::new(Mutex::new(Requests { under_way: 0, idle_until, answers: Vec::new(), answers_begun: 0 })))
    }
}

impl Activity {
    /// Counts a request.
    pub(super) fn begin(&self) -> UnderWay {
        lock(&self.0).under_way += 1;
        UnderWay(Arc::clone(&self.0))
    }

    /// Waits until the connection has been without a request for too long (ten seconds before
    /// its first, two minutes between two), or the client has left an answer unread for a minute.
    /// It looks when either could be so at the earliest: a request wakes nobody up.
    pub(super) async fn lapsed(&self) {
        loop {
            let now = Instant::now();
            let again = lock(&self.0).look_again(now);
            if again <= now {
                return;
            }
            tokio::time::sleep_until(again).await;
        }
    }
}

impl UnderWay {
    /// Keeps the request counted until `body` has been sent or dropped. One that is empty is sent
    /// with the answer's head.
    pub(super) fn until_sent(self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let mut requests = lock(&self.0);
        requests.answers_begun += 1;
        let answer = requests.answers_begun;
        requests.answers.push((answer, Some(Instant::now())));
        drop(requests);
        Body::new(CountedBody { body, answer, under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut requests = lock(&self.0);
        requests.under_way -= 1;
        requests.idle_until = Instant::now() + IDLE_TIMEOUT;
    }
}

fn lock(requests: &Mutex<Requests>) -> MutexGuard<'_, Requests> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

struct CountedBody {
    body: Body,
    answer: u64,
    under_way: UnderWay,
}

impl CountedBody {
    /// The connection asked for more, so the client has taken what there was. What it gets now
    /// waits from now on.
    fn note(&self, gets_more: bool) {
        if let Some((_, since)) = lock(&self.under_way.0).answers.iter_mut().find(|(answer, _)| *answer == self.answer) {
            *since = gets_more.then(Instant::now);
        }
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        lock(&self.under_way.0).answers.retain(|(answer, _)| *answer != self.answer);
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.note(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_lapses_after_ten_seconds() {
        let start = Instant::now();
        Activity::default().lapsed().await;
        assert_eq!(start.elapsed(), HANDSHAKE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_keeps_the_connection_however_long_it_takes() {
        let activity = Activity::default();
        let start = Instant::now();
        let long = Duration::from_secs(3600);
        let request = activity.begin();
        let work = async {
            tokio::time::sleep(long).await;
            drop(request.until_sent(Body::from("answer")));
        };
        tokio::join!(activity.lapsed(), work);
        assert_eq!(start.elapsed(), long + IDLE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends_the_connection_after_a_minute() {
        let activity = Activity::default();
        let start = Instant::now();
        let _unread = activity.begin().until_sent(Body::from("answer"));
        activity.lapsed().await;
        assert_eq!(start.elapsed(), STALL_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_has_nothing_to_send_may_stay_silent() {
        let activity = Activity::default();
        let silence = Duration::from_secs(3600);
        let mut answer = activity.begin().until_sent(Body::from_stream(futures_util::stream::once(async move {
            tokio::time::sleep(silence).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"at last"))
        })));
        let start = Instant::now();
        let reader = async {
            while answer.frame().await.is_some() {}
            drop(answer);
        };
        tokio::join!(activity.lapsed(), reader);
        assert_eq!(start.elapsed(), silence + IDLE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_slowly_is_sent_to_its_end() {
        let activity = Activity::default();
        let pieces = futures_util::stream::iter((0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"piece"))));
        let mut answer = activity.begin().until_sent(Body::from_stream(pieces));
        let start = Instant::now();
        let pause = STALL_TIMEOUT - Duration::from_secs(1);
        let reader = async {
            while answer.frame().await.is_some() {
                tokio::time::sleep(pause).await;
            }
            drop(answer);
        };
        tokio::join!(activity.lapsed(), reader);
        assert_eq!(start.elapsed(), 5 * pause + IDLE_TIMEOUT);
    }
}
