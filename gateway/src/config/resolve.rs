//! From the configuration as written to what a hub starts with: paths made whole, secrets read,
//! names looked up.

use std::collections::HashSet;
use std::path::Path;

use certs::judge::PinnedOperator;
use certs::server_identity::ServerIdentity;
use model::{Policy, Rights, Secret, Timestamp};
use zeroize::Zeroizing;

use super::document::{Document, EventLogSection, ListenersSection, OperatorSection, PolicySection, SecretSource, TlsSection};
use super::faults::Faults;
use super::{ConnectionSettings, Settings, TlsSettings, event_hub, standard_policies, text_file};
use crate::args::ListenOverride;
use crate::hub::HubSettings;
use crate::listener::address::{Listen, ListenAddress, ListenerName, ListenerSettings, Need, Target};
use crate::server_certificate::{KeySource, Pair, PairSource};

/// What resolving looks at beside the document.
pub(super) struct Resolver<'a> {
    /// The directory relative paths count from.
    pub(super) base: &'a Path,
    /// The value of an environment variable.
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// When certificates must be valid.
    pub(super) now: Timestamp,
}

impl Resolver<'_> {
    /// `None` only together with a fault.
    pub(super) fn resolve(&self, document: Document, listen: &[ListenOverride], faults: &mut Faults) -> Option<Settings> {
        let Document { hub, tls, listeners, connections, kafka, trust, event_log, files, commands, operators, policies, event_hubs } =
            document;
        let listeners = resolve_listeners(override_listeners(listeners, listen), faults);
        let tls = self.tls(tls, faults);
        let operators = pin_operators(operators, &policies, faults);
        let policies = self.policies(policies, faults);
        let data_dir = self.base.join(hub.data_dir);
        if !data_dir.is_dir() {
            faults.add("hub.data_dir", format_args!("{} is not a directory; make it, with mode 700", data_dir.display()));
        }
        Some(Settings {
            hub: HubSettings {
                data_dir,
                host_names: hub.host_names,
                operators,
                trust: certs::judge::Settings {
                    refuse_sha1_thumbprints: trust.refuse_sha1_thumbprints,
                    enforce_pinned_dates: trust.enforce_pinned_dates,
                    clock_skew: trust.clock_skew.0,
                },
                log: log_config(&event_log),
                twins: twins::Config { events_partitions: hub.partitions, commands, ..twins::Config::default() },
                kafka_advertised: kafka.advertised,
                files,
            },
            listeners,
            connections: ConnectionSettings {
                handshake_timeout: connections.handshake_timeout.0,
                handshakes_max: connections.handshakes_max,
                drain_timeout: connections.drain_timeout.0,
            },
            tls: tls?,
            policies,
            event_hubs: event_hub::resolve(event_hubs, faults),
        })
    }

    fn tls(&self, section: TlsSection, faults: &mut Faults) -> Option<TlsSettings> {
        let certificate = self.base.join(section.certificate);
        let chain_pem = faults.check("tls.certificate", text_file::read(&certificate));
        let key_pem = self.secret("tls.key", &section.key, faults);
        let (chain_pem, key_pem) = (chain_pem?, key_pem?);
        faults.check("tls", ServerIdentity::load(&chain_pem, &key_pem, self.now))?;
        let key = match section.key {
            SecretSource::File(file) => KeySource::File(self.base.join(file)),
            SecretSource::Env(_) => KeySource::Environment(key_pem.clone()),
        };
        Some(TlsSettings { source: PairSource { certificate, key }, pair: Pair { chain_pem, key_pem } })
    }

    fn policies(&self, sections: Vec<PolicySection>, faults: &mut Faults) -> Vec<Policy> {
        let mut names = HashSet::new();
        let mut policies = Vec::with_capacity(sections.len());
        for PolicySection { name, rights, primary_key, secondary_key, path } in sections {
            if !names.insert(name.clone()) {
                faults.add(format!("{path}.name"), format_args!("{name:?} is the name of another policy, too"));
            }
            let primary = self.key(&format!("{path}.primary_key"), &primary_key, faults);
            let secondary = self.key(&format!("{path}.secondary_key"), &secondary_key, faults);
            if let (Some(primary), Some(secondary)) = (primary, secondary) {
                policies.push(Policy { name, primary, secondary, rights });
            }
        }
        policies
    }

    fn key(&self, path: &str, source: &SecretSource, faults: &mut Faults) -> Option<Secret> {
        let text = self.secret(path, source, faults)?;
        faults.check(path, Secret::from_base64(text.trim()))
    }

    fn secret(&self, path: &str, source: &SecretSource, faults: &mut Faults) -> Option<Zeroizing<String>> {
        match source {
            SecretSource::File(file) => faults.check(path, text_file::read_secret(&self.base.join(file))),
            SecretSource::Env(name) => {
                let value = (self.environment)(name).map(Zeroizing::new);
                if value.is_none() {
                    faults.add(path, format_args!("the environment variable {name} is not set"));
                }
                value
            }
        }
    }
}

