//! MQTT over WebSocket on the HTTPS port is the same code behind another door.

use bytes::BytesMut;
use certs::issue::CertifiedKeyPem;
use futures_util::{SinkExt as _, StreamExt as _};
use mqtt_proto::Version;
use mqtt_proto::wire::{Connect, DecodeLimits, Packet, Sender, decode, encode};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::certificates::client_tls;
use crate::support::deadline::{SOON, within};
use crate::support::device::return_code;
use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, publish, telemetry_topic};

/// A scripted client behind a WebSocket.
pub(crate) struct WebSocketDevice {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    input: BytesMut,
}

impl WebSocketDevice {
    /// Shakes hands and upgrades.
    pub(crate) async fn dial(hub: &HubProcess, certificate: &CertifiedKeyPem) -> Self {
        let address = hub.ports().https;
        let tls = client_tls(&hub.server_ca_pem(), Some(certificate));
        let stream = TcpStream::connect(address).await.expect("a socket");
        let stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost").expect("a name"), stream).await.expect("TLS");
        let url = format!("wss://localhost:{}/$iothub/websocket?iothub-no-client-cert=true", address.port());
        let mut request = url.into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "mqtt".parse().expect("a header"));
        let (socket, answer) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
        assert_eq!(answer.headers()["sec-websocket-protocol"], "mqtt");
        Self { socket, input: BytesMut::new() }
    }

    /// Sends a packet.
    pub(crate) async fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        encode(packet, Version::V311, &mut bytes).expect("a packet that can be written");
        let _ = self.socket.send(Message::Binary(bytes.freeze())).await;
    }

    /// The next packet; `None` when the hub has closed.
    pub(crate) async fn receive(&mut self) -> Option<Packet> {
        loop {
            let decoded = decode(&mut self.input, Version::V311, Sender::Server, &DecodeLimits::default());
            if let Some(packet) = decoded.expect("the hub sends no malformed packet") {
                return Some(packet);
            }
            match within("a message", SOON, self.socket.next()).await?.ok()? {
                Message::Binary(bytes) => self.input.extend_from_slice(&bytes),
                Message::Close(_) => return None,
                other => panic!("a binary message expected, not {other:?}"),
            }
        }
    }

    /// Sends CONNECT; gives the return code.
    pub(crate) async fn introduce(&mut self, login: Connect) -> u8 {
        self.send(&Packet::Connect(Box::new(login))).await;
        match self.receive().await {
            Some(Packet::ConnAck(answer)) => return_code(&answer),
            other => panic!("CONNACK expected, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn telemetry_is_taken_and_foreign_topics_end_the_connection() {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    let mut device = WebSocketDevice::dial(&hub, &hub.device_ca().issue("dev-1")).await;
    assert_eq!(device.introduce(connect(Version::V311, "dev-1")).await, 0);
    device.send(&Packet::Publish(publish(&telemetry_topic("dev-1"), Some(1), "over WebSocket"))).await;
    assert!(matches!(device.receive().await, Some(Packet::PubAck(ack)) if ack.packet_id.get() == 1));
    assert_eq!(service.events().await.bodies("dev-1"), ["over WebSocket"]);
    device.send(&Packet::Publish(publish(&telemetry_topic("dev-2"), Some(2), "foreign"))).await;
    assert_eq!(device.receive().await, None);
    assert_eq!(service.events().await.len(), 1);
}

/// Row 81 of the negative certificates behind the other door.
#[tokio::test]
async fn the_certificate_of_another_device_is_refused() {
    let hub = HubProcess::start();
    let service = hub.service();
    for device in ["dev-1", "dev-2"] {
        service.register(device).await;
    }
    let before = Facts::of(&service, &["dev-1", "dev-2"]).await;
    let mut device = WebSocketDevice::dial(&hub, &hub.device_ca().issue("dev-1")).await;
    assert_eq!(device.introduce(connect(Version::V311, "dev-2")).await, 5);
    assert_eq!(device.receive().await, None);
    assert_eq!(hub.logged(&["refused a device", "other_identity"]), 1);
    assert_eq!(Facts::of(&service, &["dev-1", "dev-2"]).await, before);
}
