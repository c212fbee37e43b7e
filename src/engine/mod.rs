//! What every loss shares, written once: checks, layouts, threads, instruction sets and sums. It knows no loss.
//!
//! The way of a call: [`shape`] checks and aligns, [`elementwise`] or [`rows`] turns any layout into contiguous
//! slices, [`parallel`] spreads them over threads along a fixed tree, [`simd`] picks the instruction set, the kernel
//! computes, and [`reduce`] adds up what an objective needs.

pub(crate) mod elementwise;
pub(crate) mod parallel;
pub(crate) mod reduce;
pub(crate) mod rows;
pub(crate) mod shape;
pub(crate) mod simd;
