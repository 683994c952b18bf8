use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use event_log::{BatchBuilder, Config, EventHubDefinition, EventLog, HeaderBlock, InspectError, Origin, RealDisk, Record, Retention};
use model::partition::PartitionCount;
use model::{Clock, EventHubId, PartitionId, Timestamp};
use serde_json::Value;
use twins::Twins;

use super::{LookError, Verdict, run};
use crate::args::{Arguments, Command};
use crate::data_dir::DataDir;

fn open(directory: &Path) -> EventLog {
    let hub = EventHubDefinition {
        id: EventHubId(1),
        partitions: PartitionCount::try_from(2).expect("a count"),
        retention: Retention::Limits { time: Duration::MAX, bytes: None },
    };
    let config = Config { segment_bytes: 64 * 1024, ..Config::default() };
    EventLog::open(directory, Arc::new(RealDisk), config, Clock::manual(Timestamp::NEVER), &[hub]).expect("opens").0
}

/// A data directory whose log holds these bodies in partition 1.
async fn data_dir(bodies: &[&[u8]]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(&directory.path().join("log"));
    for body in bodies {
        let mut builder = BatchBuilder::new(Timestamp::NEVER);
        let headers = HeaderBlock::new().with("colour", b"red");
        builder.push(Record { timestamp: Timestamp::NEVER, key: Some(b"dev1"), value: Some(body), headers: &[&headers] });
        let batch = builder.finish();
        let permit = log.reserve(batch.staged_bytes()).await.expect("open");
        log.stage(permit, EventHubId(1), PartitionId(1), batch, Origin::Mqtt).expect("staged").await.expect("durable");
    }
    log.close();
    directory
}

fn run_line(line: &str, directory: &Path) -> (Result<Verdict, LookError>, String, String) {
    let words = line.split_whitespace().map(|word| if word == "DIR" { directory.as_os_str().to_owned() } else { word.into() });
    let arguments = Arguments::try_parse_from(words).expect("a command line");
    let Command::Log(command) = arguments.command else { panic!("{line} is no log command") };
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    let verdict = run(&command, &mut out, &mut faults);
    (verdict, String::from_utf8(out).expect("text"), String::from_utf8(faults).expect("text"))
}

#[tokio::test]
async fn a_sound_log_verifies_by_its_data_directory_and_by_its_own() {
    let directory = data_dir(&[b"one", b"two"]).await;
    for path in [directory.path().to_owned(), directory.path().join("log")] {
        let (verdict, out, _) = run_line("isthmus log verify DIR", &path);
        assert_eq!(verdict.expect("looked"), Verdict::Sound);
        assert!(out.contains("hub 1 partition 1: from 0 to before 2, 2 events") && out.ends_with("sound\n"), "{out}");
    }
    let (_, out, _) = run_line("isthmus log verify DIR --output json", directory.path());
    let report: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!((&report["sound"], &report["partitions"][0]["end"]), (&Value::Bool(true), &Value::from(2)));
}

