//! `hubctl command dead-letters`, `redrive` and `delete-dead-letters`.

use std::io::Write;

use hubctl::HubClient;
use hubctl::client::DeadLetters;
use model::api::{DeadLetterItem, RedriveResult, RedrivenItem};
use model::limits::COMMAND_EXPIRY_MAX;
use model::{Clock, Identity};

use super::command::shown_body;
use super::{name, note};
use crate::args::{Chosen, Redrive};
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn list<W: Write>(hub: &HubClient, output: &mut Output<W>, id: &Identity) -> Result<(), Failure> {
    let letters = hub.dead_letters(id).await?;
    Ok(output.result(&letters, |letters| overview(letters))?)
}

pub(super) async fn redrive<W: Write>(hub: &HubClient, output: &mut Output<W>, redrive: Redrive, clock: &Clock) -> Result<(), Failure> {
    if redrive.expiry.is_some_and(|expiry| expiry > COMMAND_EXPIRY_MAX) {
        return Err(Failure::Usage("--expiry may be at most 2days".into()));
    }
    let expiry = redrive.expiry.map(|expiry| clock.now().saturating_add(expiry));
    let result = hub.redrive_dead_letters(&redrive.id, which(&redrive.chosen), expiry).await?;
    output.result(&result, went)?;
    if result.remaining > 0 {
        note(&format!(
            "{} stay dead letters for want of room: repeat this once the device has taken some of its queue, or `hubctl command purge {}`",
            result.remaining, redrive.id
        ));
    }
    Ok(())
}

pub(super) async fn delete<W: Write>(hub: &HubClient, output: &mut Output<W>, id: &Identity, chosen: &Chosen) -> Result<(), Failure> {
    let deleted = hub.delete_dead_letters(id, which(chosen)).await?;
    Ok(output.result(&deleted, |deleted| Table::fields([("dead letters deleted", deleted.total_dead_letters_deleted.to_string())]))?)
}

/// Without a sequence number `--all` was given.
fn which(chosen: &Chosen) -> DeadLetters {
    chosen.sequence.map_or(DeadLetters::All, DeadLetters::One)
}

fn overview(letters: &[DeadLetterItem]) -> Table {
    let row = |letter: &DeadLetterItem| {
        vec![
            letter.command.sequence_number.to_string(),
            letter.command.message_id.clone(),
            name(&letter.reason),
            letter.dead_lettered_time.to_string(),
            letter.command.delivery_count.to_string(),
            shown_body(&letter.command.body),
        ]
    };
    Table::rows(&["sequence", "message id", "reason", "since", "abandoned", "body"], letters.iter().map(row))
}

fn went(result: &RedriveResult) -> Table {
    let row =
        |item: &RedrivenItem| vec![item.dead_letter_sequence_number.to_string(), item.sequence_number.to_string(), item.message_id.clone()];
    Table::rows(&["dead letter", "sequence now", "message id"], result.redriven.iter().map(row))
}
