//! Settings of event hubs and of the hub, in Kafka's words. They are read here and changed with
//! `hubctl hub update`.

use std::collections::HashSet;
use std::time::Duration;

use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;
use model::EventHubRights;
use model::limits::{EVENT_BYTES_MAX, RETENTION_TIME, RETENTION_TIME_DEFAULT};
use twins::{EventHub, NewEventHub};

use super::reason::{self, TopicRefused};
use super::session::Session;
use super::topics::CreateRefused;

/// Kinds of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a value comes from: set for this topic, for the broker at its start, or by default.
const SET_FOR_TOPIC: i8 = 1;
const BY_DEFAULT: i8 = 5;
/// Kinds of values.
const TEXT: i8 = 2;
const INTEGER: i8 = 3;
const LONG: i8 = 5;

/// A setting and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: String,
    kind: i8,
    is_default: bool,
}

impl Setting {
    fn new(name: &'static str, kind: i8, value: impl ToString, is_default: bool) -> Self {
        Self { name, value: value.to_string(), kind, is_default }
    }

    /// Where its value comes from.
    pub(super) fn source(&self) -> i8 {
        if self.is_default { BY_DEFAULT } else { SET_FOR_TOPIC }
    }
}

/// The settings of an event hub.
pub(super) fn of_topic(hub: &EventHub) -> Vec<Setting> {
    let bytes = hub.retention.bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
    vec![
        Setting::new("cleanup.policy", TEXT, "delete", true),
        Setting::new("compression.type", TEXT, "producer", true),
        Setting::new("max.message.bytes", INTEGER, hub.message_bytes_max, hub.message_bytes_max as usize == EVENT_BYTES_MAX),
        Setting::new("message.timestamp.type", TEXT, "CreateTime", true),
        Setting::new("min.insync.replicas", INTEGER, 1, true),
        Setting::new("retention.bytes", LONG, bytes, hub.retention.bytes.is_none()),
        Setting::new("retention.ms", LONG, hub.retention.milliseconds(), hub.retention.time == RETENTION_TIME_DEFAULT),
    ]
}

/// The settings that a new topic gets unless it has its own.
fn of_broker(session: &Session) -> Vec<Setting> {
    vec![
        Setting::new("auto.create.topics.enable", TEXT, "false", true),
        Setting::new("compression.type", TEXT, "producer", true),
        Setting::new("default.replication.factor", INTEGER, 1, true),
        Setting::new("log.cleanup.policy", TEXT, "delete", true),
        Setting::new("log.retention.ms", LONG, RETENTION_TIME_DEFAULT.as_millis(), true),
        Setting::new("message.max.bytes", INTEGER, EVENT_BYTES_MAX, true),
        Setting::new("min.insync.replicas", INTEGER, 1, true),
        Setting::new("num.partitions", INTEGER, session.hub.settings.twins.events_partitions, true),
    ]
}

/// Sets a new event hub's setting as a client writes it.
pub(super) fn set(new: &mut NewEventHub, name: &str, value: Option<&str>) -> Result<(), CreateRefused> {
    let value = value.unwrap_or_default();
    let invalid = |setting| CreateRefused::Value { setting, value: value.chars().take(64).collect() };
    match name {
        // There is no "for ever"; the longest time there is comes closest.
        "retention.ms" if value == "-1" => new.retention.time = *RETENTION_TIME.end(),
        "retention.ms" => new.retention.time = Duration::from_millis(value.parse().map_err(|_| invalid("retention.ms"))?),
        "retention.bytes" if value == "-1" => new.retention.bytes = None,
        "retention.bytes" => new.retention.bytes = Some(value.parse().map_err(|_| invalid("retention.bytes"))?),
        "max.message.bytes" => new.message_bytes_max = value.parse().map_err(|_| invalid("max.message.bytes"))?,
        "cleanup.policy" if value == "delete" => {}
        "cleanup.policy" => return Err(CreateRefused::Cleanup(value.chars().take(64).collect())),
        _ => return Err(CreateRefused::UnknownSetting(name.chars().take(64).collect())),
    }
    Ok(())
}

/// Describes event hubs and the broker.
pub(super) fn describe_configs(session: &Session, header: &RequestHeader, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    // Each once, however often it is named: a few bytes ask for all its settings.
    let mut seen = HashSet::new();
    let resources = request.resources.iter().filter(|resource| seen.insert((resource.resource_type, &resource.resource_name)));
    let results = resources.map(|resource| {
        let result =
            DescribeConfigsResult::default().with_resource_type(resource.resource_type).with_resource_name(resource.resource_name.clone());
        match settings(session, resource) {
            Ok(settings) => result.with_configs(chosen(header, resource, &settings)),
            Err((code, message)) => result.with_error_code(code).with_error_message(Some(StrBytes::from_string(message))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn settings(session: &Session, resource: &DescribeConfigsResource) -> Result<Vec<Setting>, (i16, String)> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            let any = [EventHubRights::SEND, EventHubRights::LISTEN].into_iter().find(|right| session.grant.allows(name, *right));
            let hub = session.topic(name, any.unwrap_or(EventHubRights::LISTEN));
            hub.map(|hub| of_topic(&hub)).map_err(|refused: TopicRefused| (refused.code(), refused.to_string()))
        }
        BROKER if name == "0" || name.is_empty() => Ok(of_broker(session)),
        BROKER => Err((reason::INVALID_REQUEST, "the only broker is 0".to_owned())),
        _ => Err((reason::INVALID_REQUEST, "only topics and the broker have settings".to_owned())),
    }
}

fn chosen(header: &RequestHeader, resource: &DescribeConfigsResource, settings: &[Setting]) -> Vec<DescribeConfigsResourceResult> {
    let is_wanted = |setting: &&Setting| match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| key.as_str() == setting.name),
        Some(_) | None => true,
    };
    let shown = |setting: &Setting| {
        let result = DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(StrBytes::from_string(setting.value.clone())))
            .with_read_only(true)
            .with_config_source(setting.source());
        if header.version >= 3 { result.with_config_type(setting.kind) } else { result }
    };
    settings.iter().filter(is_wanted).map(shown).collect()
}

/// Refused, naming what does it.
pub(super) fn alter_configs(request: &AlterConfigsRequest) -> AlterConfigsResponse {
    let responses = request.resources.iter().map(|resource| {
        alter_configs_response::AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_code(reason::POLICY_VIOLATION)
            .with_error_message(Some(elsewhere(resource.resource_type, &resource.resource_name)))
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

/// The same.
pub(super) fn incremental_alter_configs(request: &IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.iter().map(|resource| {
        incremental_alter_configs_response::AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_code(reason::POLICY_VIOLATION)
            .with_error_message(Some(elsewhere(resource.resource_type, &resource.resource_name)))
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn elsewhere(kind: i8, name: &str) -> StrBytes {
    if kind == TOPIC {
        let name: String = name.chars().take(249).collect();
        return StrBytes::from_string(format!("settings are not changed over Kafka; use: hubctl hub update {name}"));
    }
    StrBytes::from_static_str(
        "settings are not changed over Kafka; the hub's are in its configuration, an event hub's with: hubctl hub update",
    )
}
