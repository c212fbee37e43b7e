//! Categorical cross-entropy of probabilities.

use ndarray::{Array, ArrayView, Dimension};

use super::{ClassTargetShape, IgnoreLabel, ItemwiseLoss};
use crate::engine::reduce::Lanes;
use crate::engine::rows::{BLOCK, Dense, Group, GroupTargets, ROWS, Row, RowKernel, RowTarget};
use crate::math::ln;
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
    let value = -(target * ln(prediction));
    let derivative = -(target / prediction);
    let derivative = if valid { derivative } else { F::nan() };
    let absent = target == zero;
    (
        if absent { zero } else { zero + value },
        if absent { zero } else { derivative },
    )
}

impl<F: Float> RowKernel<F> for CategoricalCrossentropy {
    const MIN_CLASSES: usize = 0;
    const DENSE: Dense = Dense::Distribution;

    #[inline(always)]
    fn cost(self) -> f32 {
        0.5
    }

    #[inline(always)]
    fn group(self, group: Group<'_, F>) {
        let classes = group.classes;
        match group.targets {
            GroupTargets::Labels(labels) => {
                let mut chosen = [F::one(); ROWS];
                if classes > 0 {
                    let rows = group.scores.chunks_exact(classes);
                    for ((chosen, row), &label) in chosen.iter_mut().zip(rows).zip(labels) {
                        *chosen = row.get(label).copied().unwrap_or_else(F::nan);
                    }
                }
                let mut derivatives = [F::zero(); ROWS];
                for i in 0..ROWS {
                    let (value, derivative) = term(chosen[i], F::one());
                    group.losses[i] = value;
                    derivatives[i] = derivative * group.coefficients[i];
                }
                if let (Some(gradient), 1..) = (group.gradient, classes) {
                    let rows = gradient.chunks_exact_mut(classes);
                    let rows = rows.zip(group.coefficients);
                    for (((row, coefficient), &label), &derivative) in
                        rows.zip(labels).zip(&derivatives)
                    {
                        // as in a one-hot row: 0 of the sign of the weight, NaN of a weight that is not finite
                        row.fill(F::zero() * *coefficient);
                        if let Some(to) = row.get_mut(label) {
                            *to = derivative;
                        }
                    }
                }
            }
            GroupTargets::Dense(targets) => {
                // The panel serves as a plain buffer.
                let terms = &mut group.panel.as_flattened_mut()[..group.scores.len()];
                let inputs = group.scores.iter().zip(targets);
                match group.gradient {
                    Some(gradient) => {
                        for ((value, g), (&p, &t)) in
                            terms.iter_mut().zip(gradient.iter_mut()).zip(inputs)
                        {
                            (*value, *g) = term(p, t);
                        }
                        if let 1.. = classes {
                            let rows = gradient.chunks_exact_mut(classes);
                            for (row, &coefficient) in rows.zip(group.coefficients) {
                                for g in row {
                                    *g *= coefficient;
                                }
                            }
                        }
                    }
                    None => {
                        for (value, (&p, &t)) in terms.iter_mut().zip(inputs) {
                            *value = term(p, t).0;
                        }
                    }
                }
                for (r, loss) in group.losses.iter_mut().enumerate() {
                    let row = terms
                        .get(r * classes..(r + 1) * classes)
                        .unwrap_or_default();
                    let (mut hi, mut lo) = (0.0, 0.0);
                    for &value in row {
                        F::add_to(&mut hi, &mut lo, value);
                    }
                    *loss = F::narrow(if hi.is_finite() { hi + lo } else { hi });
                }
            }
        }
    }

    #[inline(always)]
    fn row(self, mut row: Row<'_, F>, target: RowTarget<'_, F>, coefficient: F) -> F {
        let zero = F::zero();
        match target {
            RowTarget::Label(label) => {
                let (value, derivative) = term(row.score(label), F::one());
                if row.wants_gradient() {
                    row.fill(zero * coefficient);
                    row.set(label, derivative * coefficient);
                }
                value
            }
            RowTarget::Dense(targets) => {
                let mut lanes = Lanes::ZERO;
                let mut scores_buffer = [zero; BLOCK];
                let mut target_block = [zero; BLOCK];
                let mut values = [zero; BLOCK];
                let mut derivatives = [zero; BLOCK];
                for start in row.starts() {
                    targets(start, &mut target_block);
                    let scores = row.scores(start, zero, &mut scores_buffer);
                    for i in 0..BLOCK {
                        let (value, derivative) = term(scores[i], target_block[i]);
                        values[i] = value;
                        derivatives[i] = derivative * coefficient;
                    }
                    row.write(start, &derivatives);
                    F::accumulate(&mut lanes, &values);
                }
                F::narrow(lanes.total().value())
            }
        }
    }
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
    use super::*;

    #[test]
    fn term_by_hand() {
        assert_eq!(term(0.25_f64, 2.0), (2.0 * 4.0_f64.ln(), -8.0));
        assert_eq!(term(-0.0_f32, 1.0), (f32::INFINITY, f32::NEG_INFINITY));
        assert_eq!(term(f32::NAN, 0.0), (0.0, 0.0));
    }
}
