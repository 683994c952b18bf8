//! Policies of event hubs: who may send to one of them, or read it.

use model::limits::EVENT_HUB_POLICIES_MAX;
use model::{EventHubId, EventHubName, EventHubRights, PolicyName, Secret};
use rusqlite::params;
use thiserror::Error;

use super::devices::new_key;
use crate::error::{StoreError, UnknownEventHub};
use crate::handle::Twins;
use crate::store::{ReadRow, Stop, Unit, refuse};

/// A policy of one event hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHubPolicy {
    /// The event hub it belongs to, and goes with.
    pub event_hub: EventHubId,
    /// Its name, unique for this event hub; letters of different case differ.
    pub name: PolicyName,
    /// The first key. Clients use it as text, in base64.
    pub primary: Secret,
    /// The second key.
    pub secondary: Secret,
    /// What its holders may do.
    pub rights: EventHubRights,
}

/// Why a policy was not created. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateEventHubPolicyError {
    /// No such event hub.
    #[error(transparent)]
    NotFound(#[from] UnknownEventHub),
    /// The name is taken.
    #[error("the event hub {0} has a policy {1} already")]
    AlreadyExists(EventHubName, PolicyName),
    /// The event hub has as many policies as it may.
    #[error("the event hub {0} has {EVENT_HUB_POLICIES_MAX} policies, the most it may have")]
    TooMany(EventHubName),
    /// It would allow nothing.
    #[error("a policy needs at least one right: send, listen or manage")]
    NoRights,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a policy was not deleted. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeleteEventHubPolicyError {
    /// No such event hub.
    #[error(transparent)]
    EventHubNotFound(#[from] UnknownEventHub),
    /// No such policy.
    #[error("the event hub {0} has no policy {1}")]
    NotFound(EventHubName, PolicyName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Twins {
    /// The policies of every event hub with their keys, by event hub and name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event_hub_policies(&self) -> Result<Vec<EventHubPolicy>, StoreError> {
        let query = sqlx::query("SELECT event_hub, name, \"primary\", secondary, rights FROM event_hub_policies ORDER BY event_hub, name");
        query.fetch_all(&self.inner.readers.0).await?.iter().map(read_policy).collect()
    }

    /// Creates a policy with two new keys. They are stored as they are: the database and its
    /// backups hold them.
    ///
    /// # Errors
    /// [`CreateEventHubPolicyError`].
    pub async fn create_event_hub_policy(
        &self,
        hub: &EventHubName,
        name: PolicyName,
        rights: EventHubRights,
    ) -> Result<EventHubPolicy, CreateEventHubPolicyError> {
        if rights == EventHubRights::NONE {
            return Err(CreateEventHubPolicyError::NoRights);
        }
        let hub = hub.clone();
        self.inner.writer.submit(0, move |unit| unit.create_event_hub_policy(hub, name, rights)).await
    }

    /// Forgets a policy.
    ///
    /// # Errors
    /// [`DeleteEventHubPolicyError`].
    pub async fn delete_event_hub_policy(&self, hub: &EventHubName, name: &PolicyName) -> Result<(), DeleteEventHubPolicyError> {
        let (hub, name) = (hub.clone(), name.clone());
        self.inner.writer.submit(0, move |unit| unit.delete_event_hub_policy(hub, name)).await
    }
}

fn read_policy(row: &impl ReadRow) -> Result<EventHubPolicy, StoreError> {
    let inconsistent = |column, reason: String| StoreError::Inconsistent { table: "event_hub_policies", column, reason };
    let text = |index| row.column::<String>(index).map_err(StoreError::Read);
    let number = |index| row.unsigned(index).map_err(StoreError::Read);
    let key = |index, column| Secret::from_base64(&text(index)?).map_err(|error| inconsistent(column, error.to_string()));
    Ok(EventHubPolicy {
        event_hub: EventHubId(u32::try_from(number(0)?).map_err(|error| inconsistent("event_hub", error.to_string()))?),
        name: text(1)?.parse().map_err(|error: model::event_hub::InvalidPolicyName| inconsistent("name", error.to_string()))?,
        primary: key(2, "primary")?,
        secondary: key(3, "secondary")?,
        rights: EventHubRights::from_bits(u8::try_from(number(4)?).unwrap_or(0)),
    })
}

impl Unit<'_> {
    fn create_event_hub_policy(
        &mut self,
        hub: EventHubName,
        name: PolicyName,
        rights: EventHubRights,
    ) -> Result<EventHubPolicy, Stop<CreateEventHubPolicyError>> {
        let Some(event_hub) = self.event_hub(&hub)? else { return refuse(UnknownEventHub(hub)) };
        let mut exists = self.connection.prepare_cached("SELECT 1 FROM event_hub_policies WHERE event_hub = ?1 AND name = ?2")?;
        if exists.exists(params![event_hub.id.0, name.as_str()])? {
            return refuse(CreateEventHubPolicyError::AlreadyExists(hub, name));
        }
        let mut count = self.connection.prepare_cached("SELECT count(*) FROM event_hub_policies WHERE event_hub = ?1")?;
        let count: u32 = count.query_row([event_hub.id.0], |row| row.get(0))?;
        if count as usize >= EVENT_HUB_POLICIES_MAX {
            return refuse(CreateEventHubPolicyError::TooMany(hub));
        }
        let policy = EventHubPolicy { event_hub: event_hub.id, name, primary: new_key(), secondary: new_key(), rights };
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO event_hub_policies (event_hub, name, \"primary\", secondary, rights) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let (primary, secondary) = (policy.primary.to_base64(), policy.secondary.to_base64());
        insert.execute(params![policy.event_hub.0, policy.name.as_str(), primary, secondary, rights.bits()])?;
        Ok(policy)
    }

    fn delete_event_hub_policy(&mut self, hub: EventHubName, name: PolicyName) -> Result<(), Stop<DeleteEventHubPolicyError>> {
        let Some(event_hub) = self.event_hub(&hub)? else { return refuse(UnknownEventHub(hub)) };
        let mut delete = self.connection.prepare_cached("DELETE FROM event_hub_policies WHERE event_hub = ?1 AND name = ?2")?;
        match delete.execute(params![event_hub.id.0, name.as_str()])? {
            0 => refuse(DeleteEventHubPolicyError::NotFound(hub, name)),
            _ => Ok(()),
        }
    }
}
