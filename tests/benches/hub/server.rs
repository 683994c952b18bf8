//! The servers that are compared, each with certificates of its own.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use certs::issue::Issuer;
use hubctl::DataDirectory;
use model::Clock;

use crate::process::Process;

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
const NGINX: &str = "/usr/sbin/nginx";
const RUMQTTD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/target/release/rumqttd-peer");
/// How long the certificates of peers are valid.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours, from this folder of binaries, by this name in reports.
    Isthmus {
        binaries: PathBuf,
        name: &'static str,
    },
    Mosquitto,
    Rumqttd,
    /// Answers every request with 204 and does nothing else.
    Nginx,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Isthmus { name, .. } => name,
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
            Self::Nginx => "nginx",
        })
    }
}

impl Kind {
    fn program(&self) -> PathBuf {
        match self {
            Self::Isthmus { binaries, .. } => binaries.join("isthmus"),
            Self::Mosquitto => MOSQUITTO.into(),
            Self::Rumqttd => RUMQTTD.into(),
            Self::Nginx => NGINX.into(),
        }
    }

    /// What to do about it when the program is not there.
    pub(crate) fn missing(&self) -> Option<String> {
        let program = self.program();
        let remedy = match self {
            Self::Isthmus { .. } => "cargo build --release -p gateway",
            Self::Mosquitto => "apt install mosquitto",
            Self::Rumqttd => "cargo build --release --manifest-path tests/peers/Cargo.toml",
            Self::Nginx => "apt install nginx-light",
        };
        (!program.exists()).then(|| format!("{} is not there: {remedy}", program.display()))
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) process: Process,
    /// Where it speaks MQTT over TLS; nginx speaks HTTPS there.
    pub(crate) address: SocketAddr,
    /// Signs the certificates of its devices.
    pub(crate) issuer: Issuer,
    /// What its devices must trust.
    pub(crate) server_ca: String,
    /// Where the hub keeps its data.
    pub(crate) directory: PathBuf,
}

impl Server {
    /// Starts `kind` in the new directory `directory` and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(kind: Kind, directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let server = match kind {
            Kind::Isthmus { .. } => Self::start_hub(kind.clone(), directory),
            Kind::Mosquitto | Kind::Rumqttd | Kind::Nginx => Self::start_peer(kind.clone(), directory),
        };
        server.with_context(|| format!("{kind}: see {}", log_of(directory).display()))
    }

    fn start_hub(kind: Kind, directory: &Path) -> anyhow::Result<Self> {
        let data = DataDirectory::new(directory.join("data"));
        let arguments = ["dev", "--data-dir", path(data.path())?, "--listen", "mqtt=127.0.0.1:0", "--listen", "https=127.0.0.1:0"];
        let arguments: Vec<_> = arguments.into_iter().chain(["--listen", "metrics=127.0.0.1:0", "--listen", "kafka=127.0.0.1:0"]).collect();
        let mut process = Process::start(&kind.program(), &arguments, &log_of(directory))?;
        process.wait_until(|| matches!(data.ports(), Ok(Some(_))))?;
        let address = listener(&data, "mqtt")?;
        let issuer = Issuer::from_pem(&fs::read_to_string(data.device_ca_certificate())?, &fs::read_to_string(data.device_ca_key())?)?;
        Ok(Self { kind, process, address, issuer, server_ca: fs::read_to_string(data.server_ca())?, directory: data.path().to_owned() })
    }

    fn start_peer(kind: Kind, directory: &Path) -> anyhow::Result<Self> {
        let issuer = Issuer::create("peers", Clock::system().now(), DAY)?;
        let server = issuer.issue_server(&["localhost"], Clock::system().now())?;
        let [ca, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(|name| directory.join(name));
        fs::write(&ca, issuer.certificate_pem())?;
        fs::write(&certificate, &server.chain_pem)?;
        fs::write(&key, server.key_pem.as_bytes())?;
        let address = free_address()?;
        let arguments = match kind {
            Kind::Isthmus { .. } | Kind::Rumqttd => {
                vec![address.to_string(), path(&ca)?.into(), path(&certificate)?.into(), path(&key)?.into()]
            }
            Kind::Mosquitto => {
                let configuration = directory.join("mosquitto.conf");
                fs::write(&configuration, mosquitto_configuration(address, directory))?;
                vec!["-c".to_owned(), path(&configuration)?.into()]
            }
            Kind::Nginx => {
                let configuration = directory.join("nginx.conf");
                fs::write(&configuration, nginx_configuration(address, directory))?;
                vec!["-p".to_owned(), path(directory)?.into(), "-e".into(), "stderr".into(), "-c".into(), path(&configuration)?.into()]
            }
        };
        let mut process = Process::start(&kind.program(), &arguments, &log_of(directory))?;
        process.wait_until(|| TcpStream::connect(address).is_ok())?;
        let server_ca = issuer.certificate_pem();
        Ok(Self { kind, process, address, issuer, server_ca, directory: directory.to_owned() })
    }

    /// Whether it is the hub.
    pub(crate) fn is_hub(&self) -> bool {
        matches!(self.kind, Kind::Isthmus { .. })
    }

    /// Where it speaks HTTPS.
    ///
    /// # Errors
    /// When it does not, or has stopped.
    pub(crate) fn https_address(&self) -> anyhow::Result<SocketAddr> {
        match self.kind {
            Kind::Isthmus { .. } => listener(&DataDirectory::new(&self.directory), "https"),
            Kind::Nginx => Ok(self.address),
            Kind::Mosquitto | Kind::Rumqttd => bail!("{} speaks no HTTPS", self.kind),
        }
    }

    /// Where the hub answers `/metrics`.
    ///
    /// # Errors
    /// When it has stopped.
    pub(crate) fn metrics_address(&self) -> anyhow::Result<SocketAddr> {
        ensure!(self.is_hub(), "only the hub has metrics");
        listener(&DataDirectory::new(&self.directory), "metrics")
    }
}

/// Everything that slows it down and that may be switched off is off.
fn mosquitto_configuration(address: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "user root\nlistener {} {}\nset_tcp_nodelay true\npersistence false\nallow_anonymous true\n\
         max_inflight_messages 1000\nmax_queued_messages 0\nlog_type error\n\
         cafile {directory}/ca.pem\ncertfile {directory}/server.pem\nkeyfile {directory}/server.key\nrequire_certificate true\n",
        address.port(),
        address.ip(),
    )
}

/// One process and thread, so that none of its time is missed and none goes to waking others; no
/// log, no limit on what a connection may ask, bodies read and thrown away.
fn nginx_configuration(address: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {directory}/{name}; "));
    format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 1h; {}\n\
         server {{ listen {address} ssl http2; server_name localhost;\n\
         ssl_certificate {directory}/server.pem; ssl_certificate_key {directory}/server.key;\n\
         ssl_client_certificate {directory}/ca.pem; ssl_verify_client on;\n\
         ssl_protocols TLSv1.3; ssl_session_tickets off;\n\
         location / {{ return 204; }} }} }}\n",
        paths.concat(),
    )
}

fn log_of(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Where the hub of `data` listens for `name`.
///
/// # Errors
/// When it does not, or has stopped.
pub(crate) fn listener(data: &DataDirectory, name: &str) -> anyhow::Result<SocketAddr> {
    let ports = data.ports()?.context("the hub has stopped")?;
    ports.addresses(name).first().copied().with_context(|| format!("{name} is off"))
}

/// An address that nobody listens on at the moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
