//! Reads a socket in large pieces for the sake of TLS, which asks for small ones.
//!
//! rustls takes 4 KiB at a time; under load that is a system call for every dozen messages. What a
//! large read brought beyond the piece asked for waits here, in a buffer that exists only as long
//! as it holds something, so an idle connection pays nothing.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One read of the socket.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// A stream that reads ahead.
#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    stream: S,
    ahead: Bytes,
}

impl<S> ReadAhead<S> {
    /// Reads `stream` in large pieces from now on.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: Bytes::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let length = buffer.remaining().min(self.ahead.len());
            buffer.put_slice(&self.ahead.split_to(length));
            if !self.ahead.has_remaining() {
                self.ahead = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut large = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut large))?;
            let (now, later) = large.filled().split_at(buffer.remaining().min(large.filled().len()));
            buffer.put_slice(now);
            if !later.is_empty() {
                self.ahead = Bytes::copy_from_slice(later);
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn every_byte_arrives_once_whatever_the_sizes_of_reads() {
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        for piece in [1, 7, 4096, 100_000] {
            let (mut near, far) = tokio::io::duplex(90_000);
            let expected = sent.clone();
            let sending = tokio::spawn(async move { near.write_all(&expected).await });
            let mut stream = ReadAhead::new(far);
            let mut received = Vec::new();
            let mut buffer = vec![0; piece];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                received.extend_from_slice(&buffer[..length]);
            }
            sending.await.expect("no panic").expect("sent");
            assert!(received == sent, "in pieces of {piece}");
        }
    }
}
