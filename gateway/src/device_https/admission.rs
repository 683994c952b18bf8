//! Who asks: every request is judged, though not every one anew.
//!
//! A connection remembers whom it judged last and by what. The same evidence for the same identity
//! stands for as long as the grant does, which each request compares as an MQTT connection does
//! for each packet; so a revocation holds from the next request on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use certs::judge::{AuthGrant, ClaimedIdentity, Evidence};
use event_log::Origin as Producer;
use model::{Identity, Timestamp};

use super::reason;
use crate::https::{self, Origin, ReceivedBody, Refusal, RequestBody, RequestPath};
use crate::hub::Hub;
use crate::listener::Peer;
use crate::presence::ACTIVITY_INTERVAL;
use crate::telemetry::TelemetrySender;

/// What a connection remembers of its last request.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Option<Remembered>>);

#[derive(Debug)]
struct Remembered {
    /// Whom it was, as the path said it.
    path: String,
    /// The token; nothing where it was the certificate, which a connection cannot change.
    token: Option<HeaderValue>,
    grant: Arc<AuthGrant>,
    /// When activity under this grant was last noted.
    noted: Timestamp,
    /// Ready to send under this grant, unless a request is just using it.
    sender: Option<Box<TelemetrySender>>,
}

/// A device or module that was let in.
pub(super) struct Admitted {
    pub(super) hub: Arc<Hub>,
    pub(super) grant: Arc<AuthGrant>,
    memory: Arc<Memory>,
}

impl Admitted {
    /// Lets in whom `path` names, if the request proves to come from there.
    ///
    /// # Errors
    /// The refusal that says no, or that the path names nobody.
    pub(super) fn of(origin: &Origin, path: &RequestPath, headers: &HeaderMap) -> Result<Self, Refusal> {
        let Origin { hub, peer, memory } = origin;
        let (token, now) = (headers.get(AUTHORIZATION), hub.clock.now());
        let grant = match memory.recall(path, token).filter(|grant| grant.is_current(now)) {
            Some(grant) => grant,
            None => {
                let identity = path.identity().map_err(reason::path_refused)?;
                // The address was checked by TLS; that of a token counts for itself.
                let claim = ClaimedIdentity { identity, host: hub.name().to_owned() };
                let grant = hub.admit(evidence(token, peer), &claim).inspect_err(|_| peer.refused());
                memory.remember(path, token, grant.map_err(|reject| reason::not_admitted(&reject))?)
            }
        };
        peer.admitted();
        let admitted = Self { hub: Arc::clone(hub), grant, memory: Arc::clone(memory) };
        admitted.note_activity(now);
        Ok(admitted)
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.grant.identity
    }

    /// Whether the admission still holds.
    ///
    /// # Errors
    /// The refusal that says no.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let now = self.hub.clock.now();
        match self.grant.expires {
            Some(expires) if expires <= now => Err(reason::grant_expired(expires)),
            Some(_) | None if self.grant.is_current(now) => Ok(()),
            Some(_) | None => Err(reason::grant_changed()),
        }
    }

    /// Reads a body of at most `bytes_max` bytes, which may take a while: who was let in for it must
    /// be so at its end, too.
    ///
    /// # Errors
    /// The refusal of the body, or of who sent it.
    pub(super) async fn received(&self, body: impl RequestBody, bytes_max: usize) -> Result<ReceivedBody, Refusal> {
        let body = https::received(body, bytes_max).await?;
        self.check()?;
        Ok(body)
    }

    /// For the registry's last activity time: to be called again when something is handed over after
    /// a wait.
    pub(super) fn note_activity(&self, now: Timestamp) {
        if self.memory.has_news(&self.grant, now) {
            self.hub.twins.note_activity(self.identity(), now);
        }
    }

    /// A sender of the identity's messages, the connection's own if it is free.
    pub(super) fn sender(&self) -> Box<TelemetrySender> {
        let remembered = self
            .memory
            .lock()
            .as_mut()
            .filter(|remembered| Arc::ptr_eq(&remembered.grant, &self.grant))
            .and_then(|remembered| remembered.sender.take());
        remembered.unwrap_or_else(|| Box::new(self.hub.telemetry.sender(&self.grant, None, Producer::Https)))
    }

    /// Keeps an emptied sender for the next request.
    pub(super) fn keep(&self, sender: Box<TelemetrySender>) {
        if let Some(remembered) = self.memory.lock().as_mut().filter(|remembered| Arc::ptr_eq(&remembered.grant, &self.grant)) {
            remembered.sender = Some(sender);
        }
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
    fn recall(&self, path: &RequestPath, token: Option<&HeaderValue>) -> Option<Arc<AuthGrant>> {
        let remembered = self.lock();
        let remembered = remembered.as_ref().filter(|last| last.path == path.identity_part() && last.token.as_ref() == token)?;
        Some(Arc::clone(&remembered.grant))
    }

    fn remember(&self, path: &RequestPath, token: Option<&HeaderValue>, grant: AuthGrant) -> Arc<AuthGrant> {
        let grant = Arc::new(grant);
        let path = path.identity_part().to_owned();
        let token = token.cloned().map(|mut token| {
            token.set_sensitive(true);
            token
        });
        *self.lock() = Some(Remembered { path, token, grant: Arc::clone(&grant), noted: Timestamp::NEVER, sender: None });
        grant
    }

    /// Whether activity under `grant` is to be noted, which is then taken as done.
    fn has_news(&self, grant: &Arc<AuthGrant>, now: Timestamp) -> bool {
        let mut remembered = self.lock();
        let Some(remembered) = remembered.as_mut().filter(|remembered| Arc::ptr_eq(&remembered.grant, grant)) else { return true };
        let is_news = now.saturating_since(remembered.noted) >= ACTIVITY_INTERVAL;
        if is_news {
            remembered.noted = now;
        }
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
