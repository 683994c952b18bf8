//! The two ends of a sealed file, head and trailer, and what all its checksums begin with.

use bytes::{Buf, BufMut};
use model::EventHubId;

use crate::format::SegmentIdentity;

/// The version that this code writes, and the only one it reads.
pub(crate) const VERSION: u32 = 1;
/// Head, trailer, footers and each partition's data begin at multiples of this, so that damage to
/// one sector harms one partition. More would waste: 1,024 partitions with little data lose 256
/// bytes each on average, 256 KiB beside a segment's 64 MiB; at 4,096 it would be 2 MiB.
pub(crate) const ALIGNMENT: u64 = 512;
/// A head or a trailer.
pub(crate) const ANCHOR_BYTES: usize = 512;
/// Distinguishes the checksums of sealed files from all others of the log.
const SEED_CONSTANT: &[u8; 8] = b"ISTHSEAL";

/// Whose events a sealed file has, and which segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) segment: SegmentIdentity,
    pub(crate) hub: EventHubId,
}

impl FileIdentity {
    /// Where every checksum of the file but those of its ends starts from, so that nothing
    /// verifies in another file.
    pub(crate) fn seed(&self) -> u32 {
        let mut bytes = [0_u8; 36];
        let mut out = bytes.as_mut_slice();
        out.put_slice(SEED_CONSTANT);
        out.put_u128(self.segment.log_id);
        out.put_u64(self.segment.epoch);
        out.put_u32(self.hub.0);
        crc32c::crc32c(&bytes)
    }
}

/// Bytes in the file and their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
}

impl Extent {
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(self.bytes)
    }
}

/// An end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Head,
    Trailer,
}

impl End {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Trailer => "trailer",
        }
    }

    /// Where it lies in a file of this length.
    pub(crate) fn place(self, file_bytes: u64) -> u64 {
        match self {
            Self::Head => 0,
            Self::Trailer => file_bytes.saturating_sub(ANCHOR_BYTES as u64),
        }
    }

    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Head => b"ISTHSEAL",
            Self::Trailer => b"ISTHTAIL",
        }
    }
}

/// What each end of the file tells: whose it is, and where a copy of the footer lies.
///
/// ```text
///  0  8  "ISTHSEAL" at the head, "ISTHTAIL" at the trailer
///  8  4  version, 1
/// 12  4  checksum of all 512 bytes but these 4
/// 16 16  log id
/// 32  8  epoch of the segment
/// 40  4  event hub
/// 44  4  checksum of the footer
/// 48  8  place of the footer
/// 56  8  length of the footer
/// 64  …  zeros
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) identity: FileIdentity,
    pub(crate) footer: Extent,
}

/// What the bytes at an end of a file are.
pub(crate) enum AnchorRead {
    Valid(Anchor),
    Invalid,
    /// One that verifies, of another version.
    Version(u32),
}

impl Anchor {
    pub(crate) fn encode(&self, end: End) -> [u8; ANCHOR_BYTES] {
        let mut bytes = [0; ANCHOR_BYTES];
        let mut out = bytes.as_mut_slice();
        out.put_slice(end.magic());
        out.put_u32(VERSION);
        out.put_u32(0);
        out.put_u128(self.identity.segment.log_id);
        out.put_u64(self.identity.segment.epoch);
        out.put_u32(self.identity.hub.0);
        out.put_u32(self.footer.checksum);
        out.put_u64(self.footer.at);
        out.put_u64(self.footer.bytes);
        let checksum = checksum(&bytes).to_be_bytes();
        if let Some(slot) = bytes.get_mut(12..16) {
            slot.copy_from_slice(&checksum);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], end: End) -> AnchorRead {
        let Some(mut fields) = bytes.get(8..ANCHOR_BYTES).filter(|_| bytes.starts_with(end.magic())) else {
            return AnchorRead::Invalid;
        };
        let (version, stored) = (fields.get_u32(), fields.get_u32());
        if stored != checksum(bytes) {
            return AnchorRead::Invalid;
        }
        if version != VERSION {
            return AnchorRead::Version(version);
        }
        let segment = SegmentIdentity { log_id: fields.get_u128(), epoch: fields.get_u64() };
        let identity = FileIdentity { segment, hub: EventHubId(fields.get_u32()) };
        let checksum = fields.get_u32();
        let (at, bytes) = (fields.get_u64(), fields.get_u64());
        AnchorRead::Valid(Self { identity, footer: Extent { at, bytes, checksum } })
    }
}

/// Everything but the checksum itself.
fn checksum(bytes: &[u8]) -> u32 {
    let before = crc32c::crc32c(bytes.get(..12).unwrap_or_default());
    crc32c::crc32c_append(before, bytes.get(16..).unwrap_or_default())
}
