//! From options to a client: which hub, which key, which ports, whom to trust.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use std::{fs, io};

use model::connection_string::{ConnectionString, InvalidConnectionString};
use model::credential::InvalidKey;
use model::{Clock, Secret};
use thiserror::Error;

use super::HubClient;
use crate::data_directory::{DataDirectory, PortsError};

/// Tried in this order when nothing says where the hub listens.
const USUAL_PORTS: [u16; 2] = [443, 8443];
/// How long one connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which hub to speak to, as the user said it.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// A connection string, from the command line or the environment.
    pub connection_string: Option<String>,
    /// The data directory, when one was named.
    pub data_directory: Option<PathBuf>,
    /// The data directory to look into when none was named.
    pub default_data_directory: PathBuf,
    /// The certificate to trust instead of the data directory's.
    pub ca: Option<PathBuf>,
}

/// Why it cannot even be tried to reach a hub.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Neither a connection string nor a data directory that holds one.
    #[error(
        "no hub to talk to: {} cannot be read ({cause}); start one with `isthmus dev --data-dir DIR` and name its DIR with --data-dir, or give --connection-string",
        path.display()
    )]
    NoConnectionString {
        /// Where one was looked for.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A connection string that is not one.
    #[error("{0}; it looks like HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=…")]
    ConnectionString(InvalidConnectionString),
    /// A key that is not one.
    #[error("the SharedAccessKey of the connection string is not usable: {0}")]
    Key(InvalidKey),
    /// The certificate to trust is missing.
    #[error("{} cannot be read ({cause}); name the hub's CA certificate with --ca", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The certificate to trust is not one.
    #[error("{} does not hold a CA certificate: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The list of ports is unusable.
    #[error(transparent)]
    Ports(#[from] PortsError),
}

impl ConnectOptions {
    /// The data directory in force.
    pub fn data_directory(&self) -> DataDirectory {
        DataDirectory::new(self.data_directory.as_ref().unwrap_or(&self.default_data_directory))
    }

    /// Reads what is needed and makes a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`ConnectError`] says what is missing and how to give it.
    pub fn connect(&self, clock: Clock) -> Result<HubClient, ConnectError> {
        let directory = self.data_directory();
        let (connection, from_directory) = self.connection_string(&directory)?;
        let key = Secret::from_base64(&connection.key).map_err(ConnectError::Key)?;
        // A directory that was not named says nothing about the hub of a string that was.
        let directory_is_the_hubs = from_directory || self.data_directory.is_some();
        let bound = if directory_is_the_hubs { directory.ports()?.map(|ports| ports.addresses("https")) } else { None };
        let ca = self.ca.clone().unwrap_or_else(|| directory.server_ca());
        let http = http(&ca, connection.host(), bound.as_deref())?;
        Ok(HubClient {
            http,
            host: connection.host().to_owned(),
            ports: Mutex::new(ports(bound.as_deref(), connection.port())),
            directory: directory_is_the_hubs.then_some(directory),
            answering: AtomicUsize::new(0),
            policy: connection.policy,
            key,
            ca,
            clock,
        })
    }

    fn connection_string(&self, directory: &DataDirectory) -> Result<(ConnectionString, bool), ConnectError> {
        if let Some(text) = &self.connection_string {
            return Ok((text.parse().map_err(ConnectError::ConnectionString)?, false));
        }
        let path = directory.connection_string();
        let text = fs::read_to_string(&path).map_err(|cause| ConnectError::NoConnectionString { path, cause })?;
        Ok((text.trim().parse().map_err(ConnectError::ConnectionString)?, true))
    }
}

fn http(ca: &Path, host: &str, bound: Option<&[SocketAddr]>) -> Result<reqwest::Client, ConnectError> {
    let pem = fs::read_to_string(ca).map_err(|cause| ConnectError::Ca { path: ca.to_owned(), cause })?;
    let not_a_ca = |reason: String| ConnectError::Tls { path: ca.to_owned(), reason };
    let tls = certs::tls::client_config(&pem, None).map_err(|error| not_a_ca(error.to_string()))?;
    let mut builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().connect_timeout(CONNECT_TIMEOUT);
    if let Some(bound) = bound.filter(|bound| !bound.is_empty()) {
        builder = builder.resolve_to_addrs(host, bound);
    }
    builder.build().map_err(|error| not_a_ca(error.to_string()))
}

/// The ports to try.
fn ports(bound: Option<&[SocketAddr]>, named: Option<u16>) -> Vec<u16> {
    match (bound, named) {
        (Some(bound), _) => distinct_ports(bound),
        (None, Some(port)) => vec![port],
        (None, None) => USUAL_PORTS.to_vec(),
    }
}

/// Each port once, in order.
pub(super) fn distinct_ports(bound: &[SocketAddr]) -> Vec<u16> {
    let mut ports = Vec::new();
    for port in bound.iter().map(SocketAddr::port) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_from_the_directory_then_the_string_then_habit() {
        let bound: Vec<SocketAddr> =
            ["127.0.0.1:443", "[::1]:443", "127.0.0.1:8443"].iter().map(|a| a.parse().expect("an address")).collect();
        assert_eq!(ports(Some(&bound), Some(1)), [443, 8443]);
        assert_eq!(ports(Some(&[]), None), Vec::<u16>::new());
        assert_eq!(ports(None, Some(9000)), [9000]);
        assert_eq!(ports(None, None), [443, 8443]);
    }

    #[test]
    fn a_hub_that_came_back_on_another_port_is_found_again() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = DataDirectory::new(root.path());
        let clock = Clock::system();
        let ca = certs::issue::Issuer::create("test", clock.now(), Duration::from_secs(60)).expect("a CA");
        for part in ["trust", "operator"] {
            fs::create_dir(root.path().join(part)).expect("a directory");
        }
        fs::write(directory.server_ca(), ca.certificate_pem()).expect("written");
        fs::write(directory.connection_string(), "HostName=h;SharedAccessKeyName=p;SharedAccessKey=a2V5\n").expect("written");
        let listen = |port: u16| fs::write(root.path().join("ports.json"), format!("{{\"https\":\"127.0.0.1:{port}\"}}")).expect("written");
        listen(1001);
        let options = ConnectOptions { data_directory: Some(root.path().into()), ..ConnectOptions::default() };
        let client = options.connect(clock).expect("a client");
        assert!(!client.ports_have_changed(&[1001]));
        fs::remove_file(root.path().join("ports.json")).expect("removed");
        assert!(!client.ports_have_changed(&[1001]));
        listen(1002);
        assert!(client.ports_have_changed(&[1001]));
        assert_eq!(client.ports(), [1002]);
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let options = ConnectOptions { default_data_directory: directory.path().into(), ..ConnectOptions::default() };
        let error = options.connect(Clock::system()).expect_err("there is nothing");
        assert!(error.to_string().contains("isthmus dev --data-dir"), "{error}");

        let options = ConnectOptions { connection_string: Some("HostName=h".into()), ..options };
        let error = options.connect(Clock::system()).expect_err("there is no key");
        assert!(matches!(error, ConnectError::ConnectionString(_)), "{error}");

        let text = "HostName=h;SharedAccessKeyName=p;SharedAccessKey=a2V5";
        let options = ConnectOptions { connection_string: Some(text.into()), ..options };
        let error = options.connect(Clock::system()).expect_err("there is no CA");
        assert!(error.to_string().contains("--ca"), "{error}");
    }
}
