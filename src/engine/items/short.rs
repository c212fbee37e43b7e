//! Short rows, in batches.

use ndarray::{Axis, Slice};

use super::aims::{Aims, aims, factors, leave_out_weightless};
use super::operands::Rows;
use super::{BATCH, Targets, Work};
use crate::engine::copying::{gather, scatter};
use crate::engine::rows::{Batch, BatchTargets, Panel, ROWS, SHORT};
use crate::engine::simd::Lines;
use crate::float::{Float, Target};

pub(super) fn short<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    if rows.consecutive() {
        sized(rows, losses, work, None);
    } else {
        in_copies(rows, losses, work);
    }
}

/// Copies of rows that do not lie one after the other.
#[repr(align(64))] // as `Lines`
struct Copies<F> {
    scores: [F; ROWS * SHORT],
    targets: [F; ROWS * SHORT],
    gradient: [F; ROWS * SHORT],
}

#[inline(never)] // its frame is large
fn in_copies<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
    let mut copies = Copies {
        scores: [F::zero(); ROWS * SHORT],
        targets: [F::zero(); ROWS * SHORT],
        gradient: [F::zero(); ROWS * SHORT],
    };
    sized(rows, losses, work, Some(&mut copies));
}

fn sized<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
    copies: Option<&mut Copies<F>>,
) {
    const FEW: usize = 16;
    let zeros = [F::zero(); ROWS];
    if work.classes <= FEW {
        batches(rows, losses, work, copies, &mut Lines([zeros; 3 * FEW]).0);
    } else {
        batches(rows, losses, work, copies, &mut Lines([zeros; 3 * SHORT]).0);
    }
}

/// Batches of short rows.
fn batches<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
    mut copies: Option<&mut Copies<F>>,
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

        let Aims {
            is_dense,
            mut any_left_out,
        } = aims(&work, &rows.targets, start, &mut labels[..n], &mut left_out);
        any_left_out |= leave_out_weightless(&rows.weights, start, &mut left_out[..n]);
        let factors = factors(&work, &rows.weights, start, &mut coefficients[..n]);

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
        let scores = rows.scores.map(|view| {
            let view = view.slice_axis_move(Axis(0), slice);
            match view.to_slice() {
                Some(slice) => slice,
                None => {
                    gather(&view, score_copy);
                    &*score_copy
                }
            }
        });
        let targets = match &rows.targets {
            Targets::Dense(view) if is_dense => {
                let view = (*view).slice_axis_move(Axis(0), slice);
                BatchTargets::Dense(match view.to_slice().and_then(T::as_floats) {
                    Some(floats) => floats,
                    None => {
                        gather(&view, target_copy);
                        target_copy
                    }
                })
            }
            _ => BatchTargets::Labels(&labels[..n]),
        };
        let direct = out.as_ref().is_none_or(|out| out.is_standard_layout());
        if let (false, None, Some(out)) = (direct, scores, &out) {
            gather(&out.view(), gradient_copy);
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
            scatter(gradient_copy, out.view_mut());
        }
        if any_left_out {
            for offset in (0..n).filter(|&offset| left_out[offset]) {
                losses[offset] = F::zero();
                if let Some(out) = &mut out {
                    out.row_mut(offset).fill(F::zero());
                }
            }
        }
    }
}

impl<F: Float, T: Target<F>> Rows<'_, F, T> {
    /// Whether the rows lie one after the other, as floats.
    fn consecutive(&self) -> bool {
        self.scores.iter().all(|view| view.is_standard_layout())
            && self.gradient.iter().all(|view| view.is_standard_layout())
            && match &self.targets {
                Targets::Dense(view) => view.to_slice().and_then(T::as_floats).is_some(),
                Targets::None | Targets::Labels(_) => true,
            }
    }
}
