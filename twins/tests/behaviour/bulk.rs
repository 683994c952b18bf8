use model::api::{BulkItem, Status};
use serde_json::{Value, json};
use twins::{BulkRequestError, IfMatch, Twins};

use crate::{Home, create, device_id, identity, module_id};

fn item(json: Value) -> BulkItem {
    serde_json::from_value(json).expect("an item")
}

#[tokio::test]
async fn a_bulk_request_carries_out_what_it_can() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "old").await;
    let result = twins
        .bulk(vec![
            item(json!({"id": "new", "importMode": "create", "tags": {"a": 1}, "properties": {"desired": {"b": 2}}})),
            item(json!({"id": "old", "importMode": "CREATE"})),
            item(json!({"id": "old", "moduleId": "m", "importMode": "Create"})),
            item(json!({"id": "gone", "importMode": "Delete"})),
            item(json!({"id": "two", "importMode": "create", "tags": {"a": [null]}})),
            item(json!({"id": "etag", "importMode": "updateIfMatchETag"})),
            item(json!({"id": "mode", "importMode": "upsert"})),
            item(json!({"id": "a b", "importMode": "create"})),
        ])
        .await
        .expect("carried out");
    assert!(!result.is_successful);
    let errors: Vec<_> = result.errors.iter().map(|e| (e.device_id.as_str(), e.error_code.as_str(), e.operation.as_deref())).collect();
    let expect = [
        ("old", "DeviceAlreadyExists", Some("CREATE")),
        ("gone", "DeviceNotFound", Some("Delete")),
        ("two", "ArgumentInvalid", Some("create")),
        ("etag", "ArgumentNull", Some("updateIfMatchETag")),
        ("mode", "ArgumentInvalid", Some("upsert")),
        ("a b", "ArgumentInvalid", Some("create")),
    ];
    assert_eq!(errors, expect);
    let twin = twins.twin(&identity("new")).await.expect("created");
    assert_eq!(twin.properties.desired.expect("desired")["b"], 2);
    assert!(twins.module(&device_id("old"), &module_id("m")).await.expect("read").is_some());
    assert_eq!(twins.device(&device_id("two")).await, Ok(None), "a refused item writes nothing");
}

/// What single items were refused for.
async fn refused(twins: &Twins, items: Vec<BulkItem>) -> Vec<(String, String)> {
    let result = twins.bulk(items).await.expect("carried out");
    result.errors.into_iter().map(|error| (error.device_id, error.error_code)).collect()
}

#[tokio::test]
async fn create_or_update_registers_what_is_new_and_replaces_what_is_there() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "old").await;
    create(&twins, "old/m").await;
    twins.patch_twin(&identity("old"), crate::tags(json!({"stale": 1})), IfMatch::Any).await.expect("changed");
    let before = twins.device(&device_id("old")).await.expect("read").expect("there");
    let mode = "createOrUpdate";
    let items = vec![
        item(json!({"id": "new", "importMode": mode, "tags": {"a": 1}})),
        item(json!({"id": "new", "moduleId": "m", "importMode": mode, "properties": {"desired": {"b": 2}}})),
        item(json!({"id": "old", "importMode": mode, "status": "disabled", "tags": {"a": 1}, "properties": {"desired": {"b": 2}}})),
        item(json!({"id": "old", "moduleId": "m", "importMode": mode})),
        item(json!({"id": "gone", "moduleId": "m", "importMode": mode})),
    ];
    assert_eq!(refused(&twins, items).await, [("gone".to_owned(), "DeviceNotFound".to_owned())]);
    for (id, status) in [("new", Status::Enabled), ("old", Status::Disabled)] {
        assert_eq!(twins.device(&device_id(id)).await.expect("read").expect("there").status, status, "{id}");
        let twin = twins.twin(&identity(id)).await.expect("there");
        assert_eq!(twin.tags.map(Value::Object), Some(json!({"a": 1})), "{id}");
    }
    assert_eq!(twins.twin(&identity("old")).await.expect("there").properties.desired.expect("desired")["b"], 2);
    assert_eq!(twins.twin(&identity("new/m")).await.expect("there").properties.desired.expect("desired")["b"], 2);
    let after = twins.device(&device_id("old")).await.expect("read").expect("there");
    assert_eq!(after.generation_id, before.generation_id, "it is the same device");
    assert_eq!(after.authentication, before.authentication, "and keeps the keys that nobody named");
    assert_ne!(after.etag, before.etag);
}

