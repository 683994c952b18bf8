//! A scripted MQTT client: it sends what it is told, and says what came back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mqtt_proto::Version;
use mqtt_proto::wire::{
    Ack, ConnAck, ConnAckCode, Connect, DecodeLimits, Disconnect, Packet, Publish, QoS, ReasonCode, Sender, decode, encode,
};
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::client_tls;
use super::deadline::{SOON, within};
use super::hub::HubProcess;
use super::packets::{self, publish, subscribe};

/// One connection of a client.
pub(crate) struct Device {
    stream: TlsStream<TcpStream>,
    input: BytesMut,
    version: Version,
    last_packet_id: u16,
}

impl Device {
    /// Shakes hands and sends nothing.
    ///
    /// # Errors
    /// When the hub does not shake hands.
    pub(crate) async fn dial(address: SocketAddr, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let dialing = async {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let name = ServerName::try_from("localhost").expect("a name");
            TlsConnector::from(tls).connect(name, socket).await
        };
        let stream = within("a TLS handshake", SOON, dialing).await?;
        Ok(Self { stream, input: BytesMut::new(), version: Version::V311, last_packet_id: 0 })
    }

    /// Whether the handshake was a full one, with the client's certificate and its proof.
    pub(crate) fn handshake_was_full(&self) -> bool {
        self.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Full)
    }

    /// Shakes hands showing a fresh certificate for `identity` from the hub's device CA.
    pub(crate) async fn certified(hub: &HubProcess, identity: &str) -> Self {
        let certificate = hub.device_ca().issue(identity);
        Self::dial(hub.ports().mqtt, client_tls(&hub.server_ca_pem(), Some(&certificate))).await.expect("a handshake")
    }

    /// Connects with a clean session over MQTT 3.1.1.
    pub(crate) async fn connected(hub: &HubProcess, identity: &str) -> Self {
        Self::connected_with(hub, &packets::connect(Version::V311, identity)).await.0
    }

    /// Connects with `connect` and a certificate for its client id.
    ///
    /// # Panics
    /// When it is refused.
    pub(crate) async fn connected_with(hub: &HubProcess, connect: &Connect) -> (Self, ConnAck) {
        let mut device = Self::certified(hub, &connect.client_id).await;
        let answer = device.introduce(connect).await;
        assert!(answer.code.is_success(), "{answer:?}");
        (device, answer)
    }

    /// Reads and writes as this version has it, without CONNECT.
    pub(crate) fn speak(&mut self, version: Version) {
        self.version = version;
    }

    /// Sends CONNECT and gives the answer.
    pub(crate) async fn introduce(&mut self, connect: &Connect) -> ConnAck {
        self.try_introduce(connect).await.expect("an answer to CONNECT")
    }

    /// The same; `None` when the hub closed instead of answering.
    pub(crate) async fn try_introduce(&mut self, connect: &Connect) -> Option<ConnAck> {
        self.speak(connect.version);
        self.send(&Packet::Connect(Box::new(connect.clone()))).await;
        match self.receive().await? {
            Packet::ConnAck(answer) => Some(*answer),
            other => panic!("CONNACK expected, not {other:?}"),
        }
    }

    /// Sends a packet. A connection that the hub has closed takes it, too.
    pub(crate) async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        encode(packet, self.version, &mut bytes).expect("a packet that can be written");
        self.send_bytes(&bytes).await;
    }

    /// Sends anything. A connection that the hub has closed takes it, too.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        // Whether the hub still listens shows when reading.
        let _ = within("sending", SOON, sending).await;
    }

    /// The next packet; `None` when the hub has closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<Packet> {
        within("a packet", SOON, self.next()).await
    }

    async fn next(&mut self) -> Option<Packet> {
        loop {
            let decoded = decode(&mut self.input, self.version, Sender::Server, &DecodeLimits::default());
            if let Some(packet) = decoded.expect("the hub sends no malformed packet") {
                return Some(packet);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Waits until the hub closes, over whatever it still sends; gives that.
    pub(crate) async fn until_closed(&mut self) -> Vec<Packet> {
        let mut received = Vec::new();
        while let Some(packet) = self.receive().await {
            received.push(packet);
        }
        assert!(self.input.is_empty(), "the hub closed in the middle of a packet");
        received
    }

    /// The hub closes without another packet.
    pub(crate) async fn expect_closed(&mut self) {
        let received = self.until_closed().await;
        assert!(received.is_empty(), "nothing expected but the end, not {received:?}");
    }

    /// The hub sends DISCONNECT with `reason` and closes.
    pub(crate) async fn expect_disconnect(&mut self, reason: ReasonCode) {
        let received = self.until_closed().await;
        assert_eq!(received, [Packet::Disconnect(Disconnect::new(reason))]);
    }

    /// The next packet is a PUBLISH.
    pub(crate) async fn expect_publish(&mut self) -> Publish {
        match self.receive().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("PUBLISH expected, not {other:?}"),
        }
    }

    /// The next packet acknowledges `packet_id` with success.
    pub(crate) async fn expect_puback(&mut self, packet_id: u16) {
        assert_eq!(self.expect_ack(packet_id).await, ReasonCode::Success);
    }

    /// The next packet acknowledges `packet_id`; gives the reason.
    pub(crate) async fn expect_ack(&mut self, packet_id: u16) -> ReasonCode {
        match self.receive().await {
            Some(Packet::PubAck(ack)) if ack.packet_id.get() == packet_id => ack.reason,
            other => panic!("PUBACK {packet_id} expected, not {other:?}"),
        }
    }

    /// The hub still answers.
    pub(crate) async fn expect_alive(&mut self) {
        self.send(&Packet::PingReq).await;
        assert_eq!(self.receive().await, Some(Packet::PingResp));
    }

    /// Subscribes at QoS 1; gives what was granted.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Vec<Result<QoS, ReasonCode>> {
        let packet_id = self.next_packet_id();
        let filters: Vec<_> = filters.iter().map(|filter| (*filter, QoS::AtLeastOnce)).collect();
        self.send(&subscribe(packet_id, &filters)).await;
        match self.receive().await {
            Some(Packet::SubAck(answer)) => answer.results,
            other => panic!("SUBACK expected, not {other:?}"),
        }
    }

    /// Subscribes at QoS 1; `None` when the hub closed instead of answering.
    pub(crate) async fn try_subscribe(&mut self, filter: &str) -> Option<()> {
        let packet_id = self.next_packet_id();
        self.send(&subscribe(packet_id, &[(filter, QoS::AtLeastOnce)])).await;
        match self.receive().await? {
            Packet::SubAck(answer) if answer.results == [Ok(QoS::AtLeastOnce)] => Some(()),
            other => panic!("SUBACK expected, not {other:?}"),
        }
    }

    /// Publishes at QoS 1 and waits for the acknowledgement, which must be the next packet.
    pub(crate) async fn publish_acknowledged(&mut self, topic: &str, body: impl Into<Vec<u8>>) {
        let packet_id = self.next_packet_id();
        self.send(&Packet::Publish(publish(topic, Some(packet_id), body))).await;
        self.expect_puback(packet_id).await;
    }

    /// Publishes at QoS 1; `None` when the hub closed instead of acknowledging. Other packets that
    /// arrive before are dropped.
    pub(crate) async fn try_publish(&mut self, topic: &str, body: impl Into<Vec<u8>>) -> Option<()> {
        let packet_id = self.next_packet_id();
        self.send(&Packet::Publish(publish(topic, Some(packet_id), body))).await;
        loop {
            match self.receive().await? {
                Packet::PubAck(ack) if ack.packet_id.get() == packet_id => return Some(()),
                _ => {}
            }
        }
    }

    /// Asks for a twin operation at QoS 0; gives topic and body of the answer, `None` when the hub
    /// closed instead. The device must have subscribed to `$iothub/twin/res/#`.
    pub(crate) async fn ask_twin(&mut self, topic: &str, body: &str) -> Option<(String, Bytes)> {
        self.send(&Packet::Publish(publish(topic, None, body))).await;
        loop {
            match self.receive().await? {
                Packet::Publish(publish) if publish.topic.starts_with("$iothub/twin/res/") => {
                    return Some((publish.topic.to_string(), publish.payload));
                }
                _ => {}
            }
        }
    }

    /// Acknowledges a message of the hub's.
    pub(crate) async fn acknowledge(&mut self, publish: &Publish) {
        let packet_id = publish.packet_id.expect("QoS 1");
        self.send(&Packet::PubAck(Ack::new(packet_id, ReasonCode::Success))).await;
    }

    /// Says goodbye and waits until the hub has closed.
    pub(crate) async fn disconnect(mut self) {
        self.send(&Packet::Disconnect(Disconnect::new(ReasonCode::Success))).await;
        self.expect_closed().await;
    }

    /// A packet id of this connection's own.
    pub(crate) fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id % 60_000 + 1;
        self.last_packet_id
    }
}

/// The return code of a 3.1.1 CONNACK.
pub(crate) fn return_code(answer: &ConnAck) -> u8 {
    match answer.code {
        ConnAckCode::Return(code) => code.into(),
        ConnAckCode::Reason(reason) => panic!("a reason code of version 5: {reason:?}"),
    }
}

/// The reason code of an MQTT 5 CONNACK.
pub(crate) fn reason_code(answer: &ConnAck) -> ReasonCode {
    match answer.code {
        ConnAckCode::Reason(reason) => reason,
        ConnAckCode::Return(code) => panic!("a return code of 3.1.1: {code:?}"),
    }
}
