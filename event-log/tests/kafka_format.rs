//! Batches are Kafka's: another implementation reads ours, ours reads another's.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use event_log::{
    Batch, BatchBuilder, BatchError, Disk, FaultyDisk, HeaderBlock, Origin, Record, Start, StoredBatch, StoredEvent, WireLimits,
};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as KafkaRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use model::{SequenceNumber, Timestamp};
use proptest::prelude::*;
use support::{HUB, P0, manual_clock, open_manual, start_of_time};

fn stored(bytes: Bytes, base: i64, count: u32) -> StoredBatch {
    let base = SequenceNumber(base);
    StoredBatch { base, count, append_time: start_of_time(), origin: Origin::Kafka, wanted: base, bytes }
}

fn events(batch: &StoredBatch) -> Result<Vec<StoredEvent>, BatchError> {
    batch.events().collect()
}

const CODECS: [Compression; 5] = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn kafka_record(offset: i64, timestamp: i64, value: Option<Vec<u8>>) -> KafkaRecord {
    let mut headers = IndexMap::new();
    headers.insert(StrBytes::from_static_str("name"), Some(Bytes::from_static(b"value")));
    headers.insert(StrBytes::from_static_str("null"), None);
    KafkaRecord {
        transactional: false,
        control: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        delete_horizon: false,
        offset,
        sequence: offset as i32,
        timestamp,
        key: Some(Bytes::from_static(b"key")),
        value: value.map(Bytes::from),
        headers,
    }
}

