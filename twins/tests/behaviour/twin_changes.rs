use bytes::Bytes;
use model::api::TwinPatch;
use serde_json::{Value, json};
use twins::document::DocumentError;
use twins::{IfMatch, ReportedError, TwinReadError, TwinWriteError, UnknownIdentity};

use crate::{Home, create, desired, device_id, identity, module_id, tags};

#[tokio::test]
async fn a_new_twin_looks_as_documented() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let twin = serde_json::to_value(twins.twin(&identity("d")).await.expect("there")).expect("serialises");
    let section = json!({"$metadata": {"$lastUpdated": "2026-01-01T00:00:00Z"}, "$version": 1});
    assert_eq!((&twin["version"], &twin["etag"], &twin["tags"]), (&json!(2), &json!("AAAAAAAAAAE="), &json!({})));
    assert_eq!(twin["properties"], json!({"desired": section, "reported": section}));
    assert_eq!((&twin["authenticationType"], &twin["connectionState"]), (&json!("sas"), &json!("Disconnected")));
}

#[tokio::test]
async fn a_desired_patch_is_read_back_at_once_and_notified() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    create(&twins, "d/m").await;
    for id in ["d", "d/m"] {
        let id = identity(id);
        twins.patch_twin(&id, desired(json!({"a": {"b": 1, "c": 2}})), IfMatch::Any).await.expect("changed");
        let changed = twins.patch_twin(&id, desired(json!({"a": {"b": null}})), IfMatch::Absent).await.expect("changed");
        let notice = changed.desired.expect("a notice");
        assert_eq!((notice.version, notice.body), (3, Bytes::from(r#"{"a":{"b":null},"$version":3}"#)));
        assert_eq!(twins.twin(&id).await.expect("there"), changed.twin);
        let view = twins.device_view(&id).await.expect("there");
        let expect = r#"{"desired":{"a":{"c":2},"$version":3},"reported":{"$version":1}}"#;
        assert_eq!((view.body, view.desired_version), (Bytes::from(expect), 3));
        let document = twins.desired_document(&id).await.expect("there");
        assert_eq!((document.version, document.body), (3, Bytes::from(r#"{"a":{"c":2},"$version":3}"#)));
    }
}

#[tokio::test]
async fn tags_are_not_told_to_the_device() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let changed = twins.patch_twin(&identity("d"), tags(json!({"floor": 3})), IfMatch::Any).await.expect("changed");
    assert_eq!((changed.desired, changed.twin.version, changed.twin.etag.as_str()), (None, 3, "AAAAAAAAAAI="));
    let view = twins.device_view(&identity("d")).await.expect("there");
    assert!(!String::from_utf8_lossy(&view.body).contains("floor"));
}

#[tokio::test]
async fn a_replacement_puts_the_document_in_place() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    twins.patch_twin(&identity("d"), desired(json!({"a": 1})), IfMatch::Any).await.expect("changed");
    let changed = twins.replace_twin(&identity("d"), desired(json!({"b": 2})), IfMatch::Any).await.expect("changed");
    assert_eq!(changed.desired.expect("a notice").body, Bytes::from(r#"{"b":2,"$version":3}"#));
    assert_eq!(changed.twin.properties.desired.expect("desired").get("a"), None);
}

#[tokio::test]
async fn a_reported_patch_moves_its_version_and_not_the_etag() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let patch = |text: &'static str| Bytes::from(text);
    let id = identity("d");
    assert_eq!(twins.patch_reported(&id, patch(r#"{"a":1}"#), None).await, Ok(2));
    assert_eq!(twins.patch_reported(&id, patch(r#"{"b":{"c":2}}"#), Some(2)).await, Ok(3));
    assert_eq!(twins.patch_reported(&id, patch(r#"{"a":null,"$version":3}"#), None).await, Ok(4));
    let stale = ReportedError::VersionMismatch { base: 3, current: 4 };
    assert_eq!(twins.patch_reported(&id, patch("{}"), Some(3)).await, Err(stale.clone()));
    assert_eq!(twins.patch_reported(&id, patch(r#"{"$version":3}"#), None).await, Err(stale));
    assert_eq!(twins.patch_reported(&id, patch(r#"{"$version":"x"}"#), None).await, Err(ReportedError::InvalidVersion));
    let twin = twins.twin(&id).await.expect("there");
    assert_eq!((twin.version, twin.etag.as_str()), (5, "AAAAAAAAAAE="));
    let reported = twin.properties.reported.expect("reported");
    assert_eq!((&reported["b"], &reported["$version"], reported.get("a")), (&json!({"c": 2}), &json!(4), None));
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_and_changes_nothing() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let id = identity("d");
    let before = twins.twin(&id).await.expect("there");
    let bomb = Bytes::from(format!(r#"{{"a":{}"#, "[".repeat(100_000)));
    let deep = twins.patch_reported(&id, bomb, None).await;
    assert!(matches!(deep, Err(ReportedError::Document(DocumentError::TooDeep { .. }))), "{deep:?}");
    let large = twins.patch_reported(&id, Bytes::from(vec![b' '; 200_000]), None).await;
    assert_eq!(large, Err(ReportedError::Document(DocumentError::BodyTooLarge { bytes: 200_000 })));
    let twice = twins.patch_reported(&id, Bytes::from(r#"{"a":1,"a":2}"#), None).await;
    assert_eq!(twice, Err(ReportedError::Document(DocumentError::DuplicateKey { path: "a".into() })));
    let reported: TwinPatch = serde_json::from_value(json!({"properties": {"reported": {"a": 1}}})).expect("a patch");
    assert_eq!(twins.patch_twin(&id, reported, IfMatch::Any).await, Err(TwinWriteError::ReportedByService));
    let not_object = twins.patch_twin(&id, tags(json!([])), IfMatch::Any).await;
    assert_eq!(not_object, Err(TwinWriteError::Document(DocumentError::NotAnObject { path: "tags".into() })));
    let half = serde_json::from_value(json!({"tags": {"ok": 1}, "properties": {"desired": {"a.b": 1}}})).expect("a patch");
    assert!(twins.patch_twin(&id, half, IfMatch::Any).await.is_err());
    let many: serde_json::Map<String, Value> = (0..9).map(|n| (format!("k{n}"), json!("v".repeat(1000)))).collect();
    let over = twins.patch_twin(&id, tags(many.into()), IfMatch::Any).await;
    assert!(matches!(over, Err(TwinWriteError::Document(DocumentError::SectionTooLarge { .. }))), "{over:?}");
    assert_eq!(twins.twin(&id).await, Ok(before));
}

#[tokio::test]
async fn of_concurrent_writers_with_one_etag_one_wins() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    for round in 0..20 {
        let etag = twins.twin(&identity("d")).await.expect("there").etag;
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (twins, etag) = (twins.clone(), etag.clone());
                tokio::spawn(async move { twins.patch_twin(&identity("d"), tags(json!({"w": writer})), IfMatch::Etag(etag)).await })
            })
            .collect();
        let mut winners = 0;
        for writer in writers {
            match writer.await.expect("no panic") {
                Ok(_) => winners += 1,
                Err(error) => assert!(matches!(error, TwinWriteError::EtagMismatch(_)), "{error:?}"),
            }
        }
        assert_eq!(winners, 1, "round {round}");
    }
}

#[tokio::test]
async fn concurrent_patches_never_share_a_version() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let patches: Vec<_> = (0..100)
        .map(|number| {
            let twins = twins.clone();
            tokio::spawn(async move { twins.patch_reported(&identity("d"), Bytes::from(format!(r#"{{"k{number}":1}}"#)), None).await })
        })
        .collect();
    let mut versions = Vec::new();
    for patch in patches {
        versions.push(patch.await.expect("no panic").expect("accepted"));
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=101).collect::<Vec<u64>>());
}

#[tokio::test]
async fn an_unknown_identity_says_which_part_is_missing() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let no_device = UnknownIdentity::Device(device_id("x"));
    let no_module = UnknownIdentity::Module(device_id("d"), module_id("m"));
    assert_eq!(twins.twin(&identity("x")).await, Err(TwinReadError::UnknownIdentity(no_device.clone())));
    assert_eq!(twins.device_view(&identity("x/m")).await, Err(TwinReadError::UnknownIdentity(no_device)));
    assert_eq!(twins.twin(&identity("d/m")).await, Err(TwinReadError::UnknownIdentity(no_module.clone())));
    let patched = twins.patch_reported(&identity("d/m"), Bytes::from("{}"), None).await;
    assert_eq!(patched, Err(ReportedError::UnknownIdentity(no_module)));
}
