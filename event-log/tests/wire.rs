//! Batches from elsewhere: what is taken, what is refused and why.
#![allow(missing_docs)]

mod support;

use std::io::Write;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use event_log::{
    AppendPermit, Batch, Disk, Durable, EventLog, Faults, FaultyDisk, LogFailed, Origin, ProducerStamp, StageError, Start, StoredBatch,
    Ticket, WireBatchError, WireLimits,
};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use model::{PartitionId, SequenceNumber};
use proptest::prelude::*;
use support::{HUB, P0, P1, manual_clock, open_manual};

const CODECS: [Compression; 5] = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
const ATTRIBUTES: usize = 22;
const MAX_TIMESTAMP: std::ops::Range<usize> = 35..43;

fn record(offset: i32, stamp: ProducerStamp, value: &[u8]) -> Record {
    Record {
        transactional: false,
        control: false,
        partition_leader_epoch: -1,
        producer_id: stamp.id,
        producer_epoch: stamp.epoch,
        timestamp_type: TimestampType::Creation,
        delete_horizon: false,
        offset: i64::from(offset),
        sequence: stamp.first_sequence.wrapping_add(offset),
        timestamp: 5000 + i64::from(offset),
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: IndexMap::new(),
    }
}

const NOBODY: ProducerStamp = ProducerStamp { id: -1, epoch: -1, first_sequence: -1 };

fn encode(stamp: ProducerStamp, values: &[&[u8]], compression: Compression) -> Vec<u8> {
    let records: Vec<_> = values.iter().zip(0..).map(|(value, offset)| record(offset, stamp, value)).collect();
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &RecordEncodeOptions { version: 2, compression }).expect("encodes");
    out.to_vec()
}

fn plain() -> Vec<u8> {
    encode(NOBODY, &[b"one", b"two"], Compression::None)
}

/// Makes checksum and length those of the content.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len() as u32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// A valid batch with other bytes at `at`.
fn changed(at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = plain();
    bytes[at..at + value.len()].copy_from_slice(value);
    seal(bytes)
}

fn take(bytes: Vec<u8>) -> Result<Batch, WireBatchError> {
    Batch::from_wire(bytes.into(), &WireLimits::default())
}

fn refusal(bytes: Vec<u8>) -> WireBatchError {
    take(bytes).map(|batch| batch.count()).expect_err("refused")
}

#[test]
fn every_field_that_lies_has_its_own_refusal() {
    let bytes = plain();
    let length = bytes.len() as u64;
    assert_eq!(refusal(Vec::new()), WireBatchError::Length { announced: 61, available: 0 });
    assert_eq!(refusal(bytes[..60].to_vec()), WireBatchError::Length { announced: 61, available: 60 });
    assert_eq!(refusal(bytes[..70].to_vec()), WireBatchError::Length { announced: length, available: 70 });
    assert_eq!(refusal([&bytes[..], &bytes[..]].concat()), WireBatchError::Several { available: 2 * length });
    let mut short = bytes.clone();
    short[8..12].copy_from_slice(&10_u32.to_be_bytes());
    assert_eq!(refusal(short), WireBatchError::Length { announced: 22, available: length });
    for magic in [0, 1, 3] {
        assert_eq!(refusal(changed(16, &[magic])), WireBatchError::Magic(magic as i8));
    }
    let mut damaged = bytes.clone();
    damaged[70] ^= 1;
    assert!(matches!(refusal(damaged), WireBatchError::Crc { .. }));
    for codec in 5..8 {
        assert_eq!(refusal(changed(ATTRIBUTES, &[codec])), WireBatchError::Codec(codec));
    }
    assert_eq!(refusal(changed(ATTRIBUTES, &[1 << 3])), WireBatchError::AppendTime);
    assert_eq!(refusal(changed(ATTRIBUTES, &[1 << 4])), WireBatchError::Transactional);
    assert_eq!(refusal(changed(ATTRIBUTES, &[3 << 4])), WireBatchError::Control);
    assert_eq!(refusal(changed(ATTRIBUTES, &[1 << 6])), WireBatchError::Attributes(1 << 6));
    for (count, last_offset_delta) in [(2, 0), (3, 1), (0, -1), (-1, -2), (i32::MAX, 1)] {
        let mut bytes = plain();
        bytes[57..61].copy_from_slice(&i32::to_be_bytes(count));
        bytes[23..27].copy_from_slice(&i32::to_be_bytes(last_offset_delta));
        assert_eq!(refusal(seal(bytes)), WireBatchError::Count { count, last_offset_delta });
    }
    let limits = WireLimits { batch_bytes_max: bytes.len() - 1, ..WireLimits::default() };
    let refused = Batch::from_wire(bytes.into(), &limits).map(|batch| batch.count());
    assert_eq!(refused, Err(WireBatchError::TooLarge { bytes: length as usize, max: length as usize - 1 }));
}

