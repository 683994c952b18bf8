//! Certificates of devices, and the TLS configurations that show them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certs::issue::{CertifiedKeyPem, Issuer, self_signed};
use model::{Clock, Thumbprint};
use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A CA that may sign for devices once it is enrolled.
pub(crate) struct DeviceCa(Issuer);

impl DeviceCa {
    /// The one that a development hub has enrolled for itself.
    pub(crate) fn of_hub(data_dir: &Path) -> Self {
        let read = |name: &str| std::fs::read_to_string(data_dir.join("operator").join(name)).expect(name);
        Self(Issuer::from_pem(&read("device-ca.pem"), &read("device-ca.key")).expect("the device CA"))
    }

    /// One that no hub knows.
    pub(crate) fn create(common_name: &str) -> Self {
        Self(Issuer::create(common_name, Clock::system().now(), LIFETIME).expect("a CA"))
    }

    /// Its certificate.
    pub(crate) fn certificate_pem(&self) -> String {
        self.0.certificate_pem().to_string()
    }

    /// A certificate for `device` or `device/module`.
    pub(crate) fn issue(&self, identity: &str) -> CertifiedKeyPem {
        let identity = identity.parse().expect("an identity");
        self.0.issue_device(&identity, Clock::system().now(), LIFETIME).expect("a certificate")
    }
}

/// A certificate to be registered by its thumbprint.
pub(crate) fn without_ca(identity: &str) -> CertifiedKeyPem {
    self_signed(&identity.parse().expect("an identity"), Clock::system().now(), LIFETIME).expect("a certificate")
}

/// SHA-256 of the first certificate in `pem`, as the registry takes it.
pub(crate) fn thumbprint(pem: &str) -> String {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM");
    let thumbprint: Thumbprint = certs::thumbprint::sha256(&certificate);
    thumbprint.to_string()
}

/// The same with TLS 1.2 and nothing else, as the Python SDK speaks it.
pub(crate) fn client_tls12(server_ca_pem: &str, certificate: &CertifiedKeyPem) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server_ca_pem.as_bytes()).expect("the CA")).expect("a root");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes()).map(|der| der.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("a key");
    let config = ClientConfig::builder_with_provider(certs::tls::provider()).with_protocol_versions(&[&TLS12]).expect("TLS 1.2");
    Arc::new(config.with_root_certificates(roots).with_client_auth_cert(chain, key).expect("a client certificate"))
}

/// A client that trusts `server_ca_pem` and shows `certificate`, if it has one.
pub(crate) fn client_tls(server_ca_pem: &str, certificate: Option<&CertifiedKeyPem>) -> Arc<ClientConfig> {
    let shown = certificate.map(|certified| (certified.chain_pem.as_str(), certified.key_pem.as_str()));
    Arc::new(certs::tls::client_config(server_ca_pem, shown).expect("a TLS configuration"))
}
