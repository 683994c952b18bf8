use model::api::{Authentication, AuthenticationType, ConnectionState, Status, SymmetricKey};
use model::{Credentials, Timestamp};
use serde_json::json;
use twins::{
    CreateDeviceError, CreateModuleError, DeleteIdentityError, DeviceStatistics, IfMatch, NewDevice, NewModule, TwinReadError, Twins,
    UnknownIdentity, UpdateIdentityError,
};

use crate::{Home, create, device_id, identity, module_id, new_device};

#[tokio::test]
async fn a_device_is_created_once_with_keys_and_a_generation() {
    let home = Home::new();
    let twins = home.open().await;
    let device = twins.create_device(device_id("d"), new_device(AuthenticationType::Sas)).await.expect("created");
    assert_eq!((device.generation_id.len(), device.status, device.cloud_to_device_message_count), (18, Status::Enabled, 0));
    assert_eq!(device.status_updated_time, Timestamp::NEVER);
    let keys = device.authentication.symmetric_key.clone().expect("keys");
    assert_ne!(keys.primary_key, keys.secondary_key);
    assert_eq!(twins.device(&device_id("d")).await, Ok(Some(device)));
    let again = twins.create_device(device_id("d"), NewDevice::default()).await;
    assert_eq!(again, Err(CreateDeviceError::AlreadyExists(device_id("d"))));
    assert_eq!(twins.device(&device_id("D")).await, Ok(None), "ids compare byte by byte");
}

#[tokio::test]
async fn an_update_needs_the_present_etag() {
    let home = Home::new();
    let twins = home.open().await;
    let created = twins.create_device(device_id("d"), new_device(AuthenticationType::Sas)).await.expect("created");
    home.advance(60);
    let disabled = NewDevice { status: Status::Disabled, status_reason: Some("stolen".into()), ..NewDevice::default() };
    let updated = twins.update_device(device_id("d"), disabled.clone(), IfMatch::Etag(created.etag.clone())).await.expect("updated");
    assert_ne!(updated.etag, created.etag);
    assert_eq!((updated.status, updated.status_updated_time), (Status::Disabled, home.clock.now()));
    assert_eq!(updated.authentication, created.authentication, "empty keys keep the old ones");
    assert_eq!(updated.generation_id, created.generation_id);
    let stale = twins.update_device(device_id("d"), disabled.clone(), IfMatch::Etag(created.etag.clone())).await;
    assert!(matches!(stale, Err(UpdateIdentityError::EtagMismatch(_))), "{stale:?}");
    let stale = twins.delete_device(device_id("d"), IfMatch::Etag(created.etag)).await;
    assert!(matches!(stale, Err(DeleteIdentityError::EtagMismatch(_))), "{stale:?}");
    assert_eq!(twins.device(&device_id("d")).await, Ok(Some(updated)), "what was refused changed nothing");
    let absent = twins.update_device(device_id("e"), disabled, IfMatch::Any).await;
    assert_eq!(absent, Err(UpdateIdentityError::NotFound(UnknownIdentity::Device(device_id("e")))));
}

#[tokio::test]
async fn modules_have_a_device_and_at_most_fifty() {
    let home = Home::new();
    let twins = home.open().await;
    let orphan = twins.create_module(device_id("d"), module_id("m"), NewModule::default()).await;
    assert_eq!(orphan, Err(CreateModuleError::DeviceNotFound(device_id("d"))));
    create(&twins, "d").await;
    for number in 0..50 {
        create(&twins, &format!("d/m{number:02}")).await;
    }
    let one_more = twins.create_module(device_id("d"), module_id("n"), NewModule::default()).await;
    assert_eq!(one_more, Err(CreateModuleError::TooMany(device_id("d"))));
    let again = twins.create_module(device_id("d"), module_id("m07"), NewModule::default()).await;
    assert_eq!(again, Err(CreateModuleError::AlreadyExists(device_id("d"), module_id("m07"))));
    let modules = twins.modules(&device_id("d")).await.expect("a device");
    assert_eq!((modules.len(), modules[7].module_id.as_str()), (50, "m07"));
    let missing = twins.delete_module(device_id("d"), module_id("x"), IfMatch::Any).await;
    assert_eq!(missing, Err(DeleteIdentityError::NotFound(UnknownIdentity::Module(device_id("d"), module_id("x")))));
    let unknown = twins.modules(&device_id("e")).await;
    assert_eq!(unknown, Err(TwinReadError::UnknownIdentity(UnknownIdentity::Device(device_id("e")))));
}

