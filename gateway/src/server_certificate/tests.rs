use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use certs::issue::{CertifiedKeyPem, Issuer};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Issued certificates are valid so long.
const SERVER_LIFETIME: Duration = Duration::from_secs(820 * 24 * 3600);

/// A directory with a certificate and a key, and the CA they are from.
struct Fixture {
    directory: tempfile::TempDir,
    ca: Issuer,
    clock: Clock,
    metrics: Metrics,
}

impl Fixture {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::parse_rfc3339("2026-01-31T12:00:00Z").expect("a date"));
        let ca = Issuer::create("test", clock.now(), 4 * SERVER_LIFETIME).expect("a CA");
        let fixture = Self { directory: tempfile::tempdir().expect("a directory"), ca, clock, metrics: Metrics::new() };
        fixture.write(&fixture.issued_in(Duration::ZERO));
        fixture
    }

    /// A certificate of a time to come.
    fn issued_in(&self, delay: Duration) -> CertifiedKeyPem {
        self.ca.issue_server(&["localhost"], self.clock.now().saturating_add(delay)).expect("a certificate")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, issued: &CertifiedKeyPem) {
        write_pair(self.directory.path(), issued);
    }

    fn certificate_in(&self, directory: &Path) -> ServerCertificate {
        let source = PairSource { certificate: directory.join("server.pem"), key: KeySource::File(directory.join("server.key")) };
        let pair = source.read().expect("a pair");
        let settings = TlsSettings { source, pair };
        ServerCertificate::load(settings, None, self.clock.clone(), self.metrics.clone()).expect("a good pair")
    }

    fn certificate(&self) -> ServerCertificate {
        self.certificate_in(self.directory.path())
    }

    fn not_after_in(&self, delay: Duration) -> Timestamp {
        let milliseconds = self.clock.now().saturating_add(delay + SERVER_LIFETIME).as_seconds() * 1000;
        Timestamp::from_milliseconds(milliseconds)
    }

    /// Renewals and refusals so far.
    fn counts(&self) -> [u64; 2] {
        let mut text = String::new();
        self.metrics.encode(&mut text).expect("text");
        ["renewals", "refusals"].map(|name| {
            let name = format!("isthmus_server_certificate_{name}_total ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).expect("a count")
        })
    }
}

fn write_key(path: &Path, key_pem: &str) {
    fs::write(path, key_pem).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("private");
}

fn write_pair(directory: &Path, issued: &CertifiedKeyPem) {
    fs::create_dir_all(directory).expect("a directory");
    fs::write(directory.join("server.pem"), &issued.chain_pem).expect("written");
    write_key(&directory.join("server.key"), &issued.key_pem);
}

/// Lets so many looks pass, and whatever they do. The clock is tokio's, and paused: it goes on only
/// when nothing else does.
async fn looks(count: u32) {
    tokio::time::sleep(count * LOOK_INTERVAL).await;
}

/// A task that looks until it is dropped, offset so that [`looks`] ends between two of them.
async fn running(certificate: ServerCertificate) -> (ServerIdentity, Arc<Notify>, Drain) {
    let (identity, asked, drain) = (certificate.identity(), Arc::new(Notify::new()), Drain::new());
    drain.spawn(certificate.run(Arc::clone(&asked), drain.clone()));
    tokio::time::sleep(LOOK_INTERVAL / 2).await;
    (identity, asked, drain)
}

#[tokio::test(start_paused = true)]
async fn a_new_pair_is_shown_within_a_minute_and_an_old_one_is_not_shown_anew() {
    let fixture = Fixture::new();
    let (identity, _asked, drain) = running(fixture.certificate()).await;
    looks(3).await;
    assert_eq!((fixture.counts(), identity.not_after()), ([0, 0], fixture.not_after_in(Duration::ZERO)));

    fixture.write(&fixture.issued_in(DAY / 2));
    looks(1).await;
    assert_eq!((fixture.counts(), identity.not_after()), ([1, 0], fixture.not_after_in(DAY / 2)));
    looks(3).await;
    assert_eq!(fixture.counts(), [1, 0]);

    drain.begin(Duration::from_secs(1));
    assert_eq!(drain.finished().await, 0, "it ends with the hub");
}

