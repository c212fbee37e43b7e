//! Binary cross-entropy from logits.

use ndarray::{Array, ArrayView, Dimension};

use super::{ElementwiseLoss, TargetShape};
use crate::engine::span::{Kernel, SpanKernel};
use crate::error::invalid_parameter;
use crate::math::{exp_nonpositive, ln_1p_of_fraction};
use crate::{BinaryLabels, Float, LossError, Target};

/// Binary cross-entropy from logits with its options: see [`binary_crossentropy_with_logits`].
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, BinaryCrossentropyWithLogits, ElementwiseLoss};
///
/// let loss = BinaryCrossentropyWithLogits::default().pos_weight(3.0)?.label_smoothing(0.1)?;
/// let mean: f64 = loss.objective(&array![0.0, 0.0], &[true, false], Aggregate::Mean)?;
/// // Targets 0.95 and 0.05, their positive parts weighing 3, times ln 2.
/// let weights = (3.0 * 0.95 + 0.05) + (3.0 * 0.05 + 0.95);
/// assert!((mean - weights * 2.0_f64.ln() / 2.0).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryCrossentropyWithLogits<F> {
    pos_weight: F,
    smoothing: F,
}

impl<F: Float> BinaryCrossentropyWithLogits<F> {
    /// Multiplies the loss of the positive class by `weight`: above 1 for recall, below for precision.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) if it is negative or not finite.
    pub fn pos_weight(self, weight: F) -> Result<Self, LossError> {
        if weight >= F::zero() && weight.is_finite() {
            Ok(Self {
                pos_weight: weight,
                ..self
            })
        } else {
            Err(invalid_parameter(
                "pos_weight",
                weight.widen(),
                "non-negative and finite",
            ))
        }
    }

    /// Moves the targets towards ½: t(1 − ε) + ε/2.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) unless ε is in [0, 1].
    pub fn label_smoothing(self, epsilon: F) -> Result<Self, LossError> {
        check_smoothing(epsilon)?;
        Ok(Self {
            smoothing: epsilon,
            ..self
        })
    }

    /// `SMOOTHS` says whether there is any smoothing.
    #[inline(always)]
    fn kernel<const SMOOTHS: bool>(self) -> OfLogits<F, SMOOTHS> {
        OfLogits(self)
    }
}

/// The loss with or without smoothing: a choice left to the loop would be made for every element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfLogits<F, const SMOOTHS: bool>(BinaryCrossentropyWithLogits<F>);

impl<F: Float, const SMOOTHS: bool> OfLogits<F, SMOOTHS> {
    /// What multiplies −ln(1 − σ(x)) and −ln σ(x).
    #[inline(always)]
    fn weights(self, target: F) -> (F, F) {
        let BinaryCrossentropyWithLogits {
            pos_weight,
            smoothing,
        } = self.0;
        let opposite = F::one() - target;
        if !SMOOTHS {
            return (opposite, pos_weight * target);
        }
        let rounding = (F::one() - opposite) - target;
        // t(1 − ε) + ε/2 = t + ε(½ − t), and its complement from 1 − t, so that neither cancels.
        let towards_half = F::narrow(0.5) - target;
        let smoothed = smoothing.mul_add(towards_half, target);
        let complement = opposite + (-smoothing).mul_add(towards_half, rounding);
        (complement, pos_weight * smoothed)
    }
}

/// 1 / (1 + e) and e / (1 + e), for 0 ≤ e ≤ 1.
#[inline(always)]
fn probabilities<F: Float>(e: F) -> (F, F) {
    let sum = F::one() + e;
    let near = F::one() / sum;
    // What the product lacks of the quotient: a second division would take longer, and round no better.
    let product = e * near;
    let rest = (-product).mul_add(sum, e);
    (near, rest.mul_add(near, product))
}

/// ε of label smoothing.
pub(crate) fn check_smoothing<F: Float>(epsilon: F) -> Result<(), LossError> {
    if epsilon >= F::zero() && epsilon <= F::one() {
        Ok(())
    } else {
        Err(invalid_parameter(
            "label_smoothing",
            epsilon.widen(),
            "in [0, 1]",
        ))
    }
}

impl<F: Float> Default for BinaryCrossentropyWithLogits<F> {
    /// No weight on a class, no smoothing.
    fn default() -> Self {
        Self {
            pos_weight: F::one(),
            smoothing: F::zero(),
        }
    }
}

impl<F: Float> ElementwiseLoss<F> for BinaryCrossentropyWithLogits<F> {
    #[inline(always)]
    fn value(self, prediction: F, target: F) -> F {
        self.value_and_derivative(prediction, target).0
    }

    #[inline(always)]
    fn derivative(self, prediction: F, target: F) -> F {
        self.value_and_derivative(prediction, target).1
    }

    #[inline(always)]
    fn value_and_derivative(self, prediction: F, target: F) -> (F, F) {
        if self.smoothing == F::zero() {
            self.kernel::<false>().of_one(prediction, target)
        } else {
            self.kernel::<true>().of_one(prediction, target)
        }
    }

    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        Some(BinaryLabels::ZeroOne)
    }

    #[inline(always)]
    fn with_kernel<R>(self, work: impl FnOnce(&dyn SpanKernel<F>) -> R) -> R {
        if self.smoothing == F::zero() {
            work(F::of_elements(&self.kernel::<false>()))
        } else {
            work(F::of_elements(&self.kernel::<true>()))
        }
    }

    #[inline(always)]
    fn cost(self) -> f32 {
        self.kernel::<false>().cost()
    }
}

