//! Who asks: every request is judged, though not every one anew.
//!
//! A connection remembers whom it judged last and by what. The same evidence for the same identity
//! stands for as long as the grant does, which each request compares as an MQTT connection does
//! for each packet; so a revocation holds from the next request on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use certs::judge::{AuthGrant, ClaimedIdentity, Evidence};
use event_log::Origin;
use model::Identity;

use super::reason;
use crate::https::{Refusal, Target};
use crate::hub::Hub;
use crate::listener::Peer;
use crate::telemetry::TelemetrySender;

/// What a connection remembers of its last request.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Option<Remembered>>);

#[derive(Debug)]
struct Remembered {
    identity: Identity,
    /// The token; nothing where it was the certificate, which a connection cannot change.
    token: Option<HeaderValue>,
    grant: Arc<AuthGrant>,
    /// Ready to send under this grant, unless a request is just using it.
    sender: Option<TelemetrySender>,
}

/// A device or module that was let in.
pub(super) struct Admitted {
    pub(super) hub: Arc<Hub>,
    pub(super) grant: Arc<AuthGrant>,
    memory: Arc<Memory>,
}

impl Admitted {
    pub(super) fn identity(&self) -> &Identity {
        &self.grant.identity
    }

    /// Whether the admission still holds.
    ///
    /// # Errors
    /// The refusal that says no.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.grant.is_current(self.hub.clock.now()) { Ok(()) } else { Err(reason::grant_ended()) }
    }

    /// A sender of the identity's messages, the connection's own if it is free.
    pub(super) fn sender(&self) -> TelemetrySender {
        let remembered = self
            .memory
            .lock()
            .as_mut()
            .filter(|remembered| Arc::ptr_eq(&remembered.grant, &self.grant))
            .and_then(|remembered| remembered.sender.take());
        remembered.unwrap_or_else(|| self.hub.telemetry.sender(&self.grant, None, Origin::Https))
    }

    /// Keeps an emptied sender for the next request.
    pub(super) fn keep(&self, sender: TelemetrySender) {
        if let Some(remembered) = self.memory.lock().as_mut().filter(|remembered| Arc::ptr_eq(&remembered.grant, &self.grant)) {
            remembered.sender = Some(sender);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Target(identity) = Target::from_request_parts(parts, state).await?;
        let extensions = &parts.extensions;
        let origin = (extensions.get::<Arc<Hub>>(), extensions.get::<Arc<Peer>>(), extensions.get::<Arc<Memory>>());
        let (Some(hub), Some(peer), Some(memory)) = origin else {
            return Err(Refusal::fault("the request does not say where it comes from"));
        };
        let token = parts.headers.get(AUTHORIZATION);
        let grant = match memory.recall(&identity, token).filter(|grant| grant.is_current(hub.clock.now())) {
            Some(grant) => grant,
            None => {
                // The address was checked by TLS; that of a token counts for itself.
                let claim = ClaimedIdentity { identity, host: hub.name().to_owned() };
                let grant = hub.admit(evidence(token, peer), &claim).inspect_err(|_| peer.refused());
                memory.remember(claim.identity, token.cloned(), grant.map_err(|reject| reason::not_admitted(&reject))?)
            }
        };
        peer.admitted();
        Ok(Self { hub: Arc::clone(hub), grant, memory: Arc::clone(memory) })
    }
}

/// A token counts before a certificate: a client may have one for another purpose.
fn evidence<'a>(token: Option<&'a HeaderValue>, peer: &'a Peer) -> Evidence<'a> {
    match (token, &peer.chain) {
        // What is not text is a token that does not parse.
        (Some(token), _) => Evidence::Token(token.to_str().unwrap_or_default()),
        (None, Some(chain)) => Evidence::Certificate(chain),
        (None, None) => Evidence::Nothing,
    }
}

impl Memory {
    fn recall(&self, identity: &Identity, token: Option<&HeaderValue>) -> Option<Arc<AuthGrant>> {
        let remembered = self.lock();
        let remembered = remembered.as_ref().filter(|last| last.identity == *identity && last.token.as_ref() == token)?;
        Some(Arc::clone(&remembered.grant))
    }

    fn remember(&self, identity: Identity, token: Option<HeaderValue>, grant: AuthGrant) -> Arc<AuthGrant> {
        let grant = Arc::new(grant);
        *self.lock() = Some(Remembered { identity, token, grant: Arc::clone(&grant), sender: None });
        grant
    }

    fn lock(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
