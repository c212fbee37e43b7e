//! An aggregate of any kind, with what it should give.

use std::fmt::Debug;

use ndarray::{ArrayD, IxDyn};
use ndarray_loss::{Aggregate, LossError};

use crate::check::{Due, broadcast, broadcasts};
use crate::number::Number;
use crate::oracle::Near;
use crate::source::{Palette, Placed, Source, mix};

/// Weights in some layout, or none.
#[derive(Debug, Clone)]
pub(crate) enum By<F: Number> {
    Mean,
    Sum,
    WeightedMean(Placed<F>),
    WeightedSum(Placed<F>),
    NormalizedSum(Placed<F>),
    MaskedMean(Placed<bool>),
}

impl<F: Number> By<F> {
    pub(crate) fn new(source: &mut Source<'_>, loss: &[usize]) -> Self {
        let kind = source.below(6);
        let shape = match source.below(8) {
            0 | 1 => source.other_shape(loss),
            2 => loss.iter().map(|&n| if n > 1 { 1 } else { n }).collect(),
            3 => loss.last().copied().into_iter().collect(),
            4 => Vec::new(),
            5 => loss.first().copied().into_iter().collect(),
            _ => loss.to_vec(),
        };
        let palette = source.choose(&[
            Palette::Ordinary,
            Palette::Grid,
            Palette::Probabilities,
            Palette::Bits,
            Palette::Mixed,
            Palette::Edges,
            Palette::Any,
        ]);
        match kind {
            0 => By::Mean,
            1 => By::Sum,
            2 => By::WeightedMean(source.numbers(&shape, palette)),
            3 => By::WeightedSum(source.numbers(&shape, palette)),
            4 => By::NormalizedSum(source.numbers(&shape, palette)),
            _ => {
                let rare = source.choose(&[2, 1, 7, 1000]);
                By::MaskedMean(source.array(&shape, true, |raw| mix(raw).is_multiple_of(rare)))
            }
        }
    }

    /// The same with its weights in row-major order, as broadcast as they were.
    pub(crate) fn in_row_major_order(&self) -> Self {
        match self {
            By::Mean => By::Mean,
            By::Sum => By::Sum,
            By::WeightedMean(weights) => By::WeightedMean(weights.in_row_major_order()),
            By::WeightedSum(weights) => By::WeightedSum(weights.in_row_major_order()),
            By::NormalizedSum(weights) => By::NormalizedSum(weights.in_row_major_order()),
            By::MaskedMean(mask) => By::MaskedMean(mask.in_row_major_order()),
        }
    }

    /// Whether the weights, if any, are.
    pub(crate) fn is_row_major(&self) -> bool {
        match self {
            By::Mean | By::Sum => true,
            By::WeightedMean(weights) | By::WeightedSum(weights) | By::NormalizedSum(weights) => {
                weights.view().is_standard_layout()
            }
            By::MaskedMean(mask) => mask.view().is_standard_layout(),
        }
    }

