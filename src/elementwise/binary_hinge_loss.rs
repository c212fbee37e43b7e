//! The binary hinge loss.

use ndarray::{Array, ArrayView, Dimension};

use super::{ElementwiseLoss, Scalar, TargetShape};
use crate::engine::span::SpanKernel;
use crate::error::invalid_parameter;
use crate::math::{ln, ln_1p};
use crate::{BinaryLabels, Float, LossError, Scores, Target};

/// The binary hinge loss with its margin δ and conventions: see [`binary_hinge_loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryHingeLoss<F> {
    delta: F,
    scores: Scores,
    labels: BinaryLabels,
}

impl<F: Float> BinaryHingeLoss<F> {
    /// The hinge loss with a margin of `delta`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) if `delta` is negative or not finite.
    pub fn new(delta: F, scores: Scores, labels: BinaryLabels) -> Result<Self, LossError> {
        check_margin(delta)?;
        Ok(Self {
            delta,
            scores,
            labels,
        })
    }

    /// The kernel for scores of one kind.
    #[inline(always)]
    fn kernel<const PROBABILITIES: bool>(self) -> Hinge<F, PROBABILITIES> {
        let one = F::one();
        let (slope, offset) = match self.labels {
            BinaryLabels::ZeroOne => (one + one, -one),
            BinaryLabels::PlusMinusOne => (one, F::zero()),
        };
        Hinge {
            delta: self.delta,
            slope,
            offset,
            labels: self.labels,
        }
    }
}

/// The loss with its conventions resolved: a choice left to the loop would be made for every element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hinge<F, const PROBABILITIES: bool> {
    delta: F,
    /// slope·t + offset is the target as −1 or 1 (or between).
    slope: F,
    offset: F,
    labels: BinaryLabels,
}

impl<F: Float, const PROBABILITIES: bool> ElementwiseLoss<F> for Hinge<F, PROBABILITIES> {
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
        let (zero, one) = (F::zero(), F::one());
        let sign = target.mul_add(self.slope, self.offset);
        // −0 is 0
        let prediction = prediction + zero;
        let score = if PROBABILITIES {
            log_odds(prediction)
        } else {
            prediction
        };
        // δ − t·s, rounded once
        let margin = (-sign).mul_add(score, self.delta);
        // A target in the middle asks for nothing, however far the score is.
        let undecided = sign == zero && !score.is_nan();
        let margin = if undecided { self.delta } else { margin };

        let slope = zero - sign;
        let slope = if PROBABILITIES {
            let steep = slope / (prediction * (one - prediction));
            if sign == zero { zero } else { steep }
        } else {
            slope
        };
        let slope = if margin.is_nan() { margin } else { slope };
        let met = margin <= zero;
        (
            if met { zero } else { margin },
            if met { zero } else { slope },
        )
    }

    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        Some(self.labels)
    }

    #[inline(always)]
    fn cost(self) -> f32 {
        if PROBABILITIES { 1.5 } else { 0.4 }
    }
}

/// The margin δ of a hinge loss.
pub(crate) fn check_margin<F: Float>(delta: F) -> Result<(), LossError> {
    if delta >= F::zero() && delta.is_finite() {
        Ok(())
    } else {
        Err(invalid_parameter(
            "delta",
            delta.widen(),
            "non-negative and finite",
        ))
    }
}

/// ln(p / (1 − p)), accurate near 0, ½ and 1.
#[inline(always)]
fn log_odds<F: Float>(p: F) -> F {
    let one = F::one();
    let small = p < F::narrow(0.25);
    // 2p − 1 is exact from ¼ on; p − (1 − p) is not below ½.
    let quotient = (p + p - one) / (one - p);
    let log = ln_1p(if small { -p } else { quotient });
    if small { ln(p) - log } else { log }
}

impl<F: Float> Default for BinaryHingeLoss<F> {
    /// δ = 1, log-odds, labels 0 and 1
    fn default() -> Self {
        Self {
            delta: F::one(),
            scores: Scores::LogOdds,
            labels: BinaryLabels::ZeroOne,
        }
    }
}

impl<F: Float> ElementwiseLoss<F> for BinaryHingeLoss<F> {
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
        match self.scores {
            Scores::LogOdds => self
                .kernel::<false>()
                .value_and_derivative(prediction, target),
            Scores::Probabilities => self
                .kernel::<true>()
                .value_and_derivative(prediction, target),
        }
    }

    #[inline(always)]
    fn with_kernel<R>(self, work: impl FnOnce(&dyn SpanKernel<F>) -> R) -> R {
        match self.scores {
            Scores::LogOdds => work(F::of_elements(&Scalar(self.kernel::<false>()))),
            Scores::Probabilities => work(F::of_elements(&Scalar(self.kernel::<true>()))),
        }
    }

    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        Some(self.labels)
    }
}

