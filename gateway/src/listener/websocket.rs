//! A WebSocket as a stream of bytes, so that MQTT runs in it unchanged (MQTT 5 §6).
//!
//! Packets and frames need not line up: a frame may hold parts of packets or several. Only
//! binary frames carry bytes; a text frame is a violation and ends the stream with an error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Error;
use axum::extract::ws::{Message, WebSocketUpgrade};
use bytes::{Buf as _, Bytes};
use futures_util::{Sink, Stream};
use model::limits::MQTT_PACKET_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest message read: the largest packet and room for what a client sends along with it.
const MESSAGE_BYTES_MAX: usize = 2 * MQTT_PACKET_BYTES_MAX;
/// Most bytes written in one frame.
const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes collected before the socket is written without being told to.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Sets the sub-protocol and the bounds of memory that this stream counts on.
pub(crate) fn bounded<F>(upgrade: WebSocketUpgrade<F>) -> WebSocketUpgrade<F> {
    upgrade
        .protocols(["mqtt"])
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES + 2 * FRAME_BYTES_MAX)
}

/// The bytes of a WebSocket's binary messages in each direction.
///
/// Holds at most one message that was read and not yet taken.
#[derive(Debug)]
pub(crate) struct WebSocketStream<S> {
    socket: S,
    unread: Bytes,
    ended: bool,
}

impl<S> WebSocketStream<S> {
    /// The bytes of `socket`.
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, unread: Bytes::new(), ended: false }
    }
}

impl<S> WebSocketStream<S>
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    /// Waits until there are unread bytes or the stream has ended.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() && !self.ended {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                // Pongs are sent by the WebSocket itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    self.ended = true;
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a text frame; MQTT is carried in binary frames")));
                }
                Some(Ok(Message::Close(_))) | None => self.ended = true,
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Err(io::Error::other(error)));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> AsyncRead for WebSocketStream<S>
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_fill(context))?;
        let taken = self.unread.len().min(buffer.remaining());
        self.unread.copy_to_slice(buffer.initialize_unfilled_to(taken));
        buffer.advance(taken);
        if self.unread.is_empty() {
            // The last message's memory goes back while the connection idles.
            self.unread = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> AsyncWrite for WebSocketStream<S>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let frame = bytes.get(..FRAME_BYTES_MAX).unwrap_or(bytes);
        if frame.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(broken)?;
        Pin::new(&mut self.socket).start_send(Message::Binary(Bytes::copy_from_slice(frame))).map_err(broken)?;
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(broken)
    }

    /// Sends a close frame. A peer that has closed already needs none.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = ready!(Pin::new(&mut self.socket).poll_close(context));
        Poll::Ready(if self.ended { Ok(()) } else { closed.map_err(broken) })
    }
}

fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Gives prepared messages, is not ready before each of them, keeps what is sent.
    #[derive(Default)]
    struct Scripted {
        incoming: VecDeque<Message>,
        pause: bool,
        sent: Vec<Message>,
        closed: bool,
    }

    impl Scripted {
        fn pauses(&mut self, context: &mut Context<'_>) -> bool {
            self.pause = !self.pause;
            if self.pause {
                context.waker().wake_by_ref();
            }
            self.pause
        }
    }

    impl Stream for Scripted {
        type Item = Result<Message, Error>;
        fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            if self.pauses(context) { Poll::Pending } else { Poll::Ready(self.incoming.pop_front().map(Ok)) }
        }
    }

    impl Sink<Message> for Scripted {
        type Error = Error;
        fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
            if self.pauses(context) { Poll::Pending } else { Poll::Ready(Ok(())) }
        }
        fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
            self.sent.push(message);
            Ok(())
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            self.closed = true;
            Poll::Ready(Ok(()))
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
    }

    fn frame() -> impl Strategy<Value = Message> {
        prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Message::Binary(bytes.into())),
            1 => Just(Message::Ping(Bytes::from_static(b"are you there"))),
            1 => Just(Message::Pong(Bytes::new())),
        ]
    }

    proptest! {
        #[test]
        fn bytes_arrive_the_same_however_they_are_framed(frames in proptest::collection::vec(frame(), 0..20), room in 1..97_usize) {
            let expected: Vec<u8> = frames.iter().filter_map(|frame| match frame {
                Message::Binary(bytes) => Some(bytes.to_vec()),
                Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Close(_) => None,
            }).flatten().collect();
            let mut stream = WebSocketStream::new(Scripted { incoming: frames.into(), ..Scripted::default() });
            let read = run(async {
                let mut read = Vec::new();
                let mut buffer = vec![0; room];
                loop {
                    match stream.read(&mut buffer).await.expect("read") {
                        0 => return read,
                        count => read.extend_from_slice(&buffer[..count]),
                    }
                }
            });
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn bytes_leave_the_same_however_they_are_written(writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut stream = WebSocketStream::new(Scripted::default());
            run(async {
                for bytes in &writes {
                    stream.write_all(bytes).await.expect("write");
                }
                stream.shutdown().await.expect("shut down");
            });
            prop_assert!(stream.socket.closed);
            let sent: Vec<u8> = stream.socket.sent.iter().flat_map(|message| message.clone().into_data().to_vec()).collect();
            prop_assert_eq!(sent, writes.concat());
        }
    }

    #[test]
    fn a_large_write_leaves_in_bounded_frames() {
        let mut stream = WebSocketStream::new(Scripted::default());
        run(stream.write_all(&vec![7; 3 * FRAME_BYTES_MAX + 1])).expect("write");
        let lengths: Vec<usize> = stream.socket.sent.iter().map(|message| message.clone().into_data().len()).collect();
        assert_eq!(lengths, [FRAME_BYTES_MAX, FRAME_BYTES_MAX, FRAME_BYTES_MAX, 1]);
    }

    #[test]
    fn a_close_frame_is_the_end_and_a_text_frame_an_error() {
        let after_close = [Message::Binary(Bytes::from_static(b"x")), Message::Close(None), Message::Binary(Bytes::from_static(b"y"))];
        let mut stream = WebSocketStream::new(Scripted { incoming: after_close.into(), ..Scripted::default() });
        let mut read = Vec::new();
        run(stream.read_to_end(&mut read)).expect("read");
        assert_eq!(read, b"x");

        let mut stream = WebSocketStream::new(Scripted { incoming: [Message::Text("x".into())].into(), ..Scripted::default() });
        let error = run(stream.read_u8()).expect_err("a text frame");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
