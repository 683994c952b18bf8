//! The outline of each API's request, after Kafka's message definitions.

use super::Shape::{Blob, Each, Fixed, FixedEach, Text, TextEach};
use super::{Field, Shape};
use crate::wire::api::Api;

const I8: Shape = Fixed(1);
const BOOL: Shape = Fixed(1);
const I16: Shape = Fixed(2);
const I32: Shape = Fixed(4);
const I64: Shape = Fixed(8);
const UUID: Shape = Fixed(16);
const I32_EACH: Shape = FixedEach(4);

/// In every version.
const fn always(shape: Shape) -> Field {
    Field { since: 0, until: i16::MAX, shape }
}

/// From a version on.
const fn since(since: i16, shape: Shape) -> Field {
    Field { since, until: i16::MAX, shape }
}

/// Up to a version, that included.
const fn until(until: i16, shape: Shape) -> Field {
    Field { since: 0, until, shape }
}

const fn between(since: i16, until: i16, shape: Shape) -> Field {
    Field { since, until, shape }
}

pub(super) fn fields(api: Api) -> &'static [Field] {
    match api {
        Api::Produce => PRODUCE,
        Api::Fetch => FETCH,
        Api::ListOffsets => LIST_OFFSETS,
        Api::Metadata => METADATA,
        Api::OffsetCommit => OFFSET_COMMIT,
        Api::OffsetFetch => OFFSET_FETCH,
        Api::FindCoordinator => FIND_COORDINATOR,
        Api::JoinGroup => JOIN_GROUP,
        Api::Heartbeat => HEARTBEAT,
        Api::LeaveGroup => LEAVE_GROUP,
        Api::SyncGroup => SYNC_GROUP,
        Api::DescribeGroups => DESCRIBE_GROUPS,
        Api::ListGroups => LIST_GROUPS,
        Api::SaslHandshake => SASL_HANDSHAKE,
        Api::ApiVersions => API_VERSIONS,
        Api::CreateTopics => CREATE_TOPICS,
        Api::DeleteTopics => DELETE_TOPICS,
        Api::DeleteRecords => DELETE_RECORDS,
        Api::InitProducerId => INIT_PRODUCER_ID,
        Api::OffsetForLeaderEpoch => OFFSET_FOR_LEADER_EPOCH,
        Api::DescribeConfigs => DESCRIBE_CONFIGS,
        Api::AlterConfigs => ALTER_CONFIGS,
        Api::SaslAuthenticate => SASL_AUTHENTICATE,
        Api::CreatePartitions => CREATE_PARTITIONS,
        Api::DeleteGroups => DELETE_GROUPS,
        Api::IncrementalAlterConfigs => INCREMENTAL_ALTER_CONFIGS,
        Api::OffsetDelete => OFFSET_DELETE,
        Api::DescribeCluster => DESCRIBE_CLUSTER,
    }
}

const PRODUCE: &[Field] =
    &[since(3, Text), always(I16), always(I32), always(Each(&[always(Text), always(Each(&[always(I32), always(Blob)]))]))];

const FETCH: &[Field] = &[
    always(I32),
    always(I32),
    always(I32),
    since(3, I32),
    since(4, I8),
    since(7, I32),
    since(7, I32),
    always(Each(&[always(Text), always(Each(FETCH_PARTITION))])),
    since(7, Each(&[always(Text), always(I32_EACH)])),
    since(11, Text),
];

const FETCH_PARTITION: &[Field] = &[always(I32), since(9, I32), always(I64), since(12, I32), since(5, I64), always(I32)];

const LIST_OFFSETS: &[Field] =
    &[always(I32), since(2, I8), always(Each(&[always(Text), always(Each(&[always(I32), since(4, I32), always(I64)]))]))];

const METADATA: &[Field] = &[always(Each(&[since(10, UUID), always(Text)])), since(4, BOOL), between(8, 10, BOOL), since(8, BOOL)];

const OFFSET_COMMIT: &[Field] = &[
    always(Text),
    always(I32),
    always(Text),
    since(7, Text),
    until(4, I64),
    always(Each(&[always(Text), always(Each(&[always(I32), always(I64), since(6, I32), always(Text)]))])),
];

const OFFSET_FETCH: &[Field] = &[
    until(7, Text),
    until(7, Each(&[always(Text), always(I32_EACH)])),
    since(8, Each(&[always(Text), since(9, Text), since(9, I32), always(Each(&[always(Text), always(I32_EACH)]))])),
    since(7, BOOL),
];

const FIND_COORDINATOR: &[Field] = &[until(3, Text), since(1, I8), since(4, TextEach)];

const JOIN_GROUP: &[Field] = &[
    always(Text),
    always(I32),
    since(1, I32),
    always(Text),
    since(5, Text),
    always(Text),
    always(Each(&[always(Text), always(Blob)])),
    since(8, Text),
];

const HEARTBEAT: &[Field] = &[always(Text), always(I32), always(Text), since(3, Text)];

const LEAVE_GROUP: &[Field] = &[always(Text), until(2, Text), since(3, Each(&[always(Text), always(Text), since(5, Text)]))];

const SYNC_GROUP: &[Field] =
    &[always(Text), always(I32), always(Text), since(3, Text), since(5, Text), since(5, Text), always(Each(&[always(Text), always(Blob)]))];

const DESCRIBE_GROUPS: &[Field] = &[always(TextEach), since(3, BOOL)];

const LIST_GROUPS: &[Field] = &[since(4, TextEach)];

const SASL_HANDSHAKE: &[Field] = &[always(Text)];

const API_VERSIONS: &[Field] = &[since(3, Text), since(3, Text)];

const CREATE_TOPICS: &[Field] = &[
    always(Each(&[
        always(Text),
        always(I32),
        always(I16),
        always(Each(&[always(I32), always(I32_EACH)])),
        always(Each(&[always(Text), always(Text)])),
    ])),
    always(I32),
    always(BOOL),
];

const DELETE_TOPICS: &[Field] = &[since(6, Each(&[always(Text), always(UUID)])), until(5, TextEach), always(I32)];

const DELETE_RECORDS: &[Field] = &[always(Each(&[always(Text), always(Each(&[always(I32), always(I64)]))])), always(I32)];

const INIT_PRODUCER_ID: &[Field] = &[always(Text), always(I32), since(3, I64), since(3, I16)];

const OFFSET_FOR_LEADER_EPOCH: &[Field] =
    &[since(3, I32), always(Each(&[always(Text), always(Each(&[always(I32), always(I32), always(I32)]))]))];

const DESCRIBE_CONFIGS: &[Field] = &[always(Each(&[always(I8), always(Text), always(TextEach)])), always(BOOL), since(3, BOOL)];

const ALTER_CONFIGS: &[Field] = &[always(Each(&[always(I8), always(Text), always(Each(&[always(Text), always(Text)]))])), always(BOOL)];

const SASL_AUTHENTICATE: &[Field] = &[always(Blob)];

const CREATE_PARTITIONS: &[Field] =
    &[always(Each(&[always(Text), always(I32), always(Each(&[always(I32_EACH)]))])), always(I32), always(BOOL)];

const DELETE_GROUPS: &[Field] = &[always(TextEach)];

const INCREMENTAL_ALTER_CONFIGS: &[Field] =
    &[always(Each(&[always(I8), always(Text), always(Each(&[always(Text), always(I8), always(Text)]))])), always(BOOL)];

const OFFSET_DELETE: &[Field] = &[always(Text), always(Each(&[always(Text), always(Each(&[always(I32)]))]))];

const DESCRIBE_CLUSTER: &[Field] = &[always(BOOL), since(1, I8)];
