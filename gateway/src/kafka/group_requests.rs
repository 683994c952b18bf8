//! Consumer groups for Kafka's clients: requests translated for [`crate::groups`], and back.
//!
//! Groups belong to no event hub. Who may listen to any may join them; what a group commits needs
//! the right to listen to that event hub, and deleting needs the right to manage.

mod administration;
mod commit;
mod coordinator;
mod fetch;
mod membership;
mod producer_id;
mod reason;

use std::sync::Arc;

use kafka_proto::group::GroupId;
use kafka_protocol::protocol::StrBytes;
use model::EventHubRights;

use super::session::Session;

pub(super) use administration::{delete_groups, delete_offsets, describe_groups, list_groups};
pub(super) use commit::commit;
pub(super) use coordinator::find_coordinator;
pub(super) use fetch::fetch;
pub(super) use membership::{heartbeat, join, leave, sync};
pub(super) use producer_id::init_producer_id;

/// The group that a request names.
///
/// # Errors
/// The code, if that is no name or the peer lacks the right.
fn named(session: &Session, group: &str, wanted: EventHubRights) -> Result<GroupId, i16> {
    if !session.may(wanted) {
        return Err(reason::GROUP_AUTHORIZATION_FAILED);
    }
    GroupId::new(group).map_err(reason::group)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn shared(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}
