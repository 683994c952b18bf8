use proptest::prelude::*;
use serde_json::json;

use super::*;

fn map(value: Value) -> Map {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// Merges into `target` with metadata made for it, and returns both.
fn merged(target: &Map, patch: &Map) -> (Map, Map) {
    let stamp = Stamp::new(Timestamp::NEVER, Some(1));
    let (mut properties, mut metadata) = (Map::new(), Map::new());
    merge(&mut properties, &mut metadata, target, &stamp);
    merge(&mut properties, &mut metadata, patch, &Stamp::new(Timestamp::MAX, Some(2)));
    (properties, metadata)
}

#[test]
fn a_patch_merges_as_rfc_7396_says() {
    let check = |target: Value, patch: Value, expect: Value| {
        assert_eq!(merged(&map(target.clone()), &map(patch.clone())).0, map(expect), "{target} + {patch}");
    };
    check(json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2}));
    check(json!({"a": 1}), json!({"a": null}), json!({}));
    check(json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": null}}), json!({"a": {"c": 2}}));
    check(json!({"a": {"b": 1}}), json!({"a": {}}), json!({"a": {"b": 1}}));
    check(json!({}), json!({"a": {}}), json!({"a": {}}));
    check(json!({}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}}));
    check(json!({"a": 1}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}}));
    check(json!({"a": {"b": 1}}), json!({"a": [1, 2]}), json!({"a": [1, 2]}));
    check(json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]}));
}

#[test]
fn metadata_is_stamped_at_every_level_the_patch_names_and_nowhere_else() {
    let (mut properties, mut metadata) = (Map::new(), Map::new());
    let early = Stamp::new(Timestamp::from_milliseconds(0), Some(2));
    merge(&mut properties, &mut metadata, &map(json!({"a": {"x": 1, "y": 2}, "b": 1})), &early);
    let late = Stamp::new(Timestamp::from_milliseconds(5000), Some(3));
    merge(&mut properties, &mut metadata, &map(json!({"a": {"x": null}})), &late);
    let (old, new) = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:05Z");
    let expect = json!({
        "$lastUpdated": new, "$lastUpdatedVersion": 3,
        "a": {"$lastUpdated": new, "$lastUpdatedVersion": 3, "y": {"$lastUpdated": old, "$lastUpdatedVersion": 2}},
        "b": {"$lastUpdated": old, "$lastUpdatedVersion": 2},
    });
    assert_eq!(Value::Object(metadata), expect);
}

/// RFC 7396 as the RFC writes it, to compare with.
fn reference(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = map(target);
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            let before = target.remove(key).unwrap_or(Value::Null);
            target.insert(key.clone(), reference(before, value));
        }
    }
    Value::Object(target)
}

/// Metadata without its own members has the shape of the properties.
fn assert_mirrors(properties: &Map, metadata: &Map) {
    assert!(metadata.contains_key("$lastUpdated"));
    let children: Vec<&String> = metadata.keys().filter(|key| !key.starts_with('$')).collect();
    assert_eq!(children.len(), properties.len());
    for (key, value) in properties {
        let empty = Map::new();
        let inner = value.as_object().unwrap_or(&empty);
        assert_mirrors(inner, metadata.get(key).and_then(Value::as_object).expect("metadata of every property"));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map> {
    prop::collection::btree_map("[a-d]", value(), 0..4).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn merging_agrees_with_the_rfc(target in object(), patch in object()) {
        let target = map(reference(json!({}), &target.into()));
        let (properties, _) = merged(&target, &patch);
        prop_assert_eq!(Value::Object(properties), reference(target.into(), &patch.into()));
    }

    #[test]
    fn a_patch_twice_is_a_patch_once(target in object(), patch in object()) {
        let (once, _) = merged(&target, &patch);
        let (twice, _) = merged(&once, &patch);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn metadata_mirrors_the_properties(target in object(), patch in object()) {
        let (properties, metadata) = merged(&target, &patch);
        assert_mirrors(&properties, &metadata);
    }

    #[test]
    fn no_null_is_stored_as_a_member(target in object(), patch in object()) {
        fn has_null_member(map: &Map) -> bool {
            map.values().any(|value| value.is_null() || value.as_object().is_some_and(has_null_member))
        }
        prop_assert!(!has_null_member(&merged(&target, &patch).0));
    }
}
