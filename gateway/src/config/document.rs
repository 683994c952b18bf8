//! The configuration as written: every section with its defaults, nothing looked up yet.

use std::path::PathBuf;
use std::time::Duration;

use model::limits;
use model::partition::PartitionCount;
use model::{Rights, Thumbprint};
use serde::Deserialize;
use toml::{Table, Value};

use super::commands;
use super::event_hub::EventHubSection;
use super::faults::{Faults, Keys};
use super::files;
use super::units::{ByteSize, Span};
use crate::args::parse_host_name;
use crate::files::FileSettings;
use crate::kafka::Advertised;
use crate::listener::address::{Listen, ListenAddress, ListenerName, NotBuiltYet};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Document {
    pub(crate) hub: HubSection,
    pub(crate) tls: TlsSection,
    pub(crate) listeners: ListenersSection,
    pub(crate) connections: ConnectionsSection,
    pub(crate) kafka: KafkaSection,
    pub(crate) trust: TrustSection,
    pub(crate) event_log: EventLogSection,
    pub(crate) files: FileSettings,
    pub(crate) commands: twins::CommandSettings,
    pub(crate) operators: Vec<OperatorSection>,
    pub(crate) policies: Vec<PolicySection>,
    pub(crate) event_hubs: Vec<EventHubSection>,
}

impl Document {
    /// Reads every key; what cannot be read keeps its default and leaves a fault.
    pub(crate) fn read(table: Table, faults: &mut Faults) -> Self {
        let mut keys = Keys::of_file(table);
        let document = Self {
            hub: keys.section("hub", faults, HubSection::read),
            tls: keys.section("tls", faults, TlsSection::read),
            listeners: keys.section("listeners", faults, ListenersSection::read),
            connections: keys.section("connections", faults, ConnectionsSection::read),
            kafka: keys.section("kafka", faults, KafkaSection::read),
            trust: keys.section("trust", faults, TrustSection::read),
            event_log: keys.section("event_log", faults, EventLogSection::read),
            files: keys.section("files", faults, files::read),
            commands: keys.section("commands", faults, commands::read),
            operators: keys.each("operator", faults, OperatorSection::read).into_iter().flatten().collect(),
            policies: keys.each("policy", faults, PolicySection::read).into_iter().flatten().collect(),
            event_hubs: keys.each("event_hub", faults, EventHubSection::read).into_iter().flatten().collect(),
        };
        keys.finish(faults);
        document
    }
}

/// `[hub]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubSection {
    /// Where everything is stored; a relative path counts from the file's directory.
    pub(crate) data_dir: PathBuf,
    /// The names clients may call the hub by; the first is its own.
    pub(crate) host_names: Vec<String>,
    /// Partitions of the event hub `events`, at its creation.
    pub(crate) partitions: u32,
}

impl Default for HubSection {
    fn default() -> Self {
        Self {
            data_dir: ".".into(),
            host_names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
            partitions: limits::PARTITIONS_DEFAULT,
        }
    }
}

impl HubSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let default = Self::default();
        let path = keys.path_of("host_names");
        let host_names = keys.take_or("host_names", default.host_names.clone(), faults);
        if host_names.is_empty() {
            faults.add(path.clone(), "is empty; name at least one host name by which clients reach the hub");
        }
        for (index, name) in host_names.iter().enumerate() {
            faults.check(&format!("{path}[{index}]"), parse_host_name(name));
        }
        let partitions = keys.take_or("partitions", default.partitions, faults);
        faults.check(&keys.path_of("partitions"), PartitionCount::try_from(partitions));
        Self { data_dir: keys.take_or("data_dir", default.data_dir, faults), host_names, partitions }
    }
}

/// Where a secret is read from; it never stands in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum SecretSource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSection {
    /// The server's certificate and its intermediates, in PEM.
    pub(crate) certificate: PathBuf,
    /// Its private key, in PEM.
    pub(crate) key: SecretSource,
}

impl Default for TlsSection {
    fn default() -> Self {
        Self { certificate: "trust/server.pem".into(), key: SecretSource::File("trust/server.key".into()) }
    }
}

impl TlsSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let default = Self::default();
        Self { certificate: keys.take_or("certificate", default.certificate, faults), key: keys.take_or("key", default.key, faults) }
    }
}

/// `[listeners]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenersSection {
    pub(crate) mqtt: Listen,
    pub(crate) https: Listen,
    /// Bound where that is possible, left out otherwise.
    pub(crate) https_where_possible: Listen,
    pub(crate) kafka: Listen,
    pub(crate) metrics: Listen,
}

