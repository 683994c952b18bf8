use super::*;
use crate::fuzz;
use kafka_protocol::messages::{ApiVersionsResponse, FetchResponse, MetadataRequest, ResponseHeader};
use kafka_protocol::protocol::StrBytes;

fn every_version() -> impl Iterator<Item = (Api, i16)> {
    Api::ALL.iter().flat_map(|api| api.served().range().map(|version| (*api, version)))
}

#[test]
fn every_request_has_the_outline_that_its_decoder_follows() {
    for (api, version) in every_version() {
        let body = samples::body(api, version);
        assert_eq!(shape::remainder(api, version, &body), Some(&[][..]), "{api:?} {version}");
        assert_eq!(fuzz::decoded(api, version, &body), Some(0), "{api:?} {version} decodes to its end");
        for cut in 0..body.len() {
            assert_eq!(shape::remainder(api, version, &body[..cut]), None, "{api:?} {version} cut to {cut} bytes");
        }
    }
}

#[test]
fn bytes_behind_a_request_are_ignored() {
    for (api, version) in every_version() {
        let mut body = samples::body(api, version).to_vec();
        body.extend_from_slice(&[1, 2, 3]);
        assert_eq!(fuzz::decoded(api, version, &body.into()), Some(3), "{api:?} {version}");
    }
}

#[test]
fn an_array_that_announces_more_than_it_carries_never_meets_the_decoder() {
    // Nothing but a count of 2^31 - 1 topics, in both encodings.
    assert_eq!(shape::elements(Api::Metadata, 1, &[0x7f, 0xff, 0xff, 0xff]), None);
    assert_eq!(shape::elements(Api::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x07]), None);
    // As many tagged fields.
    assert_eq!(shape::elements(Api::ApiVersions, 3, &[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]), None);
    // Elements that are there, and too many.
    let most = shape::ELEMENTS_MAX;
    let topics = |count: usize| [&(count as u32).to_be_bytes()[..], &vec![0; 2 * count]].concat();
    assert_eq!(shape::elements(Api::Metadata, 1, &topics(most)), Some(most));
    assert_eq!(shape::elements(Api::Metadata, 1, &topics(most + 1)), None);
}

#[test]
fn elements_are_counted_wherever_they_stand() {
    let count = |api, version| {
        let Ok(Incoming::Request { header, body }) = request(samples::frame(api, version)) else { panic!("{api:?} {version}") };
        elements(&header, &body).expect("a request")
    };
    // Two topics of two partitions each.
    assert_eq!(count(Api::Produce, 3), 6);
    // And a forgotten topic with two.
    assert_eq!((count(Api::Fetch, 4), count(Api::Fetch, 7)), (6, 9));
    assert_eq!(count(Api::Heartbeat, 0), 0);
    let tagged = [1, 1, 2, 0, 0, 9, 1, 7];
    assert_eq!(shape::elements(Api::ApiVersions, 3, &tagged), Some(2));
}

#[test]
fn a_long_client_id_is_cut_and_no_part_of_its_frame() {
    let mut frame = BytesMut::from(&head(18, 0)[..8]);
    let name = "ä".repeat(200);
    frame.put_u16(name.len() as u16);
    frame.put_slice(name.as_bytes());
    let frame = frame.freeze();
    let Ok(Incoming::Request { header, body }) = request(frame.clone()) else { panic!("a request") };
    assert_eq!(header.client_id.as_deref(), Some(&*"ä".repeat(127)), "no half characters");
    drop(body);
    assert!(frame.is_unique(), "the frame is given back with the body");
}

#[test]
fn a_frame_is_judged_by_its_length_field() {
    let check = |announced: i32, expected: Option<usize>| {
        assert_eq!(frame_length(announced.to_be_bytes(), 1000).ok(), expected, "{announced}");
    };
    check(8, Some(8));
    check(1000, Some(1000));
    for refused in [i32::MIN, -1, 0, 7, 1001, i32::MAX] {
        check(refused, None);
    }
    // What a browser or a TLS client sends first.
    assert!(frame_length(*b"GET ", STRANGER_FRAME_BYTES_MAX).is_err());
    assert!(frame_length([0x16, 3, 1, 2], STRANGER_FRAME_BYTES_MAX).is_err());
}

#[test]
fn every_request_is_read_from_its_frame() {
    for (api, version) in every_version() {
        let Ok(Incoming::Request { header, body }) = request(samples::frame(api, version)) else { panic!("{api:?} {version}") };
        let client_id = Some(StrBytes::from_static_str("sample"));
        assert_eq!(header, RequestHeader { api, version, correlation_id: 7, client_id });
        assert_eq!(body, samples::body(api, version), "{api:?} {version}");
    }
}

fn head(key: i16, version: i16) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(9);
    frame.put_i16(-1);
    frame.freeze()
}

#[test]
fn what_is_not_served_is_told_apart() {
    assert_eq!(request(head(18, 5)), Ok(Incoming::UnknownApiVersions { correlation_id: 9 }));
    assert_eq!(request(head(18, -1)), Ok(Incoming::UnknownApiVersions { correlation_id: 9 }));
    for key in [24, 25, 26, 28, 68, 4, -1, i16::MAX] {
        assert_eq!(request(head(key, 0)), Err(InvalidRequest::UnknownApi { key }));
    }
    assert_eq!(request(head(1, 13)), Err(InvalidRequest::UnknownVersion { api: Api::Fetch, version: 13 }));
    assert_eq!(request(head(0, 13)), Err(InvalidRequest::UnknownVersion { api: Api::Produce, version: 13 }));
    assert!(matches!(request(head(0, 2)), Ok(Incoming::OldProduce { .. })));
    assert_eq!(request(Bytes::from_static(&[0; 9])), Err(HeaderCutShort.into()));
    assert_eq!(request(Bytes::new()), Err(HeaderCutShort.into()));
}

