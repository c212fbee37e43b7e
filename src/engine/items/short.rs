//! Short rows, in batches.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

use super::aims::{Aims, aims, clear_left_out, factors};
use super::operands::Rows;
use super::targets::Targets;
use super::{BATCH, Work};
use crate::engine::rows::{
    Batch, BatchTargets, MOST_SHORT, Panel, ROWS, gather_short, scatter_short,
};
use crate::float::Float;

pub(super) fn short<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>) {
    // No more room is cleared than there is use for.
    match work.classes {
        0..=16 => with_room::<F, 16>(rows, losses, work),
        17..=32 => with_room::<F, 32>(rows, losses, work),
        33..=64 => with_room::<F, 64>(rows, losses, work),
        65..=128 => with_room::<F, 128>(rows, losses, work),
        129..=192 => with_room::<F, 192>(rows, losses, work),
        _ => with_room::<F, MOST_SHORT>(rows, losses, work),
    }
}

/// Three groups of at most so many classes.
#[repr(align(64))] // as `Lines`
struct Groups<F, const CLASSES: usize>([[[F; ROWS]; CLASSES]; 3]);

impl<F: Float, const CLASSES: usize> Groups<F, CLASSES> {
    fn new() -> Self {
        Self([[[F::zero(); ROWS]; CLASSES]; 3])
    }
}

#[inline(never)] // its frame is large
fn with_room<F: Float, const CLASSES: usize>(
    rows: Rows<'_, '_, F>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    let mut scratch = Groups::<F, CLASSES>::new();
    let scratch = scratch.0.as_flattened_mut();
    if rows.consecutive() {
        batches(rows, losses, work, None, scratch);
    } else {
        in_copies::<F, CLASSES>(rows, losses, work, scratch);
    }
}

/// Copies of a group of rows that do not lie one after the other.
struct Copies<'c, F> {
    scores: &'c mut [F],
    targets: &'c mut [F],
    gradient: &'c mut [F],
}

#[inline(never)] // its frame is large
fn in_copies<F: Float, const CLASSES: usize>(
    rows: Rows<'_, '_, F>,
    losses: &mut [F],
    work: Work<'_, F>,
    scratch: &mut Panel<F>,
) {
    let mut room = Groups::<F, CLASSES>::new();
    let [scores, targets, gradient] = &mut room.0;
    let copies = Copies {
        scores: scores.as_flattened_mut(),
        targets: targets.as_flattened_mut(),
        gradient: gradient.as_flattened_mut(),
    };
    batches(rows, losses, work, Some(copies), scratch);
}

/// Batches of short rows.
fn batches<F: Float>(
    rows: Rows<'_, '_, F>,
    losses: &mut [F],
    work: Work<'_, F>,
    mut copies: Option<Copies<'_, F>>,
    scratch: &mut Panel<F>,
) {
    let step = if copies.is_some() { ROWS } else { BATCH };
    let mut labels = [0; BATCH];
    let mut coefficients = [F::zero(); BATCH];
    let mut left_out = [false; BATCH];
    let mut gradient = rows.gradient;
    for (index, losses) in losses.chunks_mut(step).enumerate() {
        let (start, n) = (index * step, losses.len());
        let slice = Slice::from(start..start + n);
        let size = n * work.classes;

        let left_out = &mut left_out[..n];
        let Aims {
            is_dense,
            classes: labels,
            any_left_out,
        } = aims(
            &work,
            &rows.targets,
            start,
            scratch,
            &mut labels[..n],
            left_out,
        );
        let coefficients = &mut coefficients[..n];
        let (factors, any_weightless) =
            factors(&work, &rows.weights, start, coefficients, left_out);

        let (score_copy, target_copy, gradient_copy) = match &mut copies {
            Some(copies) => (
                &mut copies.scores[..size],
                &mut copies.targets[..size],
                &mut copies.gradient[..size],
            ),
            None => Default::default(),
        };
        let mut out = gradient
            .as_mut()
            .map(|view| view.slice_axis_mut(Axis(0), slice));
        let panel = &mut scratch[..work.classes];
        let scores = rows
            .scores
            .map(|view| consecutive(&view.slice_axis_move(Axis(0), slice), panel, score_copy));
        let targets = match &rows.targets {
            Targets::Dense(rows) if is_dense => BatchTargets::Dense(rows.consecutive_short(
                rows.slice(),
                start..start + n,
                panel,
                target_copy,
            )),
            _ => BatchTargets::Labels(labels),
        };
        let direct = out.as_ref().is_none_or(|out| out.is_standard_layout());
        if let (false, None, Some(out)) = (direct, scores, &out) {
            gather_short(&out.view(), panel, gradient_copy);
        }
        let mut direct_out = out.as_mut().and_then(|out| out.as_slice_mut());
        work.kernel.batch(Batch {
            classes: work.classes,
            scores,
            targets,
            coefficients: factors,
            losses,
            gradient: match &mut direct_out {
                Some(slice) => Some(slice),
                None if direct => None,
                None => Some(&mut *gradient_copy),
            },
            scratch,
        });
        if let (false, Some(out)) = (direct, &mut out) {
            scatter_short(gradient_copy, &mut scratch[..work.classes], out.view_mut());
        }
        if any_left_out || any_weightless {
            leave_out(left_out, losses, out);
        }
    }
}

/// Losses and gradients of at most [`BATCH`] items, 0 where these are left out.
fn leave_out<F: Float>(
    left_out: &[bool],
    losses: &mut [F],
    gradient: Option<ArrayViewMut2<'_, F>>,
) {
    clear_left_out(losses, left_out);
    let mut items = [0; BATCH];
    let mut count = 0;
    for (item, &is_left_out) in left_out.iter().enumerate() {
        if let Some(next) = items.get_mut(count) {
            *next = item;
        }
        count += usize::from(is_left_out);
    }
    let Some(mut gradient) = gradient else {
        return;
    };
    let classes = gradient.ncols();
    let items = items.iter().take(count);
    match gradient.as_slice_mut() {
        Some(rows) => {
            for item in items {
                let row = rows.get_mut(item * classes..(item + 1) * classes);
                row.unwrap_or_default().fill(F::zero());
            }
        }
        None => {
            for &item in items {
                gradient.row_mut(item).fill(F::zero());
            }
        }
    }
}

/// Rows one after the other; a copy where they are not.
fn consecutive<'r, F: Float>(
    rows: &ArrayView2<'r, F>,
    panel: &mut Panel<F>,
    copy: &'r mut [F],
) -> &'r [F] {
    match rows.to_slice() {
        Some(rows) => rows,
        None => {
            let copy = &mut copy[..rows.len()];
            gather_short(rows, panel, copy);
            copy
        }
    }
}

impl<F: Float> Rows<'_, '_, F> {
    /// Whether the rows lie one after the other, as floats.
    fn consecutive(&self) -> bool {
        self.scores.iter().all(|view| view.is_standard_layout())
            && self.gradient.iter().all(|view| view.is_standard_layout())
            && match &self.targets {
                Targets::Dense(rows) => rows.floats().is_some_and(|rows| rows.is_standard_layout()),
                Targets::None | Targets::Labels(_) => true,
            }
    }
}
