//! The one broker, and the topics with their partitions.

use std::collections::HashSet;

use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use model::{EventHubName, EventHubRights};
use twins::EventHub;

use super::reason::{self, TopicRefused};
use super::session::Session;

/// The hub is the only node.
pub(super) const NODE: BrokerId = BrokerId(0);
/// Leadership never changes.
pub(super) const LEADER_EPOCH: i32 = 0;
/// No operations were asked for.
const NOT_ASKED: i32 = i32::MIN;
/// Endpoints of brokers, as opposed to those of controllers.
const BROKER_ENDPOINTS: i8 = 1;

/// Describes the topics asked for, or all that the peer may use. Never creates one.
pub(super) fn metadata(session: &Session, header: &RequestHeader, request: &MetadataRequest) -> MetadataResponse {
    let describe = |hub: &EventHub| described(session, header, request, hub);
    let all = || session.topics().iter().map(|hub| describe(hub)).collect();
    let topics = match &request.topics {
        None => all(),
        Some(topics) if topics.is_empty() && header.version == 0 => all(),
        Some(topics) => {
            // Each once, however often it is named: a few bytes ask for a description of many.
            let mut seen = HashSet::new();
            let topics = topics.iter().filter(|topic| seen.insert((&topic.name, topic.topic_id)));
            topics.map(|topic| asked_for(session, header, topic, &describe)).collect()
        }
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE)
        .with_host(StrBytes::from_string(session.advertised.host.clone()))
        .with_port(session.advertised.port.into());
    let mut response = MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(NODE).with_topics(topics);
    if header.version >= 2 {
        response.cluster_id = Some(cluster_id(session));
    }
    if request.include_cluster_authorized_operations && (8..=10).contains(&header.version) {
        response.cluster_authorized_operations = operations(session.grant.rights, reason::CLUSTER_OPERATIONS);
    }
    response
}

fn asked_for(
    session: &Session,
    header: &RequestHeader,
    topic: &MetadataRequestTopic,
    describe: &dyn Fn(&EventHub) -> MetadataResponseTopic,
) -> MetadataResponseTopic {
    let unavailable = |code| unavailable(header, topic, code);
    let found = match &topic.name {
        Some(name) if name.parse::<EventHubName>().is_err() => return unavailable(reason::INVALID_TOPIC),
        Some(name) if !session.has_any_right(name) => {
            return unavailable(TopicRefused::Unauthorized { wanted: EventHubRights::LISTEN }.code());
        }
        Some(name) => session.hub.event_hubs.get(name),
        None => session.hub.event_hubs.with_topic_id(topic.topic_id.as_bytes()).filter(|hub| session.has_any_right(hub.name.as_str())),
    };
    match found {
        Some(hub) => describe(&hub),
        None if topic.name.is_none() => unavailable(reason::UNKNOWN_TOPIC_ID),
        None => unavailable(TopicRefused::Unknown.code()),
    }
}

fn unavailable(header: &RequestHeader, topic: &MetadataRequestTopic, code: i16) -> MetadataResponseTopic {
    // A topic asked for by its id has no name; before version 12 that cannot be said.
    let may_be_nameless = header.version >= 12;
    MetadataResponseTopic::default()
        .with_name(topic.name.clone().or_else(|| (!may_be_nameless).then(TopicName::default)))
        .with_topic_id(topic.topic_id)
        .with_error_code(code)
        .with_topic_authorized_operations(NOT_ASKED)
}

fn described(session: &Session, header: &RequestHeader, request: &MetadataRequest, hub: &EventHub) -> MetadataResponseTopic {
    let partition = |index: u32| {
        let partition = MetadataResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(NODE)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE]);
        if header.version >= 7 { partition.with_leader_epoch(LEADER_EPOCH) } else { partition }
    };
    let mut topic = MetadataResponseTopic::default()
        .with_name(Some(topic_name(hub)))
        .with_partitions((0..hub.partitions.get()).map(partition).collect());
    if header.version >= 10 {
        topic.topic_id = topic_id(hub);
    }
    if header.version >= 8 && request.include_topic_authorized_operations {
        topic.topic_authorized_operations = operations(session.grant.rights, reason::TOPIC_OPERATIONS);
    }
    topic
}

/// Describes the cluster of one.
pub(super) fn describe_cluster(session: &Session, header: &RequestHeader, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let mut response = DescribeClusterResponse::default().with_cluster_id(cluster_id(session)).with_controller_id(NODE);
    if header.version >= 1 && request.endpoint_type != BROKER_ENDPOINTS {
        response.error_code = reason::UNSUPPORTED_ENDPOINT_TYPE;
        response.error_message = Some(StrBytes::from_static_str("there are no controllers beside the broker"));
        response.endpoint_type = request.endpoint_type;
        return response;
    }
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = operations(session.grant.rights, reason::CLUSTER_OPERATIONS);
    }
    let broker = DescribeClusterBroker::default()
        .with_broker_id(NODE)
        .with_host(StrBytes::from_string(session.advertised.host.clone()))
        .with_port(session.advertised.port.into());
    response.with_brokers(vec![broker])
}

/// An event hub's name as the codec has it.
pub(super) fn topic_name(hub: &EventHub) -> TopicName {
    TopicName(StrBytes::from_string(hub.name.as_str().to_owned()))
}

/// An event hub's topic id as the codec has it.
pub(super) fn topic_id<Uuid: TryFrom<Vec<u8>> + Default>(hub: &EventHub) -> Uuid {
    // The id has the 16 bytes that it takes.
    Uuid::try_from(hub.topic_id.to_vec()).unwrap_or_default()
}

/// Tells this hub from every other: the id of its first event hub, which is never deleted.
fn cluster_id(session: &Session) -> StrBytes {
    use base64::Engine as _;
    let first = session.hub.event_hubs.list().into_iter().next();
    let id = first.map_or([0; 16], |hub| hub.topic_id);
    StrBytes::from_string(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id))
}

/// What `rights` allow, as a set of bits.
pub(super) fn operations(rights: EventHubRights, table: &[(EventHubRights, i32)]) -> i32 {
    table.iter().filter(|(needed, _)| rights.contains(*needed)).fold(0, |bits, (_, operation)| bits | 1 << operation)
}
