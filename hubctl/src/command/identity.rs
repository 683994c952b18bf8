//! What devices and modules have in common: how they prove themselves, and how that is shown.

use model::Thumbprint;
use model::api::{Authentication, AuthenticationType, SymmetricKey, X509Thumbprint};

use super::name;
use crate::args::Auth;
use crate::exit::Failure;

/// The proof asked for by `--auth` and `--thumbprint`.
pub(super) fn authentication(auth: Auth, thumbprints: &[Thumbprint]) -> Result<Authentication, Failure> {
    let given = match (auth, thumbprints) {
        (Auth::Thumbprint, []) => return Err(usage("--auth thumbprint needs at least one --thumbprint HEX")),
        (Auth::Thumbprint, [primary]) => Some((primary, None)),
        (Auth::Thumbprint, [primary, secondary]) => Some((primary, Some(secondary))),
        (Auth::Thumbprint, _) => return Err(usage("--thumbprint may be given at most twice")),
        (Auth::Ca | Auth::Key, []) => None,
        (Auth::Ca | Auth::Key, _) => return Err(usage("--thumbprint needs --auth thumbprint")),
    };
    let x509_thumbprint = given.map(|(primary, secondary)| X509Thumbprint {
        primary_thumbprint: Some(primary.to_string()),
        secondary_thumbprint: secondary.map(Thumbprint::to_string),
    });
    // Without keys the hub makes them.
    let symmetric_key = (auth == Auth::Key).then(SymmetricKey::default);
    Ok(Authentication { symmetric_key, x509_thumbprint, kind: Some(kind(auth)) })
}

fn usage(text: &str) -> Failure {
    Failure::Usage(text.to_owned())
}

fn kind(auth: Auth) -> AuthenticationType {
    match auth {
        Auth::Ca => AuthenticationType::CertificateAuthority,
        Auth::Thumbprint => AuthenticationType::SelfSigned,
        Auth::Key => AuthenticationType::Sas,
    }
}

/// Rows of a table of fields that show `authentication`; the keys only in a connection string
/// for the client of `identity` at `host`.
pub(super) fn fields(authentication: &Authentication, host: &str, device: &str, module: Option<&str>) -> Vec<(&'static str, String)> {
    let mut fields = vec![("authentication", authentication.kind.as_ref().map(name).unwrap_or_default())];
    if let Some(prints) = &authentication.x509_thumbprint {
        fields.push(("thumbprint", prints.primary_thumbprint.clone().unwrap_or_default()));
        fields.push(("thumbprint 2", prints.secondary_thumbprint.clone().unwrap_or_default()));
    }
    let key = authentication.symmetric_key.as_ref().and_then(|keys| keys.primary_key.as_deref());
    if let Some(key) = key.filter(|key| !key.is_empty() && authentication.kind == Some(AuthenticationType::Sas)) {
        let module = module.map(|module| format!("ModuleId={module};")).unwrap_or_default();
        fields.push(("connection string", format!("HostName={host};DeviceId={device};{module}SharedAccessKey={key}")));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_and_its_thumbprints_must_fit() {
        let print = Thumbprint::Sha256([1; 32]);
        let check = |auth, prints: &[Thumbprint], fits: bool| {
            assert_eq!(authentication(auth, prints).is_ok(), fits, "{auth:?} {prints:?}");
        };
        check(Auth::Ca, &[], true);
        check(Auth::Ca, &[print], false);
        check(Auth::Key, &[print], false);
        check(Auth::Thumbprint, &[], false);
        check(Auth::Thumbprint, &[print], true);
        check(Auth::Thumbprint, &[print, print], true);
        check(Auth::Thumbprint, &[print, print, print], false);
    }

    #[test]
    fn a_key_device_is_shown_with_its_connection_string() {
        let keys = SymmetricKey { primary_key: Some("a2V5".into()), secondary_key: None };
        let proof = Authentication { symmetric_key: Some(keys), x509_thumbprint: None, kind: Some(AuthenticationType::Sas) };
        let fields = fields(&proof, "localhost", "d1", Some("m1"));
        let shown = ("connection string", "HostName=localhost;DeviceId=d1;ModuleId=m1;SharedAccessKey=a2V5".to_owned());
        assert!(fields.contains(&shown), "{fields:?}");
    }
}
