//! The promises that every loss of the catalogue keeps, one file each; one program, so that their kernels are compiled
//! once.

#[macro_use]
#[path = "../support/both_types.rs"]
mod both_types;

mod agreement;
#[path = "../catalogue/mod.rs"]
mod catalogue;
mod determinism;
mod golden;
mod gradients;
mod layouts;
mod options;
mod properties;
