//! Values at the edges: what the crate promises of them, line by line.
//!
//! That the tables in the documentation say the same is enforced in `limits_in_docs.rs`.
#![allow(clippy::unwrap_used, clippy::panic)]

#[macro_use]
#[path = "../support/both_types.rs"]
mod both_types;

mod elementwise;
mod itemwise;
#[path = "../support/mod.rs"]
mod support;

use support::{Bits, ulps};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Fails unless the number is the expected one, as rounded to its type; zeros of either sign are equal.
#[track_caller]
fn assert_is<F: Bits>(case: &str, computed: F, expected: f64) {
    let rounded = F::of(expected);
    let distance = ulps(computed, rounded);
    let allowed = u64::from(expected.fract() != 0.0); // whole numbers and limits are exact
    assert!(
        distance <= allowed,
        "{case}, {}: {computed:?} instead of {rounded:?}",
        F::NAME
    );
}
