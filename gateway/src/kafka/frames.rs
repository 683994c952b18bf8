//! Frames over a socket: one buffer of the right size a request, none while nothing comes.
//!
//! Whoever sends or reads slower than [`RATE_MIN`] is closed, as memory that others wait for is
//! held until a frame is through.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_proto::wire::{FrameLength, frame_length};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use crate::observe::Metrics;

/// Bytes a second that a peer sends or reads at least, …
const RATE_MIN: u64 = 16 * 1024;
/// … and how far it may be behind with sending …
const BODY_PATIENCE: Duration = Duration::from_secs(15);
/// … and with reading, which it does when it has worked off what it read before.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

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
    #[error("a request fell {} s behind {RATE_MIN} bytes a second", BODY_PATIENCE.as_secs())]
    Slow,
    /// The peer reads nothing, or too little.
    #[error("the peer's reading fell {} s behind {RATE_MIN} bytes a second", WRITE_PATIENCE.as_secs())]
    Stuck,
}

/// What a peer must keep up with while one frame is on its way.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Instant,
    patience: Duration,
}

impl Pace {
    fn new(patience: Duration) -> Self {
        Self { began: Instant::now(), patience }
    }

    /// Until when there must be more than `bytes`.
    fn deadline(self, bytes: usize) -> Instant {
        self.began + self.patience + Duration::from_millis(bytes as u64 * 1000 / RATE_MIN)
    }
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    stream: R,
    /// The length field of the next frame, as far as it is here.
    field: [u8; 4],
    filled: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, field: [0; 4], filled: 0 }
    }

    /// Waits for the next request and gives its length, of which `max` bytes are accepted. Its
    /// body is read by [`FrameReader::body`]. May be dropped while it waits, and asked again.
    pub(super) async fn length(&mut self, max: usize) -> Result<usize, FrameError> {
        self.fill().await?;
        Ok(frame_length(self.field, max)?)
    }

    /// Reads a request whose length is known. Not to be dropped before it is done.
    pub(super) async fn body(&mut self, length: usize) -> Result<Bytes, FrameError> {
        self.filled = 0;
        let mut body = BytesMut::with_capacity(length);
        let mut rest = (&mut self.stream).take(length as u64);
        let pace = Pace::new(BODY_PATIENCE);
        // Not a read more: for that a full buffer would grow to twice its size.
        while body.len() < length {
            let read = timeout_at(pace.deadline(body.len()), rest.read_buf(&mut body)).await.map_err(|_| FrameError::Slow)??;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(body.freeze())
    }

    /// Waits until the peer is gone. A request that comes meanwhile waits, and hides it.
    pub(super) async fn hung_up(&mut self) -> FrameError {
        match self.fill().await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    }

    async fn fill(&mut self) -> Result<(), FrameError> {
        while let Some(rest) = self.field.get_mut(self.filled..).filter(|rest| !rest.is_empty()) {
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
        let (pace, mut total) = (Pace::new(WRITE_PATIENCE), 0);
        while !pieces.is_empty() {
            // Many at once: a batch may be small, and each write is a TLS record and a system call.
            let slices: Vec<_> = pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
            let sent = timeout_at(pace.deadline(total), self.stream.write_vectored(&slices)).await.map_err(|_| FrameError::Stuck)??;
            if sent == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            total += sent;
            self.metrics.kafka_sent(sent);
            advance(&mut pieces, sent);
        }
        timeout_at(pace.deadline(total), self.stream.flush()).await.map_err(|_| FrameError::Stuck)??;
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
        let length = reader.length(4000).await.expect("a length");
        let body = reader.body(length).await.expect("a body");
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
        let (read, took) = trickled(per_step, 4 * per_step).await;
        assert!(read.is_ok() && took == Duration::from_secs(40), "{took:?}");
        let (read, took) = trickled(1, 4 * per_step).await;
        assert!(matches!(read, Err(FrameError::Slow)) && took < Duration::from_secs(16), "{read:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_little_now_and_then_is_closed_like_one_that_reads_nothing() {
        for bytes in [0, 1, 100] {
            let (stream, mut peer) = tokio::io::duplex(1);
            let mut writer = FrameWriter::new(stream, Metrics::new());
            let began = Instant::now();
            let trickle = async {
                loop {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    peer.read_exact(&mut vec![0; bytes]).await.expect("more");
                }
            };
            let sent = tokio::select! {
                sent = writer.send(vec![Bytes::from(vec![7; 4 * 1024 * 1024])]) => sent,
                () = trickle => Ok(()),
            };
            assert!(matches!(sent, Err(FrameError::Stuck)), "{sent:?}");
            assert!((60..62).contains(&began.elapsed().as_secs()), "{bytes} {:?}", began.elapsed());
        }
    }
}
