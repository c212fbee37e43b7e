//! What every loss shares, written once: checks, layouts, threads, instruction sets and sums. It knows no loss.
//!
//! The way of a call: [`shape`] checks and aligns; [`elementwise`] or [`items`] gets slices, where the caller's arrays
//! are such, and makes contiguous slices of floats of any other layout; [`parallel`] spreads these over threads along a
//! fixed tree, [`simd`] picks the instruction set, the kernel computes, and [`reduce`] adds up what an objective needs.
//! Checks are compiled once for a type of targets, and element-wise traversals are; item-wise ones read their targets
//! through a trait object, some items at a time. A kernel is compiled once for an instruction set; it is a trait object
//! too, called once a chunk. Kernels are compiled with this crate ([`crate::compiled`]), and so is what depends on no type
//! but the floats' ([`compiled`]).

pub(crate) mod compiled;
mod copying;
pub(crate) mod elementwise;
pub(crate) mod fresh;
pub(crate) mod items;
pub(crate) mod parallel;
pub(crate) mod reduce;
mod repeated;
pub(crate) mod rows;
pub(crate) mod shape;
pub(crate) mod simd;
pub(crate) mod span;
mod tiles;
