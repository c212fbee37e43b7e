//! What items aim at, which of them are left out, and the factors of their gradients.

use ndarray::{ArrayViewMut1, Axis, Ix1, Slice, Zip};

use super::Work;
use super::targets::{AnyRows, AnyTargets, Targets};
use crate::engine::elementwise::{Weights, of_mask};
use crate::engine::reduce::Divisor;
use crate::engine::rows::{Coefficients, Dense, Panel, ROWS, named_of_short};
use crate::engine::simd;
use crate::float::Float;

/// The class that an item aims at, 0 if there is nothing to aim at; `None` for one that is left out.
pub(super) fn aim<F>(
    work: &Work<'_, F>,
    targets: &AnyTargets<'_, F>,
    item: usize,
) -> Option<usize> {
    match targets {
        Targets::Labels(labels) => labels.class(item, &work.ignored),
        Targets::None | Targets::Dense(_) => Some(0),
    }
}

/// What several short rows aim at.
pub(super) struct Aims<'c> {
    /// Whether it is rows.
    pub(super) is_dense: bool,
    /// The class of each where it is not.
    pub(super) classes: &'c [usize],
    pub(super) any_left_out: bool,
}

/// The classes that items aim at, from `start` on as many as there is room for, and which of them are left out; with room
/// for two panels, where rows of targets may name classes.
pub(super) fn aims<'t: 'c, 'c, F: Float>(
    work: &Work<'_, F>,
    targets: &AnyTargets<'t, F>,
    start: usize,
    scratch: &mut Panel<F>,
    room: &'c mut [usize],
    left_out: &mut [bool],
) -> Aims<'c> {
    left_out.fill(false);
    let mut is_dense = false;
    let (classes, any_left_out) = match targets {
        Targets::None => {
            room.fill(0);
            (&*room, false)
        }
        Targets::Labels(labels) => labels.read(start, &work.ignored, room, left_out),
        Targets::Dense(_) if work.dense == Dense::Distribution => {
            is_dense = true;
            (&*room, false)
        }
        Targets::Dense(rows) => {
            let any_left_out = of_rows(rows, start, scratch, room, left_out);
            (&*room, any_left_out)
        }
    };
    Aims {
        is_dense,
        classes,
        any_left_out,
    }
}

/// The classes that rows name, and whether any item is left out.
fn of_rows<F: Float>(
    rows: &AnyRows<'_, F>,
    start: usize,
    scratch: &mut Panel<F>,
    classes: &mut [usize],
    left_out: &mut [bool],
) -> bool {
    let (panel, copy) = scratch.split_at_mut(rows.ncols());
    let (all, copy) = (rows.slice(), copy.as_flattened_mut());
    let mut any = false;
    let items = classes.chunks_mut(ROWS).zip(left_out.chunks_mut(ROWS));
    for (index, (classes, left_out)) in items.enumerate() {
        let start = start + index * ROWS;
        let group = rows.consecutive_short(all, start..start + classes.len(), panel, copy);
        let named = named_of_short(group, panel);
        for ((class, left_out), named) in classes.iter_mut().zip(left_out).zip(named) {
            *class = named.unwrap_or(0);
            *left_out = named.is_none();
            any |= *left_out;
        }
    }
    any
}

/// Sets to 0 what belongs to items that are left out.
#[inline(always)]
pub(super) fn clear_left_out<F: Float>(values: &mut [F], left_out: &[bool]) {
    fill_left_out(values, left_out, F::zero());
}

/// The same with a value: without a branch, which cannot be foretold.
#[inline(always)]
pub(super) fn fill_left_out<F: Float>(values: &mut [F], left_out: &[bool], with: F) {
    for (value, &is_left_out) in values.iter_mut().zip(left_out) {
        *value = if is_left_out { with } else { *value };
    }
}

/// The factors of the gradients, from `start` on, and whether there is an item without weight, which is left out.
pub(super) fn factors<'b, F: Float>(
    work: &Work<'_, F>,
    weights: &Weights<'_, F, Ix1>,
    start: usize,
    buffer: &'b mut [F],
    left_out: &mut [bool],
) -> (Coefficients<'b, F>, bool) {
    if let Weights::None = weights {
        return (Coefficients::Same(work.scale), false);
    }
    weights.copy(start, buffer);
    let any = simd::dispatch(Factors {
        weights: buffer,
        left_out,
        divisor: work.divisor,
    });
    (Coefficients::Each(buffer), any)
}

/// Weights that become factors, 0 for items that are left out; whether any has no weight.
struct Factors<'b, F> {
    weights: &'b mut [F],
    left_out: &'b mut [bool],
    divisor: Divisor,
}

impl<F: Float> simd::Work for Factors<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn run(&mut self) -> bool {
        let mut any = false;
        for (&weight, left_out) in self.weights.iter().zip(&mut *self.left_out) {
            let is_weightless = weight == F::zero();
            *left_out |= is_weightless;
            any |= is_weightless;
        }
        for weight in &mut *self.weights {
            *weight = F::coefficient(*weight, self.divisor);
        }
        clear_left_out(self.weights, self.left_out);
        any
    }
}

impl<F: Float> Weights<'_, F, Ix1> {
    pub(super) fn get(&self, item: usize) -> Option<F> {
        match self {
            Self::None => None,
            Self::Floats(weights) => weights.get(item).copied(),
            Self::Mask(mask) => mask.get(item).map(|&keep| of_mask(keep)),
        }
    }

    /// Those from `start` on, 1 where there are none.
    pub(super) fn copy(&self, start: usize, to: &mut [F]) {
        let items = Slice::from(start..start + to.len());
        match self {
            Self::None => to.fill(F::one()),
            Self::Floats(weights) => {
                let weights = weights.slice_axis(Axis(0), items);
                ArrayViewMut1::from(to).assign(&weights);
            }
            Self::Mask(mask) => {
                let mask = mask.slice_axis(Axis(0), items);
                let each = Zip::from(ArrayViewMut1::from(to)).and(mask);
                each.for_each(|to, &keep| *to = of_mask(keep));
            }
        }
    }
}
