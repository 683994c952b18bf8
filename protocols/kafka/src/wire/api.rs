//! The table of APIs (event-buffer-wire.md §5.2).

use std::ops::RangeInclusive;

use kafka_protocol::messages::ApiKey;

/// A range of versions of an API, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub min: i16,
    /// The newest.
    pub max: i16,
}

impl Versions {
    /// Whether `version` is one of them.
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// All of them.
    pub fn range(self) -> RangeInclusive<i16> {
        self.min..=self.max
    }
}

macro_rules! apis {
    ($($(#[doc = $doc:literal])+ $name:ident = $min:literal ..= $max:literal;)+) => {
        /// A kind of request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Api {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Api {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its number on the wire.
            pub fn key(self) -> i16 {
                match self {
                    $(Self::$name => ApiKey::$name as i16,)+
                }
            }

            /// Its name in Kafka's documentation, for logs and metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The versions that are answered.
            pub fn served(self) -> Versions {
                match self {
                    $(Self::$name => Versions { min: $min, max: $max },)+
                }
            }

            fn wire_key(self) -> ApiKey {
                match self {
                    $(Self::$name => ApiKey::$name,)+
                }
            }
        }
    };
}

apis! {
    /// Append events.
    Produce = 3..=12;
    /// Read events. From 13 on topics have ids only.
    Fetch = 4..=12;
    /// Offsets by time.
    ListOffsets = 1..=8;
    /// Brokers, topics and partitions.
    Metadata = 0..=12;
    /// Store a group's positions.
    OffsetCommit = 2..=9;
    /// Read a group's positions.
    OffsetFetch = 1..=9;
    /// Who coordinates a group.
    FindCoordinator = 0..=4;
    /// Enter a group.
    JoinGroup = 0..=9;
    /// Stay in a group.
    Heartbeat = 0..=4;
    /// Leave a group.
    LeaveGroup = 0..=5;
    /// Give and get a group's assignment.
    SyncGroup = 0..=5;
    /// A group's state and members.
    DescribeGroups = 0..=5;
    /// The groups there are.
    ListGroups = 0..=4;
    /// Choose how to authenticate.
    SaslHandshake = 0..=1;
    /// The APIs there are.
    ApiVersions = 0..=4;
    /// Create event hubs.
    CreateTopics = 2..=7;
    /// Delete event hubs.
    DeleteTopics = 1..=6;
    /// Delete events; refused.
    DeleteRecords = 0..=2;
    /// A number for an idempotent producer.
    InitProducerId = 0..=4;
    /// Where an epoch of leadership ended.
    OffsetForLeaderEpoch = 2..=4;
    /// How a topic or broker is configured.
    DescribeConfigs = 1..=4;
    /// Set a configuration; refused.
    AlterConfigs = 0..=2;
    /// Authenticate.
    SaslAuthenticate = 0..=2;
    /// Add partitions; refused.
    CreatePartitions = 0..=3;
    /// Delete groups.
    DeleteGroups = 0..=2;
    /// Change a configuration; refused.
    IncrementalAlterConfigs = 0..=1;
    /// Forget a group's positions.
    OffsetDelete = 0..=0;
    /// The brokers there are.
    DescribeCluster = 0..=1;
}

impl Api {
    /// The API with this number, if it is served.
    pub fn from_key(key: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.key() == key)
    }

    /// The versions that clients are told of. Produce begins at 0: without that, librdkafka up to
    /// 2.0.2 sends gzip, snappy and lz4 uncompressed. No client of today sends those versions.
    pub fn advertised(self) -> Versions {
        if self == Self::Produce { Versions { min: 0, ..self.served() } } else { self.served() }
    }

    /// Whether lengths are variable and tagged fields follow (request header 2).
    pub(super) fn is_flexible(self, version: i16) -> bool {
        self.wire_key().request_header_version(version) >= 2
    }

    /// Whether a response header ends in tagged fields.
    pub(super) fn has_tagged_response_header(self, version: i16) -> bool {
        self.wire_key().response_header_version(version) >= 1
    }

    /// Whether a peer may ask before it has authenticated.
    pub fn is_open_to_strangers(self) -> bool {
        matches!(self, Self::ApiVersions | Self::SaslHandshake | Self::SaslAuthenticate)
    }
}