#[test]
fn counts_that_agree_with_each_other_and_not_with_the_records_are_refused() {
    for codec in CODECS {
        let bytes = encode(NOBODY, &[b"one", b"two", b"three"], codec);
        for (count, error) in [(2, WireBatchError::Uncounted { count: 2 }), (4, WireBatchError::Record { index: 3 })] {
            let mut bytes = bytes.clone();
            bytes[57..61].copy_from_slice(&i32::to_be_bytes(count));
            bytes[23..27].copy_from_slice(&i32::to_be_bytes(count - 1));
            assert_eq!(refusal(seal(bytes)), error, "{codec:?}");
        }
    }
}

#[test]
fn a_record_that_lies_is_refused_by_its_number() {
    // Two records: length 9, attributes, time delta, offset delta, key -1, value length 3, value, no headers.
    let bytes = plain();
    assert_eq!(&bytes[61..71], &[9 << 1, 0, 0, 0, 1, 3 << 1, b'o', b'n', b'e', 0]);
    let cases: [(usize, &[u8], u32); 8] = [
        (61, &[10 << 1], 0),
        (61, &[8 << 1], 0),
        (61, &[1], 0),
        (64, &[1 << 1], 0),
        (65, &[3], 0),
        (66, &[4 << 1], 0),
        (70, &[2], 0),
        (74, &[0], 1),
    ];
    for (at, value, index) in cases {
        assert_eq!(refusal(changed(at, value)), WireBatchError::Record { index }, "byte {at} as {value:?}");
    }
    // A length of more bytes than an int32 has.
    let long = [&bytes[..61], &[0x92, 0x80, 0x80, 0x80, 0x80, 0][..], &bytes[62..]].concat();
    assert_eq!(refusal(seal(long)), WireBatchError::Record { index: 0 });
    // A time before 1970; -1 is none.
    let early = seal([&bytes[..27], &(-2_i64).to_be_bytes(), &bytes[35..]].concat());
    assert_eq!(refusal(early), WireBatchError::RecordTimestamp { index: 0, timestamp: -2 });
    let untimed = seal([&bytes[..27], &(-1_i64).to_be_bytes(), &(-1_i64).to_be_bytes(), &bytes[43..]].concat());
    assert_eq!(take(untimed).expect("a batch").max_timestamp().as_milliseconds(), 0);
}

#[test]
fn a_header_name_that_is_null_or_no_text_is_refused() {
    let with_header = |name: &[u8]| {
        let record = [&[0, 0, 0, 1, 1, 2], name, &[1]].concat();
        let bytes = [&encode(NOBODY, &[b""], Compression::None)[..61], &[record.len() as u8 * 2], &record[..]].concat();
        take(seal(bytes)).map(|batch| batch.count())
    };
    assert_eq!(with_header(&[2, b'a']), Ok(1));
    assert_eq!(with_header(&[4, 0xc3, 0xa4]), Ok(1));
    for name in [&[1][..], &[2, 0xff], &[2, 0xc3]] {
        assert_eq!(with_header(name), Err(WireBatchError::Record { index: 0 }), "{name:?}");
    }
}

