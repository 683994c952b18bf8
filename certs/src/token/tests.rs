use super::*;
use proptest::prelude::*;

/// The bytes 0 to 31.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn key() -> Secret {
    Secret::from_base64(KEY).expect("a key")
}

/// A token signed elsewhere with [`KEY`]: it verifies, and names what it should.
fn check(text: &str, host: &str, path: &str, policy: Option<&str>) {
    let token = SharedAccessToken::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    assert!(token.is_signed_with(&key()), "{text}");
    assert!(!token.is_signed_with(&Secret::new(vec![1; 32])), "{text}");
    assert_eq!((token.host(), token.segments().join("/").as_str(), token.policy()), (host, path, policy), "{text}");
}

/// Signatures computed with another implementation of HMAC, in the forms that clients send.
#[test]
fn tokens_of_every_client_verify() {
    let module = "localhost%2Fdevices%2Fdev1%2Fmodules%2Fmod1&sig=wA9Pc%2BOUvMREmE21RsCOHn9zSRIvU6A5EOUdOc1djFY%3D&se=1795236845";
    check(&format!("SharedAccessSignature sr={module}"), "localhost", "devices/dev1/modules/mod1", None);
    check(
        "SharedAccessSignature sr=localhost%2fdevices%2fdev1&sig=CR%2fpdQRkGpsq7LIoxIl4s73hPdxgTiVMjUitV5DrP9U%3d&se=1798765200",
        "localhost",
        "devices/dev1",
        None,
    );
    // Not encoded at all, with a port, and a bare slash and equals sign in the signature.
    check(
        "SharedAccessSignature sr=localhost:21031&sig=L3vAjn6l1FFwQIn9GYFhdlAqT73ZxkwX9hlFW8bW59o=&se=1798765200&skn=service",
        "localhost:21031",
        "",
        Some("service"),
    );
    let slash = "qKop6ZjrzGG%2BH7xHoIeMDhM2WuZlh25N/HhJXD3ZjmU%3D";
    for fields in [
        format!("sr=localhost&sig={slash}&se=1798765204&skn=iothubowner"),
        format!("sr=localhost&sig={slash}&skn=iothubowner&se=1798765204"),
        format!("skn=iothubowner&se=1798765204&sig={slash}&sr=localhost"),
        // A bare plus is a plus, as base64 has it.
        format!("sr=localhost&sig={}&se=1798765204&skn=iothubowner", slash.replace("%2B", "+")),
    ] {
        check(&format!("SharedAccessSignature {fields}"), "localhost", "", Some("iothubowner"));
    }
}

#[test]
fn the_signed_text_is_the_text_received() {
    let signed = "SharedAccessSignature sr=localhost%2fdevices%2fdev1&sig=CR%2FpdQRkGpsq7LIoxIl4s73hPdxgTiVMjUitV5DrP9U%3D&se=1798765200";
    for (from, to) in [("%2f", "%2F"), ("%2f", "/"), ("dev1", "dev2"), ("localhost", "LOCALHOST"), ("se=", "se=0"), ("CR%2F", "CR%2f")] {
        let changed = signed.replacen(from, to, 1);
        let verifies = SharedAccessToken::parse(&changed).expect(&changed).is_signed_with(&key());
        assert_eq!(verifies, from == "CR%2F", "{changed}");
    }
}

#[test]
fn what_is_no_token_is_refused_with_its_reason() {
    let check = |text: &str, fault| assert_eq!(SharedAccessToken::parse(text).map(|_| ()), Err(fault), "{text}");
    check("", TokenMalformed::Scheme);
    check("Bearer x", TokenMalformed::Scheme);
    let token = |fields: &str| format!("SharedAccessSignature {fields}");
    check(&token(""), TokenMalformed::Field { index: 1 });
    check(&token("sr=h&sig=AA==&se=1&x=y"), TokenMalformed::Field { index: 4 });
    check(&token("sr=h&sig=AA==&se"), TokenMalformed::Field { index: 3 });
    check(&token("sr=h&sr=h&sig=AA==&se=1"), TokenMalformed::Repeated { field: "sr" });
    check(&token("sig=AA==&se=1"), TokenMalformed::Missing { field: "sr" });
    check(&token("sr=h&se=1"), TokenMalformed::Missing { field: "sig" });
    check(&token("sr=h&sig=AA=="), TokenMalformed::Missing { field: "se" });
    check(&token("sr=&sig=AA==&se=1"), TokenMalformed::Resource);
    check(&token("sr=%ff&sig=AA==&se=1"), TokenMalformed::Resource);
    check(&token("sr=/devices/d&sig=AA==&se=1"), TokenMalformed::Resource);
    check(&token("sr=h&sig=A A=&se=1"), TokenMalformed::Signature);
    for expiry in ["", "-1", "+1", "1.5", "1e9", "99999999999999999999", " 1"] {
        check(&token(&format!("sr=h&sig=AA==&se={expiry}")), TokenMalformed::Expiry);
    }
    let bytes = TOKEN_BYTES_MAX + 1;
    check(&"x".repeat(bytes), TokenMalformed::TooLong { bytes });
}

#[test]
fn a_resource_covers_what_lies_below_it_segment_by_segment() {
    let covers = |resource: &str, path: &str| {
        let text = sign(resource, &key(), Timestamp::MAX, None);
        let path: Vec<&str> = path.split('/').collect();
        SharedAccessToken::parse(&text).expect("a token").covers(&path)
    };
    assert!(covers("h", "devices/d/messages/events"));
    assert!(covers("h/devices/d", "devices/d/messages/events"));
    assert!(covers("h/devices/d/", "devices/d"));
    assert!(covers("h/devices/d/api-version=2016-11-14", "devices/d"));
    assert!(!covers("h/devices/d", "devices/dd"));
    assert!(!covers("h/devices/d/messages", "devices/d"));
    assert!(!covers("h/devices/D", "devices/d"));
    assert!(!covers("h//devices/d", "devices/d"));
}

proptest! {
    #[test]
    fn a_signed_token_reads_back(
        host in "[a-z][a-z0-9.-]{0,20}(:[0-9]{1,5})?",
        device in "[A-Za-z0-9.%_*?!(),:=@$'-]{1,128}",
        seconds in 0..4_000_000_000_i64,
        policy in prop::option::of("[A-Za-z0-9 &=%+-]{1,20}"),
        secret in prop::collection::vec(any::<u8>(), 1..80),
    ) {
        let expires = Timestamp::from_milliseconds(seconds * 1000);
        let secret = Secret::new(secret);
        let text = sign(&format!("{host}/devices/{device}"), &secret, expires, policy.as_deref());
        let token = SharedAccessToken::parse(&text).expect("a token");
        prop_assert!(token.is_signed_with(&secret));
        prop_assert_eq!(token.host(), host);
        prop_assert_eq!(token.segments(), ["devices".to_owned(), device]);
        prop_assert_eq!(token.expires(), expires);
        prop_assert_eq!(token.policy(), policy.as_deref());
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", fields in "SharedAccessSignature [a-z=&%0-9]{0,100}") {
        let _ = SharedAccessToken::parse(&text);
        let _ = SharedAccessToken::parse(&fields);
    }
}
