//! Rows of scores and their targets, as a kernel of an item-wise loss sees them: all that is compiled for every
//! instruction set.
//!
//! Rows of few classes come in groups, so that a kernel can work on all of them at once ([`mod@short`]); longer ones
//! come singly and are read part by part, whatever their layout ([`mod@long`]). Which way a row goes depends on the
//! number of classes alone.

mod long;
mod short;

use pulp::NullaryFnOnce;

pub(crate) use long::{BLOCK, Block, DenseTarget, Part, Room, Row, RowTarget, largest, position};
pub(super) use long::{Sink, Source};
pub(crate) use short::{
    Batch, BatchTargets, Coefficients, Group, GroupTargets, Panel, ROWS, as_floats, transpose,
    transpose_back, update,
};

use super::simd;
use crate::float::Float;

/// Rows of at most so many classes are short.
///
/// Of so many classes, many rows are still quicker as groups than singly, by every kernel; fewer rows than half a group
/// are not.
pub(crate) const SHORT: usize = 128;

/// What a row of targets in the shape of the predictions means to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dense {
    /// It is handed on as it is.
    Distribution,
    /// It has to be one-hot, and is handed on as a label.
    OneHot,
    /// Its largest element is the label; a row with a NaN names no class, and the item's value is 0.
    Largest,
}

/// The arithmetic of one row. All functions have to be `#[inline(always)]`.
pub(crate) trait RowKernel<F: Float>: Copy + Send + Sync {
    /// The losses of short rows, and their gradients times the coefficients.
    fn group(self, group: Group<'_, F>);
    /// The loss of a long row; the gradient, times the coefficient, goes where the row says.
    fn row(
        self,
        row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F;
    /// Whether the loss of a label depends on the score of its class alone: [`picked`](Self::picked) then serves for
    /// labels, and the other functions see rows of targets only.
    const PICKS: bool = false;
    /// The loss of a label with this score, and its derivative; the gradient is 0 elsewhere.
    #[inline(always)]
    fn picked(self, _score: F) -> (F, F) {
        (F::nan(), F::nan())
    }
}

/// A kernel as the traversal sees it: compiled once for a type of floats, whatever the targets and the layout are.
#[doc(hidden)]
pub trait AnyRowKernel<F>: Sync {
    fn batch(&self, batch: Batch<'_, F>);
    fn row(
        &self,
        row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F;
    fn picks(&self) -> bool;
    /// Makes losses of the scores of labels.
    fn picked(&self, scores: &mut [F], derivatives: Option<&mut [F]>);
}

/// What is computed of items, and which of them are left out.
#[doc(hidden)]
pub trait ItemKernel<F: Float>: Copy + Send + Sync {
    /// The least number of classes that the loss is defined for.
    const MIN_CLASSES: usize;
    const DENSE: Dense;
    /// Whether there is a label whose items are left out.
    const IGNORES: bool = false;

    /// A rough number of nanoseconds a score takes on one core.
    fn cost(&self) -> f32;
    fn arithmetic(&self) -> &dyn AnyRowKernel<F>;
    /// Whether items with this label are left out.
    fn ignores(&self, _label: i128) -> bool {
        false
    }
}

impl<F: Float, K: RowKernel<F>> AnyRowKernel<F> for K {
    fn batch(&self, batch: Batch<'_, F>) {
        let kernel = *self;
        simd::dispatch(OfBatch { kernel, batch });
    }

    fn row(
        &self,
        row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F {
        simd::dispatch(OfRow {
            kernel: *self,
            row,
            target,
            coefficient,
            room,
        })
    }

    fn picks(&self) -> bool {
        K::PICKS
    }

    fn picked(&self, scores: &mut [F], derivatives: Option<&mut [F]>) {
        simd::dispatch(OfLabels {
            kernel: *self,
            scores,
            derivatives,
        });
    }
}

struct OfBatch<'a, F, K> {
    kernel: K,
    batch: Batch<'a, F>,
}

impl<F: Float, K: RowKernel<F>> NullaryFnOnce for OfBatch<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.batch.each_group(self.kernel);
    }
}

struct OfRow<'a, 't, 'r, F, K> {
    kernel: K,
    row: Row<'a, F>,
    target: RowTarget<'t, F>,
    coefficient: F,
    room: &'r mut Room<F>,
}

impl<F: Float, K: RowKernel<F>> NullaryFnOnce for OfRow<'_, '_, '_, F, K> {
    type Output = F;

    #[inline(always)]
    fn call(self) -> F {
        RowKernel::row(
            self.kernel,
            self.row,
            self.target,
            self.coefficient,
            self.room,
        )
    }
}

struct OfLabels<'s, 'd, F, K> {
    kernel: K,
    scores: &'s mut [F],
    derivatives: Option<&'d mut [F]>,
}

impl<F: Float, K: RowKernel<F>> NullaryFnOnce for OfLabels<'_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.derivatives {
            Some(derivatives) => {
                for (x, derivative) in self.scores.iter_mut().zip(derivatives) {
                    (*x, *derivative) = self.kernel.picked(*x);
                }
            }
            None => {
                for x in self.scores {
                    *x = self.kernel.picked(*x).0;
                }
            }
        }
    }
}
