//! The workspace keeps its shape: arrows point one way, licences are ones we may ship.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each crate may depend on among our own. Tests of a crate may use more.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("certs", &["model"]),
    ("twins", &["model"]),
    ("routes", &["model"]),
    ("event-log", &["model"]),
    ("kafka-proto", &[]),
    ("mqtt-proto", &[]),
    ("gateway", &["certs", "event-log", "kafka-proto", "model", "mqtt-proto", "routes", "twins"]),
    ("hubctl", &["certs", "model"]),
    ("device-sim", &["certs", "hubctl", "model"]),
    ("tests", &[]),
];

/// Sans-IO and pure crates: no runtime, no socket.
const WITHOUT_RUNTIME: &[&str] = &["model", "certs", "routes", "kafka-proto", "mqtt-proto"];

/// The licences that `deny.toml` allows: one list for both checks.
fn allowed_licences() -> BTreeSet<String> {
    let deny = include_str!("../../deny.toml");
    let (_, list) = deny.split_once("\nallow = [").expect("deny.toml has a list of licences");
    let (list, _) = list.split_once(']').expect("the list ends");
    list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty()).collect()
}

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    // What only other systems pull in is not shipped.
    let other_options = ["--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned).to_vec();
    MetadataCommand::new().manifest_path(manifest).other_options(other_options).exec().expect("cargo metadata")
}

fn normal_dependencies(package: &Package) -> BTreeSet<&str> {
    package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal).map(|d| d.name.as_str()).collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let metadata = metadata();
    let ours: BTreeMap<&str, &Package> = metadata.workspace_packages().into_iter().map(|p| (p.name.as_str(), p)).collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    assert_eq!(ours.keys().collect::<Vec<_>>(), allowed.keys().collect::<Vec<_>>(), "each crate has its row in ARROWS");
    for (name, package) in &ours {
        let dependencies = normal_dependencies(package);
        for dependency in dependencies.iter().filter(|d| ours.contains_key(**d)) {
            assert!(allowed[name].contains(dependency), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn pure_crates_know_no_runtime() {
    let metadata = metadata();
    for package in metadata.workspace_packages().iter().filter(|p| WITHOUT_RUNTIME.contains(&p.name.as_str())) {
        for forbidden in ["tokio", "tokio-util", "async-std", "smol", "hyper", "socket2"] {
            assert!(!normal_dependencies(package).contains(forbidden), "{} may not depend on {forbidden}", package.name);
        }
    }
}

#[test]
fn every_dependency_has_a_licence_we_may_ship() {
    let licences = allowed_licences();
    let allowed = |licence: &str| licences.contains(licence.trim().trim_matches(['(', ')']));
    for package in metadata().packages {
        let expression = package.license.clone().unwrap_or_default().replace('/', " OR ");
        let fits =
            expression.split(" OR ").any(|choice| choice.split(" AND ").all(|part| allowed(part.split(" WITH ").next().unwrap_or(part))));
        assert!(fits, "{} {} has the licence {expression:?}", package.name, package.version);
    }
}
