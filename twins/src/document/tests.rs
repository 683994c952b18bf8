use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(text: &str) -> Result<Map, DocumentError> {
    let document = parse(text.as_bytes())?;
    check(&document)?;
    Ok(document)
}

fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"k":"#.repeat(levels + 1), "}".repeat(levels + 1))
}

#[test]
fn each_rule_has_its_own_refusal_with_the_place() {
    let check = |text: &str, expect: DocumentError| assert_eq!(parsed(text), Err(expect), "{}", text.chars().take(80).collect::<String>());
    let path = |path: &str| path.to_owned();
    check("", DocumentError::Syntax { line: 1, column: 0 });
    check("{", DocumentError::Syntax { line: 1, column: 1 });
    check("{} x", DocumentError::Syntax { line: 1, column: 4 });
    check(r#"{"a":1e999}"#, DocumentError::Syntax { line: 1, column: 10 });
    check(r#"{"a":"\ud800"}"#, DocumentError::Syntax { line: 1, column: 13 });
    check("[]", DocumentError::NotAnObject { path: path("") });
    check("null", DocumentError::NotAnObject { path: path("") });
    check(r#"{"a":{"b":1,"b":2}}"#, DocumentError::DuplicateKey { path: path("a.b") });
    check(r#"{"a":[{"b":1,"\u0062":2}]}"#, DocumentError::DuplicateKey { path: path("a[0].b") });
    check(&nested(11), DocumentError::TooDeep { path: ["k"; 11].join(".") });
    check(&"[".repeat(100_000).replacen('[', r#"{"a":["#, 1), DocumentError::TooDeep { path: format!("a{}", "[0]".repeat(10)) });
    check(r#"{"a":{"":1}}"#, DocumentError::EmptyKey { path: path("a") });
    check(&format!(r#"{{"a":{{"{}":1}}}}"#, "k".repeat(1025)), DocumentError::KeyTooLong { path: path("a"), bytes: 1025 });
    check(r#"{"a.b":1}"#, DocumentError::KeyCharacter { path: path("a.b"), character: '.' });
    check(r#"{"a":{"$b":1}}"#, DocumentError::KeyCharacter { path: path("a.$b"), character: '$' });
    check(r#"{"a b":1}"#, DocumentError::KeyCharacter { path: path("a b"), character: ' ' });
    check(r#"{"a\u0000":1}"#, DocumentError::KeyCharacter { path: path("a\0"), character: '\0' });
    check(r#"{"a\u0085":1}"#, DocumentError::KeyCharacter { path: path("a\u{85}"), character: '\u{85}' });
    check(&format!(r#"{{"a":["{}"]}}"#, "é".repeat(2049)), DocumentError::StringTooLong { path: path("a[0]"), bytes: 4098 });
    check(r#"{"a":4503599627370496}"#, DocumentError::NumberOutOfBounds { path: path("a") });
    check(r#"{"a":-4503599627370497}"#, DocumentError::NumberOutOfBounds { path: path("a") });
    check(r#"{"a":18446744073709551615}"#, DocumentError::NumberOutOfBounds { path: path("a") });
    check(r#"{"a":100000000000000000000000}"#, DocumentError::NumberOutOfBounds { path: path("a") });
    check(r#"{"a":1e300}"#, DocumentError::NumberOutOfBounds { path: path("a") });
    check(r#"{"a":[1,null]}"#, DocumentError::NullInArray { path: path("a[1]") });
    check(r#"{"a":[{"b":null}]}"#, DocumentError::NullInArray { path: path("a[0].b") });
}

#[test]
fn what_lies_on_a_bound_is_accepted() {
    let check = |text: &str| assert!(parsed(text).is_ok(), "{:?}: {}", parsed(text), text.chars().take(80).collect::<String>());
    check("{}");
    check(&nested(10));
    check(&format!(r#"{{"{}":1}}"#, "k".repeat(1024)));
    check(&format!(r#"{{"a":"{}"}}"#, "é".repeat(2048)));
    check(r#"{"a":4503599627370495,"b":-4503599627370496,"c":1.5,"d":-0.25e-9,"e":0.0}"#);
    check(r#"{"a":null,"b":{"c":null},"d":[],"e":[[true]]}"#);
    check(r#"{"ключ":"знач","a/b":"\n"}"#);
}

#[test]
fn an_oversize_body_is_refused_before_it_is_parsed() {
    let bytes = TWIN_BODY_BYTES_MAX + 1;
    // Not even JSON: nothing looks at it.
    assert_eq!(parse(&vec![b'['; bytes]), Err(DocumentError::BodyTooLarge { bytes }));
}

#[test]
fn a_path_in_an_error_stays_short() {
    let text = format!(r#"{{"{0}":{{"{0}":{{"x":1,"x":2}}}}}}"#, "k".repeat(50_000));
    assert!(parse(text.as_bytes()).expect_err("a duplicate").to_string().len() < 400);
}

#[test]
fn a_service_body_is_read_into_its_sections() {
    let body = br#"{"deviceId":"d","etag":"x","tags":{"a":1},"properties":{"desired":{"b":null}},"version":3}"#;
    let patch = parse_twin_patch(body).expect("a patch");
    assert_eq!(patch.tags, Some(json!({"a": 1})));
    assert_eq!(patch.properties.and_then(|p| p.desired), Some(json!({"b": null})));
    let none = parse_twin_patch(br#"{"tags":null,"properties":null}"#).expect("a patch");
    assert_eq!((none.tags, none.properties), (None, None));
    assert_eq!(parse_twin_patch(br#"{"properties":1}"#), Err(DocumentError::NotAnObject { path: "properties".into() }));
    let twice = br#"{"tags":{},"tags":{}}"#;
    assert_eq!(parse_twin_patch(twice), Err(DocumentError::DuplicateKey { path: "tags".into() }));
    let deep = format!(r#"{{"properties":{{"desired":{}}}}}"#, nested(10));
    assert!(parse_twin_patch(deep.as_bytes()).is_ok());
}

#[test]
fn sizes_are_counted_as_documented() {
    let check = |document: serde_json::Value, expect| {
        let map: Map = serde_json::from_value(document.clone()).expect("an object");
        assert_eq!(size(&map), expect, "{document}");
    };
    check(json!({}), 0);
    check(json!({"abc": 1}), 11);
    check(json!({"a": true}), 5);
    check(json!({"a": "héllo"}), 6);
    check(json!({"é": "x"}), 3);
    check(json!({"a": "x\n\u{85}y"}), 3);
    check(json!({"a": {"b": {"c": 1.5}}}), 11);
    check(json!({"a": [1, "xy", {"b": false}]}), 1 + 8 + 2 + 5);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes).map(|document| check(&document));
    }

    #[test]
    fn no_text_of_json_s_alphabet_makes_it_panic(text in r#"[\[\]{}:,"0-9a-f\\\-+.eE ]{0,80}"#) {
        let _ = parse(text.as_bytes()).map(|document| check(&document));
    }

    #[test]
    fn an_accepted_document_reads_back_the_same(text in r#"\{("[a-c]":(1|true|"x"|\{\}|\[1,\{"z":2\}\])){0,1}(,"[d-f]":[0-9]{1,4}){0,1}\}"#) {
        if let Ok(document) = parse(text.as_bytes()) {
            let again = serde_json::to_vec(&document).expect("serialises");
            prop_assert_eq!(parse(&again), Ok(document));
        }
    }

    #[test]
    fn size_adds_up_over_members(a in "[a-z]{1,9}", b in "[A-Z]{1,9}", x in any::<i32>(), y in ".{0,40}") {
        let both: Map = [(a.clone(), json!(x)), (b.clone(), json!(y.clone()))].into_iter().collect();
        let first: Map = [(a, json!(x))].into_iter().collect();
        let second: Map = [(b, json!(y))].into_iter().collect();
        prop_assert_eq!(size(&both), size(&first) + size(&second));
    }
}
