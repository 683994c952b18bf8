//! Frames over a socket: one buffer of the right size a request, none while nothing comes.
//!
//! Whoever sends or reads slower than [`RATE_MIN`], or takes too long over one frame, is closed, as
//! memory that others wait for is held until a frame is through.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_proto::wire::{FrameLength, frame_length};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use crate::observe::Metrics;

/// Bytes a second that a peer sends or reads at least.
const RATE_MIN: u64 = 16 * 1024;
/// For the rest of a request. No longer than clients wait for an answer, who give up then.
const REQUEST: Pace = Pace { patience: Duration::from_secs(15), limit: Duration::from_secs(30) };
/// For an answer, which a peer reads when it has worked off what it read before. Long enough for
/// the largest answer to a fetch at [`RATE_MIN`].
const ANSWER: Pace = Pace { patience: Duration::from_secs(60), limit: Duration::from_secs(300) };

/// The length field of a request, and the API's key behind it.
const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = LENGTH_BYTES + 2;

/// Pieces of a frame handed over at once.
const SLICES_MAX: usize = 64;

/// Why a connection carries nothing more.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    /// The peer closed it between two requests.
    #[error("the peer hung up")]
    HungUp,
    /// It broke, or ended in the middle of a request.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// A request is too large, or none.
    #[error(transparent)]
    Length(#[from] FrameLength),
    /// A request's rest did not come, or not fast enough.
    #[error("a request fell {} s behind {RATE_MIN} bytes a second, or took {} s", REQUEST.patience.as_secs(), REQUEST.limit.as_secs())]
    Slow,
    /// The peer reads nothing, or too little.
    #[error("the peer's reading fell {} s behind {RATE_MIN} bytes a second, or took {} s", ANSWER.patience.as_secs(), ANSWER.limit.as_secs())]
    Stuck,
}

/// What a peer must keep up with while one frame is on its way.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How far it may be behind [`RATE_MIN`].
    patience: Duration,
    /// How long the frame may take, however large it is.
    limit: Duration,
}

impl Pace {
    /// Until when there must be more than `bytes` of a frame that `began` then.
    fn deadline(self, began: Instant, bytes: usize) -> Instant {
        began + self.limit.min(self.patience + Duration::from_millis(bytes as u64 * 1000 / RATE_MIN))
    }
}

/// How a request begins: what must be known of it before there is room for the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Bytes behind the length field.
    pub(super) length: usize,
    /// As it was sent: there may be no such API.
    pub(super) api_key: i16,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    stream: R,
    /// The first bytes of the next frame, as far as they are here.
    head: [u8; HEAD_BYTES],
    filled: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, head: [0; HEAD_BYTES], filled: 0 }
    }

    /// Waits for the next request, of which `max` bytes are accepted. All of it is read by
    /// [`FrameReader::body`]. May be dropped while it waits, and asked again.
    pub(super) async fn head(&mut self, max: usize) -> Result<Head, FrameError> {
        self.fill(LENGTH_BYTES).await?;
        let [field @ .., _, _] = self.head;
        let length = frame_length(field, max)?;
        self.fill(HEAD_BYTES).await?;
        let [.., high, low] = self.head;
        Ok(Head { length, api_key: i16::from_be_bytes([high, low]) })
    }

    /// Reads a request whose head is known: all behind the length field. Not to be dropped before
    /// it is done.
    pub(super) async fn body(&mut self, length: usize) -> Result<Bytes, FrameError> {
        self.filled = 0;
        let mut body = BytesMut::with_capacity(length);
        let [_, _, _, _, api_key @ ..] = self.head;
        body.put_slice(&api_key);
        let mut rest = (&mut self.stream).take(length.saturating_sub(body.len()) as u64);
        let began = Instant::now();
        // Not a read more: for that a full buffer would grow to twice its size.
        while body.len() < length {
            let read = timeout_at(REQUEST.deadline(began, body.len()), rest.read_buf(&mut body)).await.map_err(|_| FrameError::Slow)??;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(body.freeze())
    }

    /// Waits until the peer is gone. A request that comes meanwhile waits, and hides it.
    pub(super) async fn hung_up(&mut self) -> FrameError {
        match self.fill(HEAD_BYTES).await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    }

    /// Waits for the first `count` bytes.
    async fn fill(&mut self, count: usize) -> Result<(), FrameError> {
        while let Some(rest) = self.head.get_mut(self.filled..count).filter(|rest| !rest.is_empty()) {
            match self.stream.read(rest).await? {
                0 if self.filled == 0 => return Err(FrameError::HungUp),
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => self.filled += count,
            }
        }
        Ok(())
    }
}

