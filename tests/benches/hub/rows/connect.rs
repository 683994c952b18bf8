//! Row 4: what a connect costs the server: TCP, a full mutual TLS handshake, CONNECT, CONNACK,
//! DISCONNECT. Beside it the same handshake with nothing around it.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use certs::issue::Issuer;
use model::Clock;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Bench;
use crate::client::{Client, Login};
use crate::fleet;
use crate::process::processor_time;
use crate::report::{Series, headline, microseconds};
use crate::server::Server;

/// Devices that connect at the same time.
const AT_ONCE: usize = 8;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Measures and prints row 4.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 4: mutual TLS 1.3 connect and disconnect, ECDSA P-256, 8 at a time");
    let directory = Bench::directory()?;
    let mut contenders = Vec::new();
    for server in bench.start_all(&directory)? {
        let logins = fleet::enrol(&server, AT_ONCE)?;
        contenders.push((server, logins, Series::default(), Series::default()));
    }
    let Some((_, logins, ..)) = contenders.first() else { return Ok(()) };
    let logins = logins.clone();
    let Some((hub, ..)) = contenders.first() else { return Ok(()) };
    let bare = BareServer::start(hub)?;
    let (mut bare_cost, mut bare_rate) = (Series::default(), Series::default());
    // The bare server's certificate is signed by its own CA.
    let logins: Vec<Login> = logins.into_iter().map(|login| bare.trusted_by(login)).collect::<anyhow::Result<_>>()?;
    for _ in 0..bench.windows {
        for (server, logins, cost, rate) in &mut contenders {
            let id = server.process.id();
            let seen = connects(
                bench.window,
                logins,
                || processor_time(id, None),
                |login| Client::connect(server.address, login).map(Client::disconnect),
            );
            let (each, a_second) = seen.with_context(|| server.kind.to_string())?;
            cost.push(each);
            rate.push(a_second);
        }
        let time = || processor_time(std::process::id(), Some(bare.thread));
        let (each, a_second) =
            connects(bench.window, &logins, time, |login| Client::secure(bare.address, &login.tls).map(Client::disconnect))?;
        bare_cost.push(each);
        bare_rate.push(a_second);
    }
    println!("  {:<14} {:>28} {:>26}", "", "server CPU µs/connect", "connects/s");
    println!("  {:<14} {bare_cost:>28.0} {bare_rate:>26.0}", "bare rustls");
    for (server, _, cost, rate) in &contenders {
        println!("  {:<14} {cost:>28.0} {rate:>26.0}   x {:.2} of bare rustls", server.kind, cost.over(&bare_cost));
    }
    for (hub, _, cost, _) in contenders.iter().filter(|(server, ..)| server.is_hub()) {
        for (other, _, theirs, _) in contenders.iter().filter(|(server, ..)| server.kind != hub.kind) {
            println!("  {} over {}: CPU a connect x {:.2}", hub.kind, other.kind, cost.over(theirs));
        }
    }
    Ok(())
}

/// Connects again and again for `window`; the server's processor time for each, and how many a second.
fn connects(
    window: Duration,
    logins: &[Login],
    server_time: impl Fn() -> anyhow::Result<Duration>,
    connect: impl Fn(&Login) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<(f64, f64)> {
    let (before, begun, connect) = (server_time()?, Instant::now(), &connect);
    let count: u64 = thread::scope(|scope| {
        let again = |login| {
            let mut count = 0;
            while begun.elapsed() < window {
                connect(login)?;
                count += 1;
            }
            anyhow::Ok(count)
        };
        let threads: Vec<_> = logins.iter().map(|login| scope.spawn(move || again(login))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a connecting thread panicked"))?).sum::<anyhow::Result<u64>>()
    })?;
    let elapsed = begun.elapsed();
    // What the server still does for the last of them belongs to them.
    thread::sleep(Duration::from_millis(100));
    let spent = server_time()?.saturating_sub(before);
    Ok((microseconds(spent) / count as f64, count as f64 / elapsed.as_secs_f64()))
}

/// A thread that does handshakes one after another and nothing else.
struct BareServer {
    address: SocketAddr,
    thread: u32,
    ca: String,
    hub: Issuer,
}

impl BareServer {
    fn start(hub: &Server) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let issuer = Issuer::create("bare", clock.now(), DAY)?;
        let pair = issuer.issue_server(&["localhost"], clock.now())?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(hub.issuer.certificate_pem().as_bytes())?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), certs::tls::provider()).build()?;
        let chain = CertificateDer::pem_slice_iter(pair.chain_pem.as_bytes()).collect::<Result<_, _>>()?;
        let mut config = ServerConfig::builder_with_provider(certs::tls::provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes())?)?;
        config.send_tls13_tickets = 0;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (sender, thread) = std::sync::mpsc::channel();
        let config = Arc::new(config);
        thread::spawn(move || {
            let itself = fs::read_link("/proc/thread-self").ok();
            let id = itself.and_then(|path| path.file_name()?.to_str()?.parse::<u32>().ok());
            let _ = sender.send(id);
            for socket in listener.incoming().flatten() {
                serve(socket, &config);
            }
        });
        let thread = thread.recv()?.context("a thread without a number")?;
        let hub = Issuer::from_pem(&hub.issuer.certificate_pem(), &hub.issuer.key_pem())?;
        Ok(Self { address, thread, ca: issuer.certificate_pem(), hub })
    }

    /// `login` with a certificate of the same CA as before, trusting this server.
    fn trusted_by(&self, login: Login) -> anyhow::Result<Login> {
        let identity = model::Identity::device(login.device.parse()?);
        let issued = self.hub.issue_device(&identity, Clock::system().now(), DAY)?;
        let tls = Arc::new(certs::tls::client_config(&self.ca, Some((&issued.chain_pem, &issued.key_pem)))?);
        Ok(Login { tls, ..login })
    }
}

/// To the end of the handshake, and of the connection.
fn serve(mut socket: TcpStream, config: &Arc<ServerConfig>) {
    let Ok(mut tls) = ServerConnection::new(Arc::clone(config)) else { return };
    let _ = Stream::new(&mut tls, &mut socket).read_to_end(&mut Vec::new());
}
