//! How devices speak to the hub. A connection is one conversation: it begins, it ends, and the
//! device makes another one.

pub(crate) mod https;
pub(crate) mod mqtt;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::limits::MESSAGE_ID_BYTES_MAX;
use model::{DeviceId, SystemProperties};
use serde::Deserialize;
use thiserror::Error;

/// What a device needs to connect, whatever the address.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) device: DeviceId,
    /// The hub's name, as in its certificate and in the user names of devices.
    pub(crate) host: Arc<str>,
    /// Trusts the hub, shows the device's certificate.
    pub(crate) tls: Arc<rumqttc::tokio_rustls::rustls::ClientConfig>,
}

/// Something that happened on a connection that hands over commands as `C`.
#[derive(Debug)]
pub(crate) enum Happening<C> {
    /// The hub has let the device in.
    Connected,
    /// The hub will send whatever it has for the device, changes of its twin included.
    Subscribed,
    /// The oldest telemetry message handed over is on its way under this tag.
    Sent { tag: u64 },
    /// The hub has what was sent under this tag.
    Acknowledged { tag: u64 },
    /// A call of a direct method.
    Method { name: String, request_id: String, payload: Bytes },
    /// The answer to a read of the twin.
    Twin { body: Bytes },
    /// An answer to a twin request that says it was refused.
    TwinRefused { status: u16, body: Bytes },
    /// A change of desired properties.
    Desired { body: Bytes },
    /// A command; settle it once handled.
    Command(C),
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum End {
    /// The device said goodbye.
    Disconnected,
    /// The hub does not take this device, or what it sent.
    Refused(String),
    /// The hub cannot serve for now, and may have said when to ask again.
    Busy { said: String, retry_after: Option<Duration> },
    /// It broke.
    Broken(anyhow::Error),
    /// The device asked for more than the connection could take at once.
    Overrun(Overrun),
}

/// A connection that takes no more requests: too many wait to be written, or it is ending.
#[derive(Debug, Error)]
#[error("the connection takes no more requests")]
pub(crate) struct Overrun;

/// What a device says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Settlement {
    /// Done.
    #[default]
    Complete,
    /// Never to be done: it becomes a dead letter.
    Reject,
    /// Not now: it is delivered again.
    Abandon,
}

/// One connection of a device, in whatever protocol. Requests are queued by these functions and
/// sent while [`Connection::next`] is awaited; one that finds no room is an [`Overrun`].
pub(crate) trait Connection: Sized + Send {
    /// A command, with what is needed to settle it.
    type Command: Send;

    /// Prepares a connection to `address` with at most `in_flight` messages under way.
    fn open(credentials: &Credentials, address: SocketAddr, in_flight: u16) -> anyhow::Result<Self>;

    /// The next thing that happens, or why nothing will any more. May be dropped and called again
    /// without losing anything.
    fn next(&mut self) -> impl Future<Output = Result<Happening<Self::Command>, End>> + Send;

    /// Asks for everything the hub may send; [`Happening::Subscribed`] follows.
    fn subscribe(&self) -> Result<(), Overrun>;

    /// Sends a JSON message whose acknowledgement is awaited.
    fn send_telemetry(&self, number: u64, body: Bytes) -> Result<(), Overrun>;

    /// Asks for the twin, where the protocol has twins.
    fn read_twin(&self) -> Result<(), Overrun>;

    /// Reports properties, where the protocol has twins.
    fn report(&self, patch: String) -> Result<(), Overrun>;

    /// Answers a call of a direct method.
    fn answer_method(&self, request_id: &str, status: u16, body: String) -> Result<(), Overrun>;

    /// Settles a command as `wanted`, or as the protocol can; gives what it will be.
    fn settle(&self, command: Self::Command, wanted: Settlement) -> Result<Settlement, Overrun>;

    /// Says goodbye after what was asked before; [`End::Disconnected`] follows.
    fn disconnect(&mut self) -> Result<(), Overrun>;
}

/// The properties of the message with this running number.
fn properties(device: &DeviceId, number: u64) -> SystemProperties {
    SystemProperties {
        message_id: Some(format!("{device}-{number}")).filter(|id| id.len() <= MESSAGE_ID_BYTES_MAX),
        content_type: Some("application/json".into()),
        content_encoding: Some("utf-8".into()),
        ..SystemProperties::default()
    }
}
