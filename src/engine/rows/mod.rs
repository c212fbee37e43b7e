//! Rows of scores and their targets, as a kernel of an item-wise loss sees them: all that is compiled for every
//! instruction set.
//!
//! Rows of few classes come in groups, so that a kernel can work on all of them at once ([`mod@short`]). Longer ones, and
//! short ones where there are few of them, are seen part by part, pass after pass ([`mod@long`]), or by their columns
//! where these are contiguous ([`mod@columns`]), and if they are very long, with their sections on several threads
//! ([`mod@in_sections`]). A row has the same bits whichever way it goes.

mod across;
mod band;
mod columns;
mod copies;
mod in_sections;
mod lines;
mod long;
mod named;
mod parts;
mod short;
mod short_copies;
mod short_sums;

use across::across;
pub(crate) use band::{Access, Band, Gradient, Item, Piece, Sink, Sums, Way};
pub(crate) use columns::{
    ABREAST, Abreast, Column, Columns, LanesAcross, LargestAcross, Present, abreast,
    are_enough_across, offsets, rows_across,
};
pub(crate) use copies::{Block, Room, Rooms, Source};
pub(super) use copies::{are_contiguous_columns, are_slices, copy_part, slices, slices_mut};
use in_sections::in_sections;
pub(crate) use lines::each_in_lines;
use long::by_rows;
pub(crate) use long::rows_in_turn;
pub(super) use named::{are_one_hot, are_short_one_hot, named, named_of_short};
pub(crate) use parts::{BLOCK, Largest, Part, SECTION, largest_and_any_nan, spans};
pub(crate) use short::{
    Batch, BatchTargets, Coefficients, Group, GroupTargets, Maxima, Panel, ROWS, as_floats,
    scores_of_labels, transpose, transpose_back, update,
};
pub(super) use short_copies::{gather_short, scatter_short};
pub(crate) use short_sums::{Summands, sums, sums_of_others};

use std::array::from_fn;

use super::simd;
use crate::float::Float;

/// Rows of more classes come in no groups.
pub(crate) const MOST_SHORT: usize = 256;

/// Up to so many classes, columns are copied into groups sooner than one sum is added up where they are.
const LIGHT_IN_GROUPS: usize = 128;

/// How many contiguous rows take turns in each pass at most: what follows from a pass over one need not wait for another.
pub(crate) const IN_TURN: usize = 8;

/// Of how many rows a part is copied at a time at most, where their elements of a class share lines of memory.
pub(super) const TOGETHER: usize = 64;

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

/// Labels whose items are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    None,
    One(i128),
    /// Those that [`ItemKernel::ignores`] knows.
    Several,
}

