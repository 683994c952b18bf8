use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use certs::issue::Issuer;
use model::{Clock, Thumbprint, Timestamp};

use super::resolve::Resolver;
use super::*;
use crate::listener::address::Need;

/// A directory with a server certificate where the defaults look for one.
struct Fixture {
    directory: tempfile::TempDir,
    now: Timestamp,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let now = Clock::system().now();
        let ca = Issuer::create("test", now, Duration::from_secs(86_400)).expect("CA");
        let issued = ca.issue_server(&["localhost"], now).expect("certificate");
        let fixture = Self { directory, now };
        fixture.write("trust/server.pem", &issued.chain_pem, 0o644);
        fixture.write("trust/server.key", &issued.key_pem, 0o600);
        fixture
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
    }

    fn resolve(&self, text: &str, listen: &[&str]) -> (Option<Settings>, Vec<String>) {
        let mut faults = Faults::default();
        let document = read(text, &mut faults);
        let listen: Vec<ListenOverride> = listen.iter().map(|text| text.parse().expect(text)).collect();
        let environment = |name: &str| (name == "KEY").then(|| "c2VjcmV0".to_owned());
        let resolver = Resolver { base: self.directory.path(), environment: &environment, now: self.now };
        let settings = document.and_then(|document| resolver.resolve(document, &listen, &mut faults));
        (settings, faults.0.iter().map(ToString::to_string).collect())
    }

    /// Each expected part must be in exactly one fault, and there are no others.
    fn check(&self, text: &str, expected: &[&str]) {
        let (_, faults) = self.resolve(text, &[]);
        assert_eq!(faults.len(), expected.len(), "{text}\n{faults:#?}");
        for part in expected {
            assert_eq!(faults.iter().filter(|fault| fault.contains(part)).count(), 1, "{part} in {faults:#?}");
        }
    }

    fn accepted(&self, text: &str, listen: &[&str]) -> Settings {
        let (settings, faults) = self.resolve(text, listen);
        assert_eq!(faults, Vec::<String>::new(), "{text}");
        settings.expect("settings")
    }
}

#[test]
fn the_default_file_says_what_holds_without_it() {
    let defaults = Document::default();
    let mut faults = Faults::default();
    let written = read(&template::render(&defaults.hub.host_names), &mut faults);
    assert_eq!(faults, Faults::default());
    assert_eq!(written.as_ref(), Some(&defaults));
    assert_eq!(read("", &mut faults), Some(defaults));
}

#[test]
fn what_is_no_toml_has_no_fault_that_follows_from_defaults() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("isthmus.toml");
    let faults = |text: &str| {
        fs::write(&path, text).expect("write");
        match load(&path, &[], Clock::system().now()) {
            Err(ConfigError::Faulty { faults, .. }) => faults.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
            Err(error) => panic!("{error}"),
            Ok(_) => Vec::new(),
        }
    };
    assert!(faults("").iter().any(|fault| fault.contains("server")), "the default certificate is missing");
    let broken = faults("[hub\n");
    assert_eq!(broken.len(), 1, "{broken:#?}");
    assert!(broken.iter().all(|fault| fault.contains("line 1")), "{broken:#?}");
}

#[test]
fn the_default_file_shows_every_key_there_is() {
    let text = template::render(&["localhost".to_owned()]);
    let written: Table = text.parse().expect("TOML");
    for (section, keys) in &written {
        // A key that is nowhere provokes the list of those that are known.
        let mut faults = Faults::default();
        read(&format!("[{section}]\nnowhere = 1"), &mut faults);
        let fault = faults.0.iter().find(|fault| fault.key.ends_with("nowhere")).expect("a fault");
        let known = fault.problem.split_once("known are ").expect("a list").1;
        let mut known: Vec<&str> = known.split(", ").collect();
        let mut shown: Vec<&str> = keys.as_table().expect("a table").keys().map(String::as_str).collect();
        // What has no default is shown as a comment.
        let lines = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1).take_while(|line| !line.starts_with('['));
        shown.extend(
            lines.filter_map(|line| line.strip_prefix("# ")?.split_once(" = ")).map(|(key, _)| key).filter(|key| known.contains(key)),
        );
        known.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, known, "[{section}]");
    }
}

