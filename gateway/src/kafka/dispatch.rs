//! From a request's key to its handler.
//!
//! A handler is a function of the session, the request's header and its decoded body, and gives
//! the response of the same API:
//!
//! ```text
//! pub(super) async fn heartbeat(session: &Session, header: &RequestHeader, body: HeartbeatRequest) -> HeartbeatResponse
//! ```
//!
//! It answers every failure with a code ([`super::reason`]) in the response, sets no field that
//! `header.version` lacks (the codec refuses to write one), and may wait: answers leave in the
//! order of requests, so nothing but the connection itself is held up. It is dropped when the
//! peer hangs up, its grant ends or the hub stops; what must not be cut in the middle goes
//! through `hub.drain.carry_out`. A handler without anything to wait for is a plain function.
//!
//! Rights are asked for with [`Session::topic`] and [`Session::may`].

use bytes::Bytes;
use kafka_proto::wire::{self, Api, RequestHeader};
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::protocol::Decodable;

use super::budget::Share;
use super::connection::Ending;
use super::outcome::Outcome;
use super::produce::{self, Staged};
use super::session::Session;
use super::{configs, fetch, group_requests, metadata, offsets, reason, topics};

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Answer {
    /// A frame in pieces, and its share of a budget. Without pieces nothing is sent.
    Frame(Vec<Bytes>, Share),
    /// Events on their way to the disk; the answer follows them.
    Produced(Staged),
}

/// Carries out a request.
///
/// # Errors
/// [`Ending`] when the connection cannot go on.
pub(super) async fn answer(session: &Session, header: &RequestHeader, body: &Bytes) -> Result<Answer, Ending> {
    let call = Call { session, header, body };
    match header.api {
        Api::Produce => Ok(Answer::Produced(produce::stage(session, header, wire::decode(header, body)?).await)),
        Api::Fetch => {
            let fetched = fetch::fetch(session, header, wire::decode(header, body)?).await;
            fetched.error_codes().for_each(|code| session.hub.metrics.kafka_answered(header.api.name(), code));
            Ok(Answer::Frame(fetched.pieces(header), fetched.share))
        }
        Api::ListOffsets => call.with(offsets::list_offsets(session, header, call.decoded()?).await),
        Api::OffsetForLeaderEpoch => call.with(offsets::offset_for_leader_epoch(session, &call.decoded()?)),
        Api::Metadata => call.with(metadata::metadata(session, header, &call.decoded()?)),
        Api::DescribeCluster => call.with(metadata::describe_cluster(session, header, &call.decoded()?)),
        Api::CreateTopics => call.with(topics::create_topics(session, header, call.decoded()?).await),
        Api::DeleteTopics => call.with(topics::delete_topics(session, header, call.decoded()?).await),
        Api::CreatePartitions => call.with(topics::create_partitions(session, &call.decoded()?)),
        Api::DeleteRecords => call.with(topics::delete_records(session, &call.decoded()?)),
        Api::DescribeConfigs => call.with(configs::describe_configs(session, header, &call.decoded()?)),
        Api::AlterConfigs => call.with(configs::alter_configs(&call.decoded()?)),
        Api::IncrementalAlterConfigs => call.with(configs::incremental_alter_configs(&call.decoded()?)),
        Api::ApiVersions => {
            call.decoded::<ApiVersionsRequest>()?;
            call.with(wire::api_versions())
        }
        Api::FindCoordinator => call.with(group_requests::find_coordinator(session, header, &call.decoded()?)),
        Api::JoinGroup => call.with(group_requests::join(session, header, call.decoded()?).await),
        Api::SyncGroup => call.with(group_requests::sync(session, header, call.decoded()?).await),
        Api::Heartbeat => call.with(group_requests::heartbeat(session, &call.decoded()?)),
        Api::LeaveGroup => call.with(group_requests::leave(session, header, &call.decoded()?)),
        Api::OffsetCommit => call.with(group_requests::commit(session, header, call.decoded()?).await),
        Api::OffsetFetch => call.with(group_requests::fetch(session, header, &call.decoded()?)),
        Api::DescribeGroups => call.with(group_requests::describe_groups(session, header, &call.decoded()?)),
        Api::ListGroups => call.with(group_requests::list_groups(session, header, &call.decoded()?)),
        Api::DeleteGroups => call.with(group_requests::delete_groups(session, call.decoded()?).await),
        Api::OffsetDelete => call.with(group_requests::delete_offsets(session, call.decoded()?).await),
        Api::InitProducerId => call.with(group_requests::init_producer_id(session, &call.decoded()?).await),
        Api::SaslHandshake => call.with(reason::handshake_after_authentication(&call.decoded()?)),
        Api::SaslAuthenticate => call.with(reason::authentication_after_authentication(&call.decoded()?)),
    }
}

/// A request being answered.
#[derive(Clone, Copy)]
struct Call<'a> {
    session: &'a Session,
    header: &'a RequestHeader,
    body: &'a Bytes,
}

impl Call<'_> {
    fn decoded<R: Decodable>(self) -> Result<R, Ending> {
        Ok(wire::decode(self.header, self.body)?)
    }

    fn with<B: Outcome>(self, response: B) -> Result<Answer, Ending> {
        self.session.hub.metrics.kafka_answered(self.header.api.name(), response.error_code());
        Ok(Answer::Frame(vec![wire::response(self.header, &response)?], Share::none()))
    }
}