/// The arithmetic of one row. All functions have to be `#[inline(always)]`.
pub(crate) trait RowKernel<F: Float>: Copy + Send + Sync {
    /// How many rows take as long singly as a group, of which lanes without a row take as long as others: as measured.
    fn rows_like_a_group(classes: usize) -> usize;
    /// The losses of short rows, and their gradients times the coefficients.
    fn group(self, group: Group<'_, F>);
    /// What is known of a long row between its parts, and what was found in its sections before.
    type Known: Clone + Send + Sync;
    /// What is added up of a section of a long row: `[Lanes; n]`.
    type Sums: Sums;
    /// What names a pass over a long row.
    type Pass: Copy + Send + Sync + 'static;
    /// The passes over a long row, in their order.
    const PASSES: &'static [(Self::Pass, Access)];
    /// What stands for a score behind the end of a long row.
    #[inline(always)]
    fn padding() -> F {
        F::neg_infinity()
    }
    /// What is known of a long row before the first pass; `score` is for the score of a class that is needed so early.
    fn begin(self, item: Item<F>, score: impl Fn(usize) -> F) -> Self::Known;
    /// How many [blocks](BLOCK) of a contiguous row a part of a pass is at most: several, where it does not begin and end
    /// with work of its own for each.
    const AT_ONCE: usize = 1;
    /// A part of a pass; its gradient is that times the coefficient.
    fn part(
        self,
        pass: Self::Pass,
        known: &mut Self::Known,
        sums: &mut Self::Sums,
        piece: Piece<'_, F>,
    );
    /// Adds the sums of a section to those of the sections before, where the pass [adds up](Access::adds_up).
    #[inline(always)]
    fn close(self, _pass: Self::Pass, _known: &mut Self::Known, _sums: &Self::Sums) {}
    /// Takes over what a pass has found in the next section, which began with what was known before the pass.
    fn adopt(self, pass: Self::Pass, known: &mut Self::Known, section: &Self::Known);
    /// How many sums of each row [`across`](Self::across) needs room for.
    #[inline(always)]
    fn sums_across(self, _has_targets: bool) -> usize {
        0
    }
    /// A section in a pass that is [`Access::across`], of several rows, by their columns, with what [`close`](Self::close)
    /// does; what is left out gets a gradient of 0. What the sums hold before it is unspecified.
    #[inline(always)]
    fn across(
        self,
        _pass: Self::Pass,
        _known: &mut [Option<Self::Known>],
        _columns: Columns<'_, F>,
        _sums: &mut [LanesAcross],
    ) {
    }
    /// What follows from all parts of a pass.
    #[inline(always)]
    fn after(self, _pass: Self::Pass, _known: &mut Self::Known) {}
    /// The loss of a long row, after the last pass.
    fn finish(self, known: &Self::Known) -> F;
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
    /// Whether so many rows are quicker as groups than singly.
    fn are_worth_groups(&self, rows: usize, classes: usize) -> bool;
    fn batch(&self, batch: Batch<'_, F>);
    /// The losses of long rows, and their gradients.
    fn band(&self, band: &mut Band<'_, '_, F>, losses: &mut [F], room: Room<'_, F>);
    fn picks(&self) -> bool;
    /// Whether every pass is [`Access::across`].
    fn goes_across(&self) -> bool;
    /// Whether columns where they are serve better than copies of them in groups: as measured, where it then adds up
    /// little.
    fn prefers_columns(&self, classes: usize, has_targets: bool) -> bool;
    /// Makes losses of the scores of labels; the derivatives are times the factors.
    fn picked(&self, scores: &mut [F], derivatives: Option<&mut [F]>, factors: Coefficients<'_, F>);
}

/// What is computed of items, and which of them are left out.
#[doc(hidden)]
pub trait ItemKernel<F>: Send + Sync {
    /// The least number of classes that the loss is defined for.
    fn min_classes(&self) -> usize;
    fn dense(&self) -> Dense;
    /// A rough number of nanoseconds a score takes on one core.
    fn cost(&self) -> f32;
    fn arithmetic(&self) -> &dyn AnyRowKernel<F>;
    /// Which labels' items are left out.
    fn left_out(&self) -> LeftOut {
        LeftOut::None
    }
    /// Whether those of this label are.
    fn ignores(&self, _label: i128) -> bool {
        false
    }
}

impl<F: Float, K: RowKernel<F>> AnyRowKernel<F> for K {
    fn are_worth_groups(&self, rows: usize, classes: usize) -> bool {
        let groups = rows.div_ceil(ROWS);
        classes <= MOST_SHORT && rows >= groups * K::rows_like_a_group(classes)
    }

    fn batch(&self, batch: Batch<'_, F>) {
        let kernel = *self;
        simd::dispatch(OfBatch { kernel, batch });
    }

    fn band(&self, band: &mut Band<'_, '_, F>, losses: &mut [F], room: Room<'_, F>) {
        // No more room than there is use for.
        match (band.way, band.items.len()) {
            (Way::InSections { .. }, _) => in_sections(*self, band, losses),
            (Way::Across, _) => across(*self, band, losses),
            (Way::ByRows, n) if n <= IN_TURN => of_few(*self, band, losses, room),
            (Way::ByRows, n) if n <= TOGETHER => {
                of_many::<F, K, TOGETHER>(*self, band, losses, room);
            }
            (Way::ByRows, _) => of_many::<F, K, ABREAST>(*self, band, losses, room),
        }
    }

    fn picks(&self) -> bool {
        K::PICKS
    }

    fn goes_across(&self) -> bool {
        K::PASSES.iter().all(|(_, access)| access.across)
    }

    fn prefers_columns(&self, classes: usize, has_targets: bool) -> bool {
        match self.sums_across(has_targets) {
            0 => true,
            1 => classes > LIGHT_IN_GROUPS,
            _ => false,
        }
    }

    fn picked(
        &self,
        scores: &mut [F],
        derivatives: Option<&mut [F]>,
        factors: Coefficients<'_, F>,
    ) {
        simd::dispatch(OfLabels {
            kernel: *self,
            scores,
            derivatives,
            factors,
        });
    }
}

fn of_few<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    losses: &mut [F],
    room: Room<'_, F>,
) {
    // Not a constant that is copied, as below, which takes as long as a row. Without optimisation it is the other way
    // round: this is copied several times, which a stack has no room for where there are many.
    let mut known: [_; IN_TURN] = from_fn(|_| None);
    by_rows(kernel, band, &mut known, losses, room);
}

#[inline(never)] // its frame is large
fn of_many<F: Float, K: RowKernel<F>, const ROWS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    losses: &mut [F],
    room: Room<'_, F>,
) {
    let mut known: [_; ROWS] = [const { None }; _];
    by_rows(kernel, band, &mut known, losses, room);
}

struct OfBatch<'a, F, K> {
    kernel: K,
    batch: Batch<'a, F>,
}

impl<F: Float, K: RowKernel<F>> simd::Work for OfBatch<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        self.batch.each_group(self.kernel);
    }
}

struct OfLabels<'s, F, K> {
    kernel: K,
    scores: &'s mut [F],
    derivatives: Option<&'s mut [F]>,
    factors: Coefficients<'s, F>,
}

impl<F: Float, K: RowKernel<F>> simd::Work for OfLabels<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        match &mut self.derivatives {
            Some(derivatives) => {
                for (x, derivative) in self.scores.iter_mut().zip(derivatives.iter_mut()) {
                    (*x, *derivative) = self.kernel.picked(*x);
                }
                self.factors.scale(derivatives);
            }
            None => {
                for x in self.scores.iter_mut() {
                    *x = self.kernel.picked(*x).0;
                }
            }
        }
    }
}
