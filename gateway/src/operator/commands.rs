//! Commands (cloud-to-device messages): sent, listed and purged.

use std::sync::Arc;

use axum::Extension;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::api::{CommandBody, CommandRequest, CommandSent, ErrorCode, PurgeResult};
use model::limits::COMMAND_BYTES_MAX;
use model::{Message, MessageProperties, SystemProperties};
use twins::{Ack, NewCommand};

use super::paging::{SequencePage, paged};
use crate::commands;
use crate::https::{Answer, Json, Refusal, Reply, Target};
use crate::hub::Hub;

/// A command whose text is escaped in JSON takes more bytes than it counts; one over this is
/// refused for being sent wastefully.
const REQUEST_BYTES_MAX: usize = 4 * COMMAND_BYTES_MAX;

/// Answers once the command is on disk.
pub(super) async fn send(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Json(request): Json<CommandRequest, REQUEST_BYTES_MAX>,
) -> Answer {
    let enqueued = commands::send(&hub, &identity, read(request)?).await?;
    Reply::OK.json(&CommandSent { message_id: enqueued.message_id, sequence_number: enqueued.sequence_number })
}

/// One page in their order; what is listed is not handed out by it.
pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target, page: SequencePage) -> Answer {
    paged(&hub.twins.command_page(&identity, page.after, page.limit).await?)
}

pub(super) async fn purge(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target) -> Answer {
    let total_messages_purged = hub.twins.purge_commands(&identity).await?;
    Reply::OK.json(&PurgeResult {
        total_messages_purged,
        device_id: identity.device.to_string(),
        module_id: identity.module.map(String::from),
    })
}

fn read(request: CommandRequest) -> Result<NewCommand, Refusal> {
    let ack = request.ack.as_deref().map(str::parse::<Ack>).transpose()?;
    let body = match request.body {
        CommandBody::Text(text) => Bytes::from(text),
        CommandBody::Base64(text) => {
            let decoded = STANDARD.decode(text);
            Bytes::from(decoded.map_err(|_| Refusal::new(ErrorCode::ArgumentInvalid, "bodyBase64 is not base64"))?)
        }
    };
    let system = SystemProperties {
        message_id: request.message_id,
        correlation_id: request.correlation_id,
        user_id: request.user_id,
        content_type: request.content_type,
        content_encoding: request.content_encoding,
        ..SystemProperties::default()
    };
    let application = request.properties.into_iter().map(|(name, value)| (name, Some(value))).collect();
    Ok(NewCommand {
        message: Message { properties: MessageProperties { system, application }, body },
        expiry: request.expiry_time,
        ack: ack.unwrap_or_default(),
        input: request.input_name,
    })
}
