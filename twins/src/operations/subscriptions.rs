//! Subscriptions of persistent MQTT sessions.

use model::Identity;
use model::limits::SUBSCRIPTIONS_PER_IDENTITY_MAX;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::{StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::store::identity_rows::module_column;
use crate::store::{ReadRow as _, Stop, Unit, refuse};

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
    #[error("an identity may have at most {SUBSCRIPTIONS_PER_IDENTITY_MAX} subscriptions")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Twins {
    /// The subscriptions of an identity's persistent session; none when there is no such
    /// identity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscriptions(&self, identity: &Identity) -> Result<Vec<StoredSubscription>, StoreError> {
        let query = sqlx::query(
            "SELECT s.filters FROM identities i JOIN subscriptions s ON s.identity = i.id WHERE i.device = ?1 AND i.module = ?2",
        );
        let query = query.bind(identity.device.as_str()).bind(module_column(identity));
        match query.fetch_optional(&self.inner.readers.0).await? {
            None => Ok(Vec::new()),
            Some(row) => {
                let filters: String = row.column(0).map_err(StoreError::Read)?;
                serde_json::from_str(&filters).map_err(|error| StoreError::Inconsistent {
                    table: "subscriptions",
                    column: "filters",
                    reason: error.to_string(),
                })
            }
        }
    }

    /// Puts `subscriptions` in place of those stored. Durable when this returns; the same ones
    /// again write nothing.
    ///
    /// # Errors
    /// [`SubscriptionError`].
    pub async fn store_subscriptions(&self, identity: &Identity, subscriptions: Vec<StoredSubscription>) -> Result<(), SubscriptionError> {
        if subscriptions.len() > SUBSCRIPTIONS_PER_IDENTITY_MAX {
            return Err(SubscriptionError::TooMany);
        }
        let filters = serde_json::json!(subscriptions).to_string();
        let identity = identity.clone();
        self.inner.writer.submit(filters.len(), move |unit| unit.store_subscriptions(&identity, &filters)).await
    }

    /// Forgets an identity's subscriptions. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear_subscriptions(&self, identity: &Identity) -> Result<(), StoreError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.clear_subscriptions(&identity)).await
    }
}

impl Unit<'_> {
    fn store_subscriptions(&mut self, identity: &Identity, filters: &str) -> Result<(), Stop<SubscriptionError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO subscriptions (identity, filters) VALUES (?1, ?2) \
             ON CONFLICT (identity) DO UPDATE SET filters = excluded.filters WHERE filters <> excluded.filters",
        )?;
        statement.execute(rusqlite::params![id, filters])?;
        Ok(())
    }

    fn clear_subscriptions(&mut self, identity: &Identity) -> Result<(), Stop<StoreError>> {
        if let Some(id) = self.identity_id(identity)? {
            self.connection.prepare_cached("DELETE FROM subscriptions WHERE identity = ?1")?.execute([id])?;
        }
        Ok(())
    }
}
