use super::*;

const THUMBPRINT: &str = "ab:CD:ab:cd:ab:cd:ab:cd:ab:cd:ab:cd:ab:cd:ab:cd:ab:cd:ab:cd";

fn keys(primary: &str, secondary: &str) -> Option<SymmetricKey> {
    Some(SymmetricKey { primary_key: Some(primary.into()), secondary_key: Some(secondary.into()) })
}

fn thumbprints(primary: &str, secondary: &str) -> Option<X509Thumbprint> {
    Some(X509Thumbprint { primary_thumbprint: Some(primary.into()), secondary_thumbprint: Some(secondary.into()) })
}

fn given(kind: Option<AuthenticationType>, symmetric_key: Option<SymmetricKey>, x509_thumbprint: Option<X509Thumbprint>) -> Authentication {
    Authentication { symmetric_key, x509_thumbprint, kind }
}

fn stored_keys(primary: &str, secondary: &str) -> Credentials {
    let key = |text: &str| Secret::new(text.as_bytes().to_vec());
    Credentials::Keys { primary: key(primary), secondary: key(secondary) }
}

fn check(given: Authentication, kept: Option<&Credentials>, expect: Result<Credentials, InvalidAuthentication>) {
    let mut number = 0;
    let new_key = || {
        number += 1;
        Secret::new(format!("new{number}").into_bytes())
    };
    assert_eq!(normalise(&given, kept, new_key), expect, "{given:?}");
}

#[test]
fn missing_keys_are_generated_on_create_and_kept_on_update() {
    use AuthenticationType::Sas;
    check(given(None, None, None), None, Ok(stored_keys("new1", "new2")));
    check(given(Some(Sas), keys("", ""), thumbprints("", "")), None, Ok(stored_keys("new1", "new2")));
    check(given(Some(Sas), keys("b25l", ""), None), None, Ok(stored_keys("one", "new1")));
    let kept = stored_keys("old1", "old2");
    check(given(Some(Sas), keys("", ""), None), Some(&kept), Ok(kept.clone()));
    check(given(None, None, None), Some(&kept), Ok(kept.clone()));
    check(given(None, keys("b25l", ""), None), Some(&kept), Ok(stored_keys("one", "old2")));
    check(given(Some(Sas), keys("*", ""), None), None, Err(InvalidAuthentication::Key(Slot::Primary)));
}

#[test]
fn thumbprints_are_normalised_or_refused() {
    use AuthenticationType::SelfSigned;
    let normal: Thumbprint = "ABCD".repeat(10).parse().expect("a thumbprint");
    let stored = Credentials::Thumbprints { primary: Some(normal), secondary: None };
    check(given(Some(SelfSigned), None, thumbprints(THUMBPRINT, "")), None, Ok(stored.clone()));
    check(given(None, keys("", ""), thumbprints(THUMBPRINT, "")), None, Ok(stored.clone()));
    check(given(Some(SelfSigned), None, thumbprints("", "12")), None, Err(InvalidAuthentication::Thumbprint(Slot::Secondary)));
    check(given(Some(SelfSigned), None, thumbprints("", "")), None, Err(InvalidAuthentication::ThumbprintMissing));
    check(given(Some(SelfSigned), None, None), Some(&stored_keys("a", "b")), Err(InvalidAuthentication::ThumbprintMissing));
    check(given(Some(SelfSigned), None, None), Some(&stored), Ok(stored.clone()));
}

#[test]
fn the_type_counts_and_what_belongs_to_another_is_ignored() {
    use AuthenticationType::{CertificateAuthority, None as Nothing};
    let kept = stored_keys("a", "b");
    check(given(Some(CertificateAuthority), keys("YQ==", "Yg=="), None), Some(&kept), Ok(Credentials::CertificateAuthority));
    check(given(Some(Nothing), None, None), Some(&kept), Ok(Credentials::None));
    check(given(None, None, None), Some(&Credentials::CertificateAuthority), Ok(Credentials::CertificateAuthority));
    check(given(None, keys("YQ==", ""), thumbprints(THUMBPRINT, "")), None, Err(InvalidAuthentication::Ambiguous));
}

#[test]
fn what_is_shown_reads_back_the_same() {
    let thumbprint = Some(Thumbprint::Sha256([7; 32]));
    let all = [
        stored_keys("a", "b"),
        Credentials::Thumbprints { primary: None, secondary: thumbprint },
        Credentials::CertificateAuthority,
        Credentials::None,
    ];
    for credentials in all {
        check(shown(&credentials), None, Ok(credentials));
    }
}