/// The binary hinge loss: nothing to learn from examples on the right side of a margin.
///
/// ```text
/// loss = max(0, δ − t·s),   t in {−1, +1},   s the log-odds
/// ```
///
/// `scores` says what the predictions are: [`Scores::LogOdds`], any real score, or [`Scores::Probabilities`], which go
/// through s = ln(p / (1 − p)). `labels` says how the two classes are written in the targets; `bool` means the pair
/// either way. Neither has a default, since a wrong guess trains on, silently.
///
/// # Domain
///
/// Scores: all numbers; probabilities: [0, 1]. δ ≥ 0 and finite. Soft targets follow the formula, with t = 2t' − 1 for
/// a target t' in [0, 1].
///
/// # Shapes
///
/// Predictions of any shape; targets of the same, n targets for predictions (n, 1), or one 0-d target. The result has
/// the shape of the predictions.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`LabelOutOfRange`](LossError::LabelOutOfRange) for an integer target
/// outside the pair; [`InvalidParameter`](LossError::InvalidParameter) for δ; [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`binary_hinge_loss_gradient`]: `−t·ds/dp` where the loss is positive, with ds/dp = 1 for log-odds and
/// 1 / (p(1 − p)) for probabilities; 0 elsewhere, and 0 at the kink δ = t·s.
///
/// # Limits
///
/// For δ = 1, log-odds, labels −1 and 1:
///
/// | s | t | loss | gradient |
/// |---|---|---|---|
/// | 1 | 1 | 0 | 0 |
/// | 0 | 1 | 1 | -1 |
/// | 0 | -1 | 1 | 1 |
/// | ∞ | 1 | 0 | 0 |
/// | -∞ | 1 | ∞ | -1 |
/// | ∞ | -1 | ∞ | 1 |
/// | 5 | 0 | 1 | 0 |
/// | ∞ | 0 | 1 | 0 |
/// | NaN | 1 | NaN | NaN |
/// | 0 | NaN | NaN | NaN |
///
/// For δ = 1, probabilities, labels −1 and 1:
///
/// | p | t | loss | gradient |
/// |---|---|---|---|
/// | 0.5 | 1 | 1 | -4 |
/// | 0 | 1 | ∞ | -∞ |
/// | 1 | -1 | ∞ | ∞ |
/// | 1 | 1 | 0 | 0 |
/// | 0 | -1 | 0 | 0 |
/// | 0 | 0 | 1 | 0 |
/// | 1.5 | 1 | NaN | NaN |
/// | -0.5 | -1 | NaN | NaN |
/// | NaN | 1 | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{BinaryLabels, Scores, binary_hinge_loss, binary_hinge_loss_gradient};
///
/// let s = array![0.25, 2.0, -0.5];
/// let (scores, labels) = (Scores::LogOdds, BinaryLabels::PlusMinusOne);
/// // 1 − 0.25, satisfied, 1 − 0.5
/// assert_eq!(binary_hinge_loss(&s, &[1, 1, -1], 1.0, scores, labels)?, array![0.75, 0.0, 0.5]);
/// assert_eq!(binary_hinge_loss_gradient(&s, &[1, 1, -1], 1.0, scores, labels)?, array![-1.0, 0.0, 1.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// C. Cortes, V. Vapnik, "Support-Vector Networks", Machine Learning 20 (1995);
/// `lasagne.objectives.binary_hinge_loss`.
pub fn binary_hinge_loss<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    delta: F,
    scores: Scores,
    labels: BinaryLabels,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    BinaryHingeLoss::new(delta, scores, labels)?.loss(predictions, targets)
}

/// The gradient of [`binary_hinge_loss`] with respect to the predictions.
///
/// # Errors
///
/// As [`binary_hinge_loss`].
pub fn binary_hinge_loss_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    delta: F,
    scores: Scores,
    labels: BinaryLabels,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    BinaryHingeLoss::new(delta, scores, labels)?.gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_in_the_middle_asks_for_nothing() -> Result<(), LossError> {
        for delta in [0.0_f64, 1.0, 2.5] {
            let loss = BinaryHingeLoss::new(delta, Scores::Probabilities, BinaryLabels::ZeroOne)?;
            for p in [0.0, 1e-300, 0.3, 1.0] {
                assert_eq!(loss.value_and_derivative(p, 0.5), (delta, 0.0), "p = {p}");
            }
            let (value, derivative) = loss.value_and_derivative(f64::NAN, 0.5);
            assert!(value.is_nan() && derivative.is_nan());
        }
        Ok(())
    }

    #[test]
    fn log_odds_of_probabilities() {
        for p in [1e-300_f64, 1e-9, 0.2, 0.25, 0.3, 0.6, 0.999] {
            let expected = (p / (1.0 - p)).ln();
            let difference = (log_odds(p) - expected).abs();
            assert!(difference <= 1e-15 * expected.abs().max(1.0), "p = {p}");
        }
        assert_eq!(log_odds(0.5_f32), 0.0);
        assert_eq!(log_odds(0.0_f32), f32::NEG_INFINITY);
        assert_eq!(log_odds(1.0_f64), f64::INFINITY);
        // the nearest to one half: 4·(p − ½) to first order
        assert_eq!(log_odds(0.5_f64 + f64::EPSILON / 2.0), 2.0 * f64::EPSILON);
    }
}
