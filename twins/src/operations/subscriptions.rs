//! Subscriptions of persistent MQTT sessions.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::{StoreError, UnknownIdentity};

/// A subscription that outlives its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSubscription {
    /// The topic filter as subscribed.
    pub filter: String,
    /// The quality of service granted: 0 or 1.
    pub qos: u8,
}

/// Why subscriptions were not stored. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubscriptionError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// More subscriptions than an identity may have.
    #[error("an identity may have at most {} subscriptions", model::limits::SUBSCRIPTIONS_PER_IDENTITY_MAX)]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
