//! The promises that every loss of the catalogue keeps, one file each; one program, so that their kernels are compiled
//! once.

mod agreement;
#[path = "../catalogue/mod.rs"]
mod catalogue;
mod determinism;
mod golden;
mod gradients;
mod layouts;
