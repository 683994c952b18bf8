#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kafka_proto::fuzz::kafka_request(input));
