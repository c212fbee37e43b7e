//! Tests of generic functions.

/// Runs a test for both types.
macro_rules! for_both_types {
    ($($test:ident)*) => {
        mod f32_results { $(#[test] fn $test() { super::$test::<f32>(); })* }
        mod f64_results { $(#[test] fn $test() { super::$test::<f64>(); })* }
    };
}
