//! `hubctl command dead-letters`, `redrive` and `delete-dead-letters`.

use std::io::Write;

use hubctl::HubClient;
use hubctl::client::DeadLetters;
use model::api::{DeadLetterItem, RedriveResult, RedrivenItem};
use model::limits::{COMMAND_EXPIRY_MAX, REDRIVEN_MAX};
use model::{Clock, Identity};

use super::command::shown_body;
use super::name;
use crate::args::{Chosen, Redrive};
use crate::exit::{Failure, Stay};
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
    let result = hub.redrive_dead_letters(&redrive.id, which(redrive.sequence), expiry).await?;
    output.result(&result, went)?;
    stay(&result).map_or(Ok(()), |because| Err(Failure::Stayed { remaining: result.remaining, because }))
}

/// Why some did not go, if some did not. When the bound on one request was reached the queue may be
/// full as well, which the next request says.
fn stay(result: &RedriveResult) -> Option<Stay> {
    match (result.remaining, result.redriven.len()) {
        (0, _) => None,
        (_, REDRIVEN_MAX..) => Some(Stay::TooManyAtOnce),
        (_, _) => Some(Stay::NoRoom),
    }
}

pub(super) async fn delete<W: Write>(hub: &HubClient, output: &mut Output<W>, id: &Identity, chosen: &Chosen) -> Result<(), Failure> {
    let deleted = hub.delete_dead_letters(id, which(chosen.sequence)).await?;
    Ok(output.result(&deleted, |deleted| Table::fields([("dead letters deleted", deleted.total_dead_letters_deleted.to_string())]))?)
}

/// Without a sequence number all are meant.
fn which(sequence: Option<u64>) -> DeadLetters {
    sequence.map_or(DeadLetters::All, DeadLetters::One)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(redriven: usize, remaining: u64, because: Option<Stay>) {
        let item = RedrivenItem { message_id: "m".to_owned(), dead_letter_sequence_number: 1, sequence_number: 2 };
        let found = stay(&RedriveResult { redriven: vec![item; redriven], remaining });
        assert_eq!(found, because, "{redriven} went, {remaining} stayed");
    }

    #[test]
    fn what_stays_is_told_with_its_true_reason() {
        check(0, 0, None);
        check(5, 0, None);
        check(0, 1, Some(Stay::NoRoom));
        check(50, 50, Some(Stay::NoRoom));
        check(REDRIVEN_MAX, 0, None);
        check(REDRIVEN_MAX, 1, Some(Stay::TooManyAtOnce));
    }
}
