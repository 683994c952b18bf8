use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::NEVER;

fn patch(tags: Option<Value>, desired: Option<Value>) -> ServiceWrite {
    let properties = model::api::TwinProperties { desired, reported: None };
    ServiceWrite::from_patch(TwinPatch { tags, properties: Some(properties) }).expect("a valid patch").expect("no reported properties")
}

fn object(value: Value) -> Map {
    if let Value::Object(map) = value { map } else { Map::new() }
}

#[test]
fn a_new_twin_has_the_numbers_of_the_service() {
    let twin = StoredTwin::new(NOW);
    assert_eq!((twin.version, twin.desired.version, twin.reported.version), (2, 1, 1));
    assert_eq!(twin.etag_text(), "AAAAAAAAAAE=");
    assert_eq!(etag_text(7), "AAAAAAAAAAc=");
    let shown = json!({"$metadata": {"$lastUpdated": "0001-01-01T00:00:00Z"}, "$version": 1});
    assert_eq!(twin.desired.shown(), Some(shown));
}

#[test]
fn tags_and_desired_move_the_etag_and_reported_does_not() {
    let mut twin = StoredTwin::new(NOW);
    assert_eq!(twin.write(&patch(Some(json!({"a": 1})), None), Change::Merge, NOW), Ok(None));
    assert_eq!((twin.version, twin.etag, twin.desired.version), (3, 2, 1));
    let notice = twin.write(&patch(None, Some(json!({"b": null}))), Change::Merge, NOW).expect("accepted");
    assert_eq!(notice, Some((2, Bytes::from(r#"{"b":null,"$version":2}"#))));
    assert_eq!((twin.version, twin.etag, twin.desired.version), (4, 3, 2));
    assert_eq!(twin.write(&ServiceWrite::default(), Change::Merge, NOW), Ok(None));
    assert_eq!((twin.version, twin.etag), (4, 3));
}

#[test]
fn a_replacement_leaves_sections_it_does_not_name_and_notifies_the_whole_document() {
    let mut twin = StoredTwin::new(NOW);
    twin.write(&patch(Some(json!({"t": 1})), Some(json!({"a": 1, "b": 2}))), Change::Merge, NOW).expect("accepted");
    let notice = twin.write(&patch(None, Some(json!({"c": {"d": 3}, "e": null}))), Change::Replace, NOW).expect("accepted");
    assert_eq!(notice, Some((3, Bytes::from(r#"{"c":{"d":3},"$version":3}"#))));
    assert_eq!((twin.tags.as_str(), twin.desired.properties.as_str()), (r#"{"t":1}"#, r#"{"c":{"d":3}}"#));
}

#[test]
fn what_a_client_read_it_may_write_back() {
    let write = patch(None, Some(json!({"a": 1, "$metadata": {"$lastUpdated": "x"}, "$version": 9})));
    assert_eq!(write, patch(None, Some(json!({"a": 1}))));
    let reported = TwinPatch { tags: None, properties: Some(model::api::TwinProperties { desired: None, reported: Some(json!({})) }) };
    assert_eq!(ServiceWrite::from_patch(reported), Ok(Err(ReportedByService)));
}

#[test]
fn only_what_grows_a_section_over_its_limit_is_refused() {
    let text = "x".repeat(4000);
    let full = json!({"a": text.clone(), "b": text.clone()});
    let mut twin = StoredTwin::new(NOW);
    twin.write(&patch(Some(full), None), Change::Merge, NOW).expect("8002 of 8192 bytes");
    let before = twin.clone();
    let grown = twin.write(&patch(Some(json!({"c": "y".repeat(200)})), None), Change::Merge, NOW);
    let expect = DocumentError::SectionTooLarge { section: SectionName::Tags, bytes: 8203, limit: 8192 };
    assert_eq!(grown, Err(ChangeRefused::Document(expect)));
    assert_eq!(twin, before, "a refused write changes nothing");
    // A section that is over its limit from before, as a lowered limit would leave it.
    twin.tags = json!({"a": text.clone(), "b": text.clone(), "c": text}).to_string();
    let same = twin.write(&patch(Some(json!({"c": "z".repeat(4000)})), None), Change::Merge, NOW);
    assert_eq!(same, Ok(None));
    assert_eq!(twin.write(&patch(Some(json!({"c": "z".repeat(3999)})), None), Change::Merge, NOW), Ok(None));
}

#[test]
fn each_section_has_its_own_limit() {
    let fill = |bytes: usize| {
        let mut map = Map::new();
        for index in 0..bytes / 1000 {
            map.insert(format!("k{index:03}"), Value::String("v".repeat(996)));
        }
        map
    };
    let check = |name, document: Map, fits: bool| {
        let section = StoredSection::new(NOW);
        assert_eq!(section.changed(name, &document, Change::Merge, NOW).is_ok(), fits, "{name}");
    };
    check(SectionName::Desired, fill(32_000), true);
    check(SectionName::Desired, fill(33_000), false);
    check(SectionName::Reported, fill(32_000), true);
    check(SectionName::Reported, fill(33_000), false);
}

#[test]
fn desired_metadata_names_the_version_and_reported_does_not() {
    let document = object(json!({"a": 1}));
    let desired = StoredSection::new(NOW).changed(SectionName::Desired, &document, Change::Merge, NOW).expect("accepted");
    let reported = StoredSection::new(NOW).changed(SectionName::Reported, &document, Change::Merge, NOW).expect("accepted");
    assert!(desired.metadata.contains(r#""$lastUpdatedVersion":2"#));
    assert!(!reported.metadata.contains("$lastUpdatedVersion"));
}

#[test]
fn a_version_is_added_to_any_object() {
    let check = |object: &str, expect: &str| assert_eq!(with_version(object, 7), expect);
    check("{}", r#"{"$version":7}"#);
    check(r#"{"a":{}}"#, r#"{"a":{},"$version":7}"#);
}

proptest! {
    /// G-TW: versions strictly grow with every accepted write, and a refused one moves nothing.
    #[test]
    fn versions_strictly_grow(writes in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0_usize..3000), 1..30)) {
        let mut twin = StoredTwin::new(NOW);
        for (tags, desired, replace, length) in writes {
            let document = json!({"k": "v".repeat(length), format!("k{length}"): length});
            let write = patch(tags.then(|| document.clone()), desired.then_some(document));
            let before = twin.clone();
            let outcome = twin.write(&write, if replace { Change::Replace } else { Change::Merge }, NOW);
            match outcome {
                Ok(notice) if tags || desired => {
                    prop_assert_eq!(twin.version, before.version + 1);
                    prop_assert_eq!(twin.etag, before.etag + 1);
                    prop_assert_eq!(twin.desired.version, before.desired.version + u64::from(desired));
                    prop_assert_eq!(notice.map(|(version, _)| version), desired.then_some(twin.desired.version));
                }
                Ok(_) | Err(_) => prop_assert_eq!(&twin, &before),
            }
        }
    }
}
