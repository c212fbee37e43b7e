//! Binary cross-entropy of probabilities.

use ndarray::{Array, ArrayView, Dimension};

use super::{ElementwiseLoss, Scalar, TargetShape};
use crate::engine::span::SpanKernel;
use crate::math::{ln, ln_1p};
use crate::{BinaryLabels, Float, LossError, Target};

/// Binary cross-entropy of probabilities: see [`binary_crossentropy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BinaryCrossentropy;

impl<F: Float> ElementwiseLoss<F> for BinaryCrossentropy {
    #[inline(always)]
    fn value(self, prediction: F, target: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        let other = one - target;
        let positive = target * ln(prediction);
        let positive = if target == zero { zero } else { positive };
        let negative = other * ln_1p(-prediction);
        let negative = if other == zero { zero } else { negative };
        let value = (zero - positive) - negative;
        let inside = prediction >= zero && prediction <= one;
        if inside { value } else { F::nan() }
    }

    #[inline(always)]
    fn derivative(self, prediction: F, target: F) -> F {
        let (zero, one) = (F::zero(), F::one());
        // −0 is 0
        let prediction = prediction + zero;
        let other = one - prediction;
        // −1/p and 1/(1 − p) at the hard targets
        let (numerator, denominator) = (prediction - target, prediction * other);
        let (numerator, denominator) = if target == zero {
            (one, other)
        } else {
            (numerator, denominator)
        };
        let (numerator, denominator) = if target == one {
            (-one, prediction)
        } else {
            (numerator, denominator)
        };
        let derivative = numerator / denominator;
        let inside = prediction >= zero && prediction <= one;
        if inside { derivative } else { F::nan() }
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
        1.5
    }
}

/// Binary cross-entropy of a probability and a target, for two classes or for independent labels.
///
/// ```text
/// loss = −t ln p − (1 − t) ln(1 − p)
/// ```
///
/// If the probabilities come from a sigmoid, train on its input with
/// [`binary_crossentropy_with_logits`](crate::binary_crossentropy_with_logits) instead: that is faster, and right
/// where a probability rounds to 0 or 1.
///
/// # Domain
///
/// p in [0, 1], t in [0, 1]. Nothing is clipped; see the limits below.
///
/// # Shapes
///
/// Predictions of any shape; targets of the same, n targets for predictions (n, 1), or one 0-d target. The result has
/// the shape of the predictions.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange) for an integer target
/// other than 0 and 1; [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`binary_crossentropy_gradient`]: `(p − t) / (p(1 − p))`; exactly `−1/p` for t = 1 and `1/(1 − p)` for t = 0.
///
/// # Limits
///
/// | p | t | loss | gradient |
/// |---|---|---|---|
/// | 0 | 1 | ∞ | -∞ |
/// | 1 | 1 | 0 | -1 |
/// | 0 | 0 | 0 | 1 |
/// | 1 | 0 | ∞ | ∞ |
/// | 0 | 0.5 | ∞ | -∞ |
/// | 1 | 0.5 | ∞ | ∞ |
/// | -0.5 | 0 | NaN | NaN |
/// | 1.5 | 1 | NaN | NaN |
/// | NaN | 1 | NaN | NaN |
/// | 0.5 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{binary_crossentropy, binary_crossentropy_gradient};
///
/// let p = array![0.25_f64, 0.25];
/// let loss = binary_crossentropy(&p, &[true, false])?;
/// assert!((loss[0] - -0.25_f64.ln()).abs() < 1e-15); // −ln p
/// assert!((loss[1] - -0.75_f64.ln()).abs() < 1e-15); // −ln(1 − p)
/// assert_eq!(binary_crossentropy_gradient(&p, &[1, 0])?, array![-4.0, 1.0 / 0.75]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// The negative log-likelihood of a Bernoulli distribution; `lasagne.objectives.binary_crossentropy`.
pub fn binary_crossentropy<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    BinaryCrossentropy.loss(predictions, targets)
}

/// The gradient of [`binary_crossentropy`] with respect to the predictions: `(p − t) / (p(1 − p))`.
///
/// # Errors
///
/// As [`binary_crossentropy`].
pub fn binary_crossentropy_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    BinaryCrossentropy.gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_targets_by_hand() {
        let value: f64 = BinaryCrossentropy.value(0.2, 0.3);
        assert!((value - (-0.3 * 0.2_f64.ln() - 0.7 * 0.8_f64.ln())).abs() < 1e-15);
        let derivative: f64 = BinaryCrossentropy.derivative(0.2, 0.3);
        assert!((derivative - -0.1 / 0.16).abs() < 1e-15);
    }

    #[test]
    fn tiny_probabilities_keep_their_digits() {
        assert_eq!(BinaryCrossentropy.value(1e-30_f32, 0.0), 1e-30);
        assert_eq!(BinaryCrossentropy.derivative(1e-30_f32, 1.0), -1e30);
    }
}
