//! What items aim at, which of them are left out, and the factors of their gradients.

use ndarray::{ArrayView1, ArrayView2, Axis, Ix1, Slice};

use super::{Targets, Work};
use crate::engine::elementwise::Weights;
use crate::engine::rows::{Coefficients, Dense};
use crate::float::{Float, Target};

/// What an item aims at.
pub(super) enum Aim {
    Class(usize),
    /// The item is left out.
    Nothing,
    Row,
}

pub(super) fn aim<F: Float, T: Target<F>>(
    work: &Work<'_, F>,
    targets: &Targets<ArrayView1<'_, T>, ArrayView2<'_, T>>,
    item: usize,
) -> Aim {
    match targets {
        Targets::None => Aim::Class(0),
        Targets::Labels(labels) => match labels.get(item) {
            Some(&label) if !work.ignores.is_some_and(|ignores| ignores(label.label())) => {
                Aim::Class(label.class())
            }
            _ => Aim::Nothing,
        },
        Targets::Dense(rows) => match work.dense {
            Dense::Distribution => Aim::Row,
            Dense::OneHot => {
                let row = rows.row(item);
                let class = row.iter().position(|t| t.to_float(None) != F::zero());
                class.map_or(Aim::Nothing, Aim::Class)
            }
            Dense::Largest => {
                let mut best: Option<(usize, F)> = None;
                for (class, t) in rows.row(item).iter().enumerate() {
                    let t = t.to_float(None);
                    if t.is_nan() {
                        return Aim::Nothing;
                    }
                    if best.is_none_or(|(_, largest)| t > largest) {
                        best = Some((class, t));
                    }
                }
                best.map_or(Aim::Nothing, |(class, _)| Aim::Class(class))
            }
        },
    }
}

/// What is known of the aims of several items.
pub(super) struct Aims {
    /// Whether they aim at rows.
    pub(super) is_dense: bool,
    pub(super) any_left_out: bool,
}

/// The classes that items aim at, from `start` on, and which of them are left out.
pub(super) fn aims<F: Float, T: Target<F>>(
    work: &Work<'_, F>,
    targets: &Targets<ArrayView1<'_, T>, ArrayView2<'_, T>>,
    start: usize,
    classes: &mut [usize],
    left_out: &mut [bool],
) -> Aims {
    let mut aims = Aims {
        is_dense: false,
        any_left_out: false,
    };
    left_out.fill(false);
    // Not one by one, where nothing depends on the item.
    match (targets, work.dense, work.ignores) {
        (Targets::Labels(labels), _, None) => {
            let labels = labels.slice_axis(Axis(0), Slice::from(start..start + classes.len()));
            match labels.to_slice() {
                Some(labels) => {
                    for (class, &label) in classes.iter_mut().zip(labels) {
                        *class = label.class();
                    }
                }
                None => {
                    for (class, &label) in classes.iter_mut().zip(&labels) {
                        *class = label.class();
                    }
                }
            }
            return aims;
        }
        (Targets::None, ..) | (Targets::Dense(_), Dense::Distribution, _) => {
            classes.fill(0);
            aims.is_dense = matches!(targets, Targets::Dense(_));
            return aims;
        }
        _ => {}
    }
    for (offset, class) in classes.iter_mut().enumerate() {
        *class = 0;
        match aim(work, targets, start + offset) {
            Aim::Class(of_item) => *class = of_item,
            Aim::Row => aims.is_dense = true,
            Aim::Nothing => {
                left_out[offset] = true;
                aims.any_left_out = true;
            }
        }
    }
    aims
}

/// Marks the items whose weight is 0, from `start` on; whether there are any.
pub(super) fn leave_out_weightless<F: Float>(
    weights: &Weights<'_, F, Ix1>,
    start: usize,
    left_out: &mut [bool],
) -> bool {
    let mut any = false;
    if !matches!(weights, Weights::None) {
        for (offset, left_out) in left_out.iter_mut().enumerate() {
            let weightless = weights.get(start + offset) == Some(F::zero());
            *left_out |= weightless;
            any |= weightless;
        }
    }
    any
}

/// The factors of the gradients, from `start` on.
pub(super) fn factors<'b, F: Float>(
    work: &Work<'_, F>,
    weights: &Weights<'_, F, Ix1>,
    start: usize,
    buffer: &'b mut [F],
) -> Coefficients<'b, F> {
    if let Weights::None = weights {
        return Coefficients::Same(work.scale);
    }
    for (offset, factor) in buffer.iter_mut().enumerate() {
        let weight = weights.get(start + offset).unwrap_or_else(F::one);
        *factor = F::coefficient(weight, work.divisor);
    }
    Coefficients::Each(buffer)
}
