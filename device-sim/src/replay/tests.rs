use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn options(path: &Path, device_column: Option<&str>, time_column: Option<&str>, speed: Speed) -> ReplayOptions {
    ReplayOptions {
        path: path.to_owned(),
        device_column: device_column.map(str::to_owned),
        single_device: "sim-00001".parse().expect("an id"),
        time_column: time_column.map(str::to_owned),
        speed,
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn bodies(text: &str, device_column: Option<&str>) -> Vec<(String, String)> {
    let file = file(text);
    let recording = Recording::open(options(file.path(), device_column, None, Speed::Max)).expect("a recording");
    let rows = recording.rows().expect("rows").map(|row| row.expect("a row"));
    let text = |body: &Bytes| String::from_utf8(body.to_vec()).expect("text");
    rows.map(|row| (recording.devices[row.device].to_string(), text(&row.body))).collect()
}

#[test]
fn a_body_holds_every_column_in_file_order() {
    let expected = r#"{"timestamp":"2013-07-04 00:00:00","value":69.88083514}"#;
    assert_eq!(bodies("timestamp,value\n2013-07-04 00:00:00,69.88083514\n", None), [("sim-00001".into(), expected.into())]);
}

#[test]
fn cells_that_are_json_numbers_stay_as_they_stand() {
    let check = |cell: &str, expected: &str| {
        assert_eq!(bodies(&format!("z,a\n{cell},1\n"), None)[0].1, format!("{{\"z\":{expected},\"a\":1}}"), "{cell}");
    };
    check("1e5", "1e5");
    check("-0", "-0");
    check("1.500", "1.500");
    check("12345678901234567890123", "12345678901234567890123");
    check("007", "\"007\"");
    check("NaN", "\"NaN\"");
    check("+1", "\"+1\"");
    check("true", "\"true\"");
    check("null", "\"null\"");
    check("", "\"\"");
    check("\"1\"", "1");
    check("\" 1\"", "\" 1\"");
    check("\"a,b \"\"c\"\" \\ é\nd\"", "\"a,b \\\"c\\\" \\\\ é\\nd\"");
}

#[test]
fn the_device_column_names_the_device_and_is_not_in_the_body() {
    let rows = bodies("t,id,v\n1,b,2\n1,a,3\n2,b,4\n", Some("id"));
    let expected = [("b", r#"{"t":1,"v":2}"#), ("a", r#"{"t":1,"v":3}"#), ("b", r#"{"t":2,"v":4}"#)];
    assert_eq!(rows, expected.map(|(device, body)| (device.to_owned(), body.to_owned())));
}

#[test]
fn what_cannot_be_played_is_refused_with_its_place() {
    let check = |text: &str, device: Option<&str>, time: Option<&str>, speed, expected: &str| {
        let file = file(text);
        let error = Recording::open(options(file.path(), device, time, speed)).expect_err(text);
        let shown = format!("{:#}", anyhow::Error::from(error));
        assert!(shown.contains(expected), "{shown}");
    };
    let real_time = Speed::Times(1.0);
    check("a,b\n1,2\n", Some("id"), None, Speed::Max, "no column \"id\"; it has a, b");
    check("a,a\n1,2\n", None, None, Speed::Max, "two columns \"a\"");
    check("id,b\nx,1\na/b,2\n", Some("id"), None, Speed::Max, "row 2: \"a/b\" is not a device id");
    check("t,b\nyesterday,2\n", None, Some("t"), real_time, "row 1: \"yesterday\" is not a time");
    check("t,b\n1,2\n", None, None, real_time, "need --time-column");
    check("t,b\n", None, None, Speed::Max, "no rows");
    check("t,b\n1\n", None, None, Speed::Max, "found record with 1 fields");
    check(&format!("t\n{}\n", "x".repeat(300_000)), None, None, Speed::Max, "too large");
}

#[test]
fn times_are_read_in_common_forms() {
    let expected = Timestamp::parse_rfc3339("2013-07-04T01:00:00Z").ok();
    for text in
        ["2013-07-04T01:00:00Z", "2013-07-04 01:00:00", "2013-07-04T01:00:00", "2013-07-04T03:00:00+02:00", "1372899600", "1372899600.0"]
    {
        assert_eq!(parse_time(text), expected, "{text}");
    }
    assert_eq!(parse_time("1e400"), None);
}

/// The body's values as they are written: a number may be one that no `f64` holds.
fn check_body(cells: &[&str]) {
    let names: Vec<String> = (0..cells.len()).map(|index| json_string(&format!("c{index}"))).collect();
    let text = body(names.iter().map(String::as_str).zip(cells.iter().copied()));
    let parsed: BTreeMap<String, &RawValue> = serde_json::from_str(&text).expect("the body is JSON");
    assert_eq!(parsed.len(), cells.len());
    for (value, cell) in parsed.values().map(|value| value.get()).zip(cells) {
        if number::is_json_number(cell) {
            assert_eq!(value, *cell);
        } else {
            assert_eq!(serde_json::from_str::<String>(value).expect("a string"), *cell);
        }
    }
}

#[test]
fn numbers_are_copied_as_they_are_written() {
    check_body(&["1", "1.50", "-0", "1E310", "1e-400", "123456789012345678901234567890"]);
}

proptest! {
    #[test]
    fn a_body_parses_back_to_its_cells(cells in prop::collection::vec(prop_oneof!["\\PC*", "-?[0-9.eE+]{0,8}"], 1..6)) {
        check_body(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