fn encode(records: &[KafkaRecord], compression: Compression) -> Bytes {
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, records, &RecordEncodeOptions { version: 2, compression }).expect("encodes");
    out.freeze()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn another_implementation_reads_what_the_log_stored(
        values in prop::collection::vec((prop::option::of(prop::collection::vec(any::<u8>(), 0..300)), -5_000_i64..5_000), 1..40)
    ) {
        let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new(1));
        let log = open_manual(&disk, &manual_clock(), 1);
        let block = HeaderBlock::new().with("name", b"value");
        let mut own = HeaderBlock::new();
        own.push("null", None);
        let mut builder = BatchBuilder::new(start_of_time());
        let moment = |delta: i64| Timestamp::from_milliseconds(start_of_time().as_milliseconds() + delta);
        for _ in 0..2 {
            for (value, delta) in &values {
                builder.push(Record { timestamp: moment(*delta), key: Some(b"key"), value: value.as_deref(), headers: &[&block, &own] });
            }
            let batch = builder.finish();
            let permit = log.try_reserve(batch.staged_bytes()).expect("open").expect("room");
            log.stage(permit, HUB, P0, batch, Origin::Mqtt).expect("staged");
        }
        while log.commit_staged() {}
        let mut reader = log.reader(HUB, P0, Start::Earliest).expect("a reader");
        let mut batches = reader.try_next(usize::MAX).expect("reads").into_iter();
        let mut offset = 0;
        for batch in batches.by_ref() {
            let decoded = RecordBatchDecoder::decode(&mut batch.bytes.clone()).expect("decodes");
            prop_assert_eq!(decoded.records.len(), values.len());
            for (record, (value, delta)) in decoded.records.iter().zip(&values) {
                let expected = kafka_record(offset, moment(*delta).as_milliseconds(), value.clone());
                prop_assert_eq!((record.offset, record.timestamp), (expected.offset, expected.timestamp));
                prop_assert_eq!((&record.key, &record.value, &record.headers), (&expected.key, &expected.value, &expected.headers));
                offset += 1;
            }
        }
        prop_assert_eq!(offset as usize, 2 * values.len());
    }

    #[test]
    fn what_another_implementation_made_reads_back_in_every_codec(
        values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..300)), 1..40)
    ) {
        let records: Vec<_> = values.iter().enumerate().map(|(index, value)| kafka_record(index as i64, 1000 + index as i64, value.clone())).collect();
        for compression in CODECS {
            let bytes = encode(&records, compression);
            let taken = Batch::from_wire(bytes.clone(), &WireLimits::default()).expect("a batch");
            prop_assert_eq!((taken.count() as usize, taken.producer()), (values.len(), None));
            prop_assert_eq!(taken.max_timestamp().as_milliseconds(), 999 + values.len() as i64);
            prop_assert_eq!(taken.as_bytes(), &bytes, "{:?}", compression);
            let events = events(&stored(bytes, 0, values.len() as u32)).expect("decodes");
            prop_assert_eq!(events.len(), values.len());
            for ((index, event), value) in events.iter().enumerate().zip(&values) {
                prop_assert_eq!(event.sequence, SequenceNumber(index as i64));
                prop_assert_eq!(event.timestamp.as_milliseconds(), 1000 + index as i64);
                prop_assert_eq!(event.key.as_deref(), Some(b"key".as_slice()));
                prop_assert_eq!(event.value.as_deref(), value.as_deref());
                prop_assert_eq!(&event.headers[0], &(Bytes::from_static(b"name"), Some(Bytes::from_static(b"value"))));
                prop_assert_eq!(&event.headers[1], &(Bytes::from_static(b"null"), None));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_batch_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(events(&stored(bytes.into(), 0, 1)).is_err());
    }

    #[test]
    fn a_record_that_lies_about_its_lengths_is_an_error(at in 61_usize..90, value: u8) {
        let mut bytes = encode(&[kafka_record(0, 1, Some(b"body".to_vec()))], Compression::None).to_vec();
        if at < bytes.len() && bytes[at] != value {
            bytes[at] = value;
            let crc = crc32c::crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
            // Either refused or another well-formed record; both without a panic.
            let _ = events(&stored(bytes.into(), 0, 1));
        }
    }
}

#[test]
fn compressed_records_that_do_not_decompress_are_an_error_that_names_the_codec() {
    let mut bytes = encode(&[kafka_record(0, 1, Some(b"body".to_vec()))], Compression::None).to_vec();
    for codec in 1..8 {
        bytes[22] = codec;
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let found = events(&stored(bytes.clone().into(), 0, 1));
        assert!(matches!(found, Err(BatchError::Compressed { codec: named, .. }) if named == codec), "{found:?}");
    }
}

#[test]
fn the_first_event_of_a_time_is_found_and_the_latest_of_all() {
    let times = [30, 10, 50, 20, 50];
    let records: Vec<_> = times.iter().zip(0..).map(|(time, offset)| kafka_record(offset, *time, None)).collect();
    let moment = Timestamp::from_milliseconds;
    for compression in CODECS {
        let mut bytes = encode(&records, compression).to_vec();
        bytes[..8].copy_from_slice(&700_i64.to_be_bytes());
        let mut batch = stored(bytes.into(), 700, 5);
        batch.wanted = SequenceNumber(704);
        for (wanted, found) in [(0, Some((700, 30))), (30, Some((700, 30))), (31, Some((702, 50))), (50, Some((702, 50))), (51, None)] {
            let found = found.map(|(sequence, time)| (SequenceNumber(sequence), moment(time)));
            assert_eq!(batch.first_at_or_after(moment(wanted)), found, "{wanted} {compression:?}");
        }
        assert_eq!(batch.max_timestamp_of_records(), Some((SequenceNumber(702), moment(50))));
        assert_eq!(batch.max_timestamp(), moment(50));
    }
}

#[test]
fn a_changed_byte_anywhere_behind_the_prefix_is_found() {
    let bytes = encode(&[kafka_record(0, 1, Some(b"body".to_vec()))], Compression::None);
    for at in 8..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let result = events(&stored(changed.into(), 0, 1));
        // Bytes 12 to 15 are the leader epoch, which the frame's checksum covers.
        assert_eq!(result.is_ok(), (12..16).contains(&at), "byte {at}");
    }
}
