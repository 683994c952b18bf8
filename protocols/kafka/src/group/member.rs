//! One member.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::request::{JoinRequest, Protocol, Token};
use super::{NEW_MEMBER_TIMEOUT, REBALANCE_TIMEOUT};

/// What a member takes beside its texts, metadata and assignment.
const MEMBER_BYTES: usize = 256;
/// What a protocol takes beside its name and metadata.
const PROTOCOL_BYTES: usize = 64;

/// The request of a member that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parked {
    Nothing,
    Join(Token),
    Sync(Token),
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    pub(super) parked: Parked,
    /// No join of this member was answered yet.
    pub(super) is_new: bool,
    /// It has asked for its assignment in this generation.
    pub(super) has_synced: bool,
    expires: Instant,
}

impl Member {
    /// A member whose first join, named `token`, parks.
    pub(super) fn new(request: &JoinRequest, token: Token, now: Instant) -> Self {
        Self {
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout: request.session_timeout,
            rebalance_timeout: rebalance_timeout(request),
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            parked: Parked::Join(token),
            is_new: true,
            has_synced: false,
            expires: now + NEW_MEMBER_TIMEOUT,
        }
    }

    /// Takes over what a member says when it joins again; its protocols are counted by
    /// [`Members`](super::members::Members).
    pub(super) fn update(&mut self, request: &JoinRequest) {
        self.client_id = request.client_id.clone();
        self.client_host = request.client_host.clone();
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = rebalance_timeout(request);
    }

    pub(super) fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    pub(super) fn has_joined(&self) -> bool {
        matches!(self.parked, Parked::Join(_))
    }

    /// What it told under `protocol`.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let told = self.protocols.iter().find(|told| &*told.name == protocol);
        told.map(|told| told.metadata.clone()).unwrap_or_default()
    }

    /// A sign of life.
    pub(super) fn touch(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// When it is removed for its silence. Who waits for an answer cannot speak, so its time does
    /// not run, unless nobody ever answered it.
    pub(super) fn expiry(&self) -> Option<Instant> {
        (self.is_new || self.parked == Parked::Nothing).then_some(self.expires)
    }

    pub(super) fn bytes(&self) -> usize {
        let instance = self.instance_id.as_ref().map_or(0, |id| id.len());
        let texts = instance + self.client_id.len() + self.client_host.len();
        MEMBER_BYTES + texts + protocol_bytes(&self.protocols) + self.assignment.len()
    }
}

fn rebalance_timeout(request: &JoinRequest) -> Duration {
    request.rebalance_timeout.clamp(*REBALANCE_TIMEOUT.start(), *REBALANCE_TIMEOUT.end())
}

/// What a member made from `request` counts for before it is assigned anything.
pub(super) fn joining_bytes(request: &JoinRequest) -> usize {
    let instance = request.instance_id.as_ref().map_or(0, |id| id.len());
    let texts = instance + request.client_id.len() + request.client_host.len();
    MEMBER_BYTES + texts + protocol_bytes(&request.protocols)
}

fn protocol_bytes(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|protocol| PROTOCOL_BYTES + protocol.name.len() + protocol.metadata.len()).sum()
}