#[tokio::test(start_paused = true)]
async fn files_are_found_however_they_were_put_in_place() {
    let fixture = Fixture::new();
    // As Kubernetes mounts a secret: links through one that is swapped.
    for (version, delay) in [("v1", DAY / 4), ("v2", DAY / 2)] {
        write_pair(&fixture.path(version), &fixture.issued_in(delay));
    }
    let mounted = fixture.path("mounted");
    fs::create_dir(&mounted).expect("a directory");
    symlink(fixture.path("v1"), mounted.join("..data")).expect("a link");
    for name in ["server.pem", "server.key"] {
        symlink(Path::new("..data").join(name), mounted.join(name)).expect("a link");
    }
    let (identity, _asked, _drain) = running(fixture.certificate_in(&mounted)).await;
    symlink(fixture.path("v2"), mounted.join("..new")).expect("a link");
    fs::rename(mounted.join("..new"), mounted.join("..data")).expect("swapped");
    looks(1).await;
    assert_eq!(identity.not_after(), fixture.not_after_in(DAY / 2), "swapped");

    // As certbot does: links in a directory, each to a file of its own that is new.
    for name in ["server.pem", "server.key"] {
        fs::remove_file(mounted.join(name)).expect("removed");
        symlink(fixture.path("v1").join(name), mounted.join(name)).expect("a link");
    }
    looks(1).await;
    assert_eq!(identity.not_after(), fixture.not_after_in(DAY / 4), "linked");

    write_pair(&fixture.path("staged"), &fixture.issued_in(DAY / 3));
    for name in ["server.pem", "server.key"] {
        fs::rename(fixture.path("staged").join(name), mounted.join(name)).expect("renamed");
    }
    looks(1).await;
    assert_eq!(identity.not_after(), fixture.not_after_in(DAY / 3), "renamed");
    assert_eq!(fixture.counts(), [3, 0]);
}

#[tokio::test(start_paused = true)]
async fn half_a_pair_is_refused_once_and_taken_up_when_the_other_half_is_there() {
    let fixture = Fixture::new();
    let (identity, _asked, _drain) = running(fixture.certificate()).await;
    let next = fixture.issued_in(DAY / 2);
    fs::write(fixture.path("server.pem"), &next.chain_pem).expect("written");
    looks(5).await;
    assert_eq!((fixture.counts(), identity.not_after()), ([0, 1], fixture.not_after_in(Duration::ZERO)));

    fs::remove_file(fixture.path("server.key")).expect("removed");
    looks(5).await;
    assert_eq!(fixture.counts(), [0, 2], "another reason is told, too, once");

    write_key(&fixture.path("server.key"), &next.key_pem);
    looks(1).await;
    assert_eq!((fixture.counts(), identity.not_after()), ([1, 2], fixture.not_after_in(DAY / 2)));
}

#[tokio::test]
async fn whoever_asks_for_a_look_is_answered_each_time() {
    let fixture = Fixture::new();
    let mut certificate = fixture.certificate();
    fs::write(fixture.path("server.pem"), fixture.issued_in(DAY / 2).chain_pem).expect("written");
    for occasion in [Occasion::Minute, Occasion::Minute, Occasion::Asked, Occasion::Asked] {
        certificate.look(occasion).await;
    }
    assert_eq!(fixture.counts(), [0, 3]);
}

