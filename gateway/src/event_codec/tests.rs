use certs::judge::{AuthGrant, ClaimedIdentity, Evidence, Judge, TrustSnapshot};
use event_log::{BatchBuilder, HeaderBlock, Origin, Record, StoredBatch};
use model::{
    Credentials, Epoch, EventHubName, IdentityRecord, MessageProperties, PartitionId, Secret, SequenceNumber, SystemProperties, Timestamp,
};
use serde_json::json;

use super::*;

fn grant() -> AuthGrant {
    let identity: model::Identity = "dev-1/mod".parse().expect("an identity");
    let key = Secret::new(b"key".to_vec());
    let now = Timestamp::from_milliseconds(0);
    let token = certs::token::sign("hub/devices/dev-1/modules/mod", &key, Timestamp::from_milliseconds(1_000), None);
    let record = IdentityRecord {
        identity: identity.clone(),
        generation: "638388855582764406".into(),
        enabled: true,
        credentials: Credentials::Keys { primary: key.clone(), secondary: key },
        epoch: Epoch::default(),
    };
    let judge = Judge::new(TrustSnapshot { host_names: vec!["hub".to_owned()], ..TrustSnapshot::default() });
    let claim = ClaimedIdentity { identity, host: "hub".to_owned() };
    judge.admit(Evidence::Token(&token), &claim, Some(&record), now).expect("a grant")
}

fn stored(grant: &AuthGrant, properties: &MessageProperties, body: &[u8]) -> StoredBatch {
    let received = Timestamp::from_milliseconds(1_795_000_000_123);
    let headers = SenderHeaders::telemetry(grant, Some("dtmi:x;1"));
    let mut receipt = HeaderBlock::new();
    write_receipt(&mut receipt, received);
    let properties = EncodedProperties::new(properties);
    let mut batch = BatchBuilder::new(received);
    batch.push(Record {
        timestamp: received,
        key: Some(grant.identity.device.as_str().as_bytes()),
        value: Some(body),
        headers: &[&headers.sender, &receipt, &headers.source, &properties.headers],
    });
    // A partition writes the position into the batch's first eight bytes.
    let mut bytes = batch.finish().as_bytes().to_vec();
    bytes[..8].copy_from_slice(&41_i64.to_be_bytes());
    StoredBatch {
        base: SequenceNumber(41),
        wanted: SequenceNumber(41),
        count: 1,
        append_time: Timestamp::from_milliseconds(1_795_000_000_456),
        origin: Origin::Mqtt,
        bytes: bytes.into(),
    }
}

fn shown(properties: &MessageProperties, body: &[u8]) -> serde_json::Value {
    let batch = stored(&grant(), properties, body);
    let event = batch.events().next().expect("one event").expect("a readable event");
    serde_json::to_value(event_item(&EventHubName::events(), PartitionId(2), &batch, &event)).expect("JSON")
}

#[test]
fn a_message_reads_back_with_all_its_properties() {
    let properties = MessageProperties {
        system: SystemProperties {
            message_id: Some("m1".into()),
            content_type: Some("application/json".into()),
            component: Some("thermostat".into()),
            ..SystemProperties::default()
        },
        application: vec![("colour".into(), Some("rød".into())), ("none".into(), None), ("content-encoding".into(), Some("mine".into()))],
    };
    let event = shown(&properties, b"{\"t\":1}");
    assert_eq!(event["deviceId"], "dev-1");
    assert_eq!(event["moduleId"], "mod");
    assert_eq!((&event["sequence"], &event["partition"]), (&json!(41), &json!(2)));
    assert_eq!(event["enqueuedTime"], "2026-11-18T11:06:40.456Z");
    assert_eq!(event["body"], "{\"t\":1}");
    assert_eq!(event["properties"], json!({"colour": "rød", "none": null, "content-encoding": "mine"}));
    assert_eq!(event["system"]["message-id"], "m1");
    assert_eq!(event["system"]["iothub-enqueuedtime"], "2026-11-18T11:06:40.123Z");
    assert_eq!(event["system"]["iothub-message-source"], "Telemetry");
    assert_eq!(event["system"]["dt-dataschema"], "dtmi:x;1");
    assert_eq!(event["system"]["dt-subject"], "thermostat");
}

#[test]
fn nobody_can_claim_another_devices_annotations() {
    let forged = ANNOTATIONS.map(|name| (name.to_owned(), Some("forged".to_owned())));
    let event = shown(&MessageProperties { application: forged.into(), ..MessageProperties::default() }, b"");
    assert_eq!(event["properties"], json!({}));
    assert_eq!(event["deviceId"], "dev-1");
    assert!(!event.to_string().contains("forged"));
}

#[test]
fn a_body_that_is_not_text_is_shown_in_base64() {
    let event = shown(&MessageProperties::default(), &[0xFF, 0x00]);
    assert_eq!((&event["bodyBase64"], event.get("body")), (&json!("/wA="), None));
}
