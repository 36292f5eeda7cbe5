#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    edge_agent::decoders::delivery(bytes);
});
