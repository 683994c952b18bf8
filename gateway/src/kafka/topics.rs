//! Event hubs created and deleted by Kafka's tools; and what cannot be done to them.

use std::collections::HashMap;

use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use model::event_hub::InvalidEventHubSetting;
use model::partition::PartitionCount;
use model::{EventHubName, EventHubRights};
use thiserror::Error;
use twins::{CreateEventHubError, DeleteEventHubError, EventHub, NewEventHub};

use super::configs;
use super::metadata::{topic_id, topic_name};
use super::reason::{self, TopicRefused};
use super::session::Session;
use crate::event_hubs::DefineEventHubError;

/// Why an event hub is not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum CreateRefused {
    /// The peer may not.
    #[error("the right to manage this event hub is missing")]
    Unauthorized,
    /// No name of an event hub.
    #[error("{0:?} is not the name of an event hub")]
    Name(String),
    /// The request names it twice.
    #[error("the request names this topic twice")]
    Twice,
    /// It is there.
    #[error("the event hub exists already")]
    Exists,
    /// Not a number of partitions.
    #[error("{0} is not a number of partitions: 1 to 1024, or -1 for the default")]
    Partitions(i32),
    /// More than one replica.
    #[error("there is one broker: the replication factor is 1, or -1 for the default, not {0}")]
    Replication(i16),
    /// Replicas placed by hand.
    #[error("replicas cannot be assigned: there is one broker")]
    Assignments,
    /// A setting that event hubs do not have.
    #[error("{0:?} is not a setting of an event hub; they are retention.ms, retention.bytes, max.message.bytes and cleanup.policy")]
    UnknownSetting(String),
    /// A setting that is no number.
    #[error("{setting} cannot be {value:?}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// A setting out of bounds.
    #[error(transparent)]
    Setting(#[from] InvalidEventHubSetting),
    /// Another cleanup policy than to delete.
    #[error("cleanup.policy is delete, not {0:?}: events are not compacted")]
    Cleanup(String),
    /// The log has no room for so many partitions.
    #[error("{0}")]
    Room(String),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

/// Why an event hub is not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum DeleteRefused {
    /// Not there, or not the peer's.
    #[error(transparent)]
    Topic(#[from] TopicRefused),
    /// No event hub has this id.
    #[error("no event hub has this topic id")]
    UnknownId,
    /// Device telemetry goes to it.
    #[error("the event hub events is built in: device messages go to it, so it cannot be deleted")]
    BuiltIn,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

impl From<DefineEventHubError<CreateEventHubError>> for CreateRefused {
    fn from(error: DefineEventHubError<CreateEventHubError>) -> Self {
        match error {
            DefineEventHubError::Twins(CreateEventHubError::AlreadyExists(_)) => Self::Exists,
            DefineEventHubError::Twins(CreateEventHubError::Setting(error)) => Self::Setting(error),
            DefineEventHubError::Twins(CreateEventHubError::Store(error)) | DefineEventHubError::Store(error) => {
                Self::Store(error.to_string())
            }
            DefineEventHubError::Log(error) => Self::Room(error.to_string()),
        }
    }
}

/// Creates event hubs, or says which could be created.
pub(super) async fn create_topics(session: &Session, header: &RequestHeader, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut named: HashMap<TopicName, usize> = HashMap::new();
    request.topics.iter().for_each(|topic| *named.entry(topic.name.clone()).or_default() += 1);
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let twice = named.get(&topic.name).is_some_and(|count| *count > 1);
        let created = if twice { Err(CreateRefused::Twice) } else { create(session, &topic, request.validate_only).await };
        if let Err(refused) = &created {
            tracing::info!(peer = %session.peer, policy = session.grant.name, topic = ?topic.name, reason = %refused, "did not create an event hub");
        }
        results.push(create_result(header, topic.name, created));
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// What was created, or would be.
struct Created {
    partitions: u32,
    /// Its topic id and settings, where it is there.
    hub: Option<std::sync::Arc<EventHub>>,
}

async fn create(session: &Session, topic: &CreatableTopic, validate_only: bool) -> Result<Created, CreateRefused> {
    let name = topic.name.parse::<EventHubName>().map_err(|_| CreateRefused::Name(topic.name.chars().take(64).collect()))?;
    if !session.grant.allows(name.as_str(), EventHubRights::MANAGE) {
        return Err(CreateRefused::Unauthorized);
    }
    // Before anything else: who declares a topic at every start goes on when it is there.
    if session.hub.event_hubs.get(name.as_str()).is_some() {
        return Err(CreateRefused::Exists);
    }
    let new = requested(session, name, topic)?;
    let partitions = new.partitions.get();
    if validate_only {
        return Ok(Created { partitions, hub: None });
    }
    let hub = session.hub.event_hubs.create(new).await?;
    tracing::info!(peer = %session.peer, policy = session.grant.name, event_hub = %hub.name, "a Kafka client created an event hub");
    Ok(Created { partitions, hub: Some(hub) })
}

fn requested(session: &Session, name: EventHubName, topic: &CreatableTopic) -> Result<NewEventHub, CreateRefused> {
    if !topic.assignments.is_empty() {
        return Err(CreateRefused::Assignments);
    }
    if topic.replication_factor != -1 && topic.replication_factor != 1 {
        return Err(CreateRefused::Replication(topic.replication_factor));
    }
    let invalid = CreateRefused::Partitions(topic.num_partitions);
    let partitions = match topic.num_partitions {
        -1 => session.hub.settings.twins.events_partitions,
        given => u32::try_from(given).map_err(|_| invalid.clone())?,
    };
    let mut new = NewEventHub::new(name, PartitionCount::try_from(partitions).map_err(|_| invalid)?);
    for config in &topic.configs {
        configs::set(&mut new, &config.name, config.value.as_deref())?;
    }
    new.retention = new.retention.checked()?;
    new.message_bytes_max = model::event_hub::checked_message_bytes_max(new.message_bytes_max)?;
    Ok(new)
}

fn create_result(header: &RequestHeader, name: TopicName, created: Result<Created, CreateRefused>) -> CreatableTopicResult {
    let mut result = CreatableTopicResult::default().with_name(name);
    match created {
        Ok(Created { partitions, hub }) => {
            if header.version >= 5 {
                result.num_partitions = partitions as i32;
                result.replication_factor = 1;
                result.configs = hub.as_ref().map(|hub| configs::of_topic(hub).iter().map(created_config).collect());
            }
            if header.version >= 7
                && let Some(hub) = &hub
            {
                result.topic_id = topic_id(hub);
            }
        }
        Err(refused) => {
            result.error_code = reason::create(&refused);
            result.error_message = Some(StrBytes::from_string(refused.to_string()));
        }
    }
    result
}

fn created_config(setting: &configs::Setting) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_static_str(setting.name))
        .with_value(Some(StrBytes::from_string(setting.value.clone())))
        .with_read_only(true)
        .with_config_source(setting.source())
}

/// Deletes event hubs, by name or by topic id.
pub(super) async fn delete_topics(session: &Session, header: &RequestHeader, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = |name: TopicName| DeleteTopicState::default().with_name(Some(name));
    let topics: Vec<DeleteTopicState> =
        if header.version >= 6 { request.topics } else { request.topic_names.into_iter().map(by_name).collect() };
    let mut responses = Vec::with_capacity(topics.len());
    for topic in topics {
        let hub = deletable(session, &topic);
        let mut result = DeletableTopicResult::default();
        result.name = topic.name.clone().or_else(|| hub.as_ref().ok().map(|hub| topic_name(hub)));
        if header.version >= 6 {
            result.topic_id = hub.as_ref().map_or(topic.topic_id, |hub| topic_id(hub));
        }
        let deleted = match hub {
            Ok(hub) => delete(session, &hub.name).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = deleted {
            tracing::info!(peer = %session.peer, policy = session.grant.name, topic = ?topic.name, reason = %refused, "did not delete an event hub");
            result.error_code = reason::delete(&refused);
            if header.version >= 5 {
                result.error_message = Some(StrBytes::from_string(refused.to_string()));
            }
        }
        responses.push(result);
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

fn deletable(session: &Session, topic: &DeleteTopicState) -> Result<std::sync::Arc<EventHub>, DeleteRefused> {
    if let Some(name) = &topic.name {
        return Ok(session.topic(name, EventHubRights::MANAGE)?);
    }
    let hub = session.hub.event_hubs.with_topic_id(topic.topic_id.as_bytes()).ok_or(DeleteRefused::UnknownId)?;
    Ok(session.topic(hub.name.as_str(), EventHubRights::MANAGE)?)
}

async fn delete(session: &Session, name: &EventHubName) -> Result<(), DeleteRefused> {
    session.hub.event_hubs.delete(name).await.map_err(|error| match error {
        DeleteEventHubError::NotFound(_) => TopicRefused::Unknown.into(),
        DeleteEventHubError::BuiltIn => DeleteRefused::BuiltIn,
        DeleteEventHubError::Store(error) => DeleteRefused::Store(error.to_string()),
    })?;
    tracing::info!(peer = %session.peer, policy = session.grant.name, event_hub = %name, "a Kafka client deleted an event hub");
    Ok(())
}

/// Keys would go to other partitions and lose their order.
pub(super) fn create_partitions(session: &Session, request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| {
        let (code, message) = match session.topic(&topic.name, EventHubRights::MANAGE) {
            Ok(_) => (reason::PARTITION_COUNT_FIXED, "partition count is fixed".to_owned()),
            Err(refused) => (refused.code(), refused.to_string()),
        };
        CreatePartitionsTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_code(code)
            .with_error_message(Some(StrBytes::from_string(message)))
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

/// Events go by age and size only.
pub(super) fn delete_records(session: &Session, request: &DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.iter().map(|topic| {
        let code = session.topic(&topic.name, EventHubRights::MANAGE).map_or_else(TopicRefused::code, |_| reason::POLICY_VIOLATION);
        let refused =
            |index| DeleteRecordsPartitionResult::default().with_partition_index(index).with_low_watermark(-1).with_error_code(code);
        let partitions = topic.partitions.iter().map(|partition| refused(partition.partition_index)).collect();
        DeleteRecordsTopicResult::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}
