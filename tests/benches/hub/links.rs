//! Connections that one thread serves: read when something came, written as far as sockets take it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::client::Client;

/// No server is this slow unless it has stopped.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Connections, each known by its place.
pub(crate) struct Links {
    links: Vec<Link>,
    poll: OwnedFd,
    ready: Vec<Event>,
}

/// A connection.
pub(crate) struct Link {
    client: Client,
    /// What the server said and nobody has understood yet.
    pub(crate) received: BytesMut,
    /// What is said together with the next flush.
    pub(crate) outgoing: Vec<u8>,
    /// The socket takes no more, and is watched for room.
    is_blocked: bool,
}

impl Links {
    /// Serves `clients`, in their order.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new(clients: Vec<Client>) -> anyhow::Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut links = Vec::with_capacity(clients.len());
        for mut client in clients {
            epoll::add(&poll, &client.socket, EventData::new_u64(links.len() as u64), EventFlags::IN)?;
            client.socket.set_nonblocking(true)?;
            client.tls.set_buffer_limit(None);
            links.push(Link { client, received: BytesMut::new(), outgoing: Vec::new(), is_blocked: false });
        }
        let ready = Vec::with_capacity(links.len());
        Ok(Self { links, poll, ready })
    }

    /// The connection at `place`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn at(&mut self, place: usize) -> anyhow::Result<&mut Link> {
        self.links.get_mut(place).context("no such connection")
    }

    /// Waits until servers have said something and reads it; `heard` is where.
    ///
    /// # Errors
    /// When a connection ends, or nothing comes for long.
    pub(crate) fn wait(&mut self, heard: &mut Vec<usize>) -> anyhow::Result<()> {
        heard.clear();
        self.ready.clear();
        let timeout = Timespec { tv_sec: SILENCE_MAX.as_secs() as i64, tv_nsec: 0 };
        match epoll::wait(&self.poll, spare_capacity(&mut self.ready), Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            waited => ensure!(waited? > 0, "the server has not answered for {} s", SILENCE_MAX.as_secs()),
        }
        for event in &self.ready {
            let (flags, place) = (event.flags, event.data.u64() as usize);
            let link = self.links.get_mut(place).context("an event of no connection")?;
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) && link.read()? {
                heard.push(place);
            }
            if flags.contains(EventFlags::OUT) {
                link.flush(&self.poll, place)?;
            }
        }
        Ok(())
    }

    /// Encrypts what there is to say at `place` and writes what the socket takes of it.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(crate) fn flush(&mut self, place: usize) -> anyhow::Result<()> {
        self.links.get_mut(place).context("no such connection")?.flush(&self.poll, place)
    }
}

impl Link {
    /// Takes in one read of the socket; false when there was nothing yet.
    fn read(&mut self) -> anyhow::Result<bool> {
        match self.client.tls.read_tls(&mut self.client.socket) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let state = self.client.tls.process_new_packets()?;
        let (begin, more) = (self.received.len(), state.plaintext_bytes_to_read());
        self.received.resize(begin + more, 0);
        if let Some(place) = self.received.get_mut(begin..) {
            self.client.tls.reader().read_exact(place)?;
        }
        Ok(true)
    }

    fn flush(&mut self, poll: &OwnedFd, place: usize) -> anyhow::Result<()> {
        if !self.outgoing.is_empty() {
            self.client.tls.writer().write_all(&self.outgoing)?;
            self.outgoing.clear();
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
            epoll::modify(poll, &self.client.socket, EventData::new_u64(place as u64), wanted)?;
        }
        Ok(())
    }
}
