//! What a development hub makes for itself: its configuration, a CA for its own certificate, a CA
//! for its devices, policies, a connection string.
//!
//! Every step looks at what is there and adds what is missing, so an interrupted first start is
//! completed by the next, and later starts change nothing but a server certificate that no longer
//! serves; one that ends while the hub runs is issued anew, too. Of a certificate and its key the
//! certificate is written last: where it is, the pair is complete.

use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::issue::{IssueError, Issuer};
use certs::server_identity::ServerIdentity;
use certs::show::{CertificateSummary, summarize};
use model::api::CaState;
use model::connection_string::ConnectionString;
use model::{Clock, Policy, Secret};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::args::parse_host_name;
use crate::config::faults::Faults;
use crate::config::{self, OWNER_POLICY, standard_policies, template};
use crate::data_dir::{FileError, create_directory, read_if_present, replace_file};
use crate::hub::{Hub, HubOpenError};

/// The names every development hub has.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long the development CAs last.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// A server certificate with less time left is issued anew.
pub(crate) const RENEWAL_MARGIN: Duration = Duration::from_secs(60 * 24 * 3600);
/// Readable by everybody the directory lets in.
const PUBLIC: u32 = 0o644;
/// Readable by the owner alone.
const PRIVATE: u32 = 0o600;
/// Bytes of a policy's key.
const KEY_BYTES: usize = 32;

