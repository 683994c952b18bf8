//! `hubctl event …`

use std::io::Write;

use hubctl::HubClient;
use hubctl::client::{EventQuery, EventStart};
use model::Identity;
use model::api::{EventBody, EventLine};

use super::{event_send, registered};
use crate::args::{EventVerb, Watch};
use crate::exit::Failure;
use crate::output::{Format, Output, without_controls};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: EventVerb) -> Result<(), Failure> {
    match verb {
        EventVerb::Watch(watch) => follow(hub, output, watch).await,
        EventVerb::Send(event) => event_send::run(hub, output, &event).await,
    }
}

async fn follow<W: Write>(hub: &HubClient, output: &mut Output<W>, watch: Watch) -> Result<(), Failure> {
    if let Some(device) = &watch.device {
        registered::warn_unless(hub, &Identity::device(device.clone())).await;
    }
    let mut remaining = watch.count;
    let mut events = hub.events(query(watch));
    while remaining != Some(0) {
        let Some(received) = events.next().await? else { return Ok(()) };
        match output.format() {
            Format::Json => output.line(&received.text)?,
            Format::Table => output.line(&for_people(&received.line))?,
        }
        match received.line {
            EventLine::Event(_) => remaining = remaining.map(|count| count - 1),
            EventLine::Gap(_) => {}
        }
    }
    Ok(())
}

fn query(watch: Watch) -> EventQuery {
    let start = watch.from.unwrap_or(if watch.until_end { EventStart::Earliest } else { EventStart::Latest });
    EventQuery { hub: watch.hub, start, partition: watch.partition, device: watch.device, follow: !watch.until_end }
}

fn for_people(line: &EventLine) -> String {
    match line {
        EventLine::Gap(gap) => {
            let [first, last] = gap.gap;
            format!("{}/{}: events {first} to {last} were lost to damage on disk", gap.hub, gap.partition)
        }
        EventLine::Event(event) => {
            let sender = [event.device_id.as_deref(), event.module_id.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("/");
            let body = match &event.body {
                EventBody::Text(text) => without_controls(text),
                EventBody::Base64(text) => format!("(base64) {text}"),
            };
            format!("{}  {}/{}/{}  {sender}  {body}", event.enqueued_time, event.hub, event.partition, event.sequence)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_name_place_sender_and_body() {
        let event = r#"{"hub":"events","partition":2,"sequence":7,"enqueuedTime":"2026-01-01T00:00:00Z",
            "deviceId":"d1","moduleId":null,"system":{},"properties":{},"body":"hot\u001b[0m"}"#;
        let line: EventLine = serde_json::from_str(event).expect("an event");
        assert_eq!(for_people(&line), "2026-01-01T00:00:00Z  events/2/7  d1  hot\\u{1b}[0m");
        let gap: EventLine = serde_json::from_str(r#"{"hub":"events","partition":2,"gap":[7,9]}"#).expect("a gap");
        assert_eq!(for_people(&gap), "events/2: events 7 to 9 were lost to damage on disk");
    }
}
