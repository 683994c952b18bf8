//! What MQTT 5 clients are told, and how properties travel.

use bytes::Bytes;
use mqtt_proto::Version;
use mqtt_proto::wire::{
    ConnAckProperties, Packet, Publish, PublishProperties, QoS, ReasonCode, Subscribe, SubscribeFilter, SubscribeProperties,
};
use reqwest::Method;
use serde_json::json;

use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, id, publish, telemetry_topic, text};
use crate::support::service::Service;

const COMMANDS: &str = "devices/dev-1/messages/devicebound/#";

async fn hub_with_device() -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    (hub, service)
}

#[tokio::test]
async fn the_hub_announces_what_it_does_not_do() {
    let (hub, _service) = hub_with_device().await;
    let (_device, answer) = Device::connected_with(&hub, &connect(Version::V5, "dev-1")).await;
    let announced = ConnAckProperties {
        maximum_qos: Some(QoS::AtLeastOnce),
        retain_available: Some(false),
        wildcard_subscription_available: Some(true),
        shared_subscription_available: Some(false),
        subscription_id_available: Some(false),
        receive_maximum: Some(1024),
        maximum_packet_size: Some(266_240),
        topic_alias_maximum: Some(10),
        ..ConnAckProperties::default()
    };
    let told = ConnAckProperties { server_keep_alive: None, ..answer.properties };
    assert_eq!(told, announced);
}

#[tokio::test]
async fn what_was_announced_as_missing_ends_the_connection_with_its_reason() {
    let (hub, _service) = hub_with_device().await;
    let filter = |filter: &str, subscription_id| {
        let filters = vec![SubscribeFilter::new(text(filter), QoS::AtLeastOnce)];
        Packet::Subscribe(Subscribe {
            packet_id: id(1),
            filters,
            properties: SubscribeProperties { subscription_id, ..SubscribeProperties::default() },
        })
    };
    let alias = |number| {
        let properties = PublishProperties { topic_alias: Some(number), ..PublishProperties::default() };
        Packet::Publish(Publish { properties, ..publish(&telemetry_topic("dev-1"), Some(1), "{}") })
    };
    let cases = [
        (filter(COMMANDS, Some(1)), ReasonCode::SubscriptionIdentifiersNotSupported),
        (filter("$share/group/devices/dev-1/messages/devicebound/#", None), ReasonCode::SharedSubscriptionsNotSupported),
        (alias(11), ReasonCode::TopicAliasInvalid),
    ];
    for (packet, reason) in cases {
        let (mut device, _) = Device::connected_with(&hub, &connect(Version::V5, "dev-1")).await;
        device.send(&packet).await;
        device.expect_disconnect(reason).await;
    }
}

#[tokio::test]
async fn properties_of_a_packet_become_properties_of_the_message() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &connect(Version::V5, "dev-1")).await;
    let properties = PublishProperties {
        content_type: Some(text("application/json")),
        correlation_data: Some(Bytes::from_static(b"c-1")),
        user_properties: vec![(text("site"), text("north"))].into_iter().collect(),
        ..PublishProperties::default()
    };
    let topic = format!("{}%24.mid=m-1&line=4", telemetry_topic("dev-1"));
    device.send(&Packet::Publish(Publish { properties, ..publish(&topic, Some(1), "{}") })).await;
    device.expect_puback(1).await;
    let events = service.events().await;
    let event = events.of("dev-1").next().expect("the message");
    assert_eq!(json!(event.properties), json!({"line": "4", "site": "north"}));
    let system = |name: &str| event.system.get(name).and_then(|value| value.as_str());
    assert_eq!(
        (system("message-id"), system("correlation-id"), system("content-type")),
        (Some("m-1"), Some("c-1"), Some("application/json"))
    );
}

#[tokio::test]
async fn properties_of_a_command_become_properties_of_the_packet() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &connect(Version::V5, "dev-1")).await;
    device.subscribe(&[COMMANDS]).await;
    let command = json!({"body": "on", "messageId": "m-1", "contentType": "text/plain", "properties": {"lamp": "3"}});
    service.must(Method::POST, "/devices/dev-1/commands", None, Some(&command)).await;
    let sent = device.expect_publish().await;
    assert_eq!(sent.properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(sent.properties.user_properties.iter().collect::<Vec<_>>(), [&(text("lamp"), text("3"))]);
}

#[tokio::test]
async fn a_topic_alias_stands_for_the_topic_it_was_given_with() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &connect(Version::V5, "dev-1")).await;
    for (packet_id, topic) in [(1, telemetry_topic("dev-1")), (2, String::new())] {
        let properties = PublishProperties { topic_alias: Some(10), ..PublishProperties::default() };
        let named = publish("x", Some(packet_id), packet_id.to_string());
        device.send(&Packet::Publish(Publish { topic: text(&topic), properties, ..named })).await;
        device.expect_puback(packet_id).await;
    }
    assert_eq!(service.events().await.bodies("dev-1"), ["1", "2"]);
}

#[tokio::test]
async fn no_more_commands_are_under_way_than_the_client_receives_at_once() {
    let (hub, service) = hub_with_device().await;
    let mut login = connect(Version::V5, "dev-1");
    login.properties.receive_maximum = Some(1);
    let (mut device, _) = Device::connected_with(&hub, &login).await;
    for number in 1..=3 {
        service.send_command("dev-1", &format!("m-{number}"), &number.to_string()).await;
    }
    device.subscribe(&[COMMANDS]).await;
    for number in 1..=3 {
        let command = device.expect_publish().await;
        assert_eq!(command.payload, number.to_string());
        // Nothing else comes before the acknowledgement.
        device.expect_alive().await;
        device.acknowledge(&command).await;
    }
}

/// What a client cannot take is not sent to it, and does not stand in the way of the rest.
#[tokio::test]
async fn a_command_beyond_the_clients_packet_size_is_rejected() {
    let (hub, service) = hub_with_device().await;
    let mut login = connect(Version::V5, "dev-1");
    login.properties.maximum_packet_size = Some(1000);
    let (mut device, _) = Device::connected_with(&hub, &login).await;
    service.send_command("dev-1", "large", &"x".repeat(2000)).await;
    service.send_command("dev-1", "small", "fits").await;
    device.subscribe(&[COMMANDS]).await;
    assert_eq!(device.expect_publish().await.payload, "fits");
}
