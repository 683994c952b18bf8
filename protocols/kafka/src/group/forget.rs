//! Requests whose connection has gone.

use std::time::Instant;

use super::member::Parked;
use super::{Group, Token};

impl Group {
    /// Nobody waits for the answer named `token` any more; none comes. A member nobody has ever
    /// answered goes with it, as its client must begin anew. Any other has its session timeout to
    /// come back.
    pub fn forget(&mut self, now: Instant, token: Token) {
        self.answers.retain(|answer| answer.token != token);
        let Some(id) = self.members.waiting(token) else { return };
        self.members.park(id.as_str(), Parked::Nothing);
        self.members.touch(id.as_str(), now);
        let is_stranger = self.members.get(id.as_str()).is_some_and(|member| member.is_new && !member.is_static());
        if is_stranger {
            self.remove_member(now, &id);
        }
    }
}
