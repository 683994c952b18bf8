//! `hubctl command …`

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hubctl::HubClient;
use model::Clock;
use model::api::{CommandBody, CommandItem, CommandRequest};
use model::limits::COMMAND_EXPIRY_MAX;

use super::{dead_letters, feedback, name, read_input};
use crate::args::{Ack, CommandToSend, CommandVerb};
use crate::exit::Failure;
use crate::output::{Output, Table};

/// How much of a body a table shows, in characters.
const BODY_SHOWN_MAX: usize = 60;

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: CommandVerb, clock: &Clock) -> Result<(), Failure> {
    match verb {
        CommandVerb::Send(command) => {
            let sent = hub.send_command(&command.id, &request(&command, clock)?).await?;
            Ok(output.result(&sent, |sent| {
                Table::fields([("message id", sent.message_id.clone()), ("sequence number", sent.sequence_number.to_string())])
            })?)
        }
        CommandVerb::List { id } => {
            let commands = hub.commands(&id).await?;
            Ok(output.result(&commands, |commands| overview(commands))?)
        }
        CommandVerb::Purge { id } => {
            let purged = hub.purge_commands(&id).await?;
            Ok(output.result(&purged, |purged| Table::fields([("commands purged", purged.total_messages_purged.to_string())]))?)
        }
        CommandVerb::Feedback(feedback) => feedback::run(hub, output, feedback).await,
        CommandVerb::DeadLetters { id } => dead_letters::list(hub, output, &id).await,
        CommandVerb::Redrive(redrive) => dead_letters::redrive(hub, output, redrive, clock).await,
        CommandVerb::DeleteDeadLetters { id, chosen } => dead_letters::delete(hub, output, &id, &chosen).await,
    }
}

fn request(command: &CommandToSend, clock: &Clock) -> Result<CommandRequest, Failure> {
    if command.expiry.is_some_and(|expiry| expiry > COMMAND_EXPIRY_MAX) {
        return Err(Failure::Usage("--expiry may be at most 2days".into()));
    }
    let bytes = match (&command.body, &command.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => read_input(path)?,
        (None, None) => Vec::new(),
    };
    Ok(CommandRequest {
        body: body(bytes),
        message_id: command.message_id.clone(),
        correlation_id: command.correlation_id.clone(),
        user_id: None,
        content_type: command.content_type.clone(),
        content_encoding: command.content_encoding.clone(),
        ack: ack(command.ack).map(str::to_owned),
        input_name: command.input.clone(),
        expiry_time: command.expiry.map(|expiry| clock.now().saturating_add(expiry)),
        properties: command.properties.iter().cloned().collect(),
    })
}

/// A body as JSON carries it: as text when it is UTF-8.
pub(super) fn body(bytes: Vec<u8>) -> CommandBody {
    String::from_utf8(bytes).map_or_else(|error| CommandBody::Base64(STANDARD.encode(error.as_bytes())), CommandBody::Text)
}

fn ack(ack: Ack) -> Option<&'static str> {
    match ack {
        Ack::None => None,
        Ack::Positive => Some("positive"),
        Ack::Negative => Some("negative"),
        Ack::Full => Some("full"),
    }
}

/// As much of a body as a table shows.
pub(super) fn shown_body(body: &CommandBody) -> String {
    let text = match body {
        CommandBody::Text(text) => text,
        CommandBody::Base64(text) => text,
    };
    text.chars().take(BODY_SHOWN_MAX).collect()
}

fn overview(commands: &[CommandItem]) -> Table {
    let row = |command: &CommandItem| {
        vec![
            command.sequence_number.to_string(),
            command.message_id.clone(),
            name(&command.state),
            command.delivery_count.to_string(),
            command.expiry_time.to_string(),
            shown_body(&command.body),
        ]
    };
    Table::rows(&["sequence", "message id", "state", "abandoned", "expires", "body"], commands.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_travels_as_text_only_if_it_is_text() {
        assert_eq!(body(b"hello".to_vec()), CommandBody::Text("hello".into()));
        assert_eq!(body(vec![0xff, 0]), CommandBody::Base64("/wA=".into()));
        assert_eq!(body(Vec::new()), CommandBody::Text(String::new()));
    }
}
