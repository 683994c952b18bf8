#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| event_log::fuzz::wire_batch(input));