impl Default for ListenersSection {
    fn default() -> Self {
        let localhost = |port| Listen::At(vec![ListenAddress::Localhost { port }]);
        Self {
            mqtt: localhost(8883),
            https: localhost(8443),
            https_where_possible: localhost(443),
            kafka: localhost(9093),
            metrics: Listen::At(vec![ListenAddress::Socket(([127, 0, 0, 1], 9464).into())]),
        }
    }
}

impl ListenersSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let default = Self::default();
        for name in ListenerName::ALL.into_iter().filter(|name| !name.is_built()) {
            if read_listen(keys, name.as_str(), faults).is_some_and(|listen| listen != Listen::Off) {
                faults.add(keys.path_of(name.as_str()), NotBuiltYet(name));
            }
        }
        Self {
            mqtt: read_listen(keys, "mqtt", faults).unwrap_or(default.mqtt),
            https: read_listen(keys, "https", faults).unwrap_or(default.https),
            https_where_possible: read_listen(keys, "https_where_possible", faults).unwrap_or(default.https_where_possible),
            kafka: read_listen(keys, "kafka", faults).unwrap_or(default.kafka),
            metrics: read_listen(keys, "metrics", faults).unwrap_or(default.metrics),
        }
    }
}

/// An address, a list of them, or `off`.
fn read_listen(keys: &mut Keys, key: &'static str, faults: &mut Faults) -> Option<Listen> {
    let path = keys.path_of(key);
    match keys.take::<Value>(key, faults)? {
        Value::String(text) => faults.check(&path, text.parse()),
        Value::Array(items) if !items.is_empty() => {
            let read = |(index, item): (usize, &Value)| {
                let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                faults.check(&format!("{path}[{index}]"), text.parse::<ListenAddress>())
            };
            items.iter().enumerate().map(read).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().map(Listen::At)
        }
        Value::Array(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
            faults.add(path, "must be an address like \"127.0.0.1:8883\", a list of them, or \"off\"");
            None
        }
    }
}

/// `[connections]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionsSection {
    pub(crate) handshake_timeout: Span,
    pub(crate) handshakes_max: usize,
    pub(crate) drain_timeout: Span,
}

impl Default for ConnectionsSection {
    fn default() -> Self {
        Self {
            handshake_timeout: Span(limits::HANDSHAKE_TIMEOUT),
            handshakes_max: limits::HANDSHAKES_MAX,
            drain_timeout: Span(limits::DRAIN_TIMEOUT),
        }
    }
}

impl ConnectionsSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let default = Self::default();
        let section = Self {
            handshake_timeout: keys.take_or("handshake_timeout", default.handshake_timeout, faults),
            handshakes_max: keys.take_or("handshakes_max", default.handshakes_max, faults),
            drain_timeout: keys.take_or("drain_timeout", default.drain_timeout, faults),
        };
        if !(Duration::from_secs(1)..=Duration::from_secs(120)).contains(&section.handshake_timeout.0) {
            faults.add(keys.path_of("handshake_timeout"), "must lie between 1s and 2m");
        }
        if !(1..=65_536).contains(&section.handshakes_max) {
            faults.add(keys.path_of("handshakes_max"), "must lie between 1 and 65536 handshakes");
        }
        if section.drain_timeout.0 > Duration::from_secs(600) {
            faults.add(keys.path_of("drain_timeout"), "may be 10m at most");
        }
        section
    }
}

/// `[kafka]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KafkaSection {
    /// Where clients are told to connect; else where they came to.
    pub(crate) advertised: Option<Advertised>,
}

impl KafkaSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let path = keys.path_of("advertised");
        let text: Option<String> = keys.take("advertised", faults);
        Self { advertised: text.and_then(|text| faults.check(&path, text.parse())) }
    }
}

/// `[trust]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustSection {
    pub(crate) refuse_sha1_thumbprints: bool,
    pub(crate) enforce_pinned_dates: bool,
    pub(crate) clock_skew: Span,
}

impl Default for TrustSection {
    fn default() -> Self {
        let certs::judge::Settings { refuse_sha1_thumbprints, enforce_pinned_dates, clock_skew } = certs::judge::Settings::default();
        Self { refuse_sha1_thumbprints, enforce_pinned_dates, clock_skew: Span(clock_skew) }
    }
}

