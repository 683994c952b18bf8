//! MQTT 3.1.1 with the topics of IoT Hub, over the client library `rumqttc`.
//!
//! Each connection is a new event loop with packet ids of its own, and what an old one left
//! unacknowledged is sent again by the device from its outbox. The library can carry its state
//! over a reconnect, but drops it when the hub has no session and cannot change the port.

mod topic;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use model::limits::MQTT_PACKET_BYTES_MAX;
use model::{DeviceId, MessageProperties, property_bag};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeFilter,
    SubscribeReasonCode, TlsConfiguration, Transport,
};

use super::{Credentials, End, Happening, Overrun, Settlement};

const API_VERSION: &str = "2021-04-12";
const CLIENT_TYPE: &str = concat!("isthmus-device-sim%2F", env!("CARGO_PKG_VERSION"));
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Requests beside telemetry that may wait for the connection: answers, reports and PUBACKs.
const OTHER_REQUESTS_MAX: usize = 64;

type Events = Pin<Box<dyn Stream<Item = Result<Event, ConnectionError>> + Send>>;

/// One connection of a device.
pub(crate) struct Connection {
    device: DeviceId,
    client: AsyncClient,
    events: Events,
}

impl super::Connection for Connection {
    type Command = Publish;

    fn open(credentials: &Credentials, address: SocketAddr, in_flight: u16) -> anyhow::Result<Self> {
        let device = &credentials.device;
        // The library puts the port behind the host with a colon, which no IPv6 address survives.
        let host = if address.is_ipv4() { address.ip().to_string() } else { credentials.host.to_string() };
        let mut options = MqttOptions::new(device.as_str(), host, address.port());
        let username = format!("{}/{device}/?api-version={API_VERSION}&DeviceClientType={CLIENT_TYPE}", credentials.host);
        options
            .set_credentials(username, "")
            .set_clean_session(false)
            .set_keep_alive(KEEP_ALIVE)
            .set_manual_acks(true)
            // One more than messages: at its bound the library holds back every other request.
            .set_inflight(in_flight + 1)
            .set_max_packet_size(MQTT_PACKET_BYTES_MAX, MQTT_PACKET_BYTES_MAX)
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&credentials.tls))));
        let (client, mut event_loop) = AsyncClient::new(options, usize::from(in_flight) + OTHER_REQUESTS_MAX);
        event_loop.network_options.set_tcp_nodelay(true);
        Ok(Self { device: device.clone(), client, events: Box::pin(events(event_loop)) })
    }

    async fn next(&mut self) -> Result<Happening<Publish>, End> {
        loop {
            let event = match self.events.next().await {
                None => return Err(End::Disconnected),
                Some(Err(ConnectionError::ConnectionRefused(code))) => return Err(End::Refused(refusal(code))),
                Some(Err(error)) => return Err(End::Broken(error.into())),
                Some(Ok(event)) => event,
            };
            if let Some(happening) = self.interpret(event) {
                return happening;
            }
        }
    }

    fn subscribe(&self) -> Result<(), Overrun> {
        let commands = format!("devices/{}/messages/devicebound/#", self.device);
        let subscribed = self.client.try_subscribe_many([
            SubscribeFilter::new(commands, QoS::AtLeastOnce),
            SubscribeFilter::new("$iothub/methods/POST/#".into(), QoS::AtMostOnce),
            SubscribeFilter::new("$iothub/twin/res/#".into(), QoS::AtMostOnce),
            SubscribeFilter::new("$iothub/twin/PATCH/properties/desired/#".into(), QoS::AtMostOnce),
        ]);
        subscribed.map_err(|_| Overrun)
    }

    fn send_telemetry(&self, number: u64, body: Bytes) -> Result<(), Overrun> {
        let system = super::properties(&self.device, number);
        let bag = property_bag::format(&MessageProperties { system, application: Vec::new() });
        let topic = format!("devices/{}/messages/events/{bag}", self.device);
        self.client.try_publish(topic, QoS::AtLeastOnce, false, body).map_err(|_| Overrun)
    }

    fn read_twin(&self) -> Result<(), Overrun> {
        self.request(format!("$iothub/twin/GET/?$rid={}", topic::READ_TWIN), String::new())
    }

    fn report(&self, patch: String) -> Result<(), Overrun> {
        self.request(format!("$iothub/twin/PATCH/properties/reported/?$rid={}", topic::REPORT), patch)
    }

    fn answer_method(&self, request_id: &str, status: u16, body: String) -> Result<(), Overrun> {
        self.request(format!("$iothub/methods/res/{status}/?$rid={request_id}"), body)
    }

    /// A PUBACK completes; MQTT has nothing else to say of a command.
    fn settle(&self, command: Publish, _: Settlement) -> Result<Settlement, Overrun> {
        self.client.try_ack(&command).map_err(|_| Overrun)?;
        Ok(Settlement::Complete)
    }

    fn disconnect(&mut self) -> Result<(), Overrun> {
        self.client.try_disconnect().map_err(|_| Overrun)
    }
}

impl Connection {
    fn interpret(&self, event: Event) -> Option<Result<Happening<Publish>, End>> {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => Some(Ok(Happening::Connected)),
            Event::Incoming(Packet::SubAck(ack)) => Some(match ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                true => Err(End::Refused("a subscription was refused".into())),
                false => Ok(Happening::Subscribed),
            }),
            Event::Incoming(Packet::PubAck(ack)) => Some(Ok(Happening::Acknowledged { tag: ack.pkid.into() })),
            Event::Incoming(Packet::Publish(publish)) => topic::read(self.device.as_str(), publish).map(Ok),
            // Only telemetry is sent with QoS 1; without, the packet id is 0.
            Event::Outgoing(Outgoing::Publish(0)) => None,
            Event::Outgoing(Outgoing::Publish(packet_id)) => Some(Ok(Happening::Sent { tag: packet_id.into() })),
            Event::Outgoing(Outgoing::Disconnect) => Some(Err(End::Disconnected)),
            Event::Incoming(_) | Event::Outgoing(_) => None,
        }
    }

    /// Sends what is answered by a message, or by nothing.
    fn request(&self, topic: String, body: String) -> Result<(), Overrun> {
        self.client.try_publish(topic, QoS::AtMostOnce, false, body).map_err(|_| Overrun)
    }
}

/// Polls in a future that is kept when `next` is dropped: a poll that is cancelled while it
/// writes would lose the packet.
fn events(event_loop: EventLoop) -> impl Stream<Item = Result<Event, ConnectionError>> + Send {
    stream::unfold(Some(event_loop), |event_loop| async {
        let mut event_loop = event_loop?;
        let event = event_loop.poll().await;
        // After an error the library would connect again by itself.
        let goes_on = event.is_ok();
        Some((event, goes_on.then_some(event_loop)))
    })
}

fn refusal(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::Success => "accepted".into(),
        ConnectReturnCode::RefusedProtocolVersion => "protocol version refused (1)".into(),
        ConnectReturnCode::BadClientId => "identifier refused (2)".into(),
        ConnectReturnCode::ServiceUnavailable => "the hub is overloaded (3)".into(),
        ConnectReturnCode::BadUserNamePassword => "credentials refused (4)".into(),
        ConnectReturnCode::NotAuthorized => "not authorized (5)".into(),
    }
}
