//! A hub in a process of its own, as an operator starts it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::certificates::DeviceCa;
use super::deadline::{SOON, wait_for};
use super::service::Service;

/// Small segments, so that tests cross their borders and starts are quick.
const CONFIGURATION: &str = r#"[listeners]
https_where_possible = "off"
[event_log]
segment_size = "4 MiB"
staged_max = "4 MiB"
tail_max = "1 MiB"
"#;

/// Where the hub listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// MQTT over TLS.
    pub(crate) mqtt: SocketAddr,
    /// The service API.
    pub(crate) https: SocketAddr,
    /// Kafka over TLS.
    pub(crate) kafka: SocketAddr,
    /// Metrics and health.
    pub(crate) metrics: SocketAddr,
}

impl Ports {
    /// Whichever are free.
    const ANY: Self = {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { mqtt: any, https: any, kafka: any, metrics: any }
    };
}

/// A hub that did not start.
#[derive(Debug)]
pub(crate) struct NotStarted {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it said.
    pub(crate) log: String,
}

/// A hub's process with its data directory.
///
/// Dropped while it runs, it must not have panicked, and is killed.
pub(crate) struct HubProcess {
    /// Holds the log; and the data, unless they lie elsewhere.
    scratch: TempDir,
    data_dir: PathBuf,
    child: Option<Child>,
    ports: Ports,
}

