//! Categorical cross-entropy of probabilities.

use std::ops::Range;

use ndarray::{Array, ArrayView, Dimension};

use super::{ClassTargetShape, IgnoreLabel, ItemwiseLoss};
use crate::engine::reduce::{Lanes, Pair};
use crate::engine::rows::{
    ABREAST, Access, AnyRowKernel, Columns, Dense, Gradient, Group, GroupTargets, Item, ItemKernel,
    LanesAcross, Piece, Present, ROWS, RowKernel, abreast, spans, sums, transpose,
};
use crate::math::{ln, ln_of_normal};
use crate::{Float, LossError, Target};

/// Categorical cross-entropy of probabilities: see [`categorical_crossentropy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CategoricalCrossentropy;

impl CategoricalCrossentropy {
    /// See [`ItemwiseLoss::ignore_label`].
    #[must_use]
    pub fn ignore_label(self, label: i128) -> IgnoreLabel<Self> {
        IgnoreLabel::new(self, label)
    }
}

/// −t ln p and −t / p; 0 where t is 0.
#[inline(always)]
fn term<F: Float>(prediction: F, target: F) -> (F, F) {
    let zero = F::zero();
    // −0 is 0
    let prediction = prediction + zero;
    let valid = prediction >= zero;
    // 0 − x is never −0.
    let value = zero - target * ln(prediction);
    let derivative = zero - target / prediction;
    let derivative = if valid { derivative } else { F::nan() };
    let absent = target == zero;
    (
        if absent { zero } else { value },
        if absent { zero } else { derivative },
    )
}

/// [`term`] for a positive normal prediction.
#[inline(always)]
fn ordinary_term<F: Float>(prediction: F, target: F) -> (F, F) {
    let zero = F::zero();
    (
        zero - target * ln_of_normal(prediction),
        zero - target / prediction,
    )
}

/// The terms of all classes, and the derivatives times a factor.
#[inline(always)]
fn terms<F: Float>(
    predictions: &[F],
    targets: &[F],
    factor: F,
    values: &mut [F],
    derivatives: Option<&mut [F]>,
) {
    if F::all_positive_normal(predictions) {
        each_term::<F, true>(predictions, targets, factor, values, derivatives);
    } else {
        each_term::<F, false>(predictions, targets, factor, values, derivatives);
    }
}

#[inline(always)]
fn each_term<F: Float, const ORDINARY: bool>(
    predictions: &[F],
    targets: &[F],
    factor: F,
    values: &mut [F],
    mut derivatives: Option<&mut [F]>,
) {
    let inputs = [predictions, targets];
    let (most, last) = spans(values.len());
    if let Some(last) = last {
        let derivatives = derivatives.as_deref_mut();
        span_of_terms::<F, ORDINARY>(last, inputs, factor, values, derivatives);
    }
    span_of_terms::<F, ORDINARY>(most, inputs, factor, values, derivatives);
}

#[inline(always)]
fn span_of_terms<F: Float, const ORDINARY: bool>(
    span: Range<usize>,
    [predictions, targets]: [&[F]; 2],
    factor: F,
    values: &mut [F],
    derivatives: Option<&mut [F]>,
) {
    let inputs = predictions[span.clone()].iter().zip(&targets[span.clone()]);
    let outputs = values[span.clone()].iter_mut();
    match derivatives {
        Some(derivatives) => {
            for ((value, g), (&p, &t)) in outputs.zip(&mut derivatives[span]).zip(inputs) {
                let (of_class, derivative) = if ORDINARY {
                    ordinary_term(p, t)
                } else {
                    term(p, t)
                };
                *value = of_class;
                *g = derivative * factor;
            }
        }
        None => {
            for (value, (&p, &t)) in outputs.zip(inputs) {
                *value = if ORDINARY {
                    ordinary_term(p, t).0
                } else {
                    term(p, t).0
                };
            }
        }
    }
}

impl<F: Float> ItemKernel<F> for CategoricalCrossentropy {
    fn min_classes(&self) -> usize {
        0
    }
    fn dense(&self) -> Dense {
        Dense::Distribution
    }
    fn cost(&self) -> f32 {
        0.5
    }
    fn arithmetic(&self) -> &dyn AnyRowKernel<F> {
        F::of_items(self)
    }
}

impl<F: Float> RowKernel<F> for CategoricalCrossentropy {
    fn rows_like_a_group(classes: usize) -> usize {
        if size_of::<F>() <= size_of::<f32>() {
            2 + classes / 5
        } else {
            2 + classes / 6
        }
    }

