//! The Huber loss.

use ndarray::{Array, ArrayView, Dimension};

use super::{ElementwiseLoss, Scalar, TargetShape};
use crate::engine::span::SpanKernel;
use crate::error::invalid_parameter;
use crate::{Float, LossError, Target};

/// The Huber loss with its threshold δ: see [`huber_loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HuberLoss<F> {
    delta: F,
}

impl<F: Float> HuberLoss<F> {
    /// The loss that is quadratic up to a distance of `delta`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](LossError::InvalidParameter) unless `delta` is positive and finite.
    pub fn new(delta: F) -> Result<Self, LossError> {
        if delta > F::zero() && delta.is_finite() {
            Ok(Self { delta })
        } else {
            Err(invalid_parameter(
                "delta",
                delta.widen(),
                "positive and finite",
            ))
        }
    }
}

impl<F: Float> Default for HuberLoss<F> {
    /// δ = 1
    fn default() -> Self {
        Self { delta: F::one() }
    }
}

impl<F: Float> ElementwiseLoss<F> for HuberLoss<F> {
    #[inline(always)]
    fn value(self, prediction: F, target: F) -> F {
        let half = F::narrow(0.5);
        let distance = (prediction - target).abs();
        let quadratic = half * distance * distance;
        // From halves, since p − t may overflow where δ·(|p − t| − δ/2) does not.
        let half_distance = (half * prediction - half * target).abs();
        let half_linear = self.delta * (half_distance - F::narrow(0.25) * self.delta);
        if distance <= self.delta {
            quadratic
        } else {
            half_linear + half_linear
        }
    }

    #[inline(always)]
    fn derivative(self, prediction: F, target: F) -> F {
        let difference = prediction - target;
        let above = if difference > self.delta {
            self.delta
        } else {
            difference
        };
        if difference < -self.delta {
            -self.delta
        } else {
            above
        }
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

/// Squared near the target, linear far from it: regression that outliers do not dominate.
///
/// ```text
/// loss = ½(p − t)²              where |p − t| ≤ δ
///        δ(|p − t| − δ/2)       elsewhere
/// ```
///
/// # Domain
///
/// All numbers; δ positive and finite, in the units of the targets.
///
/// # Shapes
///
/// Predictions of any shape; targets of the same, n targets for predictions (n, 1), or one 0-d target. The result has
/// the shape of the predictions.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`InvalidParameter`](LossError::InvalidParameter) for δ;
/// [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`huber_loss_gradient`]: `p − t` where |p − t| ≤ δ, else `δ·sign(p − t)`; continuous everywhere.
///
/// # Limits
///
/// For δ = 1; no intermediate overflows where the result does not.
///
/// | p | t | loss | gradient |
/// |---|---|---|---|
/// | 1 | 1 | 0 | 0 |
/// | 1 | 0 | 0.5 | 1 |
/// | -1 | 0 | 0.5 | -1 |
/// | 3 | 0 | 2.5 | 1 |
/// | ∞ | 0 | ∞ | 1 |
/// | -∞ | 0 | ∞ | -1 |
/// | 0 | ∞ | ∞ | -1 |
/// | ∞ | ∞ | NaN | NaN |
/// | NaN | 0 | NaN | NaN |
/// | 0 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{huber_loss, huber_loss_gradient};
///
/// let (p, t) = (array![0.5, 4.0], array![0.0, 0.0]);
/// assert_eq!(huber_loss(&p, &t, 1.0)?, array![0.125, 3.5]); // ½·0.5², 1·(4 − ½)
/// assert_eq!(huber_loss_gradient(&p, &t, 1.0)?, array![0.5, 1.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// P. J. Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist. 35 (1964);
/// `lasagne.objectives.huber_loss`.
pub fn huber_loss<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    delta: F,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    HuberLoss::new(delta)?.loss(predictions, targets)
}

/// The gradient of [`huber_loss`] with respect to the predictions: `p − t`, at most δ in magnitude.
///
/// # Errors
///
/// As [`huber_loss`].
pub fn huber_loss_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
    delta: F,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    HuberLoss::new(delta)?.gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_targets_do_not_overflow() -> Result<(), LossError> {
        let loss = HuberLoss::new(0.25_f32)?;
        let value = loss.value(f32::MAX, -f32::MAX);
        assert!((value / (f32::MAX / 2.0) - 1.0).abs() < 1e-6, "{value}");
        Ok(())
    }

    #[test]
    fn both_branches_meet_at_delta() -> Result<(), LossError> {
        for delta in [0.1_f64, 1.0, 7.5] {
            let loss = HuberLoss::new(delta)?;
            let above = delta * (1.0 + 1e-12);
            assert!((loss.value(delta, 0.0) - loss.value(above, 0.0)).abs() < 1e-10);
            assert_eq!(loss.derivative(above, 0.0), delta);
        }
        Ok(())
    }
}
