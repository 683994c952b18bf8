//! The load: publishes with a fixed number of messages in flight on each connection, from one
//! thread that does little beside what TLS costs.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::client::{Client, Login, connect_all, publish_packet};
use crate::histogram::Histogram;
use crate::server::Server;

const PUBACK: [u8; 2] = [0x40, 2];
const PUBACK_BYTES: usize = 4;
/// No server is this slow unless it has stopped.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Connections with their load.
pub(crate) struct Load {
    connections: Vec<Connection>,
    poll: OwnedFd,
    in_flight: u16,
    ready: Vec<Event>,
}

/// What happened within a measured window.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// What the caller sampled when it began.
    pub(crate) before: T,
    /// What the caller sampled when it ended.
    pub(crate) after: T,
    /// How long it really was.
    pub(crate) elapsed: Duration,
    /// Messages acknowledged in it.
    pub(crate) messages: u64,
    /// From PUBLISH to PUBACK.
    pub(crate) latencies: Histogram,
}

impl Load {
    /// Connects `logins` to `server`, to keep `in_flight` messages under way on each connection.
    ///
    /// # Errors
    /// When a connection is refused.
    pub(crate) fn connect(server: &Server, logins: &[Login], in_flight: u16) -> anyhow::Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let clients = connect_all(server.address, logins).with_context(|| server.kind.to_string())?;
        let mut connections = Vec::with_capacity(clients.len());
        for (client, login) in clients.into_iter().zip(logins) {
            epoll::add(&poll, &client.socket, EventData::new_u64(connections.len() as u64), EventFlags::IN)?;
            connections.push(Connection::new(client, &login.topic, in_flight)?);
        }
        let ready = Vec::with_capacity(connections.len());
        Ok(Self { connections, poll, in_flight, ready })
    }

    /// Publishes for `warm_up`, then for `window`, taking a `sample` at both ends of it; then
    /// waits until every message is acknowledged.
    ///
    /// # Errors
    /// When a connection ends, or the server stops answering.
    pub(crate) fn run<T>(
        &mut self,
        warm_up: Duration,
        window: Duration,
        mut sample: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<Window<T>> {
        for (place, connection) in self.connections.iter_mut().enumerate() {
            connection.publish(1..=self.in_flight, Instant::now());
            connection.flush(&self.poll, place as u64)?;
        }
        let mut ignored = Tally::default();
        self.publish_until(Instant::now() + warm_up, &mut ignored)?;
        let (before, begun) = (sample()?, Instant::now());
        let mut tally = Tally::default();
        self.publish_until(begun + window, &mut tally)?;
        let (elapsed, after) = (begun.elapsed(), sample()?);
        self.finish()?;
        Ok(Window { before, after, elapsed, messages: tally.messages, latencies: tally.latencies })
    }

    fn publish_until(&mut self, end: Instant, tally: &mut Tally) -> anyhow::Result<()> {
        while Instant::now() < end {
            self.turn(tally, true)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let mut ignored = Tally::default();
        while self.connections.iter().any(|connection| connection.waiting > 0) {
            self.turn(&mut ignored, false)?;
        }
        Ok(())
    }

    /// Serves every connection that has something to read or room to write.
    fn turn(&mut self, tally: &mut Tally, publishing: bool) -> anyhow::Result<()> {
        self.ready.clear();
        let timeout = Timespec { tv_sec: SILENCE_MAX.as_secs() as i64, tv_nsec: 0 };
        match epoll::wait(&self.poll, spare_capacity(&mut self.ready), Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            waited => ensure!(waited? > 0, "the server has not answered for {} s", SILENCE_MAX.as_secs()),
        }
        let now = Instant::now();
        for event in &self.ready {
            let (flags, data) = (event.flags, event.data.u64());
            let connection = self.connections.get_mut(data as usize).context("an event of no connection")?;
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                connection.receive(now, tally, publishing)?;
            }
            connection.flush(&self.poll, data)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    messages: u64,
    latencies: Histogram,
}

struct Connection {
    client: Client,
    /// A PUBLISH whose packet id is written over each time.
    packet: Vec<u8>,
    packet_id_at: usize,
    /// When the message with each packet id was sent; the first has id 1.
    sent: Vec<Instant>,
    /// Messages without a PUBACK.
    waiting: usize,
    /// What the server said and we have not understood yet.
    received: Vec<u8>,
    /// Packets to be encrypted together.
    batch: Vec<u8>,
    /// The socket takes no more, and is watched for room.
    is_blocked: bool,
}

impl Connection {
    fn new(mut client: Client, topic: &str, in_flight: u16) -> anyhow::Result<Self> {
        client.socket.set_nonblocking(true)?;
        client.tls.set_buffer_limit(None);
        let (packet, packet_id_at) = publish_packet(topic)?;
        let sent = vec![Instant::now(); usize::from(in_flight)];
        Ok(Self { client, packet, packet_id_at, sent, waiting: 0, received: Vec::new(), batch: Vec::new(), is_blocked: false })
    }

    fn publish(&mut self, packet_ids: impl Iterator<Item = u16>, now: Instant) {
        for packet_id in packet_ids {
            let start = self.batch.len() + self.packet_id_at;
            self.batch.extend_from_slice(&self.packet);
            if let Some(place) = self.batch.get_mut(start..start + 2) {
                place.copy_from_slice(&packet_id.to_be_bytes());
            }
            if let Some(sent) = self.sent.get_mut(usize::from(packet_id) - 1) {
                *sent = now;
                self.waiting += 1;
            }
        }
    }

    /// Takes in acknowledgements and, while `publishing`, sends a message for each.
    fn receive(&mut self, now: Instant, tally: &mut Tally, publishing: bool) -> anyhow::Result<()> {
        match self.client.tls.read_tls(&mut self.client.socket) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let state = self.client.tls.process_new_packets()?;
        let (begin, more) = (self.received.len(), state.plaintext_bytes_to_read());
        self.received.resize(begin + more, 0);
        if let Some(place) = self.received.get_mut(begin..) {
            self.client.tls.reader().read_exact(place)?;
        }
        let received = std::mem::take(&mut self.received);
        let (packets, rest) = received.as_chunks::<PUBACK_BYTES>();
        for packet in packets {
            let [first, second, high, low] = *packet;
            ensure!([first, second] == PUBACK, "the server sent {packet:02x?} instead of a PUBACK");
            self.acknowledged(u16::from_be_bytes([high, low]), now, tally)?;
            if publishing {
                self.publish(std::iter::once(u16::from_be_bytes([high, low])), now);
            }
        }
        self.received.extend_from_slice(rest);
        Ok(())
    }

    fn acknowledged(&mut self, packet_id: u16, now: Instant, tally: &mut Tally) -> anyhow::Result<()> {
        let sent = usize::from(packet_id).checked_sub(1).and_then(|place| self.sent.get(place));
        tally.latencies.record(now.duration_since(*sent.context("a PUBACK for no message of ours")?));
        tally.messages += 1;
        self.waiting -= 1;
        Ok(())
    }

    /// Encrypts what there is to send and writes what the socket takes.
    fn flush(&mut self, poll: &OwnedFd, data: u64) -> anyhow::Result<()> {
        if !self.batch.is_empty() {
            self.client.tls.writer().write_all(&self.batch)?;
            self.batch.clear();
        }
        let mut blocked = false;
        while self.client.tls.wants_write() && !blocked {
            match self.client.tls.write_tls(&mut self.client.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => blocked = true,
                Err(error) => return Err(error.into()),
            }
        }
        if blocked != self.is_blocked {
            self.is_blocked = blocked;
            let wanted = if blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(poll, &self.client.socket, EventData::new_u64(data), wanted)?;
        }
        Ok(())
    }
}
