//! The files that a development hub leaves for its clients, by their stable names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use thiserror::Error;

/// A hub's data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// The directory at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What a client must trust in order to connect.
    pub fn server_ca(&self) -> PathBuf {
        self.0.join("trust").join("ca.pem")
    }

    /// One line: the connection string of the policy `iothubowner`.
    pub fn connection_string(&self) -> PathBuf {
        self.0.join("operator").join("connection-string")
    }

    /// The certificate of the CA that signs device certificates for development.
    pub fn device_ca_certificate(&self) -> PathBuf {
        self.0.join("operator").join("device-ca.pem")
    }

    /// That CA's key.
    pub fn device_ca_key(&self) -> PathBuf {
        self.0.join("operator").join("device-ca.key")
    }

    /// Reads where the listeners are bound. `None` while the hub is not running.
    ///
    /// # Errors
    /// [`PortsError`] when the file is there and cannot be read or understood.
    pub fn ports(&self) -> Result<Option<Ports>, PortsError> {
        let path = self.0.join("ports.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(PortsError::Unreadable { path, cause }),
        };
        serde_json::from_slice(&text).map(Some).map_err(|cause| PortsError::Malformed { path, cause })
    }
}

/// Why `ports.json` tells nothing.
#[derive(Debug, Error)]
pub enum PortsError {
    /// It cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is not an object of addresses.
    #[error("{} does not hold listeners and their addresses: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: serde_json::Error,
    },
}

/// The addresses of the listeners that are on, by name (`mqtt`, `https`, …).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Ports(BTreeMap<String, Addresses>);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(SocketAddr),
    Several(Vec<SocketAddr>),
}

impl Ports {
    /// Where to connect to for `listener`: none when it is off. A listener bound to every
    /// address of the machine is named by the loopback address.
    pub fn addresses(&self, listener: &str) -> Vec<SocketAddr> {
        let bound = match self.0.get(listener) {
            None => &[],
            Some(Addresses::One(address)) => std::slice::from_ref(address),
            Some(Addresses::Several(addresses)) => addresses.as_slice(),
        };
        bound.iter().map(|address| SocketAddr::new(reachable(address.ip()), address.port())).collect()
    }
}

fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_whether_one_or_several() {
        let text = r#"{"mqtt":"127.0.0.1:8883","https":["0.0.0.0:443","[::]:8443"],"metrics":"127.0.0.1:9464"}"#;
        let ports: Ports = serde_json::from_str(text).expect("ports");
        let check = |listener: &str, expected: &[&str]| {
            let expected: Vec<SocketAddr> = expected.iter().map(|a| a.parse().expect("an address")).collect();
            assert_eq!(ports.addresses(listener), expected, "{listener}");
        };
        check("mqtt", &["127.0.0.1:8883"]);
        check("https", &["127.0.0.1:443", "[::1]:8443"]);
        check("kafka", &[]);
    }

    #[test]
    fn a_hub_that_is_not_running_has_no_ports() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDirectory::new(directory.path());
        assert_eq!(data.ports().expect("no file is no error"), None);
        fs::write(directory.path().join("ports.json"), "{\"mqtt\":8883}").expect("written");
        assert!(matches!(data.ports(), Err(PortsError::Malformed { .. })));
    }
}
