//! Rows I: whom does the leaf name?

use crate::support::{Hub, enrolled};
use certs::PeerChain;
use certs::judge::ChainReject;
use certs::testkit::{Draft, Made, Name, StringType};
use model::api::CaState;
use proptest::prelude::*;

/// A CA and a hub that trusts it, to hear what it says to names.
struct Names {
    root: Made,
    hub: Hub,
}

impl Names {
    fn new() -> Self {
        let root = Draft::authority("root").self_signed();
        Self { hub: Hub::trusting(&[&root]), root }
    }

    fn refuse(&self, row: &str, subject: Name, reason: &str) {
        let leaf = Draft::device("").subject(subject).signed_by(&self.root);
        self.hub.refuses(row, &[&leaf], "dev-1", reason);
    }

    fn accept(&self, row: &str, subject: Name, claimed: &str) {
        let leaf = Draft::device("").subject(subject).signed_by(&self.root);
        self.hub.accepts(row, &[&leaf], claimed);
    }
}

fn typed(kind: StringType, name: impl AsRef<[u8]>) -> Name {
    Name::empty().and_common(kind, name)
}

#[test]
fn there_is_exactly_one_common_name() {
    let names = Names::new();
    names.refuse("row 56", Name::organization("dev-1"), "common_name_missing");
    names.refuse("row 57", Name::common(""), "common_name_empty");
    names.refuse("row 58", Name::empty(), "common_name_missing");
    let and = |name: &str, other| Name::common(name).and_common(StringType::Utf8, other);
    names.refuse("row 59", and("dev-1", "dev-2"), "common_name_several");
    names.refuse("row 60", and("dev-2", "dev-1"), "common_name_several");
    names.refuse("row 61", and("dev-1", "dev-1"), "common_name_several");
    names.refuse("row 62", Name::common("dev-1").beside_common("dev-2"), "common_name_several");
    names.accept("row 63", Name::common("dev-1").beside_serial_number("7"), "dev-1");
}

#[test]
fn nothing_is_normalised() {
    let names = Names::new();
    names.refuse("row 64", Name::common("dev-1\0"), "common_name_alphabet");
    names.refuse("row 65", Name::common("dev-1\0.x"), "common_name_alphabet");
    for name in [" dev-1", "dev-1 ", "\tdev-1", "dev-1\t", "dev-1\n", "\ndev-1"] {
        names.refuse("row 66", Name::common(name), "common_name_alphabet");
    }
    names.refuse("row 67", Name::common("Dev-1"), "other_identity");
    for name in ["dev\u{2010}1", "dev-\u{ff11}", "de\u{301}v-1", "\u{202e}1-ved", "dev-1\u{feff}"] {
        names.refuse("row 68", Name::common(name), "common_name_alphabet");
    }
    names.refuse("bytes that are no UTF-8", Name::common(b"dev-\xff"), "common_name_alphabet");
}

#[test]
fn only_the_three_byte_string_types_are_read() {
    let names = Names::new();
    let utf16: Vec<u8> = "dev-1".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = "dev-1".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    names.refuse("row 69", typed(StringType::Bmp, utf16), "common_name_string_type");
    names.refuse("row 70", typed(StringType::Universal, utf32), "common_name_string_type");
    names.refuse("row 71", typed(StringType::Teletex, "dev-1"), "common_name_string_type");
    names.accept("row 72", typed(StringType::Printable, "dev_1@x"), "dev_1@x");
    names.accept("IA5String", typed(StringType::Ia5, "dev-1"), "dev-1");
}

#[test]
fn a_name_has_up_to_128_bytes() {
    let names = Names::new();
    names.accept("row 73", Name::common("x".repeat(128)), &"x".repeat(128));
    names.refuse("row 74", Name::common("x".repeat(129)), "common_name_too_long");
    let module = format!("{}/{}", "x".repeat(128), "y".repeat(128));
    names.accept("row 73, module", Name::common(&module), &module);
    names.refuse("row 74, module", Name::common(format!("{module}y")), "common_name_too_long");
    let huge = Draft::device("x".repeat(60_000)).signed_by(&names.root);
    let chain = PeerChain::new(std::slice::from_ref(&huge.der));
    assert_eq!(chain.map(|_| ()), Err(ChainReject::LeafTooLong { bytes: huge.der.len() }), "row 75");
}

#[test]
fn no_other_place_names_the_device() {
    let names = Names::new();
    let leaf = Draft::device("dev-2").dns_name("dev-1").signed_by(&names.root);
    names.hub.refuses("row 77", &[&leaf], "dev-1", "other_identity");
    let leaf = Draft::device("").subject(Name::organization("x")).dns_name("dev-1").signed_by(&names.root);
    names.hub.refuses("row 77, no CN", &[&leaf], "dev-1", "common_name_missing");
    let root = Draft::authority("dev-1").self_signed();
    let leaf = Draft::device("").subject(Name::organization("x")).signed_by(&root);
    Hub::trusting(&[&root]).refuses("row 78", &[&leaf], "dev-1", "common_name_missing");
}

#[test]
fn encodings_other_than_der_are_refused() {
    let good = Draft::device("dev-1").self_signed().der.to_vec();
    let refuse = |row: &str, der: Vec<u8>| {
        let chain = PeerChain::new(&[der.into()]);
        assert_eq!(chain.map(|_| ()), Err(ChainReject::Malformed { index: 0 }), "{row}");
    };
    let (header, body) = good.split_at(4);
    refuse("row 53", [header, body, &[0]].concat());
    refuse("row 54", [&[0x30, 0x80], body, &[0, 0]].concat());
    refuse("row 55", [&[0x30, 0x83, 0], &header[2..], body].concat());
    let second = PeerChain::new(&[good.clone().into(), b"\x30\x01".to_vec().into()]);
    assert_eq!(second.map(|_| ()), Err(ChainReject::Malformed { index: 1 }), "an intermediate");
}

#[test]
fn a_ca_speaks_only_for_its_scope() {
    let root = Draft::authority("root").self_signed();
    let hub = Hub::new().and(enrolled(&root, &["plant1-"]), CaState::Enabled);
    hub.accepts("inside", &[&Draft::device("plant1-7").signed_by(&root)], "plant1-7");
    hub.accepts("inside, a module", &[&Draft::device("plant1-7/m").signed_by(&root)], "plant1-7/m");
    hub.refuses("row 33", &[&Draft::device("plant2-7").signed_by(&root)], "plant2-7", "out_of_scope");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A name of any bytes and type is either refused or, byte for byte, an identity.
    #[test]
    fn a_common_name_is_an_identity_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..20), kind in 0..3_usize) {
        let kind = [StringType::Utf8, StringType::Ia5, StringType::Printable][kind];
        let leaf = Draft::device("").subject(typed(kind, &bytes)).self_signed();
        // A string that breaks its own type's rules makes no certificate at all.
        if let Ok(chain) = PeerChain::new(&[leaf.der])
            && let Ok(identity) = certs::common_name::of(&chain)
        {
            prop_assert_eq!(identity.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn every_id_is_a_common_name(id in "[A-Za-z0-9.%_*?!(),:=@$'-]{1,128}(/[A-Za-z0-9.%_*?!(),:=@$'-]{1,128})?") {
        let leaf = Draft::device(&id).self_signed();
        let chain = PeerChain::new(&[leaf.der]).expect("within bounds");
        prop_assert_eq!(certs::common_name::of(&chain).map(|identity| identity.to_string()), Ok(id));
    }
}