/// Why a development hub could not be prepared.
#[derive(Debug, Error)]
pub(crate) enum DevError {
    /// A file or directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate.
    #[error("cannot issue {}", path.display())]
    Issue {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: IssueError,
    },
    /// A CA's certificate without its key.
    #[error("{} is there and its key is not; put the key back or remove the certificate, too", path.display())]
    KeyMissing {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The development CA cannot be enrolled.
    #[error("{} is not a CA that can be enrolled", path.display())]
    Ca {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The database.
    #[error("cannot store the policies and the CA of a development hub")]
    Store(#[from] twins::StoreError),
    /// A policy that is there at once, and was not a moment ago.
    #[error("cannot store the policy {name}")]
    Policy {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: twins::CreatePolicyError,
    },
    /// The device CA.
    #[error("cannot enrol the device CA")]
    Enrol(#[from] twins::AddCaError),
    /// The judge would not take the new policies and CA.
    #[error(transparent)]
    Trust(#[from] HubOpenError),
}

/// The directory of a development hub.
pub(crate) struct DevHome {
    directory: PathBuf,
    /// Beside the loopback names; the first goes into the connection string.
    host_names: Vec<String>,
    clock: Clock,
}

impl DevHome {
    /// The files of the hub in `directory`, which is there.
    pub(crate) fn new(directory: &Path, host_names: &[String], clock: Clock) -> Self {
        Self { directory: directory.to_owned(), host_names: host_names.to_vec(), clock }
    }

    /// Completes configuration and certificates; gives the configuration's path.
    ///
    /// # Errors
    /// [`DevError`]; what was made until then is whole.
    pub(crate) fn prepare(&self) -> Result<PathBuf, DevError> {
        create_directory(&self.directory.join("trust"))?;
        create_directory(&self.directory.join("operator"))?;
        let configuration = self.configuration()?;
        self.issuer("operator/device-ca", "Isthmus development device CA")?;
        self.renew_server_certificate()?;
        Ok(configuration)
    }

    /// Issues the server certificate anew if it ends within [`RENEWAL_MARGIN`], lacks a name, or is
    /// missing. One that another CA has issued is the operator's, and left alone.
    ///
    /// # Errors
    /// [`DevError`]; the old one may be without its key then, until the next try.
    pub(crate) fn renew_server_certificate(&self) -> Result<(), DevError> {
        let ca = self.issuer("trust/ca", "Isthmus development server CA")?;
        self.server_certificate(&ca)
    }

    /// The policies that [`DevHome::enrol`] makes where they are not configured.
    pub(crate) fn policies(&self) -> Vec<&'static str> {
        standard_policies().into_iter().map(|(name, _)| name).collect()
    }

    /// Completes what the database holds: the standard policies, and the device CA as one the
    /// operator vouches for. A CA that the operator has disabled stays so.
    ///
    /// # Errors
    /// [`DevError`]; what was stored until then stays, and the next start goes on from there.
    pub(crate) async fn enrol(&self, hub: &Hub) -> Result<(), DevError> {
        let mut policies = hub.twins.policies().await?;
        for (name, rights) in standard_policies() {
            if !policies.iter().any(|policy| policy.name == name) {
                let policy = Policy { name: name.to_owned(), primary: random_key(), secondary: random_key(), rights };
                hub.twins.create_policy(policy.clone()).await.map_err(|source| DevError::Policy { name, source })?;
                policies.push(policy);
            }
        }
        self.enrol_device_ca(hub).await?;
        hub.reload_trust().await?;
        let owner = policies.iter().find(|policy| policy.name == OWNER_POLICY);
        owner.map_or(Ok(()), |owner| self.connection_string(owner, &hub.settings.host_names))
    }

    async fn enrol_device_ca(&self, hub: &Hub) -> Result<(), DevError> {
        let path = self.directory.join("operator/device-ca.pem");
        let unusable = || DevError::Ca { path: path.clone() };
        let pem = read_if_present(&path)?.ok_or_else(unusable)?;
        let thumbprint = first_certificate(&pem).ok_or_else(unusable)?.sha256;
        let enrolled = hub.twins.cas().await?;
        if enrolled.iter().any(|ca| ca.thumbprint.eq_ignore_ascii_case(&thumbprint)) {
            return Ok(());
        }
        let state = CaState::Enabled;
        hub.twins.add_ca(twins::NewCa { thumbprint, certificate_pem: pem, state, id_scope: Vec::new() }).await?;
        Ok(())
    }

    fn connection_string(&self, owner: &Policy, hub_names: &[String]) -> Result<(), DevError> {
        let path = self.directory.join("operator/connection-string");
        let host_name = self.host_names.first().or(hub_names.first()).cloned().unwrap_or_else(|| "localhost".to_owned());
        let line = ConnectionString { host_name, policy: owner.name.clone(), key: owner.primary.to_base64() };
        let text = Zeroizing::new(format!("{line}\n"));
        if read_if_present(&path)?.as_deref() != Some(text.as_str()) {
            replace_file(&path, text.as_bytes(), PRIVATE)?;
        }
        Ok(())
    }

    /// The configuration is the operator's once it is there.
    fn configuration(&self) -> Result<PathBuf, DevError> {
        let path = self.configuration_path();
        if read_if_present(&path)?.is_none() {
            replace_file(&path, template::render(&self.names(&[])).as_bytes(), PUBLIC)?;
        }
        Ok(path)
    }

    fn configuration_path(&self) -> PathBuf {
        self.directory.join("isthmus.toml")
    }

    /// The names given on the command line, those in `configured`, the loopback ones; each once.
    pub(crate) fn names(&self, configured: &[String]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let loopback = LOOPBACK_NAMES.map(str::to_owned);
        for name in self.host_names.iter().chain(configured).chain(&loopback) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn issuer(&self, stem: &str, common_name: &str) -> Result<Issuer, DevError> {
        let certificate = self.directory.join(stem).with_extension("pem");
        let key = certificate.with_extension("key");
        let fault = |source| DevError::Issue { path: certificate.clone(), source };
        if let Some(certificate_pem) = read_if_present(&certificate)? {
            let key_pem = read_if_present(&key)?.map(Zeroizing::new);
            let key_pem = key_pem.ok_or_else(|| DevError::KeyMissing { path: certificate.clone() })?;
            return Issuer::from_pem(&certificate_pem, &key_pem).map_err(fault);
        }
        let issuer = Issuer::create(common_name, self.clock.now(), CA_LIFETIME).map_err(fault)?;
        replace_file(&key, issuer.key_pem().as_bytes(), PRIVATE)?;
        replace_file(&certificate, issuer.certificate_pem().as_bytes(), PUBLIC)?;
        Ok(issuer)
    }

    fn server_certificate(&self, ca: &Issuer) -> Result<(), DevError> {
        let certificate = self.directory.join("trust/server.pem");
        let key = certificate.with_extension("key");
        if read_if_present(&certificate)?.is_some_and(|chain_pem| is_issued_by_another(&chain_pem, ca)) {
            return Ok(());
        }
        let configured = read_if_present(&self.configuration_path())?
            .and_then(|text| config::read(&text, &mut Faults::default()))
            .map(|document| document.hub.host_names);
        let mut names = self.names(&configured.unwrap_or_default());
        // The configuration's reader reports a name that is none.
        names.retain(|name| parse_host_name(name).is_ok());
        if self.still_serves(&certificate, &key, &names)? {
            return Ok(());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let issued = ca.issue_server(&names, self.clock.now()).map_err(|source| DevError::Issue { path: certificate.clone(), source })?;
        replace_file(&key, issued.key_pem.as_bytes(), PRIVATE)?;
        replace_file(&certificate, issued.chain_pem.as_bytes(), PUBLIC)?;
        Ok(())
    }

    /// Whether certificate and key belong together, have time left and cover `names`.
    fn still_serves(&self, certificate: &Path, key: &Path, names: &[String]) -> Result<bool, DevError> {
        let (Some(chain_pem), Some(key_pem)) = (read_if_present(certificate)?, read_if_present(key)?.map(Zeroizing::new)) else {
            return Ok(false);
        };
        let now = self.clock.now();
        let at_renewal = now.saturating_add(RENEWAL_MARGIN);
        let in_time = ServerIdentity::load(&chain_pem, &key_pem, now).is_ok_and(|identity| identity.not_after() > at_renewal);
        let covered = first_certificate(&chain_pem).map(|leaf| leaf.names).unwrap_or_default();
        Ok(in_time && names.iter().all(|name| covered.contains(&alternative_name(name))))
    }
}

fn first_certificate(pem: &str) -> Option<CertificateSummary> {
    summarize(pem).ok().and_then(|chain| chain.into_iter().next())
}

/// By its name; what cannot be read is nobody's.
fn is_issued_by_another(chain_pem: &str, ca: &Issuer) -> bool {
    match (first_certificate(chain_pem), first_certificate(&ca.certificate_pem())) {
        (Some(leaf), Some(ca)) => leaf.issuer != ca.subject,
        (None, _) | (_, None) => false,
    }
}

/// A host name as a certificate's summary writes it.
fn alternative_name(name: &str) -> String {
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => format!("IP:{address}"),
        Err(_) => format!("DNS:{name}"),
    }
}

fn random_key() -> Secret {
    Secret::new(rand::random::<[u8; KEY_BYTES]>().to_vec())
}

#[cfg(test)]
mod tests;