#[tokio::test]
async fn a_grant_ends_when_the_device_is_disabled_rekeyed_or_deleted() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    create(&twins, "d/m").await;
    let record = |twins: &Twins, id: &str| twins.identity(&identity(id));
    let (device, module) = (record(&twins, "d").expect("there"), record(&twins, "d/m").expect("there"));
    let (device_epoch, module_epoch) = (device.epoch.current(), module.epoch.current());
    let same = NewDevice { status_reason: Some("noted".into()), ..NewDevice::default() };
    twins.update_device(device_id("d"), same, IfMatch::Any).await.expect("updated");
    assert_eq!((device.epoch.current(), module.epoch.current()), (device_epoch, module_epoch), "nothing was revoked");

    let disabled = NewDevice { status: Status::Disabled, ..NewDevice::default() };
    twins.update_device(device_id("d"), disabled, IfMatch::Any).await.expect("updated");
    assert_ne!(device.epoch.current(), device_epoch);
    assert_ne!(module.epoch.current(), module_epoch, "a module goes with its device");
    assert!(!record(&twins, "d").expect("there").enabled && !record(&twins, "d/m").expect("there").enabled);

    twins.update_device(device_id("d"), NewDevice::default(), IfMatch::Any).await.expect("updated");
    assert!(record(&twins, "d/m").expect("there").enabled);
    let epoch = device.epoch.current();
    let key = SymmetricKey { primary_key: Some("bmV3".into()), secondary_key: None };
    let rekeyed = Authentication { symmetric_key: Some(key), ..Authentication::default() };
    twins
        .update_device(device_id("d"), NewDevice { authentication: rekeyed, ..NewDevice::default() }, IfMatch::Any)
        .await
        .expect("updated");
    assert_ne!(device.epoch.current(), epoch);

    let epoch = device.epoch.current();
    twins.delete_device(device_id("d"), IfMatch::Any).await.expect("deleted");
    assert_ne!(device.epoch.current(), epoch);
    assert!(record(&twins, "d").is_none() && record(&twins, "d/m").is_none());
    create(&twins, "d").await;
    let anew = record(&twins, "d").expect("there");
    assert_ne!(anew.generation, device.generation);
}

#[tokio::test]
async fn a_module_of_a_disabled_device_is_disabled_also_after_a_restart() {
    let home = Home::new();
    let twins = home.open().await;
    twins.create_device(device_id("d"), NewDevice { status: Status::Disabled, ..NewDevice::default() }).await.expect("created");
    create(&twins, "d/m").await;
    assert!(!twins.identity(&identity("d/m")).expect("there").enabled);
    let twins = home.reopen(twins).await;
    assert!(!twins.identity(&identity("d/m")).expect("there").enabled);
    assert!(matches!(twins.identity(&identity("d")).expect("there").credentials, Credentials::Keys { .. }));
    assert_eq!(twins.device_statistics(), DeviceStatistics { total: 1, enabled: 0, disabled: 1 });
}

#[tokio::test]
async fn deleting_a_device_takes_everything_of_it() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    create(&twins, "d/m").await;
    twins.enqueue_command(&identity("d/m"), twins::NewCommand::default()).await.expect("stored");
    let filter = twins::StoredSubscription { filter: "a/#".into(), qos: 1 };
    twins.store_subscriptions(&identity("d"), vec![filter]).await.expect("stored");
    twins.patch_twin(&identity("d"), crate::tags(json!({"a": 1})), IfMatch::Any).await.expect("changed");
    twins.delete_device(device_id("d"), IfMatch::Any).await.expect("deleted");
    assert!(twins.twin(&identity("d/m")).await.is_err());
    create(&twins, "d").await;
    create(&twins, "d/m").await;
    assert_eq!(twins.commands(&identity("d/m")).await, Ok(vec![]));
    assert_eq!(twins.subscriptions(&identity("d")).await, Ok(vec![]));
    let twin = twins.twin(&identity("d")).await.expect("there");
    assert_eq!((twin.version, twin.etag.as_str(), twin.tags), (2, "AAAAAAAAAAE=", Some(serde_json::Map::new())));
}

#[tokio::test]
async fn devices_are_listed_in_pages_without_their_modules() {
    let home = Home::new();
    let twins = home.open().await;
    for id in ["b", "a", "c", "B"] {
        create(&twins, id).await;
    }
    create(&twins, "a/m").await;
    let ids = |devices: Vec<model::api::Device>| devices.into_iter().map(|device| device.device_id).collect::<Vec<_>>();
    assert_eq!(ids(twins.devices(None, 3).await.expect("read")), ["B", "a", "b"]);
    assert_eq!(ids(twins.devices(Some(device_id("b")), 3).await.expect("read")), ["c"]);
    assert_eq!(ids(twins.devices(None, usize::MAX).await.expect("read")).len(), 4);
}

#[tokio::test]
async fn what_is_noted_of_connections_shows_at_once_and_outlives_a_restart() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let (connected, active) = (home.clock.now(), home.clock.now().saturating_add(std::time::Duration::from_secs(9)));
    twins.note_connected(&identity("d"), connected);
    twins.note_activity(&identity("d"), active);
    twins.note_model_id(&identity("d"), "dtmi:com:example;1");
    twins.note_activity(&identity("nobody"), active);
    let device = twins.device(&device_id("d")).await.expect("read").expect("there");
    assert_eq!((device.connection_state, device.last_activity_time), (ConnectionState::Connected, active));
    let twins = home.reopen(twins).await;
    let device = twins.device(&device_id("d")).await.expect("read").expect("there");
    assert_eq!(device.connection_state, ConnectionState::Disconnected, "nobody is connected to a hub that has just started");
    assert_eq!((device.connection_state_updated_time, device.last_activity_time), (connected, active));
    assert_eq!(twins.twin(&identity("d")).await.expect("there").model_id, "dtmi:com:example;1");
}
