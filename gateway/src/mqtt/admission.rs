//! From a CONNECT to a grant.

use certs::judge::{AuthGrant, AuthReject, ClaimedIdentity, Evidence};
use mqtt_proto::wire::{Connect, QoS};
use thiserror::Error;

use super::dialect::{InvalidLogin, Login, Topics};
use super::will::Will;
use crate::hub::Hub;
use crate::listener::Peer;

/// Who may go on, and as what.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The identity and how long it may stay.
    pub grant: AuthGrant,
    /// The topics it may publish to.
    pub topics: Topics,
    /// The digital-twin model it announced.
    pub model_id: Option<String>,
    /// What to publish if it goes without a word.
    pub will: Option<Will>,
}

/// Why a CONNECT is refused.
#[derive(Debug, Error)]
pub(crate) enum ConnectRefused {
    /// It names no identity.
    #[error(transparent)]
    Login(#[from] InvalidLogin),
    /// The password is not text.
    #[error("the password is not UTF-8")]
    Password,
    /// Its evidence does not hold.
    #[error(transparent)]
    Rejected(#[from] AuthReject),
    /// Its will goes to a topic it may not publish to.
    #[error("the will goes to a topic that is not the sender's telemetry")]
    WillTopic,
    /// Its will asks for QoS 2.
    #[error("the will asks for QoS 2")]
    WillQos,
    /// The will's properties do not parse.
    #[error("the will's property bag is wrong: {0}")]
    WillProperties(model::property_bag::InvalidPropertyBag),
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Stopping,
}

/// Judges a CONNECT: a password counts as a token and goes before the client certificate.
///
/// # Errors
/// [`ConnectRefused`]
pub(crate) fn admit(hub: &Hub, peer: &Peer, connect: &Connect) -> Result<Admitted, ConnectRefused> {
    if hub.drain.is_draining() {
        return Err(ConnectRefused::Stopping);
    }
    let login = Login::read(&connect.client_id, connect.username.as_deref())?;
    let password = connect.password.as_deref().map(std::str::from_utf8).transpose().map_err(|_| ConnectRefused::Password)?;
    let evidence = match (password, &peer.chain) {
        (Some(token), _) if !token.is_empty() => Evidence::Token(token),
        (_, Some(chain)) => Evidence::Certificate(chain),
        (_, None) => Evidence::Nothing,
    };
    let host = login.host.unwrap_or_else(|| hub.name().to_owned());
    let grant = hub.admit(evidence, &ClaimedIdentity { identity: login.identity, host })?;
    let topics = Topics::new(&grant.identity);
    let session_expiry_seconds = connect.properties.session_expiry_interval.unwrap_or(0);
    let will = connect.will.as_ref().map(|will| admit_will(&topics, will, session_expiry_seconds)).transpose()?;
    Ok(Admitted { grant, topics, model_id: login.model_id, will })
}

fn admit_will(topics: &Topics, will: &mqtt_proto::wire::Will, session_expiry_seconds: u32) -> Result<Will, ConnectRefused> {
    if will.qos == QoS::ExactlyOnce {
        return Err(ConnectRefused::WillQos);
    }
    let bag = topics.will_bag(&will.topic).ok_or(ConnectRefused::WillTopic)?;
    Will::new(bag, will, session_expiry_seconds).map_err(ConnectRefused::WillProperties)
}
