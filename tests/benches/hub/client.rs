//! A device's side of a connection: TLS with its own certificate, then MQTT 3.1.1 in raw bytes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::{Bytes, BytesMut};
use mqtt_proto::Version;
use mqtt_proto::wire::{self, Ack, Connect, ConnectProperties, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode, Text};
use mqtt_proto::wire::{Subscribe, SubscribeFilter, SubscribeProperties};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, Stream};
use rustls_pki_types::ServerName;

/// What every message carries.
pub(crate) const PAYLOAD_BYTES: usize = 256;
/// Longer than any run, so that nobody has to send PINGREQ.
const KEEP_ALIVE_SECONDS: u16 = 1_100;
/// The CONNACK of a server that agrees, without a session.
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
/// A CONNACK must not keep the bench waiting for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const DISCONNECT: [u8; 2] = [0xE0, 0];
/// What `subscribe` numbers its one packet, and the SUBACK that grants QoS 1.
const SUBSCRIPTION: u16 = 1;
const GRANTED: [u8; 5] = [0x90, 3, 0, 1, 1];

/// Who connects, and what it sends.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The client id.
    pub(crate) device: String,
    /// Sent with the CONNECT if there is one.
    pub(crate) username: Option<String>,
    /// Where its messages go.
    pub(crate) topic: String,
    /// Trusts the server and shows the device's certificate.
    pub(crate) tls: Arc<ClientConfig>,
}

/// A connection: its socket and its TLS state.
#[derive(Debug)]
pub(crate) struct Client {
    /// Blocking until someone says otherwise.
    pub(crate) socket: TcpStream,
    pub(crate) tls: ClientConnection,
}

impl Client {
    /// A TLS connection, its handshake done, with nothing said on it.
    ///
    /// # Errors
    /// When the server cannot be reached, or either side refuses the other.
    pub(crate) fn secure(address: SocketAddr, config: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut tls = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut socket).context("TLS handshake")?;
        }
        ensure!(tls.protocol_version() == Some(ProtocolVersion::TLSv1_3), "the server does not speak TLS 1.3");
        Ok(Self { socket, tls })
    }

    /// A connection that the server has admitted.
    ///
    /// # Errors
    /// As [`Client::secure`], and when the CONNECT is refused.
    pub(crate) fn connect(address: SocketAddr, login: &Login) -> anyhow::Result<Self> {
        let mut client = Self::secure(address, &login.tls)?;
        let mut stream = Stream::new(&mut client.tls, &mut client.socket);
        stream.write_all(&connect_packet(login)?)?;
        let mut answer = [0; ACCEPTED.len()];
        stream.read_exact(&mut answer).context("no CONNACK")?;
        ensure!(answer == ACCEPTED, "{} was refused: {answer:02x?}", login.device);
        Ok(client)
    }

    /// Asks for `filter` at QoS 1.
    ///
    /// # Errors
    /// When it is not granted.
    pub(crate) fn subscribe(&mut self, filter: &str) -> anyhow::Result<()> {
        let filters = vec![SubscribeFilter::new(text(filter)?, QoS::AtLeastOnce)];
        let packet_id = PacketId::new(SUBSCRIPTION).context("no packet id")?;
        let subscribe = Packet::Subscribe(Subscribe { packet_id, filters, properties: SubscribeProperties::default() });
        let mut stream = Stream::new(&mut self.tls, &mut self.socket);
        stream.write_all(&encoded(&subscribe)?)?;
        let mut answer = [0; GRANTED.len()];
        stream.read_exact(&mut answer).context("no SUBACK")?;
        ensure!(answer == GRANTED, "{filter} was refused: {answer:02x?}");
        Ok(())
    }

    /// Says goodbye as MQTT, TLS and TCP want it.
    pub(crate) fn disconnect(mut self) {
        // A server that has gone already need not hear it.
        let _ = Stream::new(&mut self.tls, &mut self.socket).write_all(&DISCONNECT);
        self.tls.send_close_notify();
        let _ = self.tls.write_tls(&mut self.socket);
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

/// Connects every one of `logins`, several at a time.
///
/// # Errors
/// The first that failed.
pub(crate) fn connect_all(address: SocketAddr, logins: &[Login]) -> anyhow::Result<Vec<Client>> {
    const AT_ONCE: usize = 8;
    let share = logins.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let connect = |logins: &[Login]| logins.iter().map(|login| Client::connect(address, login)).collect::<anyhow::Result<Vec<_>>>();
        let threads: Vec<_> = logins.chunks(share).map(|logins| scope.spawn(move || connect(logins))).collect();
        let mut clients = Vec::with_capacity(logins.len());
        for thread in threads {
            clients.extend(thread.join().map_err(|_| anyhow!("a connecting thread panicked"))??);
        }
        Ok(clients)
    })
}

fn connect_packet(login: &Login) -> anyhow::Result<BytesMut> {
    let connect = Connect {
        version: Version::V311,
        client_id: text(&login.device)?,
        clean_start: true,
        keep_alive_seconds: KEEP_ALIVE_SECONDS,
        username: login.username.as_deref().map(text).transpose()?,
        password: None,
        will: None,
        properties: ConnectProperties::default(),
    };
    encoded(&Packet::Connect(Box::new(connect)))
}

/// A QoS 1 PUBLISH, and where its packet id lies.
///
/// # Errors
/// When the topic cannot be encoded.
pub(crate) fn publish_packet(topic: &str) -> anyhow::Result<(Vec<u8>, usize)> {
    let publish = Publish {
        topic: text(topic)?,
        payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
        qos: QoS::AtLeastOnce,
        retain: false,
        dup: false,
        packet_id: PacketId::new(1),
        properties: PublishProperties::default(),
    };
    let packet = encoded(&Packet::Publish(publish))?.to_vec();
    let packet_id_at = packet.len() - PAYLOAD_BYTES - size_of::<u16>();
    Ok((packet, packet_id_at))
}

/// A QoS 0 PUBLISH.
///
/// # Errors
/// When the topic cannot be encoded.
pub(crate) fn message_packet(topic: &str, payload: &'static [u8]) -> anyhow::Result<BytesMut> {
    let publish = Publish {
        topic: text(topic)?,
        payload: Bytes::from_static(payload),
        qos: QoS::AtMostOnce,
        retain: false,
        dup: false,
        packet_id: None,
        properties: PublishProperties::default(),
    };
    encoded(&Packet::Publish(publish))
}

/// The PUBACK of `packet_id`.
///
/// # Errors
/// Never, but for a fault of the encoder.
pub(crate) fn acknowledgement_packet(packet_id: PacketId) -> anyhow::Result<BytesMut> {
    encoded(&Packet::PubAck(Ack::new(packet_id, ReasonCode::Success)))
}

fn text(text: &str) -> anyhow::Result<Text> {
    Text::try_from(text).map_err(|error| anyhow!("{text}: {error}"))
}

fn encoded(packet: &Packet) -> anyhow::Result<BytesMut> {
    let mut bytes = BytesMut::new();
    wire::encode(packet, Version::V311, &mut bytes)?;
    Ok(bytes)
}
