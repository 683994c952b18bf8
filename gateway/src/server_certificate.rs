//! The server's certificate while the hub runs: its files are read again on SIGHUP and every
//! minute, and what they hold is shown to new connections once it is found good.
//!
//! One task owns this. Listeners share a [`ServerIdentity`] with it, so a handshake costs what it
//! did, and connections that exist stay as they are.

mod pair;

use std::sync::Arc;
use std::time::Duration;

use certs::server_identity::{ServerIdentity, ServerIdentityError, Validity};
use model::{Clock, Timestamp};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::pair::{Fingerprint, KeySource, Pair, PairSource};
use crate::config::TlsSettings;
use crate::dev::{DevError, DevHome, RENEWAL_MARGIN};
use crate::drain::Drain;
use crate::observe::Metrics;
use crate::with_causes;

/// Between two looks at the files.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A certificate with less time left is warned of, unless its whole life is short.
const WARNING_MARGIN: Duration = Duration::from_secs(14 * 24 * 3600);
/// Of a certificate with a short life, this part of it is left when it is warned of.
const WARNING_PART: u32 = 3;
/// Between two warnings of an end.
const WARNING_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Keeps the certificate that listeners show at what its files hold.
pub(crate) struct ServerCertificate {
    keeper: Arc<Keeper>,
    /// The pair that is shown.
    shown: Fingerprint,
    /// What was told last of a pair that is not.
    refused: Option<Refused>,
    /// When its end was last warned of.
    warned: Option<Timestamp>,
    metrics: Metrics,
}

/// What a look needs, on a thread that may wait for files.
struct Keeper {
    source: PairSource,
    identity: ServerIdentity,
    /// Issues the certificate of a development hub.
    home: Option<DevHome>,
    clock: Clock,
}

/// Why a pair is not shown; the old one stays.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    /// The pair, if there was one to be read.
    pair: Option<Fingerprint>,
    reason: String,
}

/// Why the files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// A minute has passed.
    Minute,
    /// Somebody asked, and wants an answer in the log.
    Asked,
}

impl ServerCertificate {
    /// Shows what the files held when the configuration was read. `home` issues the certificate
    /// anew before it ends.
    ///
    /// # Errors
    /// [`ServerIdentityError`] when clients could not use it.
    pub(crate) fn load(settings: TlsSettings, home: Option<DevHome>, clock: Clock, metrics: Metrics) -> Result<Self, ServerIdentityError> {
        let TlsSettings { source, pair } = settings;
        let identity = ServerIdentity::load(&pair.chain_pem, &pair.key_pem, clock.now())?;
        let keeper = Arc::new(Keeper { source, identity, home, clock });
        Ok(Self { keeper, shown: pair.fingerprint(), refused: None, warned: None, metrics })
    }

    /// What listeners show.
    pub(crate) fn identity(&self) -> ServerIdentity {
        self.keeper.identity.clone()
    }

