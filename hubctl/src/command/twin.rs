//! `hubctl twin …`: a twin is a tree, so it is shown as JSON in either format.

use std::io::Write;
use std::time::Duration;

use hubctl::{ClientError, HubClient};
use model::Identity;
use model::api::{TwinPatch, TwinProperties};
use serde_json::Value;

use crate::args::{Json, TwinChange, TwinVerb};
use crate::exit::Failure;
use crate::output::{Format, Output};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: TwinVerb) -> Result<(), Failure> {
    let twin = match verb {
        TwinVerb::Show { id } => hub.twin(&id).await?,
        TwinVerb::Update(change) => hub.patch_twin(&change.id, &patch(&change)?, etag(&change)).await?,
        TwinVerb::Replace(change) => hub.replace_twin(&change.id, &patch(&change)?, etag(&change)).await?,
        TwinVerb::Watch { id, interval, count } => return watch(hub, output, &id, interval, count).await,
    };
    Ok(output.document(&twin)?)
}

fn etag(change: &TwinChange) -> &str {
    change.etag.as_deref().unwrap_or("*")
}

fn patch(change: &TwinChange) -> Result<TwinPatch, Failure> {
    let desired = object("--desired", change.desired.as_ref())?;
    let properties = desired.map(|desired| TwinProperties { desired: Some(desired), reported: None });
    Ok(TwinPatch { tags: object("--tags", change.tags.as_ref())?, properties })
}

fn object(option: &str, json: Option<&Json>) -> Result<Option<Value>, Failure> {
    let Some(json) = json else { return Ok(None) };
    match serde_json::from_str(json.get()) {
        Ok(object @ Value::Object(_)) => Ok(Some(object)),
        Ok(_) | Err(_) => Err(Failure::Usage(format!("{option} must be a JSON object like {{\"interval\":5}}"))),
    }
}

/// Shows the twin whenever its version is another than the one shown last. A hub that is away
/// for a while is waited for, once it has answered.
async fn watch<W: Write>(
    hub: &HubClient,
    output: &mut Output<W>,
    identity: &Identity,
    interval: Duration,
    count: Option<u64>,
) -> Result<(), Failure> {
    let mut shown = 0;
    let mut version_shown = None;
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while count.is_none_or(|count| shown < count) {
        ticks.tick().await;
        let twin = match hub.twin(identity).await {
            Ok(twin) => twin,
            Err(ClientError::Unreachable { .. } | ClientError::Lost { .. }) if version_shown.is_some() => continue,
            Err(error) => return Err(error.into()),
        };
        if version_shown == Some(twin.version) {
            continue;
        }
        version_shown = Some(twin.version);
        shown += 1;
        match output.format() {
            Format::Json => {
                let line = serde_json::to_string(&twin).map_err(std::io::Error::from)?;
                output.line(&line)?;
            }
            Format::Table => output.document(&twin)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_must_be_an_object() {
        let json = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).expect("JSON");
        assert_eq!(object("--tags", None).ok(), Some(None));
        assert!(object("--tags", Some(&json("{\"a\":null}"))).is_ok());
        for text in ["1", "[]", "null", "\"a\""] {
            assert!(object("--tags", Some(&json(text))).is_err(), "{text}");
        }
    }
}