#[test]
fn a_pair_that_clients_could_not_use_is_refused_with_its_reason() {
    let fixture = Fixture::new();
    let certificate = fixture.certificate();
    let (keeper, shown) = (&certificate.keeper, certificate.shown);
    let not_after = keeper.identity.not_after();
    let good = fixture.issued_in(DAY / 2);
    let (half, _) = good.chain_pem.split_at(good.chain_pem.len() / 2);
    let expired = fixture.ca.issue_server(&["localhost"], Timestamp::parse_rfc3339("2020-01-01T00:00:00Z").expect("a date"));
    let expired = expired.expect("a certificate");
    let early = fixture.issued_in(3 * DAY);
    let large = "\n".repeat(2 << 20);
    for (chain_pem, key_pem, mode, reason) in [
        (half, good.key_pem.as_str(), 0o600, "no chain of certificates"),
        ("", good.key_pem.as_str(), 0o600, "no chain of certificates"),
        (good.chain_pem.as_str(), "", 0o600, "no private key"),
        (good.chain_pem.as_str(), expired.key_pem.as_str(), 0o600, "does not belong to the server certificate"),
        (expired.chain_pem.as_str(), expired.key_pem.as_str(), 0o600, "expired at 2022-"),
        (early.chain_pem.as_str(), early.key_pem.as_str(), 0o600, "is not valid before 2026-02-02"),
        (good.chain_pem.as_str(), good.key_pem.as_str(), 0o640, "may be read by others"),
        (large.as_str(), good.key_pem.as_str(), 0o600, "more than 1 MiB"),
    ] {
        fs::write(fixture.path("server.pem"), chain_pem).expect("written");
        write_key(&fixture.path("server.key"), key_pem);
        fs::set_permissions(fixture.path("server.key"), fs::Permissions::from_mode(mode)).expect("mode");
        let refused = keeper.take_up(shown).expect_err(reason);
        assert!(refused.reason.contains(reason), "{reason} is not in {refused:?}");
        assert_eq!(keeper.identity.not_after(), not_after, "the old one stays");
    }
    fixture.write(&good);
    assert!(matches!(keeper.take_up(shown), Ok(Some(_))));
}

#[test]
fn a_key_from_the_environment_is_the_one_of_the_start() {
    let fixture = Fixture::new();
    let issued = fixture.issued_in(Duration::ZERO);
    fixture.write(&issued);
    let source = PairSource { certificate: fixture.path("server.pem"), key: KeySource::Environment(issued.key_pem.clone()) };
    let pair = source.read().expect("a pair");
    let loaded = ServerCertificate::load(TlsSettings { source, pair }, None, fixture.clock.clone(), Metrics::new());
    let certificate = loaded.expect("a good pair");
    // With an intermediate or the root beside it, the same key serves on.
    fs::write(fixture.path("server.pem"), [issued.chain_pem, fixture.ca.certificate_pem()].concat()).expect("written");
    assert!(matches!(certificate.keeper.take_up(certificate.shown), Ok(Some(_))));
    fixture.write(&fixture.issued_in(DAY / 2));
    assert!(certificate.keeper.take_up(certificate.shown).is_err_and(|refused| refused.reason.contains("does not belong")));
}

/// A development hub's certificate in a directory that has nothing yet.
fn development_certificate(directory: &Path, clock: &Clock) -> ServerCertificate {
    let home = DevHome::new(directory, &["hub.example".to_owned()], clock.clone());
    home.prepare().expect("prepared");
    let [certificate, key] = ["trust/server.pem", "trust/server.key"].map(|name| directory.join(name));
    let source = PairSource { certificate, key: KeySource::File(key) };
    let pair = source.read().expect("a pair");
    let loaded = ServerCertificate::load(TlsSettings { source, pair }, Some(home), clock.clone(), Metrics::new());
    loaded.expect("a good pair")
}

fn development_ca(directory: &Path) -> Issuer {
    let [certificate, key] = ["trust/ca.pem", "trust/ca.key"].map(|name| fs::read_to_string(directory.join(name)).expect("there"));
    Issuer::from_pem(&certificate, &key).expect("a CA")
}