    /// Looks at the files whenever `asked` is notified and every minute, until the hub stops.
    pub(crate) async fn run(mut self, asked: Arc<Notify>, drain: Drain) {
        let mut minutes = interval(LOOK_INTERVAL);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                let occasion = tokio::select! {
                    () = asked.notified() => Occasion::Asked,
                    _ = minutes.tick() => Occasion::Minute,
                };
                self.look(occasion).await;
                self.warn_of_end();
            }
        };
        tokio::select! {
            () = looking => {}
            () = drain.begun() => {}
        }
    }

    async fn look(&mut self, occasion: Occasion) {
        match self.take_up().await {
            Ok(Some(pair)) => {
                (self.shown, self.refused, self.warned) = (pair, None, None);
                self.metrics.server_certificate_renewed();
                tracing::info!(not_after = %self.keeper.identity.not_after(), "new connections see the new server certificate");
            }
            Ok(None) => {
                let was_refused = self.refused.take().is_some();
                if was_refused || occasion == Occasion::Asked {
                    tracing::info!("the files hold the server certificate that is shown");
                }
            }
            Err(refused) => self.tell(refused, occasion),
        }
    }

    /// The same refusal is told once, however often it is met, unless somebody asks.
    fn tell(&mut self, refused: Refused, occasion: Occasion) {
        let is_known = self.refused.as_ref() == Some(&refused);
        if is_known && occasion == Occasion::Minute {
            return;
        }
        self.metrics.server_certificate_refused();
        let (certificate, reason) = (self.keeper.source.certificate.display(), &refused.reason);
        tracing::warn!(%certificate, reason, "the server certificate was not renewed: the old one stays, and the files are tried again every minute");
        self.refused = Some(refused);
    }

    /// Files may lie on a network, and a chain takes a while to verify: neither is for a thread
    /// that serves connections.
    async fn take_up(&self) -> Result<Option<Fingerprint>, Refused> {
        let (keeper, shown) = (Arc::clone(&self.keeper), self.shown);
        let looking = tokio::task::spawn_blocking(move || keeper.take_up(shown));
        looking.await.unwrap_or_else(|_| {
            self.metrics.panicked();
            Err(Refused { pair: None, reason: "looking at it panicked; this is a defect of the hub".to_owned() })
        })
    }

    /// Once a day from when there is reason to.
    fn warn_of_end(&mut self) {
        let (now, validity) = (self.keeper.clock.now(), self.keeper.identity.validity());
        if !ends_soon(validity, now) || self.warned.is_some_and(|warned| now.saturating_since(warned) < WARNING_INTERVAL) {
            return;
        }
        self.warned = Some(now);
        let (not_after, refused) = (validity.not_after, self.refused.as_ref().map(|refused| refused.reason.as_str()));
        if now > not_after {
            tracing::error!(%not_after, refused, "the server certificate has ended, and clients refuse it; put a new one in its place");
        } else {
            tracing::warn!(%not_after, refused, "the server certificate ends soon; put a new one in its place");
        }
    }
}

impl Keeper {
    /// Shows the pair in the files, if it is another than `shown`; gives it then. One that the hub
    /// issues itself is renewed there first when it is time.
    fn take_up(&self, shown: Fingerprint) -> Result<Option<Fingerprint>, Refused> {
        let now = self.clock.now();
        // Before the files are read: half a renewal in them is to be completed, not refused.
        let renewed = self.renew(now);
        match (self.take_up_files(shown, now), renewed) {
            // Whoever could not renew does without when somebody else has.
            (Ok(Some(pair)), _) => Ok(Some(pair)),
            // What is wrong with the files then comes of it.
            (Ok(None) | Err(_), Err(error)) => Err(Refused { pair: None, reason: with_causes(&error) }),
            (taken, Ok(())) => taken,
        }
    }

    fn renew(&self, now: Timestamp) -> Result<(), DevError> {
        match &self.home {
            Some(home) if self.identity.not_after() <= now.saturating_add(RENEWAL_MARGIN) => home.renew_server_certificate(),
            Some(_) | None => Ok(()),
        }
    }

    fn take_up_files(&self, shown: Fingerprint, now: Timestamp) -> Result<Option<Fingerprint>, Refused> {
        let pair = self.source.read().map_err(|error| Refused { pair: None, reason: with_causes(&error) })?;
        let fingerprint = pair.fingerprint();
        if fingerprint == shown {
            return Ok(None);
        }
        let replaced = self.identity.replace(&pair.chain_pem, &pair.key_pem, now);
        replaced.map_err(|error| Refused { pair: Some(fingerprint), reason: with_causes(&error) })?;
        Ok(Some(fingerprint))
    }
}

/// Whether less than a fortnight is left, or, of a life shorter than six weeks, a third of it.
fn ends_soon(validity: Validity, now: Timestamp) -> bool {
    let life = validity.not_after.saturating_since(validity.not_before);
    validity.not_after.saturating_since(now) < WARNING_MARGIN.min(life / WARNING_PART)
}

#[cfg(test)]
mod tests;
