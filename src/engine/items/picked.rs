//! Labels whose loss depends on the score of their class alone: no row is read.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

use super::Work;
use super::aims::{Aims, aims, clear_left_out, factors, fill_left_out};
use super::operands::Rows;
use crate::engine::rows::Coefficients;
use crate::float::Float;

/// How many elements of the gradient are filled before those of the labels are written, while they are at hand.
const AT_ONCE: usize = 32768;
/// How many labels are looked up before their losses are computed.
const MANY: usize = 512;
const FEW: usize = 128;

pub(super) fn picked<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>) {
    // No more room is cleared than there is use for.
    if losses.len() <= FEW {
        batches::<F, FEW>(rows, losses, work);
    } else {
        batches::<F, MANY>(rows, losses, work);
    }
}

#[inline(never)] // each has its own room
fn batches<F: Float, const BATCH: usize>(
    rows: Rows<'_, '_, F>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    let mut labels = [0; BATCH];
    let mut left_out = [false; BATCH];
    let mut coefficients = [F::zero(); BATCH];
    let mut derivatives = [F::zero(); BATCH];
    let mut gradient = rows.gradient;
    for (index, losses) in losses.chunks_mut(BATCH).enumerate() {
        let (start, n) = (index * BATCH, losses.len());
        let slice = Slice::from(start..start + n);
        let (room, left_out) = (&mut labels[..n], &mut left_out[..n]);
        // No rows of targets, which would need room.
        let Aims {
            classes: labels,
            any_left_out,
            ..
        } = aims(&work, &rows.targets, start, &mut [], room, left_out);
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
        work.kernel.picked(losses, wanted, factors);
        if any_left_out || any_weightless {
            clear_left_out(losses, left_out);
            fill_left_out(derivatives, left_out, of_left_out(factors));
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

/// The gradient of what is left out, as if its derivative were 0: its factor is that of all, or 0.
fn of_left_out<F: Float>(factors: Coefficients<'_, F>) -> F {
    match factors {
        Coefficients::Same(factor) => F::zero() * factor,
        Coefficients::Each(_) => F::zero(),
    }
}

/// The gradient, as that of one-hot rows: elsewhere 0 of the sign of the factor, NaN for one that is not finite.
fn scatter<F: Float>(
    derivatives: &[F],
    factors: Coefficients<'_, F>,
    labels: &[usize],
    out: &mut ArrayViewMut2<'_, F>,
) {
    // Mostly the same for all.
    let same = match factors {
        Coefficients::Same(factor) => Some(F::zero() * factor),
        Coefficients::Each(factors) => {
            let is_plain = |factor: &F| factor.is_finite() & factor.is_sign_positive();
            let are_plain = factors.iter().fold(true, |all, x| all & is_plain(x));
            are_plain.then(F::zero)
        }
    };
    let elsewhere = |item: usize| match factors {
        Coefficients::Same(factor) => F::zero() * factor,
        Coefficients::Each(factors) => {
            F::zero() * factors.get(item).copied().unwrap_or_else(F::one)
        }
    };
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
        for (item, (&label, &derivative)) in labels.iter().zip(derivatives).enumerate() {
            if let Some(to) = out.get_mut([item, label]) {
                *to = derivative;
            }
        }
        return;
    };
    let at_once = (AT_ONCE / classes).max(1);
    let items = labels.chunks(at_once).zip(derivatives.chunks(at_once));
    let parts = slice.chunks_mut(at_once * classes).zip(items);
    for (index, (rows, (labels, derivatives))) in parts.enumerate() {
        if let Some(zero) = same {
            fill(rows, zero);
        } else {
            for (offset, row) in rows.chunks_exact_mut(classes).enumerate() {
                row.fill(elsewhere(index * at_once + offset));
            }
        }
        write_each(rows, classes, labels, derivatives);
    }
}

/// Writes to each row at its label.
#[inline(never)] // within the loop over parts, the compiler would divide for each row to know how many there are
fn write_each<F: Float>(rows: &mut [F], classes: usize, labels: &[usize], values: &[F]) {
    let items = labels.iter().zip(values);
    for (row, (&label, &value)) in rows.chunks_exact_mut(classes).zip(items) {
        if let Some(to) = row.get_mut(label) {
            *to = value;
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
