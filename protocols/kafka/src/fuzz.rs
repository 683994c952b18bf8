//! What the fuzzers run, as plain functions of bytes. Each asserts what must hold for any input; a
//! panic is a finding.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use crate::sasl;
use crate::wire::{self, Api, Incoming, OldProduce};

/// Reads the bytes as a frame without its length field. Whatever passes the outline of its API is
/// decoded in memory that follows from its bytes, and ends where the outline does.
pub fn kafka_request(input: &[u8]) {
    match wire::request(Bytes::copy_from_slice(input)) {
        Ok(Incoming::Request { header, body }) => {
            let outlined = wire::outlined(header.api, header.version, &body);
            if let (Some(outlined), Some(decoded)) = (outlined, decoded(header.api, header.version, &body)) {
                assert_eq!(outlined, decoded, "{:?} {} ends elsewhere", header.api, header.version);
            }
        }
        Ok(Incoming::OldProduce { header, body }) => {
            if let Ok(request) = OldProduce::decode(&header, &body) {
                assert!(request.refusal(&header).len() <= 64 + 8 * body.len(), "a refusal follows from the request");
            }
        }
        Ok(Incoming::UnknownApiVersions { correlation_id }) => assert!(wire::unknown_api_versions(correlation_id).is_ok()),
        Err(_) => {}
    }
}

/// Reads the bytes as a SASL PLAIN message and what it carries.
pub fn kafka_sasl(input: &[u8]) {
    if let Ok(plain) = sasl::plain(input)
        && let Ok(credentials) = plain.credentials()
    {
        assert!(!credentials.policy.is_empty() && !credentials.key.is_empty());
    }
}

/// Bytes behind a body that its decoder reads; `None` if it does not, or must not be let at it.
pub(crate) fn decoded(api: Api, version: i16, body: &Bytes) -> Option<usize> {
    fn read<R: Decodable>(api: Api, version: i16, body: &Bytes) -> Option<usize> {
        wire::outlined(api, version, body)?;
        let mut rest = body.clone();
        R::decode(&mut rest, version).ok()?;
        Some(rest.len())
    }
    let read = match api {
        Api::Produce => read::<ProduceRequest>,
        Api::Fetch => read::<FetchRequest>,
        Api::ListOffsets => read::<ListOffsetsRequest>,
        Api::Metadata => read::<MetadataRequest>,
        Api::OffsetCommit => read::<OffsetCommitRequest>,
        Api::OffsetFetch => read::<OffsetFetchRequest>,
        Api::FindCoordinator => read::<FindCoordinatorRequest>,
        Api::JoinGroup => read::<JoinGroupRequest>,
        Api::Heartbeat => read::<HeartbeatRequest>,
        Api::LeaveGroup => read::<LeaveGroupRequest>,
        Api::SyncGroup => read::<SyncGroupRequest>,
        Api::DescribeGroups => read::<DescribeGroupsRequest>,
        Api::ListGroups => read::<ListGroupsRequest>,
        Api::SaslHandshake => read::<SaslHandshakeRequest>,
        Api::ApiVersions => read::<ApiVersionsRequest>,
        Api::CreateTopics => read::<CreateTopicsRequest>,
        Api::DeleteTopics => read::<DeleteTopicsRequest>,
        Api::DeleteRecords => read::<DeleteRecordsRequest>,
        Api::InitProducerId => read::<InitProducerIdRequest>,
        Api::OffsetForLeaderEpoch => read::<OffsetForLeaderEpochRequest>,
        Api::DescribeConfigs => read::<DescribeConfigsRequest>,
        Api::AlterConfigs => read::<AlterConfigsRequest>,
        Api::SaslAuthenticate => read::<SaslAuthenticateRequest>,
        Api::CreatePartitions => read::<CreatePartitionsRequest>,
        Api::DeleteGroups => read::<DeleteGroupsRequest>,
        Api::IncrementalAlterConfigs => read::<IncrementalAlterConfigsRequest>,
        Api::OffsetDelete => read::<OffsetDeleteRequest>,
        Api::DescribeCluster => read::<DescribeClusterRequest>,
    };
    read(api, version, body)
}

#[cfg(test)]
mod tests;
