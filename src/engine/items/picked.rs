//! Labels whose loss depends on the score of their class alone: no row is read.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

use super::aims::{Aims, aims, clear_left_out, factors};
use super::operands::Rows;
use super::{BATCH, Work};
use crate::engine::rows::Coefficients;
use crate::float::Float;

/// How many elements of the gradient are filled before those of the labels are written, while they are at hand.
const AT_ONCE: usize = 32768;

pub(super) fn picked<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>) {
    let mut labels = [0; BATCH];
    let mut left_out = [false; BATCH];
    let mut coefficients = [F::zero(); BATCH];
    let mut derivatives = [F::zero(); BATCH];
    let mut gradient = rows.gradient;
    for (index, losses) in losses.chunks_mut(BATCH).enumerate() {
        let (start, n) = (index * BATCH, losses.len());
        let slice = Slice::from(start..start + n);
        let (labels, left_out) = (&mut labels[..n], &mut left_out[..n]);
        // No rows of targets, which would need room.
        let Aims { any_left_out, .. } =
            aims(&work, &rows.targets, start, &mut [], labels, left_out);
        let coefficients = &mut coefficients[..n];
        let (factors, any_weightless) =
            factors(&work, &rows.weights, start, coefficients, left_out);

        let mut out = gradient
            .as_mut()
            .map(|view| view.slice_axis_mut(Axis(0), slice));
        match (&rows.scores, &out) {
            (Some(scores), _) => gather(scores.slice_axis(Axis(0), slice), labels, losses),
            (None, Some(out)) => gather(out.view(), labels, losses),
            (None, None) => {}
        }
        let derivatives = &mut derivatives[..n];
        let wanted = out.is_some().then_some(&mut *derivatives);
        work.kernel.picked(losses, wanted);
        if any_left_out || any_weightless {
            clear_left_out(losses, left_out);
            clear_left_out(derivatives, left_out);
        }
        if let Some(out) = &mut out {
            scatter(derivatives, factors, labels, out);
        }
    }
}

/// The scores of the labels' classes.
fn gather<F: Float>(scores: ArrayView2<'_, F>, labels: &[usize], to: &mut [F]) {
    let classes = scores.ncols();
    let found = to.iter_mut().zip(labels);
    match scores.to_slice() {
        // Nothing else in this loop, so that many reads are under way at once.
        Some(scores) => {
            for ((to, &label), row) in found.zip(scores.chunks_exact(classes.max(1))) {
                *to = row.get(label).copied().unwrap_or_else(F::nan);
            }
        }
        None => {
            for (item, (to, &label)) in found.enumerate() {
                *to = scores.get([item, label]).copied().unwrap_or_else(F::nan);
            }
        }
    }
}

/// The gradient, as that of one-hot rows: elsewhere 0 of the sign of the factor, NaN for one that is not finite. Items
/// that are left out have a derivative of 0, and a factor of 0 or that of all.
fn scatter<F: Float>(
    derivatives: &mut [F],
    factors: Coefficients<'_, F>,
    labels: &[usize],
    out: &mut ArrayViewMut2<'_, F>,
) {
    // Mostly the same for all.
    let same = match factors {
        Coefficients::Same(factor) => {
            for derivative in &mut *derivatives {
                *derivative *= factor;
            }
            Some(F::zero() * factor)
        }
        Coefficients::Each(factors) => {
            let mut plain = true;
            for (derivative, &factor) in derivatives.iter_mut().zip(factors) {
                *derivative *= factor;
                plain &= factor.is_finite() & factor.is_sign_positive();
            }
            plain.then(F::zero)
        }
    };
    let elsewhere = |item: usize| match factors {
        Coefficients::Same(factor) => F::zero() * factor,
        Coefficients::Each(factors) => {
            F::zero() * factors.get(item).copied().unwrap_or_else(F::one)
        }
    };
    let mut items = labels.iter().zip(&*derivatives);
    let classes = out.ncols().max(1);
    let Some(slice) = out.as_slice_mut() else {
        match same {
            // In the order of memory.
            Some(zero) => match out.as_slice_memory_order_mut() {
                Some(slice) => fill(slice, zero),
                None => out.fill(zero),
            },
            None => {
                for (item, mut row) in out.rows_mut().into_iter().enumerate() {
                    row.fill(elsewhere(item));
                }
            }
        }
        for (item, (&label, &derivative)) in items.enumerate() {
            if let Some(to) = out.get_mut([item, label]) {
                *to = derivative;
            }
        }
        return;
    };
    let at_once = (AT_ONCE / classes).max(1);
    for (index, rows) in slice.chunks_mut(at_once * classes).enumerate() {
        if let Some(zero) = same {
            fill(rows, zero);
        } else {
            for (offset, row) in rows.chunks_exact_mut(classes).enumerate() {
                row.fill(elsewhere(index * at_once + offset));
            }
        }
        for (row, (&label, &derivative)) in rows.chunks_exact_mut(classes).zip(&mut items) {
            if let Some(to) = row.get_mut(label) {
                *to = derivative;
            }
        }
    }
}

/// Fills memory, mostly with 0.
fn fill<F: Float>(to: &mut [F], value: F) {
    if value == F::zero() && value.is_sign_positive() {
        clear(to);
    } else {
        to.fill(value);
    }
}

/// The standard library's way, which does not read the memory first.
#[inline(never)] // the compiler would make one loop of it and of that for any value
fn clear<F: Float>(to: &mut [F]) {
    to.fill(F::zero());
}
