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

use super::budget::{Held, Share};
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

/// Carries out a request. What waits for others keeps no more of `held` than it needs.
///
/// # Errors
/// [`Ending`] when the connection cannot go on.
pub(super) async fn answer(session: &Session, header: &RequestHeader, body: Bytes, held: &mut Held) -> Result<Answer, Ending> {
    let call = Call { session, header, body: &body };
    match header.api {
        Api::Produce => Ok(Answer::Produced(produce::stage(session, header, call.decoded()?).await)),
        Api::Fetch => {
            let request = call.decoded()?;
            drop(body);
            let fetched = fetch::fetch(session, header, request, held).await;
            fetched.error_codes().for_each(|code| session.hub.metrics.kafka_answered(header.api.name(), code));
            Ok(Answer::Frame(fetched.pieces(header), fetched.share))
        }
        Api::ListOffsets => call.with(offsets::list_offsets(session, header, call.decoded()?).await).await,
        Api::OffsetForLeaderEpoch => call.read(|request| offsets::offset_for_leader_epoch(session, request)).await,
        Api::Metadata => call.read(|request| metadata::metadata(session, header, request)).await,
        Api::DescribeCluster => call.read(|request| metadata::describe_cluster(session, header, request)).await,
        Api::CreateTopics => call.with(topics::create_topics(session, header, call.decoded()?).await).await,
        Api::DeleteTopics => call.with(topics::delete_topics(session, header, call.decoded()?).await).await,
        Api::CreatePartitions => call.with(topics::create_partitions(session, &call.decoded()?)).await,
        Api::DeleteRecords => call.with(topics::delete_records(session, &call.decoded()?)).await,
        Api::DescribeConfigs => call.read(|request| configs::describe_configs(session, header, request)).await,
        Api::AlterConfigs => call.with(configs::alter_configs(&call.decoded()?)).await,
        Api::IncrementalAlterConfigs => call.with(configs::incremental_alter_configs(&call.decoded()?)).await,
        Api::ApiVersions => {
            call.decoded::<ApiVersionsRequest>()?;
            call.with(wire::api_versions()).await
        }
        Api::FindCoordinator => call.read(|request| group_requests::find_coordinator(session, header, request)).await,
        Api::JoinGroup => {
            let request = call.decoded()?;
            drop(body);
            let joined = group_requests::join(session, header, request, held).await;
            respond(session, header, joined).await
        }
        Api::SyncGroup => {
            let request = call.decoded()?;
            drop(body);
            let synced = group_requests::sync(session, header, request, held).await;
            respond(session, header, synced).await
        }
        Api::Heartbeat => call.with(group_requests::heartbeat(session, &call.decoded()?)).await,
        Api::LeaveGroup => call.with(group_requests::leave(session, header, &call.decoded()?)).await,
        Api::OffsetCommit => call.with(group_requests::commit(session, header, call.decoded()?).await).await,
        Api::OffsetFetch => call.read(|request| group_requests::fetch(session, header, request)).await,
        Api::DescribeGroups => call.read(|request| group_requests::describe_groups(session, header, request)).await,
        Api::ListGroups => call.read(|request| group_requests::list_groups(session, header, request)).await,
        Api::DeleteGroups => call.with(group_requests::delete_groups(session, call.decoded()?).await).await,
        Api::OffsetDelete => call.with(group_requests::delete_offsets(session, call.decoded()?).await).await,
        Api::InitProducerId => call.with(group_requests::init_producer_id(session, &call.decoded()?).await).await,
        Api::SaslHandshake => call.with(reason::handshake_after_authentication(&call.decoded()?)).await,
        Api::SaslAuthenticate => call.with(reason::authentication_after_authentication(&call.decoded()?)).await,
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

    /// Answers with what has been done.
    async fn with<B: Outcome>(self, response: B) -> Result<Answer, Ending> {
        respond(self.session, self.header, response).await
    }

    /// Answers with what `read` says, which does nothing. A large answer waits until there is room
    /// and is made again then: it is not kept meanwhile.
    async fn read<R: Decodable, B: Outcome>(self, read: impl Fn(&R) -> B) -> Result<Answer, Ending> {
        let (request, budgets) = (self.decoded()?, &self.session.hub.kafka);
        let mut share = Share::none();
        loop {
            let response = read(&request);
            let bytes = wire::response_bytes(self.header, &response)?;
            if share.covers_answer(bytes) {
                share.shrink(bytes);
                return framed(self.session, self.header, &response, share);
            }
            drop((response, share));
            share = budgets.answer(bytes).await;
        }
    }
}

/// Answers with `response`, which follows from its request or from something else that is counted.
async fn respond<B: Outcome>(session: &Session, header: &RequestHeader, response: B) -> Result<Answer, Ending> {
    let share = session.hub.kafka.answer(wire::response_bytes(header, &response)?).await;
    framed(session, header, &response, share)
}

fn framed<B: Outcome>(session: &Session, header: &RequestHeader, response: &B, share: Share) -> Result<Answer, Ending> {
    session.hub.metrics.kafka_answered(header.api.name(), response.error_code());
    Ok(Answer::Frame(vec![wire::response(header, response)?], share))
}