#[test]
fn a_producer_has_an_id_an_epoch_and_a_sequence_or_none_at_all() {
    let with_producer = |id: i64, epoch: i16, first_sequence: i32| {
        let fields = [&id.to_be_bytes()[..], &epoch.to_be_bytes(), &first_sequence.to_be_bytes()].concat();
        take(changed(43, &fields)).map(|batch| batch.producer())
    };
    assert_eq!(with_producer(7, 1, 30), Ok(Some(ProducerStamp { id: 7, epoch: 1, first_sequence: 30 })));
    assert_eq!(with_producer(0, 0, 0), Ok(Some(ProducerStamp { id: 0, epoch: 0, first_sequence: 0 })));
    // Without an id nothing is said by the rest; kafkajs leaves zeros there.
    assert_eq!(with_producer(-1, 0, 0), Ok(None));
    for (id, epoch, first_sequence) in [(-2, 0, 0), (7, -1, 0), (7, 0, -1)] {
        assert_eq!(with_producer(id, epoch, first_sequence), Err(WireBatchError::Producer(ProducerStamp { id, epoch, first_sequence })));
    }
}

#[test]
fn a_wrong_maximum_timestamp_is_corrected() {
    let batch = take(changed(MAX_TIMESTAMP.start, &0_i64.to_be_bytes())).expect("a batch");
    assert_eq!(batch.max_timestamp().as_milliseconds(), 5001);
    assert_eq!(batch.as_bytes(), &plain());
}

#[test]
fn what_expands_beyond_the_limits_is_refused_in_every_codec() {
    let body = vec![b'x'; 300_000];
    for codec in &CODECS[1..] {
        let bytes = encode(NOBODY, &[&body], *codec);
        let taken = |limits: WireLimits| Batch::from_wire(bytes.clone().into(), &limits).map(|batch| batch.count());
        assert_eq!(taken(WireLimits::default()), Ok(1), "{codec:?}: what would be taken uncompressed is");
        let absolute = WireLimits { expanded_bytes_max: 300_000, ..WireLimits::default() };
        assert_eq!(taken(absolute), Err(WireBatchError::Expansion { max: 300_000 }), "{codec:?}");
        let factor = WireLimits { batch_bytes_max: bytes.len(), expansion_max: 2, ..WireLimits::default() };
        assert_eq!(taken(factor), Err(WireBatchError::Expansion { max: bytes.len().max(2 * (bytes.len() - 61)) }), "{codec:?}");
    }
}

#[test]
fn compressed_records_cut_short_or_damaged_are_refused() {
    for codec in &CODECS[1..] {
        let bytes = encode(NOBODY, &[&[7; 500], b"two"], *codec);
        for length in 62..bytes.len() {
            let refused = refusal(seal(bytes[..length].to_vec()));
            assert!(matches!(refused, WireBatchError::Compressed { .. } | WireBatchError::Record { .. }), "{codec:?} {length}: {refused}");
        }
        let refused = refusal(seal([&bytes[..], &[0]].concat()));
        assert!(matches!(refused, WireBatchError::Compressed { .. }), "{codec:?}: {refused}");
    }
}

/// The batch whose records, compressed by `codec`, are `records`.
fn with_records(codec: u8, records: &[u8]) -> Vec<u8> {
    let compressed = match codec {
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(records).and_then(|()| encoder.finish()).expect("in memory")
        }
        2 => snap::raw::Encoder::new().compress_vec(records).expect("in memory"),
        3 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(records).expect("in memory");
            encoder.finish().expect("in memory")
        }
        4 => zstd::encode_all(records, 1).expect("in memory"),
        _ => records.to_vec(),
    };
    let mut bytes = [&encode(NOBODY, &[b"", b"", b""], Compression::None)[..61], &compressed].concat();
    bytes[ATTRIBUTES] = codec;
    seal(bytes)
}

