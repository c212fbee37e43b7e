#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ndarray_loss_fuzz::elementwise(data);
});