fn log_config(section: &EventLogSection) -> event_log::Config {
    let bytes = |size: super::units::ByteSize| usize::try_from(size.0).unwrap_or(usize::MAX);
    event_log::Config {
        segment_bytes: section.segment_size.0,
        segment_age_max: section.segment_age.0,
        staged_bytes_max: bytes(section.staged_max),
        tail_bytes_max: bytes(section.tail_max),
    }
}

/// A policy is known if it is configured here or one of the standard ones.
fn pin_operators(sections: Vec<OperatorSection>, policies: &[PolicySection], faults: &mut Faults) -> Vec<PinnedOperator> {
    let rights_of = |wanted: &str| -> Option<Rights> {
        let configured = policies.iter().find(|policy| policy.name == wanted).map(|policy| policy.rights);
        configured.or_else(|| standard_policies().into_iter().find(|(name, _)| *name == wanted).map(|(_, rights)| rights))
    };
    let mut operators = Vec::with_capacity(sections.len());
    for OperatorSection { name, thumbprint, policy, key } in sections {
        match rights_of(&policy) {
            Some(rights) => operators.push(PinnedOperator { name, thumbprint, rights }),
            None => {
                let standard: Vec<_> = standard_policies().into_iter().map(|(name, _)| name).collect();
                faults
                    .add(key, format_args!("{policy:?} is no policy; add a [[policy]] of that name or use one of {}", standard.join(", ")));
            }
        }
    }
    operators
}

/// Flags of one listener together take the place of what the configuration says of it.
fn override_listeners(mut section: ListenersSection, overrides: &[ListenOverride]) -> ListenersSection {
    for name in ListenerName::ALL {
        let given: Vec<&Listen> = overrides.iter().filter(|given| given.name == name).map(|given| &given.listen).collect();
        if given.is_empty() {
            continue;
        }
        let addresses: Vec<ListenAddress> = given.iter().flat_map(|listen| addresses(listen)).copied().collect();
        let listen = if addresses.is_empty() { Listen::Off } else { Listen::At(addresses) };
        match name {
            ListenerName::Mqtt => section.mqtt = listen,
            ListenerName::Https => (section.https, section.https_where_possible) = (listen, Listen::Off),
            ListenerName::Metrics => section.metrics = listen,
            ListenerName::Kafka => section.kafka = listen,
            // They can only be told to be off, which they are.
            ListenerName::Amqp | ListenerName::Coaps | ListenerName::CoapsTcp => {}
        }
    }
    section
}

fn addresses(listen: &Listen) -> &[ListenAddress] {
    match listen {
        Listen::Off => &[],
        Listen::At(addresses) => addresses,
    }
}

fn resolve_listeners(section: ListenersSection, faults: &mut Faults) -> ListenerSettings {
    let targets = |listen: &Listen| -> Vec<Target> { addresses(listen).iter().flat_map(|address| address.targets()).collect() };
    let where_possible = targets(&section.https_where_possible).into_iter().map(|target| Target { need: Need::WherePossible, ..target });
    let settings = ListenerSettings {
        mqtt: targets(&section.mqtt),
        https: where_possible.chain(targets(&section.https)).collect(),
        kafka: targets(&section.kafka),
        metrics: targets(&section.metrics),
    };
    let mut taken = HashSet::new();
    let ListenerSettings { mqtt, https, kafka, metrics } = &settings;
    for (name, targets) in [("mqtt", mqtt), ("https", https), ("kafka", kafka), ("metrics", metrics)] {
        for target in targets.iter().filter(|target| target.address.port() != 0) {
            if !taken.insert(target.address) {
                faults.add(format!("listeners.{name}"), format_args!("{} is given twice", target.address));
            }
        }
    }
    settings
}