proptest! {
    #[test]
    fn changed_records_are_judged_alike_in_every_codec_and_never_taken_with_another_count(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(0_u8..24)), 0..3),
    ) {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let mut records = encode(NOBODY, &values, Compression::None).split_off(61);
        for (at, value) in changes {
            let at = at.index(records.len());
            match value {
                Some(value) => records[at] = value,
                None => records.truncate(at.max(1)),
            }
        }
        let judged = take(with_records(0, &records)).map(|batch| (batch.count(), batch.max_timestamp()));
        for codec in 1..5 {
            let taken = take(with_records(codec, &records));
            prop_assert_eq!(&taken.as_ref().map(|batch| (batch.count(), batch.max_timestamp())).map_err(Clone::clone), &judged);
            if let Ok(batch) = taken {
                let bytes = batch.as_bytes().clone();
                let base = SequenceNumber(i64::from_be_bytes(*bytes.first_chunk().expect("a header")));
                let stored = StoredBatch { base, count: 3, append_time: support::start_of_time(), origin: Origin::Kafka, wanted: base, bytes };
                prop_assert_eq!(stored.events().filter(Result::is_ok).count(), 3);
            }
        }
    }
}

fn open(disk: &FaultyDisk) -> EventLog {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    open_manual(&disk, &manual_clock(), 2)
}

fn prepare(log: &EventLog, stamp: ProducerStamp, values: &[&[u8]]) -> (AppendPermit, Batch) {
    let batch = take(encode(stamp, values, Compression::Lz4)).expect("a batch");
    (log.try_reserve(batch.staged_bytes()).expect("an open log").expect("room"), batch)
}

fn send(log: &EventLog, partition: PartitionId, stamp: ProducerStamp, values: &[&[u8]]) -> Result<Ticket, StageError> {
    let (permit, batch) = prepare(log, stamp, values);
    log.stage(permit, HUB, partition, batch, Origin::Kafka)
}

fn producer(epoch: i16, first_sequence: i32) -> ProducerStamp {
    ProducerStamp { id: 4, epoch, first_sequence }
}

fn durable(ticket: &Ticket) -> Option<SequenceNumber> {
    ticket.try_get().and_then(Result::ok).map(Durable::first)
}

#[test]
fn a_batch_sent_again_is_stored_once_and_resolves_with_the_first() {
    let log = open(&FaultyDisk::new(1));
    send(&log, P0, NOBODY, &[b"before"]).expect("staged");
    let first = send(&log, P0, producer(0, 0), &[b"a", b"b"]).expect("staged");
    let again = send(&log, P0, producer(0, 0), &[b"a", b"b"]).expect("staged");
    assert!(again.same_group(&first) && durable(&again).is_none());
    while log.commit_staged() {}
    let late = send(&log, P0, producer(0, 0), &[b"a", b"b"]).expect("staged");
    for ticket in [first, again, late] {
        assert_eq!(durable(&ticket), Some(SequenceNumber(1)));
    }
    assert_eq!(log.statistics().staged_bytes, 0);
    assert!(!log.commit_staged());
    assert_eq!(log.partition(HUB, P0).expect("known").next, SequenceNumber(3));
    // Each partition has a sequence of its own.
    let elsewhere = send(&log, P1, producer(0, 0), &[b"a", b"b"]).expect("staged");
    assert_eq!(elsewhere.first(), SequenceNumber(0));
}

#[test]
fn a_gap_and_an_old_epoch_are_refused_and_store_nothing() {
    let log = open(&FaultyDisk::new(1));
    send(&log, P0, producer(1, 0), &[b"a"]).expect("staged");
    let gap = send(&log, P0, producer(1, 2), &[b"c"]);
    assert!(matches!(gap, Err(StageError::OutOfOrderSequence { expected: 1, got: 2 })));
    let old = send(&log, P0, producer(0, 1), &[b"b"]);
    assert!(matches!(old, Err(StageError::ProducerFenced { current_epoch: 1, got: 0 })));
    while log.commit_staged() {}
    assert_eq!(log.partition(HUB, P0).expect("known").next, SequenceNumber(1));
}