#[test]
fn a_list_of_apis_that_old_clients_can_read_answers_an_unknown_version() {
    let mut frame = unknown_api_versions(9).expect("an answer");
    assert_eq!(frame.len() - 4, i32::from_be_bytes(*frame.first_chunk().unwrap()) as usize);
    let header = ResponseHeader::decode(&mut frame.split_off(4), 0).expect("a header");
    assert_eq!(header.correlation_id, 9);
    let frame = unknown_api_versions(9).expect("an answer").slice(8..);
    let answer = ApiVersionsResponse::decode(&mut frame.clone(), 0).expect("version 0");
    assert_eq!(answer.error_code, 35);
    let range = |key: i16| answer.api_keys.iter().find(|api| api.api_key == key).map(|api| (api.min_version, api.max_version));
    assert_eq!((range(0), range(1), range(18)), (Some((0, 12)), Some((4, 12)), Some((0, 4))));
    for absent in [24, 25, 26, 28, 68] {
        assert_eq!(range(absent), None);
    }
}

#[test]
fn the_answer_to_a_question_for_apis_has_no_tagged_header() {
    let header = RequestHeader { api: Api::ApiVersions, version: 3, correlation_id: 1, client_id: None };
    let frame = response(&header, &api_versions()).expect("an answer");
    assert_eq!(ApiVersionsResponse::decode(&mut frame.slice(8..), 3).expect("version 3").error_code, 0);
}

#[test]
fn an_old_produce_request_is_refused_partition_by_partition() {
    let mut body = BytesMut::new();
    body.put_slice(&[0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2]);
    for partition in [4, 5] {
        body.put_i32(partition);
        body.put_i32(3);
        body.put_slice(b"old");
    }
    let body = body.freeze();
    for version in 0..=2 {
        let header = RequestHeader { api: Api::Produce, version, correlation_id: 3, client_id: None };
        let read = OldProduce::decode(&header, &body).expect("a request");
        assert_eq!((read.acks, read.topics.len()), (1, 1));
        assert_eq!(read.topics[0].partitions, [4, 5]);
        let refusal = read.refusal(&header);
        assert_eq!(refusal.len() - 4, i32::from_be_bytes(*refusal.first_chunk().unwrap()) as usize);
        let partition_bytes = if version == 2 { 22 } else { 14 };
        assert_eq!(refusal.len(), 8 + 4 + 3 + 4 + 2 * partition_bytes + if version > 0 { 4 } else { 0 });
        assert_eq!(refusal[23..25], 35_i16.to_be_bytes());
        for cut in 0..body.len() {
            assert!(OldProduce::decode(&header, &body.slice(..cut)).is_err());
        }
    }
}

#[test]
fn the_answer_to_a_fetch_is_what_clients_decode_and_holds_the_very_batches() {
    let batches = vec![Bytes::from_static(b"first"), Bytes::from(vec![7; 300])];
    let good = FetchedPartition { index: 2, error_code: 0, high_watermark: 10, log_start_offset: 1, batches: batches.clone() };
    let bad = FetchedPartition { index: 3, error_code: 1, high_watermark: -1, log_start_offset: -1, batches: Vec::new() };
    let topics = [
        FetchedTopic { name: Bytes::from_static(b"t"), partitions: vec![good, bad] },
        FetchedTopic { name: Bytes::from(vec![b'u'; 200]), partitions: Vec::new() },
    ];
    for version in Api::Fetch.served().range() {
        let header = RequestHeader { api: Api::Fetch, version, correlation_id: 5, client_id: None };
        let pieces = fetch_response(&header, 0, &topics);
        assert!(batches.iter().all(|batch| pieces.iter().any(|piece| piece.as_ptr() == batch.as_ptr())), "copied nothing");
        let mut frame = Bytes::from(pieces.concat());
        assert_eq!(frame.len() - 4, i32::from_be_bytes(*frame.first_chunk().unwrap()) as usize);
        let mut frame = frame.split_off(4);
        let header = ResponseHeader::decode(&mut frame, FetchResponse::header_version(version)).expect("a header");
        assert_eq!(header.correlation_id, 5);
        let answer = FetchResponse::decode(&mut frame, version).unwrap_or_else(|error| panic!("{version}: {error}"));
        assert!(frame.is_empty(), "{version}");
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((partition.partition_index, partition.high_watermark, partition.last_stable_offset), (2, 10, 10));
        assert_eq!(partition.records.as_deref(), Some(&*batches.concat()));
        assert_eq!(answer.responses[0].partitions[1].error_code, 1);
        assert_eq!(answer.responses[1].topic.len(), 200);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let header = RequestHeader { api: Api::Metadata, version: 1, correlation_id: 1, client_id: None };
    let body = Bytes::from_static(&[0, 0, 0, 1, 0, 1, 0xff]);
    let refused = decode::<MetadataRequest>(&header, &body);
    assert_eq!(refused, Err(InvalidRequest::Body { api: Api::Metadata, version: 1 }));
}
