//! What a server offers.

use std::time::Duration;

use crate::wire::{DecodeLimits, QoS};

/// What a server offers to every client. The default is that of a hub without a generic namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What packets may hold. `packet_bytes_max` is announced to version 5.
    pub limits: DecodeLimits,
    /// Unacknowledged QoS 1 messages in each direction, at least 1. Inbound it is announced to
    /// version 5 as Receive Maximum, and reading stops for 3.1.1; outbound the client's own counts if
    /// it is less.
    pub in_flight_max: u16,
    /// The best quality of service. At most [`QoS::AtLeastOnce`] until QoS 2 is built.
    pub maximum_qos: QoS,
    /// Whether messages can be retained. If not, the flag is reported to the application for 3.1.1
    /// and ends the connection in version 5, whose clients were told.
    pub retain_available: bool,
    /// Whether filters may have wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether subscriptions may be numbered. If so, the application repeats the number in each
    /// message that a subscription matches.
    pub subscription_id_available: bool,
    /// Whether version 5 subscriptions may be shared.
    pub shared_subscription_available: bool,
    /// The largest topic alias that a client may use; 0 for none. Each one used keeps its topic.
    pub topic_alias_maximum: u16,
    /// The longest silence, whatever keep-alive a client asks for.
    pub silence_max: Duration,
    /// From the start to the verdict on CONNECT.
    pub connect_timeout: Duration,
    /// Output beyond which nothing more is read, published or sent again. The last packet may exceed
    /// it.
    pub output_bytes_max: usize,
}

impl Config {
    pub(super) fn in_flight(&self) -> usize {
        usize::from(self.in_flight_max.max(1))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: DecodeLimits::default(),
            in_flight_max: 1024,
            maximum_qos: QoS::AtLeastOnce,
            retain_available: false,
            wildcard_subscription_available: true,
            subscription_id_available: false,
            shared_subscription_available: false,
            topic_alias_maximum: 10,
            silence_max: Duration::from_secs(1767),
            connect_timeout: Duration::from_secs(10),
            output_bytes_max: 512 * 1024,
        }
    }
}