#[tokio::test]
async fn create_or_update_on_a_condition_writes_all_of_an_item_or_nothing() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    twins.patch_twin(&identity("d"), crate::tags(json!({"stale": 1})), IfMatch::Any).await.expect("changed");
    let before = twins.device(&device_id("d")).await.expect("read").expect("there");
    let twin_before = twins.twin(&identity("d")).await.expect("there");
    let disabling = |fields: Value| {
        let mut item = json!({"id": "d", "importMode": "createOrUpdateIfMatchETag", "status": "disabled", "tags": {"a": 1}});
        item.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        vec![self::item(item)]
    };
    for (fields, code) in [
        (json!({}), "ArgumentNull"),
        (json!({"eTag": "\"\""}), "ArgumentNull"),
        (json!({"eTag": "bm8="}), "PreconditionFailed"),
        (json!({"eTag": before.etag, "twinETag": "bm8="}), "PreconditionFailed"),
        (json!({"eTag": "bm8=", "twinETag": twin_before.etag}), "PreconditionFailed"),
        (json!({"eTag": before.etag, "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "?"}}}), "ArgumentInvalid"),
        (json!({"eTag": before.etag, "tags": {"big": "x".repeat(9 * 1024)}}), "ArgumentInvalid"),
    ] {
        assert_eq!(refused(&twins, disabling(fields.clone())).await, [("d".to_owned(), code.to_owned())], "{fields}");
        assert_eq!(twins.device(&device_id("d")).await, Ok(Some(before.clone())), "{fields}");
        assert_eq!(twins.twin(&identity("d")).await.as_ref(), Ok(&twin_before), "{fields}");
    }
    let fields = json!({"eTag": format!("\"{}\"", before.etag), "twinETag": twin_before.etag});
    assert_eq!(refused(&twins, disabling(fields)).await, []);
    assert_eq!(twins.device(&device_id("d")).await.expect("read").expect("there").status, Status::Disabled);
    assert_eq!(twins.twin(&identity("d")).await.expect("there").tags.map(Value::Object), Some(json!({"a": 1})));
    let new = vec![item(json!({"id": "new", "importMode": "createOrUpdateIfMatchETag"}))];
    assert_eq!(refused(&twins, new).await, [], "what is new has no etag to name");
}

#[tokio::test]
async fn an_unknown_import_mode_is_told_those_there_are() {
    let home = Home::new();
    let twins = home.open().await;
    for mode in [json!({"id": "d"}), json!({"id": "d", "importMode": "upsert"})] {
        let result = twins.bulk(vec![item(mode.clone())]).await.expect("carried out");
        let text = &result.errors.first().expect("refused").error_status;
        for name in ["create,", "createOrUpdate,", "createOrUpdateIfMatchETag,", "deleteIfMatchETag,", "updateTwinIfMatchETag"] {
            assert!(text.contains(name), "{mode}: {text}");
        }
    }
}

#[tokio::test]
async fn a_bulk_request_is_bounded_and_names_each_identity_once() {
    let home = Home::new();
    let twins = home.open().await;
    let many = (0..101).map(|n| item(json!({"id": format!("d{n}"), "importMode": "create"}))).collect();
    assert_eq!(twins.bulk(many).await, Err(BulkRequestError::TooMany { count: 101 }));
    let twice = vec![item(json!({"id": "d", "importMode": "create"})), item(json!({"id": "d", "importMode": "delete"}))];
    assert_eq!(twins.bulk(twice).await, Err(BulkRequestError::Duplicate { id: "d".into() }));
    assert_eq!(twins.device_statistics().total, 0);
}
