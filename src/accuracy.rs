//! What is counted rather than differentiated: the share of predictions that are right.

use ndarray::{Array, ArrayView, Dimension};

use crate::elementwise::{ElementwiseLoss, Scalar, TargetShape};
use crate::engine::reduce::Lanes;
use crate::engine::rows::{
    Abreast, Access, AnyRowKernel, Columns, Dense, Group, GroupTargets, Item, ItemKernel,
    LanesAcross, Maxima, Panel, Piece, ROWS, RowKernel, abreast, as_floats, scores_of_labels,
    transpose,
};
use crate::engine::shape::allocate;
use crate::engine::span::SpanKernel;
use crate::error::invalid_parameter;
use crate::itemwise::{ClassTargetShape, Inputs, items_dim};
use crate::{BinaryLabels, Float, LossError, Target};

#[derive(Debug, Clone, Copy)]
pub(crate) struct AboveThreshold<F> {
    threshold: F,
}

impl<F: Float> ElementwiseLoss<F> for AboveThreshold<F> {
    #[inline(always)]
    fn value(self, prediction: F, target: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        let class = if prediction >= self.threshold {
            one
        } else {
            zero
        };
        let right = class == target && !prediction.is_nan();
        if right { one } else { zero }
    }

    /// Almost everywhere.
    #[inline(always)]
    fn derivative(self, _prediction: F, _target: F) -> F {
        F::zero()
    }

    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        Some(BinaryLabels::ZeroOne)
    }

    #[inline(always)]
    fn with_kernel<R>(self, work: impl FnOnce(&dyn SpanKernel<F>) -> R) -> R {
        work(F::of_elements(&Scalar(self)))
    }

    #[inline(always)]
    fn cost(self) -> f32 {
        0.4
    }
}

/// 1 where a prediction is on its target's side of a threshold, else 0; its mean is the accuracy.
///
/// ```text
/// 1 where (p ≥ threshold) equals t, else 0
/// ```
///
/// # Domain
///
/// Any score; the threshold not NaN: ½ for probabilities, 0 for logits. A prediction exactly at the threshold is
/// positive; a NaN counts 0, and a soft target never equals.
///
/// # Shapes
///
/// Predictions of any shape; targets of the same, n targets for predictions (n, 1), or one 0-d target. The result has
/// the shape of the predictions.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange) for an integer target
/// other than 0 and 1; [`InvalidParameter`](LossError::InvalidParameter) for a NaN threshold;
/// [`TooLarge`](LossError::TooLarge).
///
/// # Limits
///
/// For a threshold of ½; there is no gradient.
///
/// | p | t | accuracy |
/// |---|---|---|
/// | 0.5 | 1 | 1 |
/// | 0.5 | 0 | 0 |
/// | ∞ | 1 | 1 |
/// | -∞ | 0 | 1 |
/// | 0.7 | 0.7 | 0 |
/// | NaN | 0 | 0 |
/// | NaN | 1 | 0 |
/// | 0.7 | NaN | 0 |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, aggregate, binary_accuracy};
///
/// let right = binary_accuracy(&array![0.9, 0.4, 0.5], &[true, true, true], 0.5)?;
/// assert_eq!(right, array![1.0, 0.0, 1.0]);
/// assert_eq!(aggregate(&right, Aggregate::Mean)?, 2.0 / 3.0);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// `lasagne.objectives.binary_accuracy`.
pub fn binary_accuracy<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    threshold: F,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    if threshold.is_nan() {
        return Err(invalid_parameter(
            "threshold",
            threshold.widen(),
            "a number",
        ));
    }
    AboveThreshold { threshold }.loss(predictions, targets)
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct AmongLargest {
    top_k: usize,
}

impl AmongLargest {
    /// From the number of classes that come before the target's.
    #[inline(always)]
    fn value<F: Float>(self, before: usize, own: F) -> F {
        if before < self.top_k && !own.is_nan() {
            F::one()
        } else {
            F::zero()
        }
    }
}

impl<F: Float> ItemKernel<F> for AmongLargest {
    fn min_classes(&self) -> usize {
        0
    }
    fn dense(&self) -> Dense {
        Dense::Largest
    }
    fn cost(&self) -> f32 {
        0.3
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        F::of_items(self)
    }
}

/// 1 for each label with the largest score, the first of its equals, and 0 for the others; `None` if there is a row
/// without a number above −∞.
#[inline(always)]
fn of_largest<F: Float>(panel: &Panel<F>, labels: &[F; ROWS]) -> Option<[F; ROWS]> {
    let Maxima { maximum, maximal } = Maxima::of(panel);
    // Without an early exit, so that it vectorises.
    let (mut values, mut are_found) = ([F::zero(); ROWS], true);
    for i in 0..ROWS {
        let is_label = maximal[i] == labels[i];
        values[i] = if is_label { F::one() } else { F::zero() };
        are_found &= maximum[i] > F::neg_infinity();
    }
    are_found.then_some(values)
}

impl<F: Float> RowKernel<F> for AmongLargest {
    fn rows_like_a_group(classes: usize) -> usize {
        if size_of::<F>() <= size_of::<f32>() {
            4 + classes / 5
        } else {
            4 + classes / 3
        }
    }