#[test]
fn producers_are_known_when_all_their_segments_are_sealed_and_used_again() {
    let disk = FaultyDisk::new(3);
    let log = open(&disk);
    let first = send(&log, P0, producer(0, 0), &[b"x", b"y"]).expect("staged").first();
    for _ in 0..4 {
        let segments = log.statistics().segments;
        while log.statistics().segments == segments {
            send(&log, P0, NOBODY, &[&[0; 4000]]).expect("staged");
            while log.commit_staged() {}
        }
        while log.seal_oldest().expect("sealed") {}
    }
    drop(log);
    let log = open(&disk);
    assert_eq!(durable(&send(&log, P0, producer(0, 0), &[b"x", b"y"]).expect("a repeat")), Some(first));
    assert!(matches!(send(&log, P0, producer(0, 3), &[b"z"]), Err(StageError::OutOfOrderSequence { expected: 2, got: 3 })));
}

#[test]
fn a_batch_refused_by_a_full_disk_may_be_sent_again() {
    let disk = FaultyDisk::new(3);
    let log = open(&disk);
    disk.set_faults(Faults { capacity: Some(100 * 1024), ..Faults::default() });
    let mut sequence = 0;
    let refused = loop {
        let ticket = send(&log, P0, producer(0, sequence), &[&[0; 4000]]).expect("staged");
        log.commit_staged();
        match ticket.try_get().expect("resolved") {
            Ok(_) => sequence += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogFailed::Full { .. }));
    disk.set_faults(Faults::default());
    log.commit_staged();
    let again = send(&log, P0, producer(0, sequence), &[&[0; 4000]]).expect("staged");
    log.commit_staged();
    assert_eq!(durable(&again), Some(SequenceNumber(i64::from(sequence))));
}

#[test]
fn producers_are_known_again_after_a_crash() {
    let disk = FaultyDisk::new(3);
    let log = open(&disk);
    for first_sequence in [0, 2, 4] {
        send(&log, P0, producer(0, first_sequence), &[b"x", b"y"]).expect("staged");
        while log.commit_staged() {}
    }
    let lost = send(&log, P0, producer(0, 6), &[b"x", b"y"]).expect("staged");
    disk.cut_power();
    drop((log, lost));
    disk.restart();
    let log = open(&disk);
    let again = send(&log, P0, producer(0, 2), &[b"x", b"y"]).expect("staged");
    assert_eq!(durable(&again), Some(SequenceNumber(2)), "durable before, so at once");
    assert!(matches!(send(&log, P0, producer(0, 8), &[b"z"]), Err(StageError::OutOfOrderSequence { expected: 6, got: 8 })));
    assert_eq!(send(&log, P0, producer(0, 6), &[b"x", b"y"]).expect("staged").first(), SequenceNumber(6));
}

#[test]
fn a_repeat_of_a_batch_whose_group_fails_fails_with_it() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    let first = send(&log, P0, producer(0, 0), &[b"a"]).expect("staged");
    let again = send(&log, P0, producer(0, 0), &[b"a"]).expect("staged");
    disk.set_faults(Faults { fail_call: Some(disk.calls() + 1), ..Faults::default() });
    while log.commit_staged() {}
    for ticket in [first, again] {
        assert!(matches!(ticket.try_get(), Some(Err(LogFailed::Poisoned { .. }))));
    }
}

#[test]
fn the_stored_batch_has_the_logs_offset_and_leader_epoch_and_reads_back() {
    let log = open(&FaultyDisk::new(1));
    send(&log, P0, NOBODY, &[b"before"]).expect("staged");
    send(&log, P0, NOBODY, &[b"one", b"two"]).expect("staged");
    while log.commit_staged() {}
    let batches = log.reader(HUB, P0, Start::Sequence(SequenceNumber(2))).expect("a reader").try_next(1).expect("reads");
    let batch = batches.first().expect("a batch");
    assert_eq!(batch.bytes[..8], 1_i64.to_be_bytes());
    assert_eq!(batch.bytes[12..16], [0; 4]);
    let events: Vec<_> = batch.events().map(|event| event.expect("decodes")).collect();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].sequence, events[0].value.as_deref(), &events[0].key), (SequenceNumber(2), Some(b"two".as_slice()), &None));
}
