//! Moves bytes between a socket and a session, and tells the session what time it is.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use mqtt_proto::session::{Config, Connection, Event};
use mqtt_proto::wire::{Connect, ConnectReturnCode, ReasonCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::Sleep;

/// One read of a socket. Large, so that a busy connection pays for few wake-ups; shared by all
/// connections of a thread, so that an idle one holds no buffer.
const READ_BYTES: usize = 64 * 1024;
/// How long the last bytes to a client that is being closed may take.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// A socket with its session.
pub(crate) struct Link<S> {
    stream: S,
    /// The protocol's state.
    pub session: Connection,
    input: BytesMut,
    /// The session stopped in the middle of `input`, for it had enough to do.
    has_backlog: bool,
    must_flush: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// When to come back even if nothing happens.
    wake_at: Option<Instant>,
    /// Come back once all output is sent.
    tells_when_sent: bool,
    /// Nothing more can be sent. What the peer sent before it went, its DISCONNECT perhaps, is read
    /// all the same; the end shows there.
    is_broken: bool,
}

/// What [`Link::poll`] came back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The session may have events.
    Events,
    /// The peer closed the socket, or it broke.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// A link that waits for a CONNECT.
    pub(crate) fn new(stream: S, config: Config) -> Self {
        let session = Connection::new(config, Instant::now());
        Self {
            stream,
            session,
            input: BytesMut::new(),
            has_backlog: false,
            must_flush: false,
            timer: None,
            wake_at: None,
            tells_when_sent: false,
            is_broken: false,
        }
    }

    /// Makes [`Link::poll`] come back at `instant`, once.
    pub(crate) fn wake_at(&mut self, instant: Option<Instant>) {
        self.wake_at = instant;
    }

    /// Whether [`Link::poll`] comes back by itself.
    pub(crate) fn will_wake(&self) -> bool {
        self.wake_at.is_some()
    }

    /// Whether [`Link::poll`] comes back, once, when everything is sent.
    pub(crate) fn tell_when_sent(&mut self, tells: bool) {
        self.tells_when_sent = tells;
    }

    /// Waits for the CONNECT. `None`: there was none, or none that may be answered.
    pub(crate) async fn connect(&mut self) -> Option<Box<Connect>> {
        loop {
            let progress = poll_fn(|cx| self.poll(cx, true)).await;
            match self.session.poll_event() {
                Some(Event::Connect(connect)) => return Some(connect),
                // Before the CONNECT the session has nothing else to say but its end.
                Some(
                    Event::Publish { .. }
                    | Event::Acknowledged { .. }
                    | Event::Subscribe { .. }
                    | Event::Unsubscribe { .. }
                    | Event::Disconnected { .. },
                ) => {
                    self.farewell().await;
                    return None;
                }
                Some(Event::Closed(reason)) => {
                    tracing::info!(%reason, "closed an MQTT connection before it was admitted");
                    self.farewell().await;
                    return None;
                }
                None if progress == Progress::Ended => return None,
                None => {}
            }
        }
    }

    /// Answers a CONNECT with a refusal and closes.
    pub(crate) async fn refuse(&mut self, code: ConnectReturnCode, reason: ReasonCode) {
        self.session.refuse(code, reason, None);
        self.farewell().await;
    }

    /// Sends what is still to be sent, within bounds, and closes the socket.
    pub(crate) async fn farewell(&mut self) {
        let sending = async {
            while self.session.output().has_remaining() {
                let written = self.stream.write_buf(self.session.output()).await?;
                if written == 0 {
                    break;
                }
            }
            self.stream.shutdown().await
        };
        // The peer may have gone first; there is nobody to tell.
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, sending).await;
    }

    /// Sends, and with `reading` receives, until the session has something to say.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Progress> {
        if let Poll::Ready(sent) = self.poll_send(cx) {
            self.is_broken |= sent.is_err();
            if std::mem::take(&mut self.tells_when_sent) && !self.is_broken {
                return Poll::Ready(Progress::Events);
            }
        }
        if self.session.is_closed() {
            return Poll::Ready(Progress::Events);
        }
        if reading && self.session.wants_input() {
            if self.has_backlog {
                return Poll::Ready(self.take_input());
            }
            match self.poll_receive(cx) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Progress::Ended),
                Poll::Ready(Ok(_)) => return Poll::Ready(self.take_input()),
                Poll::Pending => {}
            }
        }
        self.poll_timer(cx, reading)
    }

    fn take_input(&mut self) -> Progress {
        self.session.handle_input(&mut self.input, Instant::now());
        self.has_backlog = !self.input.is_empty() && !self.session.wants_input();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Progress::Events
    }

    /// Reads all there is, up to a buffer's worth: TLS gives one record at a time, and what comes
    /// together is stored together.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            while buffer.remaining() > 0 {
                let before = buffer.filled().len();
                match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(())) if buffer.filled().len() > before => {}
                    // The end, an error or nothing more for now: it comes again at the next read.
                    Poll::Ready(_) | Poll::Pending if before > 0 => break,
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(0)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.input.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.is_broken {
            self.session.output().clear();
            return Poll::Ready(Ok(()));
        }
        while self.session.output().has_remaining() {
            let output = self.session.output();
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, output))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            output.advance(written);
            self.must_flush = true;
        }
        if self.must_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.must_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// While the hub itself does not read, the client's silence does not count.
    ///
    /// The timer is moved only when it fires or would fire too late: a busy connection puts its
    /// deadline off with every packet.
    fn poll_timer(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Progress> {
        let silence = if reading { self.session.next_timeout() } else { None };
        let deadlines = [silence, self.wake_at];
        let Some(deadline) = deadlines.into_iter().flatten().min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if timer.deadline().into_std() > deadline {
            timer.as_mut().reset(deadline.into());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= deadline {
                if reading {
                    self.session.handle_timeout(now);
                }
                self.timer = None;
                self.wake_at = self.wake_at.filter(|instant| *instant > now);
                return Poll::Ready(Progress::Events);
            }
            timer.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}
