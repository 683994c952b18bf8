use super::*;

fn put(table: &IdentityTable, identity: &str, generation: &str, enabled: bool, credentials: Credentials) {
    let identity = identity.parse().expect("an identity");
    table.apply(IdentityChange::Put { identity, generation: generation.into(), enabled, credentials });
}

/// An enabled device after `change`: whether what was granted before still holds.
#[track_caller]
fn check(change: impl FnOnce(&IdentityTable), holds: bool) {
    let table = IdentityTable::new();
    put(&table, "d", "1", true, Credentials::CertificateAuthority);
    let epoch = table.record(&"d".parse().expect("an id")).expect("registered").epoch.clone();
    let granted = epoch.current();
    change(&table);
    assert_eq!(epoch.current() == granted, holds);
}

#[test]
fn a_grant_ends_when_its_ground_is_gone() {
    check(|table| put(table, "d", "1", true, Credentials::CertificateAuthority), true);
    check(|table| put(table, "d", "1", false, Credentials::CertificateAuthority), false);
    check(|table| put(table, "d", "1", true, Credentials::None), false);
    check(|table| put(table, "d", "2", true, Credentials::CertificateAuthority), false);
    check(|table| table.apply(IdentityChange::Remove("d".parse().expect("an id"))), false);
    check(|table| put(table, "e", "1", false, Credentials::None), true);
}

#[test]
fn a_device_created_again_shares_nothing_with_the_one_before() {
    let table = IdentityTable::new();
    let identity = "d".parse().expect("an id");
    put(&table, "d", "1", true, Credentials::None);
    table.note(&identity, Note::Connected, Timestamp::from_milliseconds(5));
    let before = table.record(&identity).expect("registered");
    put(&table, "d", "2", true, Credentials::None);
    let after = table.record(&identity).expect("registered");
    let seen = after.epoch.current();
    before.epoch.raise();
    assert_eq!(after.epoch.current(), seen);
    assert_eq!(table.seen(&identity), Seen::default());
}

#[test]
fn devices_are_counted_and_modules_are_not() {
    let table = IdentityTable::new();
    put(&table, "a", "1", true, Credentials::None);
    put(&table, "a/m", "1", true, Credentials::None);
    put(&table, "b", "1", true, Credentials::None);
    put(&table, "b", "1", false, Credentials::None);
    assert_eq!(table.statistics(), DeviceStatistics { total: 2, enabled: 1, disabled: 1 });
    table.apply(IdentityChange::Remove("b".parse().expect("an id")));
    table.apply(IdentityChange::Remove("b".parse().expect("an id")));
    assert_eq!(table.statistics(), DeviceStatistics { total: 1, enabled: 1, disabled: 0 });
}

#[test]
fn an_identity_is_connected_while_one_connection_is() {
    let table = IdentityTable::new();
    let identity: Identity = "d".parse().expect("an id");
    put(&table, "d", "1", true, Credentials::None);
    let at = Timestamp::from_milliseconds;
    table.note(&identity, Note::Connected, at(1));
    // A takeover: the new connection is noted before the old one's end.
    table.note(&identity, Note::Connected, at(2));
    table.note(&identity, Note::Disconnected, at(3));
    assert_eq!(table.seen(&identity).state, ConnectionState::Connected);
    table.note(&identity, Note::Disconnected, at(4));
    table.note(&identity, Note::Disconnected, at(5));
    let seen = table.seen(&identity);
    assert_eq!((seen.state, seen.connection_updated, seen.last_activity), (ConnectionState::Disconnected, at(5), at(2)));
}

#[test]
fn many_notes_of_one_identity_are_written_once() {
    let table = IdentityTable::new();
    let identity: Identity = "d".parse().expect("an id");
    put(&table, "d", "1", true, Credentials::None);
    for milliseconds in 0..1000 {
        table.note(&identity, Note::Activity, Timestamp::from_milliseconds(milliseconds));
    }
    let listed = table.take_listed();
    assert_eq!(listed, std::slice::from_ref(&identity));
    table.note(&identity, Note::Activity, Timestamp::from_milliseconds(1000));
    assert!(table.take_listed().is_empty(), "it is still to be written");
    let seen = table.to_write(listed);
    assert_eq!(seen.first().map(|(_, seen)| seen.last_activity), Some(Timestamp::from_milliseconds(1000)));
    assert!(table.take_listed().is_empty());
    table.note(&identity, Note::Activity, Timestamp::from_milliseconds(1001));
    assert_eq!(table.take_listed().len(), 1, "what came after is written next");
}

#[test]
fn what_could_not_be_written_is_listed_again() {
    let table = IdentityTable::new();
    for id in ["a", "b"] {
        put(&table, id, "1", true, Credentials::None);
        table.note(&id.parse().expect("an id"), Note::Activity, Timestamp::from_milliseconds(1));
    }
    table.list_again(table.take_listed());
    assert_eq!(table.take_listed().len(), 2);
}

#[test]
fn what_failed_to_be_written_is_listed_once_whatever_is_noted_meanwhile() {
    let table = IdentityTable::new();
    let identities: [Identity; 3] = ["a", "b", "c"].map(|id| id.parse().expect("an id"));
    let note = |identity| table.note(identity, Note::Activity, Timestamp::from_milliseconds(1));
    for identity in &identities {
        put(&table, &identity.to_string(), "1", true, Credentials::None);
        note(identity);
    }
    let unwritten = table.to_write(table.take_listed());
    note(&identities[1]);
    table.list_unwritten(&unwritten);
    note(&identities[2]);
    let mut listed = table.take_listed();
    listed.sort_by_key(ToString::to_string);
    assert_eq!(listed, identities);
}
