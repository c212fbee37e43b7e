//! Run-time dispatch on the processor.

use pulp::{Arch, NullaryFnOnce};

/// Runs the work compiled for the widest instruction set of this processor.
///
/// The work has to be a struct whose `call` is `#[inline(always)]`, and all that it calls likewise: a closure, or a
/// function left out of line, would be compiled for the baseline.
#[inline]
pub(crate) fn dispatch<W: NullaryFnOnce>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}
