#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_proto::fuzz::mqtt_decode(input));
