#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    payment_mock::decoders::request(bytes);
});
