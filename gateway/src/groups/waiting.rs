//! Joins and syncs that wait for their answer.

use kafka_proto::group::{GroupId, Reply, Token};
use tokio::sync::oneshot;

use super::coordinator::Parked;
use super::{Groups, now};

/// A request that waits; dropped unanswered, the group forgets it.
pub(super) struct Waiting<'a> {
    groups: &'a Groups,
    group: &'a GroupId,
    token: Token,
    answer: oneshot::Receiver<Reply>,
    is_answered: bool,
}

impl Waiting<'_> {
    /// `None` when the hub stops.
    pub(super) async fn reply(mut self) -> Option<Reply> {
        let reply = (&mut self.answer).await.ok();
        self.is_answered = true;
        reply
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.groups.coordinator().forget(self.group, now(), self.token);
        }
    }
}

impl Groups {
    pub(super) fn parked<'a>(&'a self, group: &'a GroupId, (token, answer): Parked) -> Waiting<'a> {
        Waiting { groups: self, group, token, answer, is_answered: false }
    }
}