    const PICKS: bool = true;

    #[inline(always)]
    fn picked(self, score: F) -> (F, F) {
        term(score, F::one())
    }

    #[inline(always)]
    fn group(self, group: Group<'_, F>) {
        let classes = group.classes;
        // Labels are picked.
        let GroupTargets::Dense(targets) = group.targets else {
            return;
        };
        // The panel serves as a plain buffer.
        let values = &mut group.panel.as_flattened_mut()[..group.scores.len()];
        let (first, coefficients) = (group.coefficients[0], group.coefficients);
        let same = coefficients
            .iter()
            .fold(true, |same, &factor| same & (factor == first));
        let mut gradient = group.gradient;
        let factor = if same { first } else { F::one() };
        terms(
            group.scores,
            targets,
            factor,
            values,
            gradient.as_deref_mut(),
        );
        if let (Some(gradient), false) = (gradient, same) {
            for (row, &coefficient) in gradient.chunks_exact_mut(classes).zip(coefficients) {
                for g in row {
                    *g *= coefficient;
                }
            }
        }
        // The sums of all rows side by side.
        let of_classes = &mut group.target_panel[..classes];
        transpose(values, of_classes);
        let losses = sums(classes, &*of_classes);
        for i in 0..ROWS {
            group.losses[i] = F::narrow(losses[i]);
        }
    }

    type Known = LongRow<F>;
    type Sums = [Lanes; 1];
    type Pass = ();
    const PASSES: &'static [((), Access)] = &[(
        (),
        Access {
            scores: true,
            targets: true,
            gradient: Gradient::Written,
            adds_up: true,
            across: true,
        },
    )];

    /// An ordinary score, aimed at by nothing.
    #[inline(always)]
    fn padding() -> F {
        F::one()
    }

    #[inline(always)]
    fn begin(self, item: Item<F>, _score: impl Fn(usize) -> F) -> LongRow<F> {
        LongRow {
            losses: Pair::ZERO,
            coefficient: item.coefficient,
        }
    }

    #[inline(always)]
    fn sums_across(self, _: bool) -> usize {
        1
    }

    #[inline(always)]
    fn across(
        self,
        (): (),
        known: &mut [Option<LongRow<F>>],
        mut columns: Columns<'_, F>,
        sums: &mut [LanesAcross],
    ) {
        let Some(losses) = sums.first_mut() else {
            return;
        };
        losses.clear();
        let (zero, one) = (F::zero(), F::one());
        let coefficients = abreast(known, zero, |row| row.coefficient);
        let present = Present::of(known);
        let (mut copy, mut values) = ([zero; ABREAST], [zero; ABREAST]);
        for (_, columns) in columns.stretches() {
            for (place, column) in columns.each().enumerate() {
                let t = column.targets;
                let (p, gradient) = column.scores_and_gradient(&mut copy);
                let values = &mut values[..p.len()];
                let wanted = (!gradient.is_empty()).then_some(&mut *gradient);
                terms(p, t, one, values, wanted);
                losses.add(place, values);
                let factors = coefficients.iter().enumerate();
                for (g, (row, &coefficient)) in gradient.iter_mut().zip(factors) {
                    *g = present.only(row, *g * coefficient);
                }
            }
        }
        for (index, row) in known.iter_mut().enumerate() {
            if let Some(row) = row {
                self.close((), row, &[losses.of_row::<F>(index)]);
            }
        }
    }

    #[inline(always)]
    fn part(self, (): (), known: &mut LongRow<F>, sums: &mut Self::Sums, piece: Piece<'_, F>) {
        let Piece {
            scores,
            targets,
            gradient,
            ..
        } = piece;
        let values = &mut piece.work.values[..piece.part.len];
        let gradient = piece.wants_gradient.then_some(gradient);
        terms(scores, targets, known.coefficient, values, gradient);
        let [losses] = sums;
        losses.add_row(values, piece.order);
    }

    #[inline(always)]
    fn close(self, (): (), known: &mut LongRow<F>, [losses]: &Self::Sums) {
        F::add_section(&mut known.losses, F::total_of_section(losses));
    }

    #[inline(always)]
    fn adopt(self, (): (), known: &mut LongRow<F>, section: &LongRow<F>) {
        F::add_section(&mut known.losses, section.losses);
    }

    #[inline(always)]
    fn finish(self, known: &LongRow<F>) -> F {
        F::narrow(known.losses.value())
    }
}

