//! TLS configurations: the hub's listeners and our own tools. TLS 1.2 and 1.3, aws-lc-rs.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::possession::PossessionVerifier;
use crate::server_identity::ServerIdentity;

/// Why a TLS configuration cannot be made.
#[derive(Debug, Error)]
pub enum TlsConfigError {
    /// Text that should hold certificates and holds none, or broken ones.
    #[error("{what} holds no usable certificate in PEM")]
    Certificates {
        /// What was read.
        what: &'static str,
    },
    /// Text that should hold a private key.
    #[error("the client key is no private key in PEM")]
    Key,
    /// The TLS library's own objection.
    #[error("the TLS library refuses the configuration")]
    Library(#[source] rustls::Error),
}

/// The one source of cryptography for every handshake.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A listener's configuration: client certificates asked for and not insisted on, no resumption.
///
/// A resumed session would skip the certificate messages and show the certificate of the first
/// handshake. The judge looks at it on every connection all the same; without resumption the
/// possession of the key is fresh, too.
///
/// # Errors
/// [`TlsConfigError::Library`] when the TLS library refuses, which it has no reason to.
pub fn server_config(identity: ServerIdentity, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsConfigError::Library)?
        .with_client_cert_verifier(Arc::new(PossessionVerifier::new()))
        .with_cert_resolver(Arc::new(identity));
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// A client's configuration: trusts exactly the certificates in `ca_pem` and, given a chain and
/// its key in PEM, shows that certificate.
///
/// # Errors
/// [`TlsConfigError`] when a text holds no certificate or key, or the key is another certificate's.
pub fn client_config(ca_pem: &str, client: Option<(&str, &str)>) -> Result<ClientConfig, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca_pem, "the trusted CA")? {
        roots.add(root).map_err(TlsConfigError::Library)?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build().map_err(|_| TlsConfigError::Certificates { what: "the trusted CA" })?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsConfigError::Library)?
        .with_webpki_verifier(verifier);
    match client {
        None => Ok(config.with_no_client_auth()),
        Some((chain_pem, key_pem)) => {
            let chain = certificates(chain_pem, "the client certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| TlsConfigError::Key)?;
            config.with_client_auth_cert(chain, key).map_err(TlsConfigError::Library)
        }
    }
}

fn certificates(text: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    read.ok().filter(|certificates| !certificates.is_empty()).ok_or(TlsConfigError::Certificates { what })
}
