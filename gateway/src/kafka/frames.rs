//! Frames over a socket: one buffer of the right size a request, none while nothing comes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_proto::wire::{FrameLength, frame_length};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::observe::Metrics;

/// From a request's length to its last byte.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may take nothing of what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

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
    /// A request's rest did not come.
    #[error("a request was not complete within {} s", BODY_TIMEOUT.as_secs())]
    Slow,
    /// The peer reads nothing.
    #[error("the peer has read nothing for {} s", WRITE_TIMEOUT.as_secs())]
    Stuck,
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
        let read = async {
            let mut rest = (&mut self.stream).take(length as u64);
            // Not a read more: for that a full buffer would grow to twice its size.
            while body.len() < length && rest.read_buf(&mut body).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        timeout(BODY_TIMEOUT, read).await.map_err(|_| FrameError::Slow)??;
        if body.len() < length { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) } else { Ok(body.freeze()) }
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
        while !pieces.is_empty() {
            // Many at once: a batch may be small, and each write is a TLS record and a system call.
            let slices: Vec<_> = pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
            let sent = timeout(WRITE_TIMEOUT, self.stream.write_vectored(&slices)).await.map_err(|_| FrameError::Stuck)??;
            if sent == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            self.metrics.kafka_sent(sent);
            advance(&mut pieces, sent);
        }
        timeout(WRITE_TIMEOUT, self.stream.flush()).await.map_err(|_| FrameError::Stuck)??;
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
}
