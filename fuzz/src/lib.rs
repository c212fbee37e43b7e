//! Calls every public function of ndarray-loss with what an input's bytes say, and checks what comes back.
//!
//! Each body makes arrays of any shape, layout and content, decides which errors are due, and compares results with a
//! naive oracle in `f64`. It panics, with the case in its message, where something is wrong. It returns a number that
//! says what kind of case it was, so that a harness without coverage can tell new ones from old ones.

mod activations;
mod aggregates;
mod by;
mod call;
mod check;
mod elementwise;
#[path = "../../tests/catalogue/erased.rs"]
#[allow(dead_code)] // a part of it is used
mod erased;
mod itemwise;
mod number;
mod oracle;
mod source;

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use check::Checked;
pub(crate) use number::Number;
use source::Source;

/// A body: it takes any bytes.
pub type Body = fn(&[u8]) -> u64;

/// All bodies, by name.
pub const TARGETS: [(&str, Body); 4] = [
    ("elementwise", elementwise),
    ("itemwise", itemwise),
    ("aggregates", aggregates),
    ("activations", activations),
];

/// Runs a body in either type.
macro_rules! body {
    ($(#[doc = $doc:literal] $name:ident)*) => {$(
        #[doc = $doc]
        ///
        /// # Panics
        ///
        /// Where the library panics, or a result is wrong.
        pub fn $name(data: &[u8]) -> u64 {
            let source = &mut Source::new(data);
            match source.below(2) {
                0 => $name::run::<f32>(source),
                _ => 1 ^ $name::run::<f64>(source),
            }
        }
    )*};
}
body! {
    /// Element-wise losses.
    elementwise
    /// Item-wise losses.
    itemwise
    /// Aggregates of losses.
    aggregates
    /// Activations, their products, and scalar functions.
    activations
}

/// Runs a check; whatever goes wrong gets the case beside it.
fn report<F: Number>(case: &dyn Debug, check: impl FnOnce() -> Checked) {
    let said = match catch_unwind(AssertUnwindSafe(check)) {
        Ok(Ok(())) => return,
        Ok(Err(message)) => message,
        Err(panic) => format!("panicked: {}", message(&*panic)),
    };
    panic!("{said}\n{}: {case:#?}", F::NAME);
}

/// What a panic said.
pub fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("?")
}

/// What kind of case it was, as a number.
fn signature(parts: impl Debug, shape: &[usize]) -> u64 {
    let sizes = shape.iter().map(|n| n.min(&70).ilog2_or_zero());
    let text = format!("{parts:?} {:?}", sizes.collect::<Vec<_>>());
    text.bytes()
        .fold(0, |hash, byte| source::mix(hash ^ u64::from(byte)))
}

trait Log {
    fn ilog2_or_zero(&self) -> u32;
}

impl Log for usize {
    fn ilog2_or_zero(&self) -> u32 {
        self.checked_ilog2().unwrap_or(99)
    }
}