/// Takes `bytes` and pieces without any off the front.
fn advance(pieces: &mut VecDeque<Bytes>, mut bytes: usize) {
    while let Some(first) = pieces.front_mut() {
        let taken = bytes.min(first.len());
        first.advance(taken);
        bytes -= taken;
        if !first.is_empty() {
            return;
        }
        pieces.pop_front();
    }
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct FrameWriter<W> {
    stream: W,
    metrics: Metrics,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(super) fn new(stream: W, metrics: Metrics) -> Self {
        Self { stream, metrics }
    }

    /// Sends a frame, given in pieces.
    pub(super) async fn send(&mut self, pieces: Vec<Bytes>) -> Result<(), FrameError> {
        let mut pieces = VecDeque::from(pieces);
        let (began, mut total) = (Instant::now(), 0);
        while !pieces.is_empty() {
            // Many at once: a batch may be small, and each write is a TLS record and a system call.
            let slices: Vec<_> = pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
            let sent =
                timeout_at(ANSWER.deadline(began, total), self.stream.write_vectored(&slices)).await.map_err(|_| FrameError::Stuck)??;
            if sent == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            total += sent;
            self.metrics.kafka_sent(sent);
            advance(&mut pieces, sent);
        }
        timeout_at(ANSWER.deadline(began, total), self.stream.flush()).await.map_err(|_| FrameError::Stuck)??;
        Ok(())
    }

    /// Says goodbye.
    pub(super) async fn close(&mut self) {
        // The peer may be gone already.
        let _ = timeout(Duration::from_secs(5), self.stream.shutdown()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_takes_as_much_memory_as_it_announces() {
        let bytes = [&3000_u32.to_be_bytes()[..], &[7; 3000], &[0; 4]].concat();
        let mut reader = FrameReader::new(&*bytes);
        let head = reader.head(4000).await.expect("a head");
        assert_eq!((head.length, head.api_key), (3000, 0x0707));
        let body = reader.body(head.length).await.expect("a body");
        assert_eq!(body, [7; 3000][..]);
        assert_eq!(body.try_into_mut().expect("the only owner").capacity(), 3000);
    }

    /// A peer that moves `bytes` every 10 s, of a frame of `length`.
    async fn trickled(bytes: usize, length: usize) -> (Result<(), FrameError>, Duration) {
        let (mut peer, stream) = tokio::io::duplex(1);
        let began = Instant::now();
        let trickle = async {
            for _ in 0..length.div_ceil(bytes) {
                tokio::time::sleep(Duration::from_secs(10)).await;
                peer.write_all(&vec![7; bytes]).await.ok();
            }
            std::future::pending().await
        };
        let mut reader = FrameReader::new(stream);
        let read = tokio::select! {
            read = reader.body(length) => read.map(drop),
            () = trickle => Ok(()),
        };
        (read, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_come_slowly_but_not_as_slowly_as_it_likes() {
        let per_step = 10 * RATE_MIN as usize;
        let (read, took) = trickled(per_step, 2 * per_step).await;
        assert!(read.is_ok() && took == Duration::from_secs(20), "{took:?}");
        let (read, took) = trickled(per_step, 4 * per_step).await;
        assert!(matches!(read, Err(FrameError::Slow)) && took < Duration::from_secs(31), "{read:?} {took:?}");
        let (read, took) = trickled(1, 4 * per_step).await;
        assert!(matches!(read, Err(FrameError::Slow)) && took < Duration::from_secs(16), "{read:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_little_now_and_then_is_closed_like_one_that_reads_nothing() {
        for bytes in [0, 1, 100] {
            let (sent, took) = read_slowly(bytes, 4 * 1024 * 1024).await;
            assert!(matches!(sent, Err(FrameError::Stuck)), "{sent:?}");
            assert!((60..62).contains(&took.as_secs()), "{bytes} {took:?}");
        }
    }

    /// A peer that reads `bytes` every 10 s, of a frame of `length`.
    async fn read_slowly(bytes: usize, length: usize) -> (Result<(), FrameError>, Duration) {
        let (stream, mut peer) = tokio::io::duplex(bytes.max(1));
        let mut writer = FrameWriter::new(stream, Metrics::new());
        let began = Instant::now();
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                peer.read_exact(&mut vec![0; bytes]).await.expect("more");
            }
        };
        let sent = tokio::select! {
            sent = writer.send(vec![Bytes::from(vec![7; length])]) => sent,
            () = trickle => Ok(()),
        };
        (sent, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_no_faster_than_it_must_gets_a_whole_fetch_and_no_answer_of_any_size() {
        let per_step = 10 * RATE_MIN as usize;
        let (sent, took) = read_slowly(per_step, 4 * 1024 * 1024).await;
        assert!(sent.is_ok() && took < ANSWER.limit, "{sent:?} {took:?}");
        let (sent, took) = read_slowly(per_step, 8 * 1024 * 1024).await;
        assert!(matches!(sent, Err(FrameError::Stuck)) && took < ANSWER.limit + Duration::from_secs(1), "{sent:?} {took:?}");
    }
}