impl TrustSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let default = Self::default();
        let section = Self {
            refuse_sha1_thumbprints: keys.take_or("refuse_sha1_thumbprints", default.refuse_sha1_thumbprints, faults),
            enforce_pinned_dates: keys.take_or("enforce_pinned_dates", default.enforce_pinned_dates, faults),
            clock_skew: keys.take_or("clock_skew", default.clock_skew, faults),
        };
        if section.clock_skew.0 > Duration::from_secs(3600) {
            faults.add(keys.path_of("clock_skew"), "may be 1h at most");
        }
        section
    }
}

/// `[event_log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventLogSection {
    pub(crate) segment_size: ByteSize,
    pub(crate) segment_age: Span,
    pub(crate) staged_max: ByteSize,
    pub(crate) tail_max: ByteSize,
}

impl Default for EventLogSection {
    fn default() -> Self {
        Self {
            segment_size: ByteSize(limits::SEGMENT_BYTES),
            segment_age: Span(event_log::Config::default().segment_age_max),
            staged_max: ByteSize(limits::STAGED_BYTES_MAX as u64),
            tail_max: ByteSize(limits::TAIL_BYTES_MAX as u64),
        }
    }
}

impl EventLogSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        let default = Self::default();
        let segment_age = keys.take_or("segment_age", default.segment_age, faults);
        if !(Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600)).contains(&segment_age.0) {
            faults.add(keys.path_of("segment_age"), "must lie between 1s and 7days");
        }
        Self {
            segment_age,
            segment_size: read_size(keys, "segment_size", default.segment_size, "4 MiB", faults),
            staged_max: read_size(keys, "staged_max", default.staged_max, "4 MiB", faults),
            tail_max: read_size(keys, "tail_max", default.tail_max, "1 MiB", faults),
        }
    }
}

/// A size between `least` and 1 GiB.
fn read_size(keys: &mut Keys, key: &'static str, default: ByteSize, least: &str, faults: &mut Faults) -> ByteSize {
    let size = keys.take_or(key, default, faults);
    let within = least.parse().is_ok_and(|least| size >= least) && size <= ByteSize(1 << 30);
    if !within {
        faults.add(keys.path_of(key), format_args!("must lie between {least} and 1 GiB"));
    }
    size
}

/// `[[operator]]`: a client certificate that may use the service API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorSection {
    /// What logs call the operator.
    pub(crate) name: String,
    /// SHA-256 of the certificate.
    pub(crate) thumbprint: Thumbprint,
    /// The policy whose rights it has.
    pub(crate) policy: String,
    /// Its place in the file, for what is found later.
    pub(crate) key: String,
}

impl OperatorSection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Option<Self> {
        let path = keys.path_of("thumbprint");
        let name = keys.require("name", faults);
        let thumbprint = keys.require("thumbprint", faults).and_then(|text: String| faults.check(&path, text.parse()));
        let policy = keys.require("policy", faults);
        if let Some(Thumbprint::Sha1(_)) = thumbprint {
            faults.add(path, "is SHA-1; operators are pinned by SHA-256, 64 hexadecimal digits");
        }
        Some(Self { name: name?, thumbprint: thumbprint?, policy: policy?, key: keys.path_of("policy") })
    }
}

/// `[[policy]]`: a shared access policy the hub is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicySection {
    /// Its name, `skn` in tokens.
    pub(crate) name: String,
    /// What its holders may do.
    pub(crate) rights: Rights,
    /// Its first key, in base64.
    pub(crate) primary_key: SecretSource,
    /// Its second key, in base64.
    pub(crate) secondary_key: SecretSource,
    /// Its place in the file, for what is found later.
    pub(crate) path: String,
}

/// A right as written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Right {
    RegistryRead,
    RegistryWrite,
    ServiceConnect,
    DeviceConnect,
}

impl PolicySection {
    fn read(keys: &mut Keys, faults: &mut Faults) -> Option<Self> {
        let name: Option<String> = keys.require("name", faults);
        let rights: Option<Vec<Right>> = keys.require("rights", faults);
        let primary_key = keys.require("primary_key", faults);
        let secondary_key = keys.require("secondary_key", faults);
        let path = keys.path_of("");
        Some(Self {
            name: name?,
            rights: rights?.into_iter().fold(Rights::NONE, |rights, right| rights | right.into()),
            primary_key: primary_key?,
            secondary_key: secondary_key?,
            path: path.trim_end_matches('.').to_owned(),
        })
    }
}

impl From<Right> for Rights {
    fn from(right: Right) -> Self {
        match right {
            Right::RegistryRead => Self::REGISTRY_READ,
            Right::RegistryWrite => Self::REGISTRY_WRITE,
            Right::ServiceConnect => Self::SERVICE_CONNECT,
            Right::DeviceConnect => Self::DEVICE_CONNECT,
        }
    }
}
