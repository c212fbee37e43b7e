//! The squared error.

use ndarray::{Array, ArrayView, Dimension};

use super::{ElementwiseLoss, Scalar, TargetShape};
use crate::engine::span::SpanKernel;
use crate::{Float, LossError, Target};

/// The squared error of a prediction: see [`squared_error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SquaredError;

impl<F: Float> ElementwiseLoss<F> for SquaredError {
    #[inline(always)]
    fn value(self, prediction: F, target: F) -> F {
        let difference = prediction - target;
        difference * difference
    }

    #[inline(always)]
    fn derivative(self, prediction: F, target: F) -> F {
        let difference = prediction - target;
        difference + difference
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

/// The squared difference of prediction and target, for regression.
///
/// ```text
/// loss = (p − t)²
/// ```
///
/// # Domain
///
/// All numbers. Large errors dominate a mean: see [`huber_loss`](crate::huber_loss) where outliers are expected.
///
/// # Shapes
///
/// Predictions of any shape; targets of the same, n targets for predictions (n, 1), or one 0-d target. The result has
/// the shape of the predictions.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`TooLarge`](LossError::TooLarge).
///
/// # Gradient
///
/// [`squared_error_gradient`]: `2(p − t)`, defined everywhere.
///
/// # Limits
///
/// | p | t | loss | gradient |
/// |---|---|---|---|
/// | 1 | 1 | 0 | 0 |
/// | ∞ | 0 | ∞ | ∞ |
/// | -∞ | 0 | ∞ | -∞ |
/// | ∞ | ∞ | NaN | NaN |
/// | NaN | 0 | NaN | NaN |
/// | 0 | NaN | NaN | NaN |
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{squared_error, squared_error_gradient};
///
/// let (p, t) = (array![1.0, 2.5], array![3.0, 2.0]);
/// assert_eq!(squared_error(&p, &t)?, array![4.0, 0.25]); // (1 − 3)², (2.5 − 2)²
/// assert_eq!(squared_error_gradient(&p, &t)?, array![-4.0, 1.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// Least squares; `lasagne.objectives.squared_error`.
pub fn squared_error<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    SquaredError.loss(predictions, targets)
}

/// The gradient of [`squared_error`] with respect to the predictions: `2(p − t)`.
///
/// # Errors
///
/// As [`squared_error`].
pub fn squared_error_gradient<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    SquaredError.gradient(predictions, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_derivative_by_hand() {
        assert_eq!(SquaredError.value(3.0, 1.0), 4.0);
        assert_eq!(SquaredError.derivative(3.0, 1.0), 4.0);
        assert_eq!(SquaredError.derivative(1.0_f32, 3.0), -4.0);
    }
}
