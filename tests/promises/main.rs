//! The promises that every loss of the catalogue keeps, one file each; one program, so that their kernels are compiled
//! once.

/// Runs a test for both types.
macro_rules! for_both_types {
    ($($test:ident)*) => {
        mod f32_results { $(#[test] fn $test() { super::$test::<f32>(); })* }
        mod f64_results { $(#[test] fn $test() { super::$test::<f64>(); })* }
    };
}

mod agreement;
#[path = "../catalogue/mod.rs"]
mod catalogue;
mod determinism;
mod golden;
mod gradients;
mod layouts;
mod options;
mod properties;