impl<F: Float, const SMOOTHS: bool> Kernel<F> for OfLogits<F, SMOOTHS> {
    const IN_TWO_STEPS: bool = true;

    #[inline(always)]
    fn cost(self) -> f32 {
        1.5
    }

    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        Some(BinaryLabels::ZeroOne)
    }

    /// e^−|x|
    #[inline(always)]
    fn ahead(self, prediction: F) -> F {
        exp_nonpositive(-prediction.abs())
    }

    #[inline(always)]
    fn value_and_derivative(self, e: F, prediction: F, target: F) -> (F, F) {
        let zero = F::zero();
        let (negative, positive) = self.weights(target);
        let distance = prediction.abs();
        let is_positive = prediction > zero;

        // −ln of the probability of the wrong class is |x| + log1p(e^−|x|), of the right one log1p(e^−|x|).
        let wrong = if is_positive { negative } else { positive };
        let linear = wrong * distance;
        let linear = if wrong == zero { zero } else { linear };
        let value = (negative + positive).mul_add(ln_1p_of_fraction(e), linear);

        let (near, far) = probabilities(e);
        let (sigmoid, complement) = if is_positive {
            (near, far)
        } else {
            (far, near)
        };
        (value, negative * sigmoid - positive * complement)
    }
}

/// Binary cross-entropy of p = σ(x), from the logit x: what two classes, or independent labels, are trained with.
///
/// ```text
/// loss = −t ln σ(x) − (1 − t) ln σ(−x),   σ(x) = 1 / (1 + e^−x)
/// ```
///
/// Loss and gradient keep their full relative accuracy at the confident ends, where the probability rounds to 0 or 1.
/// Options stand on the value: [`BinaryCrossentropyWithLogits::pos_weight`] w and
/// [`BinaryCrossentropyWithLogits::label_smoothing`] ε, which make it −w·t' ln σ(x) − (1 − t') ln σ(−x) with
/// t' = t(1 − ε) + ε/2.
///
/// # Domain
///
/// All logits; t in [0, 1]. Where e^−|x| itself is subnormal (|x| above 87 for `f32`, 708 for `f64`), a `pos_weight`
/// multiplies its rounding error.
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
/// [`binary_crossentropy_with_logits_gradient`]: `σ(x) − t`, computed as (1 − t)·σ(x) − t·σ(−x).
///
/// # Limits
///
/// | x | t | loss | gradient |
/// |---|---|---|---|
/// | 0 | 0.5 | 0.6931471805599453 | 0 |
/// | ∞ | 1 | 0 | 0 |
/// | -∞ | 1 | ∞ | -1 |
/// | ∞ | 0 | ∞ | 1 |
/// | -∞ | 0 | 0 | 0 |
/// | ∞ | 0.25 | ∞ | 0.75 |
/// | -∞ | 0.25 | ∞ | -0.25 |
/// | 1000 | 0 | 1000 | 1 |
/// | NaN | 1 | NaN | NaN |
/// | 0 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{binary_crossentropy_with_logits, binary_crossentropy_with_logits_gradient};
///
/// let x = array![3.0_f64.ln()]; // σ(x) = 3/4
/// let loss = binary_crossentropy_with_logits(&x, &[true])?;
/// assert!((loss[0] - -0.75_f64.ln()).abs() < 1e-15);
/// let gradient = binary_crossentropy_with_logits_gradient(&x, &[true])?;
/// assert!((gradient[0] - (0.75 - 1.0)).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// `torch.nn.functional.binary_cross_entropy_with_logits`; the form without cancellation is this crate's.
pub fn binary_crossentropy_with_logits<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    BinaryCrossentropyWithLogits::default().loss(predictions, targets)
}

/// The gradient of [`binary_crossentropy_with_logits`] with respect to the logits: `σ(x) − t`.
///
/// # Errors
///
/// As [`binary_crossentropy_with_logits`].
pub fn binary_crossentropy_with_logits_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    BinaryCrossentropyWithLogits::default().gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confident_ends_keep_their_digits() {
        let loss = BinaryCrossentropyWithLogits::<f64>::default();
        let (value, derivative) = loss.value_and_derivative(50.0, 1.0);
        let exact = (-50.0_f64).exp();
        assert!((value / exact - 1.0).abs() < 1e-15);
        assert!((derivative / -exact - 1.0).abs() < 1e-15);
    }

    #[test]
    fn what_one_minus_a_target_loses_is_kept() -> Result<(), LossError> {
        let (x, t, epsilon) = (-3.443_167_f32, 3.684_966_6e-8_f32, 0.996_095_06_f32);
        let loss = BinaryCrossentropyWithLogits::default();
        let loss = loss.pos_weight(0.0)?.label_smoothing(epsilon)?;
        let [wide_x, wide_t, wide_epsilon] = [x, t, epsilon].map(f64::from);
        let negative = (1.0 - wide_t) * (1.0 - wide_epsilon) + wide_epsilon / 2.0;
        let exact = negative / (1.0 + (-wide_x).exp());
        let spacing = f64::from(f32::EPSILON / 128.0); // from 1/128 to 1/64
        let error = (f64::from(loss.derivative(x, t)) - exact).abs() / spacing;
        assert!(error <= 4.0, "{error} ULP");
        Ok(())
    }

    #[test]
    fn neutral_options_change_nothing() -> Result<(), LossError> {
        let plain = BinaryCrossentropyWithLogits::default();
        assert_eq!(plain.pos_weight(1.0_f32)?.label_smoothing(0.0)?, plain);
        Ok(())
    }
}
