//! Names of listeners and where they are asked to listen.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// A listener's name in flags, in the configuration and in `ports.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ListenerName {
    /// MQTT over TLS.
    Mqtt,
    /// HTTPS, and MQTT in WebSockets.
    Https,
    /// AMQP over TLS. Not built yet.
    Amqp,
    /// CoAP over DTLS. Not built yet.
    Coaps,
    /// CoAP over TLS. Not built yet.
    CoapsTcp,
    /// Kafka over TLS.
    Kafka,
    /// Metrics and health over plain HTTP.
    Metrics,
}

impl ListenerName {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [Self::Mqtt, Self::Https, Self::Amqp, Self::Coaps, Self::CoapsTcp, Self::Kafka, Self::Metrics];

    /// The name as written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Https => "https",
            Self::Amqp => "amqp",
            Self::Coaps => "coaps",
            Self::CoapsTcp => "coaps_tcp",
            Self::Kafka => "kafka",
            Self::Metrics => "metrics",
        }
    }

    /// Whether this version can serve it; one that is not built can only be off.
    pub(crate) fn is_built(self) -> bool {
        match self {
            Self::Mqtt | Self::Https | Self::Kafka | Self::Metrics => true,
            Self::Amqp | Self::Coaps | Self::CoapsTcp => false,
        }
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no listener.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a listener; they are mqtt, https, amqp, coaps, coaps_tcp, kafka, metrics")]
pub(crate) struct UnknownListener(String);

impl FromStr for ListenerName {
    type Err = UnknownListener;
    fn from_str(text: &str) -> Result<Self, UnknownListener> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| UnknownListener(text.to_owned()))
    }
}

/// A listener that this version does not have was asked to bind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the listener {0} is not built yet; write \"off\" or leave it out")]
pub(crate) struct NotBuiltYet(pub(crate) ListenerName);

/// Where to listen, as written: `127.0.0.1:8883`, `[::]:8883`, or `localhost:8883` for 127.0.0.1
/// and, on a machine that has it, ::1. Port 0 picks a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// Exactly this address.
    Socket(SocketAddr),
    /// The loopback addresses there are.
    Localhost {
        /// The port of each.
        port: u16,
    },
}

/// A text that is not an address to listen at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an address; write IP:PORT like 127.0.0.1:8883 or [::]:8883, or localhost:PORT, or off")]
pub(crate) struct InvalidListenAddress(String);

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;
    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        let invalid = || InvalidListenAddress(text.to_owned());
        match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(|port| Self::Localhost { port }).map_err(|_| invalid()),
            None => text.parse().map(Self::Socket).map_err(|_| invalid()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Localhost { port } => write!(f, "localhost:{port}"),
        }
    }
}

/// What a listener is told: to be off, or where to listen. Never an empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// It does not exist.
    Off,
    /// Here.
    At(Vec<ListenAddress>),
}

impl FromStr for Listen {
    type Err = InvalidListenAddress;
    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(|address| Self::At(vec![address])) }
    }
}

/// Whether a hub can do without an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The hub does not start without it.
    Required,
    /// Left out on a machine that does not have this address.
    WhereItExists,
    /// Left out wherever it cannot be bound.
    WherePossible,
}

/// One socket to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Whether the hub can do without it.
    pub(crate) need: Need,
}

impl ListenAddress {
    /// The sockets this means.
    pub(crate) fn targets(self) -> Vec<Target> {
        match self {
            Self::Socket(address) => vec![Target { address, need: Need::Required }],
            Self::Localhost { port } => vec![
                Target { address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port), need: Need::Required },
                Target { address: SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port), need: Need::WhereItExists },
            ],
        }
    }
}

/// The sockets of every listener that is on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ListenerSettings {
    /// MQTT.
    pub(crate) mqtt: Vec<Target>,
    /// HTTPS.
    pub(crate) https: Vec<Target>,
    /// Kafka.
    pub(crate) kafka: Vec<Target>,
    /// Metrics and health.
    pub(crate) metrics: Vec<Target>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_reads_back_by_its_name() {
        for name in ListenerName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        assert_eq!("MQTT".parse::<ListenerName>(), Err(UnknownListener("MQTT".to_owned())));
    }

    #[test]
    fn addresses_are_read_in_their_three_forms() {
        let cases = [("127.0.0.1:0", 1), ("[::1]:8883", 1), ("0.0.0.0:443", 1), ("localhost:8883", 2)];
        for (text, sockets) in cases {
            let address: ListenAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
            assert_eq!(address.targets().len(), sockets, "{text}");
        }
        for bad in ["", "8883", ":8883", "127.0.0.1", "::1:8883", "localhost", "localhost:70000", "hub.example:8883", "on"] {
            assert_eq!(bad.parse::<Listen>(), Err(InvalidListenAddress(bad.to_owned())));
        }
        assert_eq!("off".parse(), Ok(Listen::Off));
    }
}
