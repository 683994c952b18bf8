use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use model::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::NEVER;

fn now() -> Timestamp {
    NOW.saturating_add(Duration::from_secs(2025 * 31_556_952))
}

fn prepare(directory: &Path, host_names: &[&str], now: Timestamp) -> Result<PathBuf, DevError> {
    let names: Vec<String> = host_names.iter().map(|name| (*name).to_owned()).collect();
    DevHome::new(directory, &names, Clock::manual(now)).prepare()
}

/// Path, mode and content of every file.
fn files(directory: &Path) -> BTreeMap<PathBuf, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).expect("list") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o777;
                let text = fs::read_to_string(&path).expect("text");
                found.insert(path.strip_prefix(directory).expect("below").to_owned(), (mode, text));
            }
        }
    }
    found
}

#[test]
fn the_first_start_makes_every_file_and_keeps_keys_private() {
    let directory = tempfile::tempdir().expect("directory");
    prepare(directory.path(), &["hub.example"], now()).expect("prepare");
    let modes: Vec<(String, u32)> =
        files(directory.path()).into_iter().map(|(path, (mode, _))| (path.display().to_string(), mode)).collect();
    let expected = [
        ("isthmus.toml", 0o644),
        ("operator/device-ca.key", 0o600),
        ("operator/device-ca.pem", 0o644),
        ("trust/ca.key", 0o600),
        ("trust/ca.pem", 0o644),
        ("trust/server.key", 0o600),
        ("trust/server.pem", 0o644),
    ];
    assert_eq!(modes, expected.map(|(path, mode)| (path.to_owned(), mode)));
    let server = fs::read_to_string(directory.path().join("trust/server.pem")).expect("read");
    let names = &summarize(&server).expect("a certificate")[0].names;
    for name in ["DNS:hub.example", "DNS:localhost", "IP:127.0.0.1", "IP:::1"] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
}

#[test]
fn a_later_start_changes_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    prepare(directory.path(), &[], now()).expect("first");
    let configuration = directory.path().join("isthmus.toml");
    fs::write(&configuration, "# mine\n[hub]\nhost_names = [\"localhost\"]\n").expect("edit");
    let before = files(directory.path());
    prepare(directory.path(), &[], now().saturating_add(Duration::from_secs(86_400))).expect("second");
    assert_eq!(files(directory.path()), before);
}

#[test]
fn an_interrupted_first_start_is_completed() {
    let whole = tempfile::tempdir().expect("directory");
    prepare(whole.path(), &[], now()).expect("whole");
    // Files appear in this order; a cut leaves a beginning of it.
    let order = [
        "isthmus.toml",
        "operator/device-ca.key",
        "operator/device-ca.pem",
        "trust/ca.key",
        "trust/ca.pem",
        "trust/server.key",
        "trust/server.pem",
    ];
    for cut in 0..order.len() {
        let directory = tempfile::tempdir().expect("directory");
        create_directory(&directory.path().join("operator")).expect("directory");
        create_directory(&directory.path().join("trust")).expect("directory");
        for file in &order[..cut] {
            fs::copy(whole.path().join(file), directory.path().join(file)).expect("copy");
        }
        prepare(directory.path(), &[], now()).expect("complete");
        let files = files(directory.path());
        assert_eq!(files.len(), order.len(), "after a cut at {cut}");
        let text = |path: &str| files[Path::new(path)].1.as_str();
        ServerIdentity::load(text("trust/server.pem"), text("trust/server.key"), now()).expect("a pair");
        Issuer::from_pem(text("trust/ca.pem"), text("trust/ca.key")).expect("a pair");
        Issuer::from_pem(text("operator/device-ca.pem"), text("operator/device-ca.key")).expect("a pair");
    }
}

#[test]
fn the_server_certificate_is_renewed_when_it_no_longer_serves() {
    let directory = tempfile::tempdir().expect("directory");
    prepare(directory.path(), &[], now()).expect("first");
    let server = || files(directory.path()).remove(Path::new("trust/server.pem")).expect("there").1;
    let ca = || files(directory.path()).remove(Path::new("trust/ca.pem")).expect("there").1;
    let (first, first_ca) = (server(), ca());

    prepare(directory.path(), &["new.example"], now()).expect("another name");
    let second = server();
    assert_ne!(second, first, "it lacked the name");
    prepare(directory.path(), &["new.example"], now()).expect("again");
    assert_eq!(server(), second);

    let late = now().saturating_add(Duration::from_secs(800 * 86_400));
    prepare(directory.path(), &["new.example"], late).expect("late");
    assert_ne!(server(), second, "it was about to expire");
    assert_eq!(ca(), first_ca, "clients trust the same CA throughout");
}

#[test]
fn a_server_certificate_of_the_operators_own_is_left_alone() {
    let directory = tempfile::tempdir().expect("directory");
    prepare(directory.path(), &[], now()).expect("first");
    let own = Issuer::create("the operator's own CA", now(), CA_LIFETIME).expect("a CA").issue_server(&["hub.example"], now());
    let own = own.expect("a certificate");
    fs::write(directory.path().join("trust/server.key"), own.key_pem.as_bytes()).expect("written");
    fs::write(directory.path().join("trust/server.pem"), &own.chain_pem).expect("written");
    let before = files(directory.path());
    let late = now().saturating_add(Duration::from_secs(800 * 86_400));
    prepare(directory.path(), &["new.example"], late).expect("late, and with another name");
    assert_eq!(files(directory.path()), before);
}

#[test]
fn a_ca_without_its_key_is_not_replaced_behind_the_operators_back() {
    let directory = tempfile::tempdir().expect("directory");
    prepare(directory.path(), &[], now()).expect("first");
    fs::remove_file(directory.path().join("operator/device-ca.key")).expect("remove");
    assert!(matches!(prepare(directory.path(), &[], now()), Err(DevError::KeyMissing { .. })));
}
