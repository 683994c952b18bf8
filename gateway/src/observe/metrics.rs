//! The hub's own counts. What the event log and the registry count themselves is read from them
//! at each scrape, see [`super::exposition`].

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// MQTT on TLS or within a WebSocket.
    Mqtt,
    /// HTTPS.
    Https,
    /// Kafka.
    Kafka,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Mqtt, Self::Https, Self::Kafka];

    /// The protocol as a label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Https => "https",
            Self::Kafka => "kafka",
        }
    }
}

/// Counters and gauges of a hub; clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Instruments>);

/// Counted as under way as long as this lives.
#[derive(Debug)]
pub(crate) struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Debug)]
struct Instruments {
    registry: Registry,
    mqtt: PerProtocol,
    https: PerProtocol,
    kafka: PerProtocol,
    kafka_requests: Family<RequestLabel, Counter>,
    kafka_received_bytes: Counter,
    kafka_sent_bytes: Counter,
    messages_refused: Family<ReasonLabel, Counter>,
    auth_refused: Family<ReasonLabel, Counter>,
    handshakes_failed: Family<ReasonLabel, Counter>,
    twin_operations: Family<KindLabel, Counter>,
    commands_delivered: Counter,
    methods_invoked: Family<OutcomeLabel, Counter>,
    methods_under_way: Gauge,
    files_stored: Counter,
    file_received_bytes: Counter,
    file_uploads_ended: Family<OutcomeLabel, Counter>,
    server_certificate_renewals: Counter,
    server_certificate_refusals: Counter,
    panics: Counter,
}