/// A long row between its parts; labels are picked.
#[derive(Clone)]
pub(crate) struct LongRow<F> {
    losses: Pair,
    coefficient: F,
}

impl<F: Float> ItemwiseLoss<F> for CategoricalCrossentropy {}

/// Categorical cross-entropy of probabilities and a label or a distribution, for one class out of many.
///
/// ```text
/// loss = −Σⱼ tⱼ ln pⱼ          (−ln p_t for a label t)
/// ```
///
/// If the probabilities come from a softmax, train on its input with
/// [`categorical_crossentropy_with_logits`](crate::categorical_crossentropy_with_logits) instead: that is faster, and
/// right where a probability rounds to 0 or 1.
///
/// # Domain
///
/// p ≥ 0; targets are labels, distributions or counts, which are not checked for sign or sum. Nothing is clipped. A class
/// whose target is 0 adds nothing, whatever its p is.
///
/// # Shapes
///
/// Predictions (…, K), with the classes along the last axis. Targets: integer labels (…), or (…, K). The result has
/// the shape (…).
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange);
/// [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`categorical_crossentropy_gradient`]: `−tⱼ / pⱼ`, 0 where tⱼ is 0.
///
/// # Limits
///
/// Of one class with probability p and target t, beside a class with target 0:
///
/// | p | t | loss | gradient |
/// |---|---|---|---|
/// | 1 | 1 | 0 | -1 |
/// | 0 | 1 | ∞ | -∞ |
/// | ∞ | 1 | -∞ | 0 |
/// | -0.5 | 1 | NaN | NaN |
/// | NaN | 1 | NaN | NaN |
/// | 0 | 0 | 0 | 0 |
/// | -0.5 | 0 | 0 | 0 |
/// | NaN | 0 | 0 | 0 |
/// | 0.5 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{categorical_crossentropy, categorical_crossentropy_gradient};
///
/// let p = array![[0.25_f64, 0.75], [0.5, 0.5]];
/// let loss = categorical_crossentropy(&p, &[1, 0])?;
/// assert!((loss[0] - -0.75_f64.ln()).abs() < 1e-15);
/// assert_eq!(categorical_crossentropy_gradient(&p, &[1, 0])?, array![[0.0, -1.0 / 0.75], [-2.0, 0.0]]);
/// assert_eq!(categorical_crossentropy(&p, &array![[0.0, 1.0], [1.0, 0.0]])?, loss);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// The negative log-likelihood of a categorical distribution; `lasagne.objectives.categorical_crossentropy`.
pub fn categorical_crossentropy<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D::Smaller>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    CategoricalCrossentropy.loss(predictions, targets)
}

/// The gradient of [`categorical_crossentropy`] with respect to the predictions: `−tⱼ / pⱼ`.
///
/// # Errors
///
/// As [`categorical_crossentropy`].
pub fn categorical_crossentropy_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
{
    CategoricalCrossentropy.gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use ndarray::Array2;

    use super::*;

    #[test]
    fn terms_that_are_lost_beside_a_large_one_add_up() -> Result<(), LossError> {
        let p = Array2::from_elem((1, 100), 0.5_f64);
        let mut t = Array2::from_elem((1, 100), 1.0);
        t[[0, 0]] = 2.0_f64.powi(53);
        let exact = t[[0, 0]] * LN_2 + 99.0 * LN_2;
        let loss = categorical_crossentropy(&p, &t)?[0];
        assert!((loss - exact).abs() <= 1.0, "{loss} instead of {exact}");
        Ok(())
    }

    #[test]
    fn term_by_hand() {
        assert_eq!(term(0.25_f64, 2.0), (2.0 * 4.0_f64.ln(), -8.0));
        assert_eq!(term(-0.0_f32, 1.0), (f32::INFINITY, f32::NEG_INFINITY));
        assert_eq!(term(f32::NAN, 0.0), (0.0, 0.0));
    }

    #[test]
    fn ordinary_terms_are_terms() {
        let bits = |(value, derivative): (f32, f32)| (value.to_bits(), derivative.to_bits());
        for p in [f32::MIN_POSITIVE, 1e-20, 0.3, 0.75, 1.0, 1.5, 7.0, f32::MAX] {
            for t in [0.0, -0.0, 1e-30, 0.25, 1.0, -3.0, f32::MAX, f32::INFINITY] {
                assert_eq!(bits(ordinary_term(p, t)), bits(term(p, t)), "{p} {t}");
            }
        }
    }
}
