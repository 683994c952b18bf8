//! `hubctl command feedback`

use std::io::Write;
use std::time::Duration;

use hubctl::HubClient;
use model::api::FeedbackRecord;

use super::{counted, name, note};
use crate::args::Feedback;
use crate::exit::Failure;
use crate::output::{Format, Output, Table, without_controls};

/// How often a hub that had none is asked again; it gathers outcomes for up to 15 s anyway.
const PERIOD: Duration = Duration::from_secs(1);
/// Messages handed out before the first is completed: their locks hold for a minute.
const MESSAGES_AT_ONCE: usize = 64;

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, feedback: Feedback) -> Result<(), Failure> {
    if feedback.wait { watch(hub, output, &feedback).await } else { read(hub, output, &feedback).await }
}

/// What there is now, as one table or document.
async fn read<W: Write>(hub: &HubClient, output: &mut Output<W>, feedback: &Feedback) -> Result<(), Failure> {
    let mut received = Vec::new();
    while received.len() < feedback.count.unwrap_or(usize::MAX).min(MESSAGES_AT_ONCE)
        && let Some(message) = hub.receive_feedback().await?
    {
        received.push(message);
    }
    let records: Vec<FeedbackRecord> = received.iter().flat_map(|message| message.content.iter().cloned()).collect();
    output.result(&records, |records| overview(records))?;
    for message in &received {
        settle(hub, &message.lock, feedback.keep).await?;
    }
    note(&what_became_of(records.len(), received.len(), feedback.keep));
    Ok(())
}

fn what_became_of(outcomes: usize, messages: usize, kept: bool) -> String {
    let (outcomes, of_messages) = (counted(outcomes, "outcome"), counted(messages, "feedback message"));
    match (messages, kept) {
        (0, _) => "no feedback waits; outcomes are gathered for up to 15 s, and --wait waits for them".to_owned(),
        (MESSAGES_AT_ONCE, false) => format!("done with, and not shown again: {outcomes}; more may wait, repeat to read them"),
        (_, false) => format!("done with, and not shown again: {outcomes} of {of_messages}"),
        (_, true) => format!("given back for the next reader: {of_messages}"),
    }
}

/// What there is and what comes, a line an outcome.
async fn watch<W: Write>(hub: &HubClient, output: &mut Output<W>, feedback: &Feedback) -> Result<(), Failure> {
    let mut remaining = feedback.count;
    while remaining != Some(0) {
        let Some(message) = hub.receive_feedback().await? else {
            tokio::time::sleep(PERIOD).await;
            continue;
        };
        for record in &message.content {
            match output.format() {
                Format::Json => output.json_line(record)?,
                Format::Table => output.line(&for_people(record))?,
            }
        }
        settle(hub, &message.lock, false).await?;
        remaining = remaining.map(|count| count - 1);
    }
    Ok(())
}

/// Only once it was shown.
async fn settle(hub: &HubClient, lock: &str, keep: bool) -> Result<(), Failure> {
    let settled = if keep { hub.abandon_feedback(lock).await } else { hub.complete_feedback(lock).await };
    Ok(settled?)
}

fn for_people(record: &FeedbackRecord) -> String {
    let line =
        format!("{}  {}  {}  {}", record.enqueued_time_utc, recipient(record), name(&record.status_code), record.original_message_id);
    without_controls(&line)
}

fn overview(records: &[FeedbackRecord]) -> Table {
    let row = |record: &FeedbackRecord| {
        vec![record.enqueued_time_utc.to_string(), recipient(record), name(&record.status_code), record.original_message_id.clone()]
    };
    Table::rows(&["time", "device", "outcome", "message id"], records.iter().map(row))
}

fn recipient(record: &FeedbackRecord) -> String {
    [Some(record.device_id.as_str()), record.module_id.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_became_of_what_was_read() {
        assert_eq!(what_became_of(1, 1, false), "done with, and not shown again: 1 outcome of 1 feedback message");
        assert_eq!(what_became_of(65, 2, false), "done with, and not shown again: 65 outcomes of 2 feedback messages");
        assert_eq!(what_became_of(2, 1, true), "given back for the next reader: 1 feedback message");
        assert!(what_became_of(0, 0, true).starts_with("no feedback waits; "));
        assert!(what_became_of(64, MESSAGES_AT_ONCE, false).ends_with("more may wait, repeat to read them"));
    }

    #[test]
    fn a_line_for_people_says_what_became_of_which_command() {
        let record = r#"{"originalMessageId":"m\u001b-1","description":"Success","deviceGenerationId":"1","deviceId":"d1","moduleId":"m1",
            "enqueuedTimeUtc":"2026-01-01T00:00:00Z","statusCode":"Success"}"#;
        let record: FeedbackRecord = serde_json::from_str(record).expect("a record");
        assert_eq!(for_people(&record), "2026-01-01T00:00:00Z  d1/m1  Success  m\\u{1b}-1");
    }
}
