//! What goes into a group and what comes out, in plain types.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{GroupError, JoinRefused, MemberId};

/// Names a parked request; chosen by the caller, never twice within a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// A way of sharing partitions that a member supports, with what it tells the leader under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name, such as `range`.
    pub name: Arc<str>,
    /// Opaque to the group.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Empty from a client that has none.
    pub member_id: MemberId,
    /// The name of a static member: it keeps its assignment when its client restarts.
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it comes from.
    pub client_host: Arc<str>,
    /// Silence after which the member is removed.
    pub session_timeout: Duration,
    /// How long it may take to join again, of which a second to an hour is granted; in version 0
    /// the session timeout.
    pub rebalance_timeout: Duration,
    /// `consumer`, `connect` and the like.
    pub protocol_type: Arc<str>,
    /// The most wanted first.
    pub protocols: Vec<Protocol>,
    /// Whether the client understands [`GroupError::MemberIdRequired`]: version 4 and later.
    pub knows_member_id_required: bool,
    /// Whether a leader can be told to leave the assignment as it is: version 9 and later.
    pub can_skip_assignment: bool,
    /// Random text, unique over all requests: a new member's id is made from it.
    pub unique: String,
}

/// The answer to a join that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The member's id.
    pub member_id: MemberId,
    /// The generation it belongs to.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Arc<str>,
    /// The protocol chosen.
    pub protocol: Arc<str>,
    /// Who assigns.
    pub leader: MemberId,
    /// The leader is to leave the assignment as it is.
    pub skip_assignment: bool,
    /// Everybody, for the leader; nobody, for others.
    pub members: Vec<JoinedMember>,
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: MemberId,
    /// Its instance, if it is static.
    pub instance_id: Option<Arc<str>>,
    /// What it told under the protocol chosen.
    pub metadata: Bytes,
}

/// Who sends a request of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The member; empty from a client that is none.
    pub member_id: &'a str,
    /// Its instance, if it is static.
    pub instance_id: Option<&'a str>,
    /// The generation it believes in; -1 from a client that is in none.
    pub generation: i32,
}

/// SyncGroup.
#[derive(Debug, Clone)]
pub struct SyncRequest<'a> {
    /// Who asks.
    pub caller: Caller<'a>,
    /// The type it joined with, from version 5 on.
    pub protocol_type: Option<&'a str>,
    /// The protocol it was told, from version 5 on.
    pub protocol: Option<&'a str>,
    /// From the leader: what each member gets.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// The answer to a sync that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Arc<str>,
    /// The protocol chosen.
    pub protocol: Arc<str>,
    /// The member's part, opaque; empty if the leader gave it none.
    pub assignment: Bytes,
}

/// What a parked request is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To a join.
    Join(Result<Joined, JoinRefused>),
    /// To a sync.
    Sync(Result<Synced, GroupError>),
}

/// An answer and the request it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As the request was named.
    pub token: Token,
    /// What it is told.
    pub reply: Reply,
}