#[test]
fn every_fault_is_reported_at_once_with_its_key() {
    Fixture::new().check(
        "
        colour = 1
        [hub]
        partitions = 2000
        host_names = [\"hub.example:8883\"]
        datadir = \"x\"
        [listeners]
        mqtt = \"8883\"
        https = [\"127.0.0.1:8443\", 7]
        amqp = \"127.0.0.1:5671\"
        [kafka]
        advertised = \"hub.example\"
        [connections]
        handshake_timeout = 10
        drain_timeout = \"1h\"
        [event_log]
        segment_size = \"64 MB\"
        tail_max = \"1 KiB\"
        [[operator]]
        name = \"a\"
        thumbprint = \"AB\"
        ",
        &[
            "colour: is not a key here; known are hub, tls, listeners, connections, kafka, trust, event_log, files, commands, operator, policy, event_hub",
            "hub.partitions: an event hub has 1 to 1024 partitions, not 2000",
            "hub.host_names[0]: a host name has",
            "hub.datadir: is not a key here; known are host_names, partitions, data_dir",
            "listeners.mqtt: \"8883\" is not an address",
            "listeners.https[1]: \"7\" is not an address",
            "listeners.amqp: the listener amqp is not built yet",
            "kafka.advertised: write HOST:PORT",
            "connections.handshake_timeout: invalid type: integer",
            "connections.drain_timeout: may be 10m at most",
            "event_log.segment_size: \"64 MB\" is not a size",
            "event_log.tail_max: must lie between 1 MiB and 1 GiB",
            "operator[0].thumbprint: a thumbprint is 40",
            "operator[0].policy: is missing",
        ],
    );
}

#[test]
fn each_fault_by_itself_is_explained() {
    let fixture = Fixture::new();
    let pin = |policy: &str, digits: usize| {
        format!("[[operator]]\nname = \"a\"\nthumbprint = \"{}\"\npolicy = \"{policy}\"", "ab".repeat(digits))
    };
    let policy = |primary: &str| {
        format!("[[policy]]\nname = \"p\"\nrights = [\"service_connect\"]\nprimary_key = {primary}\nsecondary_key = {{ env = \"KEY\" }}")
    };
    let event_hub = |keys: &str| format!("[[event_hub]]\n{keys}\n");
    fixture.write("public.key", "c2VjcmV0", 0o644);
    fixture.write("empty.key", "\n", 0o600);
    fixture.write("other.pem", "no certificate", 0o644);
    for (text, fault) in [
        ("[commands]\nqueue_depth = 0".to_owned(), "commands.queue_depth: must lie between 1 and 10000 commands, not 0"),
        ("[commands]\nqueue_depth = \"many\"".to_owned(), "commands.queue_depth: invalid type: string"),
        ("[commands]\nexpiry = \"59s\"".to_owned(), "commands.expiry: must lie between 1m and 2days, not 59s"),
        ("[commands]\nexpiry = 60".to_owned(), "commands.expiry: invalid type: integer"),
        ("[commands]\ndelivery_count_max = 101".to_owned(), "commands.delivery_count_max: must lie between 1 and 100 deliveries, not 101"),
        ("[commands]\nlock = \"301s\"".to_owned(), "commands.lock: must lie between 5s and 5m, not 5m 1s"),
        (
            "[commands]\ndead_letters_max = 10001".to_owned(),
            "commands.dead_letters_max: must lie between 0 and 10000 dead letters, not 10001",
        ),
        ("[commands]\ndepth = 1".to_owned(), "commands.depth: is not a key here; known are queue_depth, expiry"),
        ("[commands]\nfeedback = 1".to_owned(), "commands.feedback: must be a table: write [commands.feedback]"),
        ("[commands.feedback]\nexpiry = \"3days\"".to_owned(), "commands.feedback.expiry: must lie between 1m and 2days, not 3days"),
        (
            "[commands.feedback]\ndelivery_count_max = 0".to_owned(),
            "commands.feedback.delivery_count_max: must lie between 1 and 100 deliveries, not 0",
        ),
        ("[commands.feedback]\nlock = \"4s\"".to_owned(), "commands.feedback.lock: must lie between 5s and 5m, not 4s"),
        ("mqtt = ".to_owned(), "TOML parse error at line 1"),
        ("hub = 1".to_owned(), "hub: must be a table: write [hub]"),
        ("operator = 1".to_owned(), "operator: must be a list of tables: write [[operator]]"),
        ("operator = [1]".to_owned(), "operator[0]: must be a table"),
        ("[hub]\nhost_names = []".to_owned(), "hub.host_names: is empty"),
        ("[hub]\nhost_names = \"a\"".to_owned(), "hub.host_names: invalid type: string"),
        ("[hub]\ndata_dir = \"nowhere\"".to_owned(), "is not a directory; make it"),
        ("[listeners]\nmqtt = []".to_owned(), "listeners.mqtt: must be an address"),
        ("[listeners]\nmqtt = \"127.0.0.1:8443\"".to_owned(), "listeners.https: 127.0.0.1:8443 is given twice"),
        ("[connections]\nhandshakes_max = 0".to_owned(), "connections.handshakes_max: must lie between 1 and 65536 handshakes"),
        ("[connections]\nhandshake_timeout = \"1ms\"".to_owned(), "connections.handshake_timeout: must lie between 1s and 2m"),
        ("[trust]\nclock_skew = \"1 day\"".to_owned(), "trust.clock_skew: may be 1h at most"),
        ("[tls]\ncertificate = \"none.pem\"".to_owned(), "tls.certificate: cannot read"),
        ("[tls]\ncertificate = \"other.pem\"".to_owned(), "tls: the server certificate is no chain"),
        ("[tls]\nkey = \"PRIVATE KEY\"".to_owned(), "tls.key: "),
        ("[tls]\nkey = { env = \"NONE\" }".to_owned(), "tls.key: the environment variable NONE is not set"),
        (pin("nobody", 32), "operator[0].policy: \"nobody\" is no policy"),
        (pin("service", 20), "operator[0].thumbprint: is SHA-1"),
        (policy("{ file = \"public.key\" }"), "policy[0].primary_key: "),
        (policy("{ file = \"empty.key\" }"), "policy[0].primary_key: a key must be base64"),
        (policy("{ env = \"KEY\" }") + "\n" + &policy("{ env = \"KEY\" }"), "policy[1].name: \"p\" is the name of another policy, too"),
        (policy("{ env = \"KEY\" }").replace("service_connect", "everything"), "policy[0].rights: "),
        (event_hub("name = \"$x\""), "event_hub[0].name: \"$x\" is not an event hub name"),
        (event_hub("partitions = 3"), "event_hub[0].name: is missing"),
        (event_hub("name = \"a\"\npartitions = 0"), "event_hub[0].partitions: an event hub has 1 to 1024 partitions, not 0"),
        (event_hub("name = \"a\"\nretention = \"59s\""), "event_hub[0].retention: events are kept for 1 minute to 10 years"),
        (event_hub("name = \"a\"\nretention = 7"), "event_hub[0].retention: invalid type: integer"),
        (event_hub("name = \"a\"\nretention_bytes = \"1 KiB\""), "event_hub[0].retention_bytes: a bound on what is kept is 1048576 bytes"),
        (event_hub("name = \"a\"\nmessage_bytes_max = \"8 GiB\""), "event_hub[0].message_bytes_max: the largest event"),
        (event_hub("name = \"a\"\nkeep = 1"), "event_hub[0].keep: is not a key here; known are name, partitions, retention"),
        (event_hub("name = \"events\"\npartitions = 4"), "event_hub[0].partitions: is given for `events` as hub.partitions"),
        (event_hub("name = \"a\"") + &event_hub("name = \"a\""), "event_hub[1].name: \"a\" is the name of another event hub, too"),
    ] {
        fixture.check(&text, &[fault]);
    }
}

#[test]
fn secrets_come_from_private_files_or_the_environment() {
    let fixture = Fixture::new();
    fixture.write("p.key", "c2VjcmV0\n", 0o600);
    let settings = fixture.accepted(
        &format!(
            "[[policy]]\nname = \"p\"\nrights = [\"registry_read\", \"service_connect\"]\n\
             primary_key = {{ file = \"p.key\" }}\nsecondary_key = {{ env = \"KEY\" }}\n\
             [[operator]]\nname = \"ci\"\nthumbprint = \"{}\"\npolicy = \"p\"",
            "ab".repeat(32)
        ),
        &[],
    );
    let [policy] = settings.policies.as_slice() else { panic!("{:?}", settings.policies) };
    assert_eq!((policy.primary.expose(), policy.secondary.expose()), (&b"secret"[..], &b"secret"[..]));
    let [operator] = settings.hub.operators.as_slice() else { panic!("{:?}", settings.hub.operators) };
    assert_eq!(operator.thumbprint, Thumbprint::Sha256([0xAB; 32]));
    assert_eq!(operator.rights, Rights::REGISTRY_READ | Rights::SERVICE_CONNECT);
    let printed = format!("{settings:?}");
    assert!(!printed.contains("PRIVATE KEY") && !printed.contains("c2VjcmV0"), "{printed}");
}

#[test]
fn flags_take_the_place_of_what_the_configuration_says() {
    let fixture = Fixture::new();
    let ports =
        |targets: &[crate::listener::address::Target]| -> Vec<String> { targets.iter().map(|target| target.address.to_string()).collect() };

    let settings = fixture.accepted("", &[]);
    assert_eq!(ports(&settings.listeners.https), ["127.0.0.1:443", "[::1]:443", "127.0.0.1:8443", "[::1]:8443"]);
    let needs: Vec<Need> = settings.listeners.https.iter().map(|target| target.need).collect();
    assert_eq!(needs, [Need::WherePossible, Need::WherePossible, Need::Required, Need::WhereItExists]);
    assert_eq!(ports(&settings.listeners.metrics), ["127.0.0.1:9464"]);

    let settings = fixture.accepted("", &["https=127.0.0.1:0", "mqtt=127.0.0.1:1", "mqtt=[::1]:2", "metrics=off", "kafka=off"]);
    assert_eq!(ports(&settings.listeners.https), ["127.0.0.1:0"], "443 goes, too");
    assert_eq!(ports(&settings.listeners.mqtt), ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!(ports(&settings.listeners.metrics), Vec::<String>::new());
}

#[test]
fn commands_live_as_the_configuration_says() {
    let text = "[commands]\nqueue_depth = 500\nexpiry = \"1day\"\n[commands.feedback]\nlock = \"5s\"";
    let commands = Fixture::new().accepted(text, &[]).hub.twins.commands;
    let default = twins::CommandSettings::default();
    let feedback = twins::FeedbackSettings { lock: Duration::from_secs(5), ..default.feedback };
    let expiry_default = Duration::from_secs(24 * 3600);
    assert_eq!(commands, twins::CommandSettings { queue_depth: 500, expiry_default, feedback, ..default });
}

#[test]
fn event_hubs_are_wanted_as_the_template_shows_them() {
    let example: String = template::render(&["localhost".to_owned()])
        .lines()
        .skip_while(|line| *line != "# [[event_hub]]")
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    let settings = Fixture::new().accepted(&format!("{example}[[event_hub]]\nname = \"events\"\nretention = \"1day\""), &[]);
    let [audit, events] = settings.event_hubs.as_slice() else { panic!("{:?}", settings.event_hubs) };
    let day = Duration::from_secs(24 * 3600);
    assert_eq!((audit.name.as_str(), audit.partitions.map(|count| count.get())), ("audit", Some(4)));
    assert_eq!((audit.retention_time, audit.retention_bytes, audit.message_bytes_max), (Some(7 * day), Some(10 << 30), Some(1 << 20)));
    assert_eq!((events.retention_time, events.retention_bytes, events.partitions), (Some(day), None, None));
}
