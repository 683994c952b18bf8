//! Enrolled certificate authorities. They are kept as given: `certs` judges them.

use model::Timestamp;
use model::api::CaState;
use rusqlite::params;
use thiserror::Error;

use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::{ReadRow, Stop, Unit, refuse};

/// An enrolled certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCa {
    /// SHA-256 of the certificate in upper-case hexadecimal; its key.
    pub thumbprint: String,
    /// The certificate, opaque here.
    pub certificate_pem: String,
    /// Whether its certificates are accepted.
    pub state: CaState,
    /// Device id prefixes it may speak for; all when empty.
    pub id_scope: Vec<String>,
    /// When it was enrolled.
    pub enrolled: Timestamp,
}

/// A certificate authority to enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCa {
    /// SHA-256 of the certificate in hexadecimal, in any case.
    pub thumbprint: String,
    /// The certificate.
    pub certificate_pem: String,
    /// Whether its certificates are accepted.
    pub state: CaState,
    /// Device id prefixes it may speak for; all when empty.
    pub id_scope: Vec<String>,
}

/// Why a CA was not enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddCaError {
    /// The certificate is enrolled already.
    #[error("the certificate authority {0} is enrolled already")]
    AlreadyExists(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a CA was not changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaError {
    /// No such CA.
    #[error("no certificate authority {0} is enrolled")]
    NotFound(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const SELECT_CAS: &str =
    "SELECT thumbprint, certificate, state, id_scope, enrolled FROM certificate_authorities ORDER BY enrolled, thumbprint";

impl Twins {
    /// Every enrolled CA, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cas(&self) -> Result<Vec<StoredCa>, StoreError> {
        let rows = sqlx::query(SELECT_CAS).fetch_all(&self.inner.readers.0).await?;
        rows.iter().map(read_ca).collect()
    }

    /// Enrols a CA.
    ///
    /// # Errors
    /// [`AddCaError`].
    pub async fn add_ca(&self, ca: NewCa) -> Result<StoredCa, AddCaError> {
        self.inner.writer.submit(ca.certificate_pem.len(), move |unit| unit.add_ca(ca)).await
    }

    /// Switches a CA on or off.
    ///
    /// # Errors
    /// [`CaError`].
    pub async fn set_ca_state(&self, thumbprint: &str, state: CaState) -> Result<StoredCa, CaError> {
        let thumbprint = thumbprint.to_ascii_uppercase();
        self.inner.writer.submit(0, move |unit| unit.set_ca_state(&thumbprint, state)).await
    }

    /// Removes a CA.
    ///
    /// # Errors
    /// [`CaError`].
    pub async fn delete_ca(&self, thumbprint: &str) -> Result<(), CaError> {
        let thumbprint = thumbprint.to_ascii_uppercase();
        self.inner.writer.submit(0, move |unit| unit.delete_ca(thumbprint)).await
    }
}

fn read_ca(row: &impl ReadRow) -> Result<StoredCa, StoreError> {
    let inconsistent = |column, reason: String| StoreError::Inconsistent { table: "certificate_authorities", column, reason };
    let text = |index| row.column::<String>(index).map_err(StoreError::Read);
    let number = |index| row.column::<i64>(index).map_err(StoreError::Read);
    let state = match number(2)? {
        0 => CaState::Unverified,
        1 => CaState::Enabled,
        2 => CaState::Disabled,
        other => return Err(inconsistent("state", other.to_string())),
    };
    Ok(StoredCa {
        thumbprint: text(0)?,
        certificate_pem: text(1)?,
        state,
        id_scope: serde_json::from_str(&text(3)?).map_err(|error| inconsistent("id_scope", error.to_string()))?,
        enrolled: Timestamp::from_milliseconds(number(4)?),
    })
}

fn state_column(state: CaState) -> i64 {
    match state {
        CaState::Unverified => 0,
        CaState::Enabled => 1,
        CaState::Disabled => 2,
    }
}

impl Unit<'_> {
    fn add_ca(&mut self, ca: NewCa) -> Result<StoredCa, Stop<AddCaError>> {
        let thumbprint = ca.thumbprint.to_ascii_uppercase();
        let stored =
            StoredCa { thumbprint, certificate_pem: ca.certificate_pem, state: ca.state, id_scope: ca.id_scope, enrolled: self.now() };
        let inserted = self.connection.execute(
            "INSERT OR IGNORE INTO certificate_authorities (thumbprint, certificate, state, id_scope, enrolled) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                stored.thumbprint,
                stored.certificate_pem,
                state_column(stored.state),
                serde_json::json!(stored.id_scope).to_string(),
                stored.enrolled.as_milliseconds(),
            ],
        )?;
        if inserted == 0 { refuse(AddCaError::AlreadyExists(stored.thumbprint)) } else { Ok(stored) }
    }

    fn set_ca_state(&mut self, thumbprint: &str, state: CaState) -> Result<StoredCa, Stop<CaError>> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE certificate_authorities SET state = ?2 WHERE thumbprint = ?1 \
             RETURNING thumbprint, certificate, state, id_scope, enrolled",
        )?;
        let mut rows = statement.query(params![thumbprint, state_column(state)])?;
        match rows.next()? {
            Some(row) => Ok(read_ca(row)?),
            None => refuse(CaError::NotFound(thumbprint.to_owned())),
        }
    }

    fn delete_ca(&mut self, thumbprint: String) -> Result<(), Stop<CaError>> {
        match self.connection.execute("DELETE FROM certificate_authorities WHERE thumbprint = ?1", [&thumbprint])? {
            0 => refuse(CaError::NotFound(thumbprint)),
            _ => Ok(()),
        }
    }
}