    pub(crate) fn aggregate(&self) -> Aggregate<'_, F> {
        match self {
            By::Mean => Aggregate::Mean,
            By::Sum => Aggregate::Sum,
            By::WeightedMean(w) => Aggregate::weighted_mean(w.view()),
            By::WeightedSum(w) => Aggregate::weighted_sum(w.view()),
            By::NormalizedSum(w) => Aggregate::normalized_sum(w.view()),
            By::MaskedMean(mask) => Aggregate::masked_mean(mask.view()),
        }
    }

    /// The weights in the shape of the loss, 1 where there are none.
    pub(crate) fn weights(&self, loss: &[usize]) -> ArrayD<F> {
        match self {
            By::Mean | By::Sum => ArrayD::from_elem(IxDyn(loss), F::one()),
            By::WeightedMean(w) | By::WeightedSum(w) | By::NormalizedSum(w) => {
                broadcast(&w.to_owned(), loss)
            }
            By::MaskedMean(mask) => {
                let mask = broadcast(&mask.to_owned(), loss);
                mask.mapv(|keep| if keep { F::one() } else { F::zero() })
            }
        }
    }

    /// What the sum is divided by, and how exactly that is known.
    pub(crate) fn divisor(&self, loss: &[usize], ignored: Option<&ArrayD<bool>>) -> (f64, f64) {
        let size: usize = loss.iter().product();
        let counts = |mask: &ArrayD<F>| match ignored {
            None => mask.iter().filter(|&&w| w != F::zero()).count(),
            Some(ignored) => {
                let both = mask.iter().zip(ignored);
                both.filter(|&(&w, &out)| w != F::zero() && !out).count()
            }
        };
        match self {
            By::Mean | By::MaskedMean(_) => (counts(&self.weights(loss)) as f64, 0.0),
            By::WeightedMean(_) => (size as f64, 0.0),
            By::Sum | By::WeightedSum(_) => (1.0, 0.0),
            By::NormalizedSum(w) => {
                let w = w.to_owned();
                let total: f64 = w.iter().map(|w| w.wide()).sum();
                let magnitude: f64 = w.iter().map(|w| w.wide().abs()).sum();
                (total, magnitude)
            }
        }
    }

    /// What has to be refused.
    pub(crate) fn due(&self, loss: &[usize], ignored: Option<&ArrayD<bool>>) -> Due {
        let mut due = Due::default();
        let shape = match self {
            By::Mean | By::Sum => None,
            By::WeightedMean(w) | By::WeightedSum(w) | By::NormalizedSum(w) => Some(w.shape()),
            By::MaskedMean(mask) => Some(mask.shape()),
        };
        if let Some(weights) = shape.filter(|shape| !broadcasts(shape, loss)) {
            due.certain(LossError::WeightsShapeMismatch {
                loss: loss.to_vec(),
                weights: weights.to_vec(),
            });
            due.possible.push(LossError::EmptyMean);
            due.possible.push(LossError::ZeroTotalWeight);
            return due;
        }
        let (divisor, magnitude) = self.divisor(loss, ignored);
        match self {
            By::NormalizedSum(_) if magnitude == 0.0 => due.certain(LossError::ZeroTotalWeight),
            By::NormalizedSum(_) if divisor.abs() <= 1e-9 * magnitude => {
                due.possible.push(LossError::ZeroTotalWeight);
            }
            By::Mean | By::MaskedMean(_) | By::WeightedMean(_) if divisor == 0.0 => {
                due.certain(LossError::EmptyMean);
            }
            _ => {}
        }
        due
    }

    /// The aggregate of these losses, by the definition.
    pub(crate) fn value(&self, losses: &ArrayD<F>, ignored: Option<&ArrayD<bool>>) -> Near {
        let (divisor, total_magnitude) = self.divisor(losses.shape(), ignored);
        let (mut sum, mut magnitude, mut finite_magnitude) = (0.0, 0.0, 0.0);
        let mut overflows = false;
        for (l, w) in losses.iter().zip(&self.weights(losses.shape())) {
            if *w != F::zero() {
                let product = w.wide() * l.wide();
                sum += product;
                magnitude += product.abs();
                if product.is_finite() {
                    finite_magnitude += product.abs();
                }
                overflows |= product.is_infinite() && w.is_finite() && l.is_finite();
            }
        }
        overflows |= finite_magnitude > f64::MAX / 16.0;
        // Losses of both signs, or weights, near the largest f64.
        let divisor_is_unclear = total_magnitude > f64::MAX / 16.0 && F::MAX == f64::MAX;
        if overflows && F::MAX == f64::MAX || divisor_is_unclear {
            return Near::anything();
        }
        let value = sum / divisor;
        if divisor.abs() <= 1e-6 * total_magnitude && divisor.is_finite() {
            // cancels
            return Near::anything();
        }
        let size = (magnitude + value.abs() * total_magnitude) / divisor.abs();
        if value.is_finite() && F::MAX < f64::MAX {
            Near::relative_to::<F>(value, size)
        } else {
            Near::new::<F>(value, size, 1.0)
        }
    }
}
