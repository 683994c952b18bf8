//! The codec against itself.

use bytes::BytesMut;
use mqtt_proto::Version;
use mqtt_proto::wire::{self, DecodeLimits, Malformed, Packet, Sender};
use proptest::prelude::*;

use crate::packets::{connection, packet};

fn decode(buffer: &mut BytesMut, version: Version, sender: Sender) -> Result<Option<Packet>, Malformed> {
    wire::decode(buffer, version, sender, &DecodeLimits::default())
}

fn encode(packet: &Packet, version: Version) -> BytesMut {
    let mut out = BytesMut::new();
    wire::encode(packet, version, &mut out).unwrap();
    out
}

fn connection_and_packet() -> impl Strategy<Value = ((Version, Sender), Packet)> {
    connection().prop_flat_map(|(version, sender)| (Just((version, sender)), packet(version, sender)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(((version, sender), packet) in connection_and_packet()) {
        let mut buffer = encode(&packet, version);
        prop_assert_eq!(decode(&mut buffer, version, sender), Ok(Some(packet)));
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_packet_is_incomplete_until_its_last_byte(((version, sender), packet) in connection_and_packet()) {
        let whole = encode(&packet, version);
        for length in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..length]);
            prop_assert_eq!(decode(&mut part, version, sender), Ok(None));
            prop_assert_eq!(part.len(), length);
        }
    }

    /// Changing a byte gives another packet, an error or a wait, and what is a packet is one exactly:
    /// written again, it says the same.
    #[test]
    fn a_changed_byte_has_an_answer(
        ((version, sender), packet) in connection_and_packet(),
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut buffer = encode(&packet, version);
        let index = position.index(buffer.len());
        buffer[index] = byte;
        let whole = buffer.len();
        match decode(&mut buffer, version, sender) {
            Ok(Some(decoded)) => {
                prop_assert!(buffer.len() < whole);
                // A CONNECT brings its own version.
                let version = match &decoded { Packet::Connect(connect) => connect.version, _ => version };
                let again = decode(&mut encode(&decoded, version), version, sender);
                prop_assert_eq!(again, Ok(Some(decoded)));
            }
            Ok(None) => prop_assert_eq!(buffer.len(), whole),
            Err(_) => {}
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_vanish(
        (version, sender) in connection(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut buffer = BytesMut::from(&bytes[..]);
        loop {
            let before = buffer.len();
            match decode(&mut buffer, version, sender) {
                Ok(Some(_)) => prop_assert!(buffer.len() < before),
                Ok(None) => {
                    prop_assert_eq!(buffer.len(), before);
                    break;
                }
                Err(_) => break,
            }
        }
    }

    #[test]
    fn packets_follow_one_another(
        packets in prop::collection::vec(packet(Version::V5, Sender::Client), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stream = BytesMut::new();
        for packet in &packets {
            wire::encode(packet, Version::V5, &mut stream).unwrap();
        }
        let cut = if stream.is_empty() { 0 } else { cut.index(stream.len()) };
        let (mut buffer, mut decoded) = (BytesMut::new(), Vec::new());
        for part in [&stream[..cut], &stream[cut..]] {
            buffer.extend_from_slice(part);
            while let Some(packet) = decode(&mut buffer, Version::V5, Sender::Client).unwrap() {
                decoded.push(packet);
            }
        }
        prop_assert_eq!(decoded, packets);
    }
}
