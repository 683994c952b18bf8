//! A warning where a command names a device that nobody has registered, and goes on all the same.

use std::time::Duration;

use hubctl::{ClientError, HubClient};
use model::Identity;

use super::note;

/// A hub that answers later than this is not waited for: the warning is not what was asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Warns when the hub says that there is no such device or module. One that cannot be reached, or
/// does not let the caller read its registry, says nothing.
pub(super) async fn warn_unless(hub: &HubClient, identity: &Identity) {
    let asking = async {
        match &identity.module {
            None => hub.device(identity).await.map(drop),
            Some(_) => hub.module(identity).await.map(drop),
        }
    };
    if let Ok(Err(error)) = tokio::time::timeout(ANSWER_TIMEOUT, asking).await
        && let Some(warning) = warning(identity, &error)
    {
        note(&warning);
    }
}

/// What to say of an identity whose lookup ended so, with the commands that register it.
fn warning(identity: &Identity, error: &ClientError) -> Option<String> {
    let ClientError::Refused(refusal) = error else { return None };
    let device = &identity.device;
    let create_device = format!("hubctl device create {device}");
    Some(match (refusal.name.as_deref(), &identity.module) {
        (Some("DeviceNotFound"), None) => format!("warning: device {device} is not registered; `{create_device}` registers it"),
        (Some("DeviceNotFound"), Some(module)) => {
            format!(
                "warning: device {device} is not registered; `{create_device} && hubctl module create {device} {module}` registers both"
            )
        }
        (Some("ModuleNotFound"), Some(module)) => {
            format!("warning: device {device} has no module {module}; `hubctl module create {device} {module}` registers it")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use hubctl::client::Refusal;

    use super::*;

    fn check(identity: &str, name: &str, expected: Option<&str>) {
        let refusal = Refusal { status: 404, name: Some(name.into()), text: String::new(), body: String::new() };
        let identity = identity.parse().expect("an identity");
        assert_eq!(warning(&identity, &refusal.into()).as_deref(), expected, "{identity} {name}");
    }

    #[test]
    fn a_warning_names_what_registers_the_identity_and_says_nothing_else() {
        check("d", "DeviceNotFound", Some("warning: device d is not registered; `hubctl device create d` registers it"));
        let both = "warning: device d is not registered; `hubctl device create d && hubctl module create d m` registers both";
        check("d/m", "DeviceNotFound", Some(both));
        check("d/m", "ModuleNotFound", Some("warning: device d has no module m; `hubctl module create d m` registers it"));
        check("d", "IotHubUnauthorized", None);
        let unreachable = ClientError::Unreachable { tried: "localhost:443".into(), reason: "connection refused".into() };
        assert_eq!(warning(&"d".parse().expect("an identity"), &unreachable), None);
    }
}