impl HubProcess {
    /// A new hub.
    pub(crate) fn start() -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let data_dir = scratch.path().join("data");
        Self::prepared(scratch, data_dir).started()
    }

    /// A hub whose data lie at `data_dir`, which may hold what an earlier hub left.
    pub(crate) fn at(data_dir: &Path) -> Self {
        Self::not_started_at(data_dir).started()
    }

    /// The same, to be started with [`HubProcess::try_start`].
    pub(crate) fn not_started_at(data_dir: &Path) -> Self {
        Self::prepared(tempfile::tempdir().expect("a directory"), data_dir.to_owned())
    }

    /// Prepares `data_dir` for a hub that is configured with `more` beside what tests always set.
    pub(crate) fn configure(data_dir: &Path, more: &str) {
        fs::create_dir_all(data_dir).expect("the data directory");
        fs::write(data_dir.join("isthmus.toml"), [CONFIGURATION, more].concat()).expect("the configuration");
    }

    fn prepared(scratch: TempDir, data_dir: PathBuf) -> Self {
        fs::create_dir_all(&data_dir).expect("the data directory");
        let configuration = data_dir.join("isthmus.toml");
        if !configuration.exists() {
            fs::write(configuration, CONFIGURATION).expect("the configuration");
        }
        Self { scratch, data_dir, child: None, ports: Ports::ANY }
    }

    fn started(mut self) -> Self {
        self.restart();
        self
    }

    /// Starts again on the same data, and on the same ports for MQTT and HTTPS. The process before must have ended.
    ///
    /// # Panics
    /// When the hub does not start.
    pub(crate) fn restart(&mut self) {
        self.try_start(&[]).unwrap_or_else(|ended| panic!("the hub did not start: {}\n{}", ended.status, ended.log));
    }

    /// The same on any ports: between the two, somebody else may have taken the old ones.
    ///
    /// # Panics
    /// When the hub does not start.
    pub(crate) fn restart_elsewhere(&mut self) {
        self.ports = Ports::ANY;
        self.restart();
    }

    /// Starts under `wrapper`, a command and its arguments that ends in becoming what follows it.
    ///
    /// # Errors
    /// [`NotStarted`] when the process ends before it listens.
    pub(crate) fn try_start(&mut self, wrapper: &[OsString]) -> Result<(), NotStarted> {
        assert!(self.child.is_none(), "the hub is running");
        let ports_file = self.data_dir.join("ports.json");
        // A hub that was killed has left its own.
        let _ = fs::remove_file(&ports_file);
        self.child = Some(self.command(wrapper).spawn().expect("the isthmus binary"));
        let started = wait_for("a hub that listens", 3 * SOON, || match fs::read(&ports_file) {
            Ok(text) => Some(Ok(read_ports(&text))),
            Err(_) => self.exited().map(Err),
        });
        match started {
            Ok(ports) => {
                self.ports = ports;
                Ok(())
            }
            Err(status) => Err(NotStarted { status, log: self.log() }),
        }
    }

    /// Starts where another hub runs; gives how it was refused.
    pub(crate) fn refused_start(&mut self) -> NotStarted {
        self.child = Some(self.command(&[]).spawn().expect("the isthmus binary"));
        let status = self.wait();
        NotStarted { status, log: self.log() }
    }

    fn command(&self, wrapper: &[OsString]) -> Command {
        let binary = binary("isthmus").into_os_string();
        let words: Vec<&OsString> = wrapper.iter().chain([&binary]).collect();
        let (program, arguments) = words.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(arguments).arg("dev").arg("--data-dir").arg(&self.data_dir).args(["--log-format", "json"]);
        // Those that clients of a test keep through a restart stay; the others might be taken by now.
        let Ports { mqtt, https, .. } = self.ports;
        let Ports { kafka, metrics, .. } = Ports::ANY;
        for (name, address) in [("mqtt", mqtt), ("https", https), ("kafka", kafka), ("metrics", metrics)] {
            command.arg("--listen").arg(format!("{name}={address}"));
        }
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).env("RUST_BACKTRACE", "1");
        command
    }

    /// How the process ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("a child of ours");
        if status.is_some() {
            self.child = None;
        }
        status
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the hub", 2 * SOON, || self.exited())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// SIGTERM, without waiting for its effect.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGHUP, without waiting for its effect.
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill");
        assert!(sent.success(), "SIG{name} to {pid}");
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running hub").id()
    }

    /// Where it listens.
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// Where it keeps everything.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The certificate that clients trust.
    pub(crate) fn server_ca_pem(&self) -> String {
        fs::read_to_string(self.data_dir.join("trust/ca.pem")).expect("the server CA")
    }

    /// The CA whose device certificates the hub accepts.
    pub(crate) fn device_ca(&self) -> DeviceCa {
        DeviceCa::of_hub(&self.data_dir)
    }

    /// The service API with every right.
    pub(crate) fn service(&self) -> Service {
        Service::of(self)
    }

    /// What it has logged since its first start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// Lines of the log that hold all of `parts`.
    pub(crate) fn logged(&self, parts: &[&str]) -> usize {
        self.log().lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// Status of `/healthz`.
    pub(crate) fn health(&self) -> u16 {
        self.try_scrape("/healthz").unwrap_or_else(|error| panic!("/healthz: {error}\n{}", self.log())).0
    }

    /// The value of a metric, given with its labels as it is exposed.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.try_metric(name).unwrap_or_else(|error| panic!("/metrics: {error}\n{}", self.log()))
    }

    /// The same, of a hub that may be gone.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn try_metric(&self, name: &str) -> std::io::Result<f64> {
        let (status, text) = self.try_scrape("/metrics")?;
        assert_eq!(status, 200, "{text}");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        Ok(value.unwrap_or_else(|| panic!("{name} is not in\n{text}")))
    }

    /// Status and body of a request to the metrics listener.
    fn try_scrape(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut socket = TcpStream::connect_timeout(&self.ports.metrics, SOON)?;
        socket.set_read_timeout(Some(SOON))?;
        write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Ok((status, body.to_owned()))
    }

    /// Runs and has not panicked.
    ///
    /// # Panics
    /// When it does not, or has.
    pub(crate) fn assert_sound(&mut self) {
        let ended = self.exited();
        assert!(ended.is_none(), "the hub ended: {ended:?}\n{}", self.log());
        assert_eq!(self.metric("isthmus_panics_total"), 0.0, "{}", self.log());
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        if failing {
            eprintln!("--- the log of the hub in {}\n{}---", self.data_dir.display(), last_lines(&self.log(), 60));
        }
        if self.child.is_some() && !failing {
            self.assert_sound();
        }
        self.kill();
        let panicked = self.log().contains("panicked at");
        assert!(failing || !panicked, "the hub panicked:\n{}", self.log());
    }
}

/// The signal that ended a process.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// A binary of this workspace: in `$ISTHMUS_BIN`, or where this test was built.
pub(crate) fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("ISTHMUS_BIN").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("this test's path");
        // target/PROFILE/deps/it-HASH
        test.ancestors().nth(2).expect("the profile's folder").to_owned()
    });
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there; build it with: cargo build --workspace --bins", path.display());
    path
}

fn read_ports(text: &[u8]) -> Ports {
    let ports: serde_json::Value = serde_json::from_slice(text).expect("ports.json appears whole");
    let read = |name: &str| ports[name].as_str().and_then(|address| address.parse().ok()).expect(name);
    Ports { mqtt: read("mqtt"), https: read("https"), kafka: read("kafka"), metrics: read("metrics") }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines[skipped..].iter().map(|line| format!("{line}\n")).collect()
}