    #[inline(always)]
    fn group(self, group: Group<'_, F>) {
        let GroupTargets::Labels(labels) = group.targets else {
            return;
        };
        let panel = &mut group.panel[..group.classes];
        transpose(group.scores, panel);
        let label_classes = as_floats::<F>(labels);
        if self.top_k == 1
            && let Some(values) = of_largest(panel, &label_classes)
        {
            *group.losses = values;
            return;
        }
        let own = scores_of_labels(group.scores, group.classes, labels);
        // Counted in the scores' own type, whose lanes are as wide: exact for short rows.
        let mut before = [F::zero(); ROWS];
        let mut class = F::zero();
        for scores in panel.iter() {
            for i in 0..ROWS {
                let x = scores[i];
                let first = x > own[i] || (x == own[i] && class < label_classes[i]);
                before[i] += if first { F::one() } else { F::zero() };
            }
            class += F::one();
        }
        let top_k = F::narrow(self.top_k as f64);
        for i in 0..ROWS {
            let right = before[i] < top_k && !own[i].is_nan();
            group.losses[i] = if right { F::one() } else { F::zero() };
        }
    }

    type Known = LongRow<F>;
    type Sums = [Lanes; 0];
    type Pass = ();
    const PASSES: &'static [((), Access)] = &[(
        (),
        Access {
            scores: true,
            across: true,
            ..Access::NONE
        },
    )];

    /// Comes before nothing.
    #[inline(always)]
    fn padding() -> F {
        F::nan()
    }

    #[inline(always)]
    fn begin(self, item: Item<F>, score: impl Fn(usize) -> F) -> LongRow<F> {
        // Rows of targets have become labels.
        let label = item.label.unwrap_or(0);
        LongRow {
            label,
            own: score(label),
            before: 0,
        }
    }

    #[inline(always)]
    fn across(
        self,
        (): (),
        known: &mut [Option<LongRow<F>>],
        mut columns: Columns<'_, F>,
        _: &mut [LanesAcross],
    ) {
        let (zero, one) = (F::zero(), F::one());
        let own = abreast(known, F::nan(), |row| row.own);
        for (part, columns) in columns.stretches() {
            // Where in this part the label is, or −1 before it.
            let labels = abreast(known, zero, |row| {
                let offset = row.label as f64 - part.start as f64;
                F::narrow(offset.clamp(-1.0, part.len as f64))
            });
            let mut before: Abreast<F> = [zero; _];
            let mut class = zero;
            for column in columns.each() {
                let scores = column.scores();
                for row in 0..scores.len() {
                    let x = scores[row];
                    let first = x > own[row] || (x == own[row] && class < labels[row]);
                    before[row] += if first { one } else { zero };
                }
                class += one;
            }
            for (row, before) in known.iter_mut().zip(&before) {
                if let Some(row) = row {
                    row.before += before.widen() as usize;
                }
            }
        }
    }

    #[inline(always)]
    fn part(self, (): (), known: &mut LongRow<F>, _: &mut Self::Sums, piece: Piece<'_, F>) {
        let Piece { part, scores, .. } = piece;
        let (label, own) = (known.label, known.own);
        // Of equal scores those before the label's come first.
        let (first, second) = scores.split_at(label.saturating_sub(part.start).min(part.len));
        let count = first.iter().fold(0_u32, |n, &x| n + u32::from(x >= own));
        known.before += second.iter().fold(count, |n, &x| n + u32::from(x > own)) as usize;
    }

    #[inline(always)]
    fn adopt(self, (): (), known: &mut LongRow<F>, section: &LongRow<F>) {
        known.before += section.before;
    }

    #[inline(always)]
    fn finish(self, known: &LongRow<F>) -> F {
        self.value(known.before, known.own)
    }
}

/// A long row between its parts.
#[derive(Clone)]
pub(crate) struct LongRow<F> {
    label: usize,
    own: F,
    /// How many classes come before the label's.
    before: usize,
}

/// 1 where the target class is among the k with the largest scores, else 0; its mean is the top-k accuracy.
///
/// ```text
/// 1 where #{j : pⱼ > p_t, or pⱼ = p_t and j < t} < k, else 0
/// ```
///
/// # Domain
///
/// Any scores: probabilities or logits. Of equal scores the lower class comes first. A NaN score of the target counts
/// 0; a NaN elsewhere comes after all numbers.
///
/// # Shapes
///
/// Predictions (…, K), with the classes along the last axis. Targets: integer labels (…), or one-hot rows or
/// distributions (…, K), whose largest element is the target class, of equal ones the lowest; a row of targets with a
/// NaN counts 0. The result has the shape (…).
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange);
/// [`InvalidParameter`](LossError::InvalidParameter) for a `top_k` of 0 or of more than all classes;
/// [`TooLarge`](LossError::TooLarge).
///
/// # Limits
///
/// Of two classes with scores p (the target's, the second) and q, for k = 1; there is no gradient.
///
/// | p | q | accuracy |
/// |---|---|---|
/// | 2 | 1 | 1 |
/// | 1 | 1 | 0 |
/// | ∞ | 1 | 1 |
/// | -∞ | -∞ | 0 |
/// | NaN | 0 | 0 |
/// | 0 | NaN | 1 |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::categorical_accuracy;
///
/// let p = array![[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]];
/// assert_eq!(categorical_accuracy(&p, &[2, 0], 1)?, array![0.0, 1.0]);
/// assert_eq!(categorical_accuracy(&p, &[2, 0], 2)?, array![1.0, 1.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// `lasagne.objectives.categorical_accuracy`.
pub fn categorical_accuracy<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    top_k: usize,
) -> Result<Array<F, D::Smaller>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    let predictions = predictions.into();
    let kernel = AmongLargest { top_k };
    let inputs = Inputs::check(&kernel, &predictions, targets.into())?;
    let classes = predictions.shape().last().copied().unwrap_or(0);
    if top_k == 0 || top_k > classes {
        return Err(invalid_parameter(
            "top_k",
            top_k as f64,
            "at least 1 and at most the number of classes",
        ));
    }
    let mut right = allocate(items_dim(&predictions), false)?;
    inputs.items(Some(right.view_mut()), None);
    Ok(right)
}
