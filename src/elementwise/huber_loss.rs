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

/// The least of two; the second if the first is NaN.
#[inline(always)]
fn least<F: Float>(a: F, b: F) -> F {
    if a < b { a } else { b }
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
        // With c the least of |p − t| and δ, both branches are c·(|p − t| − c/2).
        let half = F::narrow(0.5);
        if self.delta >= F::one() {
            // Where p − t overflows, so does the loss.
            let distance = (prediction - target).abs();
            let capped = least(distance, self.delta);
            capped * (distance - half * capped)
        } else {
            // From halves, since p − t may overflow where the loss does not; what halves of subnormal numbers lose,
            // the loss has not got either.
            let half_distance = (half * prediction - half * target).abs();
            let capped = least(half_distance + half_distance, self.delta);
            (capped + capped) * (half_distance - F::narrow(0.25) * capped)
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

    /// Every magnitude against every other, in `f64`, which rounds and overflows so much later that it counts as exact.
    #[test]
    fn no_intermediate_overflows_or_underflows() -> Result<(), LossError> {
        let magnitudes = [
            1e-45,
            1e-40,
            3e-38,
            1e-30,
            7e-20,
            3e-7,
            0.25,
            0.999,
            1.0,
            1.001,
            7.0,
            1e10,
            2e19,
            1e30,
            2e38,
            3e38,
            f32::MAX,
        ];
        let numbers = || {
            [0.0]
                .into_iter()
                .chain(magnitudes)
                .chain(magnitudes.map(|x| -x))
        };
        for delta in magnitudes {
            let loss = HuberLoss::new(delta)?;
            let exact = HuberLoss::new(f64::from(delta))?;
            for (prediction, target) in numbers().flat_map(|p| numbers().map(move |t| (p, t))) {
                let value = f64::from(loss.value(prediction, target));
                let exact = exact.value(f64::from(prediction), f64::from(target));
                let error = (value - exact).abs();
                let allowed = 4.0 * f64::from(f32::EPSILON / 2.0) * exact + 2e-45;
                let overflows = exact > f64::from(f32::MAX) && value == f64::INFINITY;
                assert!(
                    overflows || error <= allowed,
                    "{value:e} instead of {exact:e}: {prediction:e} for {target:e}, δ = {delta:e}"
                );
            }
        }
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
