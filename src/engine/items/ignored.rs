//! Labels whose items are left out.

use crate::engine::rows::{ItemKernel, LeftOut};
use crate::float::{Float, Target};

/// The labels that a kernel leaves out.
#[derive(Clone, Copy)]
pub(crate) struct Ignored<'k, F> {
    kernel: &'k dyn ItemKernel<F>,
    labels: LeftOut,
}

impl<'k, F: Float> Ignored<'k, F> {
    pub(crate) fn by(kernel: &'k dyn ItemKernel<F>) -> Self {
        let labels = kernel.left_out();
        Self { kernel, labels }
    }

    /// Whether there is any.
    #[inline(always)]
    pub(crate) fn exist(&self) -> bool {
        self.labels != LeftOut::None
    }

    /// Those among labels of a type, with which they are compared as they are.
    #[inline(always)]
    pub(crate) fn among<T: Target<F>>(&self) -> IgnoredAmong<'k, F, T> {
        match self.labels {
            LeftOut::None => IgnoredAmong::None,
            LeftOut::One(label) => T::of_label(label).map_or(IgnoredAmong::None, IgnoredAmong::One),
            LeftOut::Several => IgnoredAmong::Several(self.kernel),
        }
    }
}

/// The labels of a type that a kernel leaves out.
#[derive(Clone, Copy)]
pub(crate) enum IgnoredAmong<'k, F, T> {
    None,
    One(T),
    Several(&'k dyn ItemKernel<F>),
}

impl<F: Float, T: Target<F>> IgnoredAmong<'_, F, T> {
    #[inline(always)]
    pub(crate) fn contain(&self, label: T) -> bool {
        match self {
            Self::None => false,
            Self::One(ignored) => label == *ignored,
            Self::Several(kernel) => kernel.ignores(label.label()),
        }
    }
}
