//! Whether a connection is used. hyper bounds the time an HTTP/1.1 head may take; telling the
//! two protocols apart, an HTTP/2 connection that opens no stream, and a client that does not
//! read its answer have no bound of their own.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use model::limits::HANDSHAKE_TIMEOUT;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a connection that has served a request may wait for the next.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a client may leave the next piece of an answer (64 KiB of a file) unread.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Requests {
    under_way: usize,
    served: bool,
    /// Answers on their way, and when a piece of each was last taken. At most as many as there
    /// may be streams.
    answers: Vec<(u64, Instant)>,
    answers_begun: u64,
}

/// What is waited for on a connection.
enum Awaited {
    /// A request, until then.
    Request(Instant),
    /// Whatever is done about the requests under way; looked at again by then.
    Answers(Instant),
}

/// Counts the requests under way on one connection.
#[derive(Debug, Default)]
pub(super) struct Activity(watch::Sender<Requests>);

/// One request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct UnderWay(watch::Sender<Requests>);

impl Activity {
    /// Counts a request.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.send_modify(|requests| requests.under_way += 1);
        UnderWay(self.0.clone())
    }

    /// Waits until the connection has been without a request for too long (ten seconds before
    /// its first, two minutes between two), or the client has left an answer unread for a minute.
    pub(super) async fn lapsed(&self) {
        let mut requests = self.0.subscribe();
        loop {
            let awaited = requests.borrow_and_update().awaited(Instant::now());
            // The sender lives in `self`, so a change or the time is all there can be.
            match awaited {
                None => return,
                Some(Awaited::Request(until)) => {
                    if tokio::time::timeout_at(until, requests.changed()).await.is_err() {
                        return;
                    }
                }
                Some(Awaited::Answers(until)) => drop(tokio::time::timeout_at(until, requests.changed()).await),
            }
        }
    }
}

impl Requests {
    /// `None` when an answer has been left unread for too long.
    fn awaited(&self, now: Instant) -> Option<Awaited> {
        if self.under_way == 0 {
            return Some(Awaited::Request(now + if self.served { IDLE_TIMEOUT } else { HANDSHAKE_TIMEOUT }));
        }
        let longest_left = self.answers.iter().map(|(_, taken)| *taken).min();
        let until = longest_left.unwrap_or(now) + STALL_TIMEOUT;
        (until > now).then_some(Awaited::Answers(until))
    }
}

impl UnderWay {
    /// Keeps the request counted until `body` has been sent or dropped.
    pub(super) fn until_sent(self, body: Body) -> Body {
        let mut answer = 0;
        self.0.send_if_modified(|requests| {
            requests.answers_begun += 1;
            answer = requests.answers_begun;
            requests.answers.push((answer, Instant::now()));
            false
        });
        Body::new(CountedBody { body, answer, under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|requests| {
            requests.under_way -= 1;
            requests.served = true;
        });
    }
}

struct CountedBody {
    body: Body,
    answer: u64,
    under_way: UnderWay,
}

impl CountedBody {
    /// The connection asked for more, so the client has taken what there was. Nobody needs to
    /// wake up for it.
    fn note_progress(&self) {
        self.under_way.0.send_if_modified(|requests| {
            if let Some((_, taken)) = requests.answers.iter_mut().find(|(answer, _)| *answer == self.answer) {
                *taken = Instant::now();
            }
            false
        });
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.under_way.0.send_if_modified(|requests| {
            requests.answers.retain(|(answer, _)| *answer != self.answer);
            false
        });
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.note_progress();
        Pin::new(&mut self.body).poll_frame(cx)
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
