//! Packets from a client.

use std::time::Instant;

use super::event::Event;
use super::violation::Violation;
use super::{Connection, Phase, SubscribeReceipt, UnsubscribeReceipt};
use crate::Version;
use crate::wire::{Ack, Disconnect, Malformed, Packet, PacketId, Publish, QoS, ReasonCode, Sender, Subscribe};
use crate::wire::{Unsubscribe, has_wildcard, is_shared};

impl Connection {
    /// Acts on one packet.
    pub(super) fn handle_packet(&mut self, packet: Packet, now: Instant) {
        let handled = match &self.phase {
            Phase::Connected(terms) => {
                let version = terms.version;
                self.note_heard(now);
                self.handle_connected(packet, version)
            }
            Phase::AwaitingConnect | Phase::AwaitingVerdict(_) | Phase::Closed(_) => match packet {
                Packet::Connect(connect) => {
                    self.handle_connect(connect);
                    Ok(())
                }
                Packet::ConnAck(_)
                | Packet::Publish(_)
                | Packet::PubAck(_)
                | Packet::PubRec(_)
                | Packet::PubRel(_)
                | Packet::PubComp(_)
                | Packet::Subscribe(_)
                | Packet::SubAck(_)
                | Packet::Unsubscribe(_)
                | Packet::UnsubAck(_)
                | Packet::PingReq
                | Packet::PingResp
                | Packet::Disconnect(_)
                | Packet::Auth(_) => Err(Violation::FirstPacket),
            },
        };
        if let Err(violation) = handled {
            self.violated(violation);
        }
    }

    fn handle_connected(&mut self, packet: Packet, version: Version) -> Result<(), Violation> {
        let packet_type = packet.packet_type();
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish, version)?,
            Packet::PubAck(ack) => self.handle_puback(&ack),
            Packet::Subscribe(subscribe) => self.handle_subscribe(subscribe, version)?,
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(unsubscribe)?,
            Packet::PingReq => {
                self.send(&Packet::PingResp);
            }
            Packet::Disconnect(disconnect) => self.handle_disconnect(&disconnect)?,
            Packet::Connect(_) => return Err(Violation::SecondConnect),
            Packet::Auth(_) => return Err(Violation::AuthUnexpected),
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                return Err(Violation::QosStep { packet: packet_type });
            }
            // The codec refuses these from a client already.
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                return Err(Malformed::Direction { packet: packet_type, sender: Sender::Client }.into());
            }
        }
        Ok(())
    }

    fn handle_publish(&mut self, mut publish: Publish, version: Version) -> Result<(), Violation> {
        if publish.qos > self.config.maximum_qos || publish.qos == QoS::ExactlyOnce {
            return Err(Violation::QosUnavailable);
        }
        if publish.retain && version == Version::V5 && !self.config.retain_available {
            return Err(Violation::RetainUnavailable);
        }
        self.aliases.resolve(&mut publish)?;
        let receipt = match publish.packet_id {
            None => None,
            // Sent again before it was acknowledged: the one PUBACK to come answers both.
            Some(packet_id) if publish.dup && self.arrivals.contains(packet_id) => return Ok(()),
            Some(packet_id) => {
                self.check_unused(packet_id)?;
                self.check_receive_maximum()?;
                Some(self.arrivals.push(packet_id))
            }
        };
        self.events.push_back(Event::Publish { publish, receipt });
        Ok(())
    }

    fn check_unused(&self, packet_id: PacketId) -> Result<(), Violation> {
        if self.arrivals.contains(packet_id) || self.requests.contains(packet_id) {
            return Err(Violation::PacketIdInUse { packet_id });
        }
        Ok(())
    }

    /// Holds for 3.1.1 as well, but there reading stops one message earlier.
    fn check_receive_maximum(&self) -> Result<(), Violation> {
        if self.arrivals.len() >= self.config.in_flight() {
            return Err(Violation::ReceiveMaximum { limit: self.config.in_flight_max });
        }
        Ok(())
    }

    /// PUBACKs come in any order. One that answers nothing is ignored: it can be the second answer to
    /// a message that was sent twice.
    fn handle_puback(&mut self, ack: &Ack) {
        if let Some(tag) = self.window.acknowledge(ack.packet_id) {
            self.events.push_back(Event::Acknowledged { tag, reason: ack.reason });
            self.resend();
        }
    }

    fn handle_subscribe(&mut self, subscribe: Subscribe, version: Version) -> Result<(), Violation> {
        self.check_unused(subscribe.packet_id)?;
        if version == Version::V5 {
            self.check_available(&subscribe)?;
        }
        let Subscribe { packet_id, filters, properties } = subscribe;
        let receipt = SubscribeReceipt(self.requests.push(packet_id, filters.len()));
        self.events.push_back(Event::Subscribe { receipt, filters, subscription_id: properties.subscription_id });
        Ok(())
    }

    /// Version 5 clients were told in CONNACK what they may subscribe to.
    fn check_available(&self, subscribe: &Subscribe) -> Result<(), Violation> {
        let config = &self.config;
        if subscribe.properties.subscription_id.is_some() && !config.subscription_id_available {
            return Err(Violation::SubscriptionId);
        }
        for filter in &subscribe.filters {
            if is_shared(&filter.filter) && !config.shared_subscription_available {
                return Err(Violation::SharedSubscription);
            }
            if has_wildcard(&filter.filter) && !config.wildcard_subscription_available {
                return Err(Violation::WildcardSubscription);
            }
        }
        Ok(())
    }

    fn handle_unsubscribe(&mut self, unsubscribe: Unsubscribe) -> Result<(), Violation> {
        self.check_unused(unsubscribe.packet_id)?;
        let Unsubscribe { packet_id, filters, .. } = unsubscribe;
        let receipt = UnsubscribeReceipt(self.requests.push(packet_id, filters.len()));
        self.events.push_back(Event::Unsubscribe { receipt, filters });
        Ok(())
    }

    /// Only the reason "normal disconnection" takes the will back (MQTT5-3.1.2-10).
    fn handle_disconnect(&mut self, disconnect: &Disconnect) -> Result<(), Violation> {
        let expiry = disconnect.session_expiry_interval;
        if let Phase::Connected(terms) = &self.phase
            && terms.session_expiry_interval == 0
            && expiry.is_some_and(|seconds| seconds > 0)
        {
            return Err(Violation::SessionExpiry);
        }
        self.enter_closed();
        self.events.push_back(Event::Disconnected {
            reason: disconnect.reason,
            session_expiry_interval: expiry,
            publish_will: disconnect.reason != ReasonCode::Success,
        });
        Ok(())
    }
}
