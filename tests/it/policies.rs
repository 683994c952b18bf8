//! Shared access policies of the configuration.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use model::{Clock, Secret};
use reqwest::Method;

use crate::support::hub::HubProcess;

const RIGHTS: &str = "\"registry_read\"";

fn configure(data_dir: &Path, name: &str, rights: &str, key: &Secret) {
    HubProcess::configure(
        data_dir,
        &format!(
            "[[policy]]\nname = \"{name}\"\nrights = [{rights}]\nprimary_key = {{ file = \"policy.key\" }}\nsecondary_key = {{ file = \"policy.key\" }}\n"
        ),
    );
    let path = data_dir.join("policy.key");
    fs::write(&path, key.to_base64()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private");
}

/// The status of a request that needs the right to read the registry.
async fn status(hub: &HubProcess, policy: &str, key: &Secret) -> u16 {
    let later = Clock::system().now().saturating_add(Duration::from_secs(3600));
    let token = certs::token::sign("localhost", key, later, Some(policy));
    let answer = hub.service().try_ask_as(&token, Method::GET, "/devices/dev-1", None, None).await.expect("an answer");
    answer.status
}

#[tokio::test]
async fn a_policy_is_what_the_configuration_says_from_the_next_start_on() {
    let scratch = tempfile::tempdir().expect("a directory");
    let keys = [b"first", b"other"].map(|key| Secret::new(key.to_vec()));
    let [first, second] = &keys;
    configure(scratch.path(), "monitoring", RIGHTS, first);
    let mut hub = HubProcess::at(scratch.path());
    hub.service().register("dev-1").await;
    assert_eq!([status(&hub, "monitoring", first).await, status(&hub, "monitoring", second).await], [200, 401]);

    hub.kill();
    configure(scratch.path(), "monitoring", RIGHTS, second);
    hub.restart();
    assert_eq!([status(&hub, "monitoring", first).await, status(&hub, "monitoring", second).await], [401, 200]);
    assert_eq!(hub.logged(&["monitoring", "which hold from now on", "\"keys\":true", "\"rights\":false"]), 1, "{}", hub.log());

    hub.kill();
    configure(scratch.path(), "monitoring", "", second);
    hub.restart();
    assert_eq!([status(&hub, "monitoring", first).await, status(&hub, "monitoring", second).await], [401, 401]);
    for key in &keys {
        assert!(!hub.log().contains(&key.to_base64()), "{}", hub.log());
    }

    // What is configured no more stays, and is told.
    hub.kill();
    HubProcess::configure(scratch.path(), "");
    hub.restart();
    assert_eq!(hub.logged(&["monitoring", "is not configured holds as it is stored"]), 1, "{}", hub.log());
    assert_eq!(hub.logged(&["iothubowner", "is not configured holds as it is stored"]), 0, "{}", hub.log());
}

/// For [`HubProcess::try_start`]: `isthmus serve` in the place of `isthmus dev --data-dir DIR`.
fn as_served() -> [OsString; 4] {
    ["sh", "-c", r#"isthmus=$1 directory=$4; shift 4; exec "$isthmus" serve --config "$directory/isthmus.toml" "$@""#, "sh"].map(Into::into)
}

/// Nothing but a configuration can have made them under `isthmus serve`, whatever their names.
#[tokio::test]
async fn a_served_hub_tells_of_a_forgotten_policy_of_a_standard_name_too() {
    let scratch = tempfile::tempdir().expect("a directory");
    let key = Secret::new(b"owner".to_vec());
    configure(scratch.path(), "iothubowner", RIGHTS, &key);
    // A served hub has what it needs from somebody, here from `isthmus dev`.
    let mut hub = HubProcess::at(scratch.path());
    for (configured, told) in [(true, 0), (false, 1)] {
        hub.kill();
        if !configured {
            HubProcess::configure(scratch.path(), "");
        }
        hub.try_start(&as_served()).unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
        assert_eq!(hub.logged(&["iothubowner", "is not configured holds as it is stored"]), told, "{}", hub.log());
        assert_eq!(status(&hub, "iothubowner", &key).await, 404, "it is in force");
    }
}

#[tokio::test]
async fn the_owners_key_is_the_configured_one_and_the_connection_string_follows() {
    let scratch = tempfile::tempdir().expect("a directory");
    let key = Secret::new(b"owner".to_vec());
    let mut hub = HubProcess::at(scratch.path());
    let generated = hub.service().key();
    hub.kill();
    configure(scratch.path(), "iothubowner", "\"registry_read\", \"registry_write\", \"service_connect\", \"device_connect\"", &key);
    hub.restart();
    assert!(hub.service().key() == key, "the connection string has the configured key");
    hub.service().register("dev-1").await;
    assert_eq!(status(&hub, "iothubowner", &generated).await, 401);
}