#[test]
fn a_development_hub_issues_its_certificate_anew_while_it_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(Timestamp::parse_rfc3339("2026-01-31T12:00:00Z").expect("a date"));
    let certificate = development_certificate(directory.path(), &clock);
    let (keeper, first_end) = (&certificate.keeper, certificate.keeper.identity.not_after());

    clock.advance(SERVER_LIFETIME - RENEWAL_MARGIN - DAY);
    assert_eq!(keeper.take_up(certificate.shown), Ok(None), "it has time left");
    clock.advance(2 * DAY);
    let renewed = keeper.take_up(certificate.shown).expect("renewed").expect("another");
    assert!(keeper.identity.not_after() > first_end);
    assert_eq!(keeper.take_up(renewed), Ok(None), "once");
}

/// Of a renewal that a full disk cuts short the new key is there, and the certificate is the old one.
#[test]
fn half_a_renewal_of_a_development_hub_is_completed_while_it_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(Timestamp::parse_rfc3339("2026-01-31T12:00:00Z").expect("a date"));
    let certificate = development_certificate(directory.path(), &clock);
    let (keeper, first_end) = (&certificate.keeper, certificate.keeper.identity.not_after());
    clock.advance(SERVER_LIFETIME - DAY);
    let cut_short = development_ca(directory.path()).issue_server(&["hub.example"], clock.now()).expect("a certificate");
    write_key(&directory.path().join("trust/server.key"), &cut_short.key_pem);

    assert!(matches!(keeper.take_up(certificate.shown), Ok(Some(_))));
    assert!(keeper.identity.not_after() > first_end);
}

#[test]
fn a_development_hub_that_cannot_renew_says_why_and_takes_up_what_somebody_else_puts_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(Timestamp::parse_rfc3339("2026-01-31T12:00:00Z").expect("a date"));
    let certificate = development_certificate(directory.path(), &clock);
    let (keeper, shown) = (&certificate.keeper, certificate.shown);
    clock.advance(SERVER_LIFETIME - DAY);
    let by_hand = development_ca(directory.path()).issue_server(&["hub.example"], clock.now()).expect("a certificate");
    fs::remove_file(directory.path().join("trust/ca.key")).expect("removed");
    for half_written in [false, true] {
        if half_written {
            write_key(&directory.path().join("trust/server.key"), &by_hand.key_pem);
        }
        let refused = keeper.take_up(shown).expect_err("not renewed");
        assert!(refused.reason.contains("ca.pem is there and its key is not"), "{refused:?}");
    }
    write_pair(&directory.path().join("trust"), &by_hand);
    assert!(matches!(keeper.take_up(shown), Ok(Some(_))));
}

#[test]
fn an_end_is_warned_of_once_a_day_from_a_fortnight_before_it() {
    let fixture = Fixture::new();
    let mut certificate = fixture.certificate();
    let mut warned = |after: Duration| {
        fixture.clock.advance(after);
        let before = certificate.warned;
        certificate.warn_of_end();
        certificate.warned != before
    };
    assert!(!warned(Duration::ZERO));
    assert!(!warned(SERVER_LIFETIME - 14 * DAY - DAY / 24));
    assert!(warned(DAY / 12));
    assert!(!warned(DAY / 2));
    assert!(!warned(DAY / 4));
    assert!(warned(DAY / 4));
    assert!(warned(20 * DAY), "also once it has ended");
}

#[test]
fn a_short_life_is_warned_of_when_a_third_of_it_is_left() {
    let start = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a date");
    for (life, quiet, told) in [(90, 75, 77), (47, 32, 34), (42, 27, 29), (6, 3, 5)] {
        let validity = Validity { not_before: start, not_after: start.saturating_add(life * DAY) };
        assert!(!ends_soon(validity, start.saturating_add(quiet * DAY)), "{life} days, after {quiet}");
        assert!(ends_soon(validity, start.saturating_add(told * DAY)), "{life} days, after {told}");
    }
}
