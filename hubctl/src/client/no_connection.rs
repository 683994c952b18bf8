//! Why a connection does not come about: the network, or a certificate that is not trusted.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use rustls::{CertificateError, Error as TlsError};
use thiserror::Error;

use super::deepest_reason;

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoConnection {
    /// Nothing answers, or not in time, or not with TLS.
    #[error("{0}")]
    Network(String),
    /// What answers shows a certificate of a CA that is not trusted.
    #[error("no CA in {} has signed its certificate", ca.display())]
    UnknownIssuer {
        /// The file of the CAs that are.
        ca: PathBuf,
    },
    /// What answers shows a certificate that is no good for another reason: its time, its names.
    #[error("its certificate is refused: {0}")]
    Certificate(String),
}

impl NoConnection {
    /// The reason of one more address, unless what is known tells more: somebody answered.
    pub(super) fn or_of(self, error: &(dyn StdError + 'static), ca: &Path) -> Self {
        match (&self, Self::of(error, ca)) {
            (Self::UnknownIssuer { .. } | Self::Certificate(_), Self::Network(_)) => self,
            (_, another) => another,
        }
    }

    fn of(error: &(dyn StdError + 'static), ca: &Path) -> Self {
        match refused_certificate(error) {
            // A bad signature is what comes of another CA with the same name.
            Some(CertificateError::UnknownIssuer | CertificateError::BadSignature) => Self::UnknownIssuer { ca: ca.to_owned() },
            Some(refused) => Self::Certificate(refused.to_string()),
            None => Self::Network(deepest_reason(error)),
        }
    }
}

/// What the TLS library has against the certificate, if that is what went wrong.
fn refused_certificate<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a CertificateError> {
    if let Some(TlsError::InvalidCertificate(refused)) = error.downcast_ref() {
        return Some(refused);
    }
    // An error of the system that wraps another one is not its source but holds it.
    let held = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref()).map(|held| held as &(dyn StdError + 'static));
    held.or_else(|| error.source()).and_then(refused_certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: TlsError) -> NoConnection {
        NoConnection::of(&io::Error::other(io::Error::other(error)), Path::new("ca.pem"))
    }

    #[test]
    fn a_certificate_is_told_from_the_network() {
        for unknown in [CertificateError::UnknownIssuer, CertificateError::BadSignature] {
            let told = of(TlsError::InvalidCertificate(unknown)).to_string();
            assert_eq!(told, "no CA in ca.pem has signed its certificate");
        }
        assert_eq!(of(TlsError::InvalidCertificate(CertificateError::Expired)), NoConnection::Certificate("Expired".into()));
        assert_eq!(of(TlsError::DecryptError), NoConnection::Network(TlsError::DecryptError.to_string()));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(NoConnection::of(&refused, Path::new("ca.pem")), NoConnection::Network("connection refused".into()));
    }

    #[test]
    fn who_answers_with_a_certificate_is_told_whatever_other_addresses_do() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let ca = Path::new("ca.pem");
        let unknown = of(TlsError::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(unknown.clone().or_of(&refused, ca), unknown);
        let nothing = NoConnection::Network("nothing".into());
        assert_eq!(nothing.or_of(&refused, ca), NoConnection::Network("connection refused".into()));
    }
}
