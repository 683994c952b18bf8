use super::*;

fn check(message: &[u8], expected: Result<(&str, &str), InvalidPlain>) {
    assert_eq!(plain(message).map(|plain| (plain.user, plain.password)), expected, "{}", message.escape_ascii());
}

#[test]
fn a_plain_message_has_three_parts_and_the_first_is_ignored() {
    check(b"\0user\0secret", Ok(("user", "secret")));
    check(b"user\0user\0secret", Ok(("user", "secret")));
    check("\0üser\0päss=;".as_bytes(), Ok(("üser", "päss=;")));
    check(b"", Err(InvalidPlain::Form));
    check(b"user", Err(InvalidPlain::Form));
    check(b"user\0secret", Err(InvalidPlain::Form));
    check(b"\0user\0secret\0", Err(InvalidPlain::Form));
    check(b"\0\0secret", Err(InvalidPlain::Empty));
    check(b"\0user\0", Err(InvalidPlain::Empty));
    check(b"\0us\xffer\0secret", Err(InvalidPlain::NotUtf8));
}

fn credentials(password: &str) -> Result<Credentials<'_>, InvalidConnectionString> {
    Plain { user: CONNECTION_STRING_USER, password }.credentials()
}

#[test]
fn a_connection_string_is_read_in_both_forms() {
    let expected = |host, entity_path| Ok(Credentials { policy: "reader", key: "a2V5PQ==", host: Some(host), entity_path });
    let cases = [
        ("HostName=hub.example;SharedAccessKeyName=reader;SharedAccessKey=a2V5PQ==", expected("hub.example", None)),
        ("HostName=localhost:9093;SharedAccessKeyName=reader;SharedAccessKey=a2V5PQ==\n", expected("localhost", None)),
        ("Endpoint=sb://hub.example/;SharedAccessKeyName=reader;SharedAccessKey=a2V5PQ==", expected("hub.example", None)),
        (
            "Endpoint=sb://hub.example:9093/;SharedAccessKeyName=reader;SharedAccessKey=a2V5PQ==;EntityPath=events",
            expected("hub.example", Some("events")),
        ),
        ("sharedaccesskey=a2V5PQ==;Endpoint=sb://[::1]:9093;SHAREDACCESSKEYNAME=reader;EntityPath=;Other=1;", expected("[::1]", None)),
    ];
    for (text, expected) in cases {
        assert_eq!(credentials(text), expected, "{text}");
    }
    let without_host = credentials("SharedAccessKeyName=reader;SharedAccessKey=k").expect("no host is no fault");
    assert_eq!(without_host.host, None);
}

#[test]
fn a_connection_string_that_proves_nothing_says_what_is_wrong() {
    let cases = [
        ("nonsense", InvalidConnectionString::Form),
        ("HostName=h;SharedAccessKey=k", InvalidConnectionString::Missing("SharedAccessKeyName")),
        ("HostName=h;SharedAccessKeyName=n", InvalidConnectionString::Missing("SharedAccessKey")),
        ("HostName=h;SharedAccessKeyName=n;SharedAccessKey=", InvalidConnectionString::Missing("SharedAccessKey")),
        ("SharedAccessKeyName=n;SharedAccessKey=k;SharedAccessKey=l", InvalidConnectionString::Twice("SharedAccessKey")),
    ];
    for (text, expected) in cases {
        assert_eq!(credentials(text), Err(expected), "{text}");
    }
}

#[test]
fn another_user_is_a_policy_and_its_key() {
    let given = Plain { user: "reader", password: "a2V5;x=1" }.credentials();
    assert_eq!(given, Ok(Credentials { policy: "reader", key: "a2V5;x=1", host: None, entity_path: None }));
}

#[test]
fn keys_do_not_print() {
    let plain = Plain { user: "reader", password: "hidden" };
    assert!(!format!("{plain:?} {:?}", plain.credentials()).contains("hidden"));
}
