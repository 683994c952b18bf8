//! Telemetry over MQTT with a fixed number of messages in flight on each connection, from one
//! thread that does little beside what TLS costs.

use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Buf as _;

use crate::client::{Login, connect_all, publish_packet};
use crate::links::{Link, Links};
use crate::server::Server;
use crate::workload::{Tally, Workload};

const PUBACK: [u8; 2] = [0x40, 2];
const PUBACK_BYTES: usize = 4;

/// Connections with their load.
pub(crate) struct Load {
    links: Links,
    /// What each of them publishes.
    publishers: Vec<Publisher>,
    in_flight: u16,
    heard: Vec<usize>,
}

impl Load {
    /// Connects `logins` to `server`, to keep `in_flight` messages under way on each connection.
    ///
    /// # Errors
    /// When a connection is refused.
    pub(crate) fn connect(server: &Server, logins: &[Login], in_flight: u16) -> anyhow::Result<Self> {
        let clients = connect_all(server.address, logins).with_context(|| server.kind.to_string())?;
        let publishers = logins.iter().map(|login| Publisher::new(&login.topic, in_flight)).collect::<anyhow::Result<_>>()?;
        Ok(Self { links: Links::new(clients)?, publishers, in_flight, heard: Vec::new() })
    }
}

impl Workload for Load {
    fn begin(&mut self) -> anyhow::Result<()> {
        for (place, publisher) in self.publishers.iter_mut().enumerate() {
            publisher.publish(self.links.at(place)?, 1..=self.in_flight, Instant::now());
            self.links.flush(place)?;
        }
        Ok(())
    }

    fn turn(&mut self, tally: &mut Tally, going_on: bool) -> anyhow::Result<()> {
        self.links.wait(&mut self.heard)?;
        let now = Instant::now();
        for place in &self.heard {
            let publisher = self.publishers.get_mut(*place).context("no such publisher")?;
            publisher.receive(self.links.at(*place)?, now, tally, going_on)?;
            self.links.flush(*place)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.publishers.iter().all(|publisher| publisher.waiting == 0)
    }
}

struct Publisher {
    /// A PUBLISH whose packet id is written over each time.
    packet: Vec<u8>,
    packet_id_at: usize,
    /// When the message with each packet id was sent; the first has id 1.
    sent: Vec<Instant>,
    /// Messages without a PUBACK.
    waiting: usize,
}

impl Publisher {
    fn new(topic: &str, in_flight: u16) -> anyhow::Result<Self> {
        let (packet, packet_id_at) = publish_packet(topic)?;
        Ok(Self { packet, packet_id_at, sent: vec![Instant::now(); usize::from(in_flight)], waiting: 0 })
    }

    fn publish(&mut self, link: &mut Link, packet_ids: impl Iterator<Item = u16>, now: Instant) {
        for packet_id in packet_ids {
            let start = link.outgoing.len() + self.packet_id_at;
            link.outgoing.extend_from_slice(&self.packet);
            if let Some(place) = link.outgoing.get_mut(start..start + 2) {
                place.copy_from_slice(&packet_id.to_be_bytes());
            }
            if let Some(sent) = self.sent.get_mut(usize::from(packet_id) - 1) {
                *sent = now;
                self.waiting += 1;
            }
        }
    }

    /// Takes in acknowledgements and, while `publishing`, sends a message for each.
    fn receive(&mut self, link: &mut Link, now: Instant, tally: &mut Tally, publishing: bool) -> anyhow::Result<()> {
        while let Some(packet) = link.received.first_chunk::<PUBACK_BYTES>() {
            let [first, second, high, low] = *packet;
            ensure!([first, second] == PUBACK, "the server sent {packet:02x?} instead of a PUBACK");
            link.received.advance(PUBACK_BYTES);
            let packet_id = u16::from_be_bytes([high, low]);
            self.acknowledged(packet_id, now, tally)?;
            if publishing {
                self.publish(link, std::iter::once(packet_id), now);
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, packet_id: u16, now: Instant, tally: &mut Tally) -> anyhow::Result<()> {
        let sent = usize::from(packet_id).checked_sub(1).and_then(|place| self.sent.get(place));
        tally.latencies.record(now.duration_since(*sent.context("a PUBACK for no message of ours")?));
        tally.done += 1;
        self.waiting -= 1;
        Ok(())
    }
}