#[tokio::test]
async fn events_are_dumped_one_a_line_with_text_or_base64() {
    let directory = data_dir(&[b"one", b"t\nwo", &[0xff, 0xfe]]).await;
    let (verdict, out, faults) = run_line("isthmus log dump DIR --output json", directory.path());
    assert_eq!((verdict.expect("looked"), faults.as_str()), (Verdict::Sound, ""));
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.iter().map(|line| line["sequence"].as_i64()).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
    assert_eq!((&lines[0]["body"], &lines[0]["key"], &lines[0]["origin"]), (&"one".into(), &"dev1".into(), &"mqtt".into()));
    assert_eq!((&lines[2]["bodyBase64"], &lines[2]["headers"][0]), (&"//4=".into(), &"colour".into()));
    let (_, out, _) = run_line("isthmus log dump DIR --hub 1 --partition 1 --from 1", directory.path());
    assert_eq!(out.lines().count(), 2);
    assert!(out.contains("1/1/1 ") && out.contains(r#"body "t\nwo""#) && out.contains("body base64://4="), "{out}");
    let (_, out, _) = run_line("isthmus log dump DIR --partition 0", directory.path());
    assert_eq!(out, "");
}

#[tokio::test]
async fn damage_makes_the_verdict_and_names_file_and_place() {
    let directory = data_dir(&[b"one", b"two", b"three"]).await;
    let segment = directory.path().join("log/00000000000000000001.log");
    let mut content = std::fs::read(&segment).expect("read");
    let group = (4096..content.len()).step_by(512).filter(|at| content[*at..].starts_with(b"IGRP")).nth(1).expect("a group");
    content[group + 150] ^= 1;
    std::fs::write(&segment, content).expect("written");
    let (verdict, out, _) = run_line("isthmus log verify DIR", directory.path());
    assert_eq!(verdict.expect("looked"), Verdict::Damaged);
    assert!(out.contains(&format!("at byte {group} does not verify: commit group")) && out.contains("events 1 to 1 are lost"), "{out}");
    let (verdict, out, faults) = run_line("isthmus log dump DIR", directory.path());
    assert_eq!((verdict.expect("looked"), out.lines().count()), (Verdict::Damaged, 2));
    assert!(faults.contains("are lost"), "{faults}");
}

#[tokio::test]
async fn a_log_that_is_open_or_not_there_is_refused() {
    let directory = data_dir(&[b"one"]).await;
    let log = open(&directory.path().join("log"));
    let (refused, _, _) = run_line("isthmus log verify DIR", directory.path());
    let text = refused.expect_err("refused").to_string();
    assert!(text.contains("stop the hub, or inspect a copy"), "{text}");
    log.close();
    let empty = tempfile::tempdir().expect("a directory");
    assert!(matches!(run_line("isthmus log dump DIR", empty.path()).0, Err(LookError::Inspect(InspectError::NoLog { .. }))));
}

/// What a hub leaves beside its log: a database in which hub 1 is `events`.
async fn with_database(directory: &Path) {
    let clock = Clock::manual(Timestamp::NEVER);
    let twins = Twins::open(&directory.join("hub.db"), clock, twins::Config::default()).await.expect("opens");
    twins.close().await;
}

fn files(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn event_hubs_have_their_names_where_the_database_lies_beside_the_log() {
    let directory = data_dir(&[b"one"]).await;
    with_database(directory.path()).await;
    let before = files(directory.path());
    for path in [directory.path().to_owned(), directory.path().join("log")] {
        let (verdict, out, faults) = run_line("isthmus log verify DIR", &path);
        assert_eq!((verdict.expect("looked"), faults.as_str()), (Verdict::Sound, ""));
        assert!(out.contains("hub 1 (events) partition 1: from 0"), "{out}");
        let (_, out, _) = run_line("isthmus log dump DIR --hub events", &path);
        assert!(out.contains(" events/1/0 "), "{out}");
        assert_eq!(run_line("isthmus log dump DIR --hub 1", &path).1, out, "its number is the same hub");
    }
    let (_, out, _) = run_line("isthmus log dump DIR -o json --hub events", directory.path());
    let line: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!((&line["hub"], &line["hubName"]), (&1.into(), &"events".into()));
    let (_, out, _) = run_line("isthmus log verify DIR -o json", directory.path());
    let report: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!((&report["partitions"][0]["hub"], &report["partitions"][0]["hubName"]), (&1.into(), &"events".into()));
    let (refused, out, _) = run_line("isthmus log dump DIR --hub audit", directory.path());
    let text = refused.expect_err("no such hub").to_string();
    assert!(text.contains("there is no event hub audit in ") && text.ends_with("hub.db; it has events") && out.is_empty(), "{text}");
    assert_eq!(files(directory.path()), before, "nothing was made");
}

/// A database that a hub writes is not read as one that nobody does.
#[tokio::test]
async fn the_names_of_a_hub_that_runs_are_not_read() {
    let directory = data_dir(&[b"one"]).await;
    std::fs::write(directory.path().join("hub.db"), "what a hub is writing").expect("written");
    let running = DataDir::open(directory.path()).expect("locked");
    for path in [directory.path().to_owned(), directory.path().join("log")] {
        for line in ["isthmus log verify DIR", "isthmus log dump DIR", "isthmus log dump DIR --hub audit"] {
            let (refused, out, faults) = run_line(line, &path);
            let is_in_use = matches!(refused, Err(LookError::Inspect(InspectError::InUse { .. })));
            assert!(is_in_use && out.is_empty() && faults.is_empty(), "{line}: {refused:?} {out} {faults}");
        }
    }
    drop(running);
    let (verdict, _, faults) = run_line("isthmus log verify DIR", directory.path());
    assert!(verdict.is_ok() && faults.contains("event hubs have no names here"), "{verdict:?} {faults}");
}

#[tokio::test]
async fn what_a_selection_asks_for_and_is_not_there_is_an_error() {
    let directory = data_dir(&[b"one"]).await;
    let refused = |selection: &str, path: &Path| {
        let (refused, out, _) = run_line(&format!("isthmus log dump DIR {selection}"), path);
        assert_eq!(out, "", "{selection}");
        refused.expect_err(selection).to_string().replace(&path.display().to_string(), "DIR")
    };
    for path in [directory.path().to_owned(), directory.path().join("log")] {
        assert_eq!(refused("--hub 77", &path), "there is no event hub 77 in DIR; it has 1");
        assert_eq!(refused("--hub 0", &path), "there is no event hub 0 in DIR; it has 1");
        assert_eq!(refused("--partition 9", &path), "nothing in DIR is of partition 9, only of 1");
        assert_eq!(refused("--hub 1 --partition 2 --from 7", &path), "nothing in DIR is of partition 2, only of 1");
    }
    with_database(directory.path()).await;
    let log = directory.path().join("log");
    assert_eq!(refused("--hub 77 --partition 1", &log), "there is no event hub 77 in DIR; it has 1 (events)");
    let beside = directory.path().join("hub.db").display().to_string();
    assert_eq!(refused("--hub audit", &log), format!("there is no event hub audit in {beside}; it has events"));
    for selection in ["--hub 1 --from 7", "--partition 0"] {
        let (verdict, out, faults) = run_line(&format!("isthmus log dump DIR {selection}"), &log);
        assert_eq!((verdict.expect(selection), out.as_str(), faults.as_str()), (Verdict::Sound, "", ""), "{selection} is there");
    }
}

#[tokio::test]
async fn an_event_hub_without_events_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    open(&directory.path().join("log")).close();
    with_database(directory.path()).await;
    for selection in ["--hub events", "--hub 1 --partition 9"] {
        let (verdict, out, _) = run_line(&format!("isthmus log dump DIR {selection}"), directory.path());
        assert_eq!((verdict.expect(selection), out.as_str()), (Verdict::Sound, ""), "{selection}");
    }
}

#[tokio::test]
async fn what_a_crash_left_in_the_write_ahead_log_has_names_too() {
    let directory = data_dir(&[b"one"]).await;
    let hub = tempfile::tempdir().expect("a directory");
    let twins = Twins::open(&hub.path().join("hub.db"), Clock::manual(Timestamp::NEVER), twins::Config::default()).await.expect("opens");
    // Copied while the hub holds it open, as a crash would leave it.
    for name in ["hub.db", "hub.db-wal"] {
        std::fs::copy(hub.path().join(name), directory.path().join(name)).expect("copied");
    }
    twins.close().await;
    let (_, out, _) = run_line("isthmus log verify DIR", directory.path());
    assert!(out.contains("hub 1 (events) partition 1"), "{out}");
}

#[tokio::test]
async fn without_a_usable_database_numbers_do() {
    let directory = data_dir(&[b"one"]).await;
    let (refused, _, _) = run_line("isthmus log dump DIR --hub events", directory.path());
    assert!(refused.expect_err("nobody knows").to_string().contains("give its number"));
    std::fs::write(directory.path().join("hub.db"), "no database").expect("written");
    let (verdict, out, faults) = run_line("isthmus log dump DIR --hub 1", directory.path());
    assert_eq!((verdict.expect("looked"), out.lines().count()), (Verdict::Sound, 1));
    assert!(out.contains(" 1/1/0 ") && faults.contains("hub.db: event hubs have no names here"), "{out}{faults}");
}
