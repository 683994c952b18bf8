//! Shared access policies. They are kept as given: `certs` judges by them.

use model::{Policy, Rights, Secret};
use rusqlite::{OptionalExtension as _, params};
use thiserror::Error;

use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::{ReadRow, Stop, Unit, refuse};

/// Why a policy was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreatePolicyError {
    /// The name is taken.
    #[error("the policy {0} exists already")]
    AlreadyExists(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What [`Twins::set_policies`] did to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyChange {
    /// There was none of its name.
    Created,
    /// There was one that differed.
    Replaced {
        /// A key did.
        keys: bool,
        /// The rights did.
        rights: bool,
    },
    /// It was there as given.
    Unchanged,
}

const SELECT_POLICY: &str = "SELECT name, \"primary\", secondary, rights FROM policies WHERE name = ?1";

impl Twins {
    /// Every policy with its keys, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn policies(&self) -> Result<Vec<Policy>, StoreError> {
        let query = sqlx::query("SELECT name, \"primary\", secondary, rights FROM policies ORDER BY name");
        query.fetch_all(&self.inner.readers.0).await?.iter().map(read_policy).collect()
    }

    /// Creates a policy. Its keys are stored as they are: the database and its backups hold them.
    ///
    /// # Errors
    /// [`CreatePolicyError`].
    pub async fn create_policy(&self, policy: Policy) -> Result<(), CreatePolicyError> {
        self.inner.writer.submit(0, move |unit| unit.create_policy(&policy)).await
    }

    /// Makes each policy what is given, all of them or none; others stay. Says what that changed,
    /// in the order given. Keys are stored as they are.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub async fn set_policies(&self, policies: Vec<Policy>) -> Result<Vec<PolicyChange>, StoreError> {
        self.inner.writer.submit(0, move |unit| unit.set_policies(&policies)).await
    }
}

fn read_policy(row: &impl ReadRow) -> Result<Policy, StoreError> {
    let text = |index| row.column::<String>(index).map_err(StoreError::Read);
    let key = |index, column| {
        Secret::from_base64(&text(index)?).map_err(|error| StoreError::Inconsistent {
            table: "policies",
            column,
            reason: error.to_string(),
        })
    };
    let rights = u8::try_from(row.unsigned(3).map_err(StoreError::Read)?).unwrap_or(0);
    Ok(Policy { name: text(0)?, primary: key(1, "primary")?, secondary: key(2, "secondary")?, rights: Rights::from_bits(rights) })
}

impl Unit<'_> {
    fn create_policy(&mut self, policy: &Policy) -> Result<(), Stop<CreatePolicyError>> {
        let inserted = self.connection.execute(
            "INSERT OR IGNORE INTO policies (name, \"primary\", secondary, rights) VALUES (?1, ?2, ?3, ?4)",
            params![policy.name, policy.primary.to_base64(), policy.secondary.to_base64(), policy.rights.bits()],
        )?;
        if inserted == 0 { refuse(CreatePolicyError::AlreadyExists(policy.name.clone())) } else { Ok(()) }
    }

    fn set_policies(&mut self, policies: &[Policy]) -> Result<Vec<PolicyChange>, Stop<StoreError>> {
        // A refusal must have written nothing, and only reading can end in one.
        let changes = policies.iter().map(|policy| self.policy_change(policy)).collect::<Result<Vec<_>, _>>()?;
        let changed = policies.iter().zip(&changes).filter(|(_, change)| **change != PolicyChange::Unchanged);
        for (policy, _) in changed {
            self.connection.execute(
                "INSERT OR REPLACE INTO policies (name, \"primary\", secondary, rights) VALUES (?1, ?2, ?3, ?4)",
                params![policy.name, policy.primary.to_base64(), policy.secondary.to_base64(), policy.rights.bits()],
            )?;
        }
        Ok(changes)
    }

    fn policy_change(&self, wanted: &Policy) -> Result<PolicyChange, Stop<StoreError>> {
        let mut statement = self.connection.prepare_cached(SELECT_POLICY)?;
        let stored = statement.query_row([&wanted.name], |row| Ok(read_policy(row))).optional()?.transpose()?;
        Ok(match stored {
            None => PolicyChange::Created,
            Some(stored) => {
                let keys = stored.primary != wanted.primary || stored.secondary != wanted.secondary;
                let rights = stored.rights != wanted.rights;
                if keys || rights { PolicyChange::Replaced { keys, rights } } else { PolicyChange::Unchanged }
            }
        })
    }
}