/// Looked up once, so that counting a message is two additions.
#[derive(Debug)]
struct PerProtocol {
    connections_opened: Counter,
    connections_open: Gauge,
    messages: Counter,
    message_bytes: Counter,
    acknowledged: Counter,
    acknowledgement_seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabel {
    api: &'static str,
    error: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Instruments::register(Registry::with_prefix("isthmus"))))
    }

    /// A connection of this protocol was admitted.
    pub(crate) fn connection_opened(&self, protocol: Protocol) {
        let per = self.0.of(protocol);
        per.connections_opened.inc();
        per.connections_open.inc();
    }

    /// A connection counted by [`Metrics::connection_opened`] ended.
    pub(crate) fn connection_closed(&self, protocol: Protocol) {
        self.0.of(protocol).connections_open.dec();
    }

    /// A telemetry message arrived; `bytes` is its body and properties.
    pub(crate) fn message_received(&self, protocol: Protocol, bytes: usize) {
        let per = self.0.of(protocol);
        per.messages.inc();
        per.message_bytes.inc_by(bytes as u64);
    }

    /// A batch of `count` events arrived from a producer.
    pub(crate) fn batch_received(&self, protocol: Protocol, count: u32, bytes: usize) {
        let per = self.0.of(protocol);
        per.messages.inc_by(count.into());
        per.message_bytes.inc_by(bytes as u64);
    }

    /// A Kafka request was answered, with an error or, with 0, without.
    pub(crate) fn kafka_answered(&self, api: &'static str, error: i16) {
        self.0.kafka_requests.get_or_create(&RequestLabel { api, error: error.into() }).inc();
    }

    /// A Kafka request of `bytes` arrived.
    pub(crate) fn kafka_received(&self, bytes: usize) {
        self.0.kafka_received_bytes.inc_by(bytes as u64);
    }

    /// `bytes` of an answer went to a Kafka client.
    pub(crate) fn kafka_sent(&self, bytes: usize) {
        self.0.kafka_sent_bytes.inc_by(bytes as u64);
    }

    /// `count` messages were acknowledged, after they were durable.
    pub(crate) fn message_acknowledged(&self, protocol: Protocol, count: u64) {
        self.0.of(protocol).acknowledged.inc_by(count);
    }

    /// Messages that were staged together became durable after this long.
    pub(crate) fn acknowledgement_took(&self, protocol: Protocol, duration: Duration) {
        self.0.of(protocol).acknowledgement_seconds.observe(duration.as_secs_f64());
    }

    /// A message was not accepted.
    pub(crate) fn message_refused(&self, reason: &'static str) {
        self.0.messages_refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Somebody was not admitted; the name of the refusal's variant.
    pub(crate) fn auth_refused(&self, reason: &'static str) {
        self.0.auth_refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A socket was accepted and closed before its TLS handshake ended.
    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        self.0.handshakes_failed.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A twin was read or changed.
    pub(crate) fn twin_operation(&self, kind: &'static str) {
        self.0.twin_operations.get_or_create(&KindLabel { kind }).inc();
    }

    /// A command was handed to its device.
    pub(crate) fn command_delivered(&self) {
        self.0.commands_delivered.inc();
    }

    /// A direct method has been called, and is under way until what this gives is dropped.
    pub(crate) fn method_begins(&self) -> UnderWay {
        self.0.methods_under_way.inc();
        UnderWay(self.0.methods_under_way.clone())
    }

    /// A direct method ended.
    pub(crate) fn method_invoked(&self, outcome: &'static str) {
        self.0.methods_invoked.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// A file of a device was put in its place, durable.
    pub(crate) fn file_stored(&self) {
        self.0.files_stored.inc();
    }

    /// `bytes` of a file, or of a block of one, were received whole.
    pub(crate) fn file_received(&self, bytes: u64) {
        self.0.file_received_bytes.inc_by(bytes);
    }

    /// A device said how an upload of its ended.
    pub(crate) fn file_upload_ended(&self, outcome: &'static str) {
        self.0.file_uploads_ended.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// New connections see another server certificate than before.
    pub(crate) fn server_certificate_renewed(&self) {
        self.0.server_certificate_renewals.inc();
    }

    /// Another server certificate was found, and is none to be shown.
    pub(crate) fn server_certificate_refused(&self) {
        self.0.server_certificate_refusals.inc();
    }

    /// A task ended by a panic, which is a defect of ours.
    pub(crate) fn panicked(&self) {
        self.0.panics.inc();
    }

    /// Panics so far.
    #[cfg(test)]
    pub(crate) fn panics(&self) -> u64 {
        self.0.panics.get()
    }

    /// Writes everything in the text exposition format, without its end mark.
    pub(crate) fn encode(&self, out: &mut String) -> std::fmt::Result {
        encode_registry(out, &self.0.registry)
    }
}

impl Instruments {
    fn register(mut registry: Registry) -> Self {
        let [mqtt, https, kafka] = PerProtocol::register(&mut registry);
        let mut family = Families(&mut registry);
        Self {
            mqtt,
            https,
            kafka,
            kafka_requests: family.add("kafka_requests", "Kafka requests answered, by the error's code; 0 is none"),
            kafka_received_bytes: family.add("kafka_received_bytes", "Bytes of Kafka requests"),
            kafka_sent_bytes: family.add("kafka_sent_bytes", "Bytes of answers to Kafka clients"),
            messages_refused: family.add("messages_refused", "Telemetry messages not accepted"),
            auth_refused: family.add("auth_refused", "Connections and requests not admitted"),
            handshakes_failed: family.add("handshakes_failed", "Sockets closed before their TLS handshake ended"),
            twin_operations: family.add("twin_operations", "Reads and changes of twins"),
            commands_delivered: family.add("commands_delivered", "Commands handed to their device"),
            methods_invoked: family.add("methods_invoked", "Direct methods that ended"),
            methods_under_way: family.add("methods_under_way", "Direct methods that wait for their device or its answer"),
            files_stored: family.add("files_stored", "Files of devices put in their place"),
            file_received_bytes: family.add("file_received_bytes", "Bytes of files and their blocks received"),
            file_uploads_ended: family.add("file_uploads_ended", "Uploads whose end their device told, by outcome"),
            server_certificate_renewals: family
                .add("server_certificate_renewals", "Server certificates that took the place of the one before"),
            server_certificate_refusals: family
                .add("server_certificate_refusals", "Server certificates found in the files and not shown; the old one stayed"),
            panics: family.add("panics", "Tasks that ended by a panic; each is a defect"),
            registry,
        }
    }

    fn of(&self, protocol: Protocol) -> &PerProtocol {
        match protocol {
            Protocol::Mqtt => &self.mqtt,
            Protocol::Https => &self.https,
            Protocol::Kafka => &self.kafka,
        }
    }
}

/// Registers a metric and keeps a handle to it.
struct Families<'a>(&'a mut Registry);

impl Families<'_> {
    fn add<M>(&mut self, name: &str, help: &str) -> M
    where
        M: prometheus_client::registry::Metric + Clone + Default,
    {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl PerProtocol {
    fn register(registry: &mut Registry) -> [Self; 3] {
        let mut family = Families(registry);
        let opened: Family<ProtocolLabel, Counter> = family.add("connections_opened", "Connections admitted");
        let open: Family<ProtocolLabel, Gauge> = family.add("connections_open", "Connections admitted and not ended");
        let messages: Family<ProtocolLabel, Counter> = family.add("messages_received", "Telemetry messages received");
        let bytes: Family<ProtocolLabel, Counter> = family.add("message_bytes_received", "Bodies and properties of telemetry received");
        let acknowledged: Family<ProtocolLabel, Counter> =
            family.add("messages_acknowledged", "Telemetry messages acknowledged, after they were durable");
        let seconds = Family::<ProtocolLabel, Histogram>::new_with_constructor(acknowledgement_histogram);
        registry.register("acknowledgement_seconds", "From staging a batch of telemetry to its acknowledgement", seconds.clone());
        Protocol::ALL.map(|protocol| {
            let label = ProtocolLabel { protocol: protocol.name() };
            Self {
                connections_opened: opened.get_or_create(&label).clone(),
                connections_open: open.get_or_create(&label).clone(),
                messages: messages.get_or_create(&label).clone(),
                message_bytes: bytes.get_or_create(&label).clone(),
                acknowledged: acknowledged.get_or_create(&label).clone(),
                acknowledgement_seconds: seconds.get_or_create(&label).clone(),
            }
        })
    }
}

/// 64 µs to 8.4 s, each bucket twice the one before.
fn acknowledgement_histogram() -> Histogram {
    Histogram::new(exponential_buckets(64e-6, 2.0, 18))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_appear_under_their_protocol_and_reason() {
        let metrics = Metrics::new();
        metrics.connection_opened(Protocol::Mqtt);
        metrics.message_received(Protocol::Mqtt, 40);
        metrics.message_acknowledged(Protocol::Https, 3);
        metrics.auth_refused("unknown_identity");
        let mut text = String::new();
        metrics.encode(&mut text).expect("text");
        for line in [
            "isthmus_connections_open{protocol=\"mqtt\"} 1",
            "isthmus_connections_open{protocol=\"https\"} 0",
            "isthmus_message_bytes_received_total{protocol=\"mqtt\"} 40",
            "isthmus_messages_acknowledged_total{protocol=\"https\"} 3",
            "isthmus_auth_refused_total{reason=\"unknown_identity\"} 1",
            "isthmus_panics_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
