//! Every codec's stream: what it yields, and what it refuses.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn lz4(content: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn framed_snappy(content: &[u8]) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in content.chunks(1000) {
        let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}

fn compress(codec: Codec, content: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Snappy => framed_snappy(content),
        Codec::Lz4 => lz4(content),
        Codec::Zstd => zstd::encode_all(content, 3).unwrap(),
    }
}

fn expand(codec: Codec, compressed: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    Expanded::new(codec, compressed, max)?.read_all()
}

fn is_malformed(result: &Result<Vec<u8>, DecompressError>) -> bool {
    matches!(result, Err(DecompressError::Malformed { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_codec_yields_what_was_compressed(content in prop::collection::vec(0_u8..20, 0..5_000)) {
        for codec in CODECS {
            prop_assert_eq!(expand(codec, &compress(codec, &content), content.len()), Ok(content.clone()));
        }
        let bare = snap::raw::Encoder::new().compress_vec(&content).unwrap();
        prop_assert_eq!(expand(Codec::Snappy, &bare, content.len()), Ok(content));
    }
}

#[test]
fn one_byte_more_than_the_limit_is_refused() {
    let content = vec![7; 100_000];
    for codec in CODECS {
        let compressed = compress(codec, &content);
        assert_eq!(expand(codec, &compressed, 99_999), Err(DecompressError::Expansion { max: 99_999 }), "{codec:?}");
        assert_eq!(expand(codec, &compressed, 100_000).map(|content| content.len()), Ok(100_000), "{codec:?}");
    }
}

#[test]
fn bytes_cut_short_or_followed_by_others_are_refused() {
    let content: Vec<u8> = (0..2_500_u32).flat_map(u32::to_be_bytes).collect();
    for codec in CODECS {
        let mut compressed = compress(codec, &content);
        for length in (0..compressed.len()).step_by(7).chain([compressed.len() - 4, compressed.len() - 1]) {
            let cut = expand(codec, &compressed[..length], usize::MAX);
            let is_between_blocks = codec == Codec::Snappy && cut.as_ref().is_ok_and(|cut| content.starts_with(cut));
            assert!(is_malformed(&cut) || is_between_blocks, "{codec:?} cut to {length}");
        }
        compressed.push(0);
        assert!(is_malformed(&expand(codec, &compressed, usize::MAX)), "{codec:?}");
    }
}

#[test]
fn an_lz4_frame_without_its_end_mark_is_refused() {
    let whole = lz4(b"some content");
    assert_eq!(whole.last_chunk::<4>(), Some(&[0; 4]));
    assert!(is_malformed(&expand(Codec::Lz4, &whole[..whole.len() - 4], 100)));
}

#[test]
fn announced_sizes_are_checked_before_memory_is_taken() {
    // A bare snappy block of nothing that announces 2 GiB less one byte.
    let lying = [0xff, 0xff, 0xff, 0xff, 0x07, 0];
    assert_eq!(expand(Codec::Snappy, &lying, 1 << 20), Err(DecompressError::Expansion { max: 1 << 20 }));
    assert!(is_malformed(&expand(Codec::Snappy, &lying, usize::MAX)));
    // zstd frames with a window of 8 MiB and of 16 MiB, an empty raw block in each.
    let frame = |window_log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 1, 0, 0];
    assert_eq!(expand(Codec::Zstd, &frame(23), 100), Ok(Vec::new()));
    assert!(is_malformed(&expand(Codec::Zstd, &frame(24), 100)));
    // The legacy lz4 format.
    assert!(is_malformed(&expand(Codec::Lz4, &[0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0], 100)));
}
