//! A warning where a command names a device that nobody has registered, or that will not be let in
//! with what is made for it; the command goes on all the same.

use std::time::Duration;

use hubctl::{ClientError, HubClient};
use model::Identity;
use model::api::{Authentication, AuthenticationType};

use super::note;

/// A hub that answers later than this is not waited for: the warning is not what was asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Warns when the hub says that there is no such device or module. One that cannot be reached, or
/// does not let the caller read its registry, says nothing.
pub(super) async fn warn_unless(hub: &HubClient, identity: &Identity) {
    if let Some(Err(error)) = look_up(hub, identity).await
        && let Some(warning) = unregistered(identity, &error)
    {
        note(&warning);
    }
}

/// Warns as [`warn_unless`], and when a certificate under a CA does not let the device or module in.
pub(super) async fn warn_unless_certified(hub: &HubClient, identity: &Identity) {
    let warning = match look_up(hub, identity).await {
        Some(Ok(authentication)) => uncertified(identity, &authentication),
        Some(Err(error)) => unregistered(identity, &error),
        None => None,
    };
    if let Some(warning) = warning {
        note(&warning);
    }
}

/// How the hub knows it, if the hub answers in time.
async fn look_up(hub: &HubClient, identity: &Identity) -> Option<Result<Authentication, ClientError>> {
    let asking = async {
        match &identity.module {
            None => hub.device(identity).await.map(|device| device.authentication),
            Some(_) => hub.module(identity).await.map(|module| module.authentication),
        }
    };
    tokio::time::timeout(ANSWER_TIMEOUT, asking).await.ok()
}

/// What to say of an identity that proves itself in another way than with a CA's certificate.
fn uncertified(identity: &Identity, authentication: &Authentication) -> Option<String> {
    let proof = match authentication.kind? {
        AuthenticationType::CertificateAuthority => return None,
        AuthenticationType::Sas => "proves itself with a key",
        AuthenticationType::SelfSigned => "proves itself with a certificate of its thumbprints",
        AuthenticationType::None => "is not let in at all",
    };
    let device = &identity.device;
    Some(match &identity.module {
        None => {
            let update = format!("`hubctl device update {device} --auth ca` changes that");
            format!("warning: device {device} {proof}; this certificate will not let it in; {update}")
        }
        Some(module) => format!("warning: module {module} of device {device} {proof}; this certificate will not let it in"),
    })
}

/// What to say of an identity whose lookup ended so, with the commands that register it.
fn unregistered(identity: &Identity, error: &ClientError) -> Option<String> {
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
    use hubctl::client::{NoConnection, Refusal};

    use super::*;

    fn check(identity: &str, name: &str, expected: Option<&str>) {
        let refusal = Refusal { status: 404, name: Some(name.into()), text: String::new(), body: String::new() };
        let identity = identity.parse().expect("an identity");
        assert_eq!(unregistered(&identity, &refusal.into()).as_deref(), expected, "{identity} {name}");
    }

    fn check_proof(identity: &str, kind: AuthenticationType, expected: Option<&str>) {
        let authentication = Authentication { kind: Some(kind), ..Authentication::default() };
        let identity = identity.parse().expect("an identity");
        assert_eq!(uncertified(&identity, &authentication).as_deref(), expected, "{identity} {kind:?}");
    }

    #[test]
    fn a_certificate_that_lets_nobody_in_is_told_with_the_way_out() {
        check_proof("d", AuthenticationType::CertificateAuthority, None);
        let way_out = "this certificate will not let it in; `hubctl device update d --auth ca` changes that";
        check_proof("d", AuthenticationType::Sas, Some(&format!("warning: device d proves itself with a key; {way_out}")));
        let thumbprints = format!("warning: device d proves itself with a certificate of its thumbprints; {way_out}");
        check_proof("d", AuthenticationType::SelfSigned, Some(&thumbprints));
        check_proof("d", AuthenticationType::None, Some(&format!("warning: device d is not let in at all; {way_out}")));
        let module = "warning: module m of device d proves itself with a key; this certificate will not let it in";
        check_proof("d/m", AuthenticationType::Sas, Some(module));
    }

    #[test]
    fn a_warning_names_what_registers_the_identity_and_says_nothing_else() {
        check("d", "DeviceNotFound", Some("warning: device d is not registered; `hubctl device create d` registers it"));
        let both = "warning: device d is not registered; `hubctl device create d && hubctl module create d m` registers both";
        check("d/m", "DeviceNotFound", Some(both));
        check("d/m", "ModuleNotFound", Some("warning: device d has no module m; `hubctl module create d m` registers it"));
        check("d", "IotHubUnauthorized", None);
        let unreachable =
            ClientError::Unreachable { tried: "localhost:443".into(), reason: NoConnection::Network("connection refused".into()) };
        assert_eq!(unregistered(&"d".parse().expect("an identity"), &unreachable), None);
    }
}
