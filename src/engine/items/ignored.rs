//! Labels whose items are left out.

use crate::engine::rows::{ItemKernel, LeftOut};

/// The labels that a kernel leaves out.
#[derive(Clone, Copy)]
pub(crate) struct Ignored<'k, F> {
    kernel: &'k dyn ItemKernel<F>,
    labels: LeftOut,
}

impl<'k, F> Ignored<'k, F> {
    pub(crate) fn by(kernel: &'k dyn ItemKernel<F>) -> Self {
        let labels = kernel.left_out();
        Self { kernel, labels }
    }

    /// Whether there is any.
    #[inline(always)]
    pub(crate) fn exist(&self) -> bool {
        self.labels != LeftOut::None
    }

    #[inline(always)]
    pub(crate) fn contain(&self, label: i128) -> bool {
        match self.labels {
            LeftOut::None => false,
            LeftOut::One(ignored) => label == ignored,
            LeftOut::Several => self.kernel.ignores(label),
        }
    }
}
