//! The activations of single logits, and their vector–Jacobian products.

use ndarray::{Array, ArrayRef, ArrayView, Dimension};

use super::check_cotangent;
use crate::compiled::OfElements;
use crate::elementwise::ElementwiseLoss;
use crate::engine::span::{Kernel, SpanKernel};
use crate::math::{exp_nonpositive, ln_1p_of_fraction};
use crate::{BinaryLabels, Float, LossError};

/// The element-wise activations, as the engine takes them: the "target" is the cotangent.
/// Each is a type of its own: a choice left to the loop would be made for every element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sigmoid<const LOG: bool>;

const SIGMOID: Sigmoid<false> = Sigmoid;
const LOG_SIGMOID: Sigmoid<true> = Sigmoid;

impl<F: Float + OfElements<Self>, const LOG: bool> ElementwiseLoss<F> for Sigmoid<LOG> {
    #[inline(always)]
    fn value(self, logit: F, cotangent: F) -> F {
        self.of_one(logit, cotangent).0
    }

    #[inline(always)]
    fn derivative(self, logit: F, cotangent: F) -> F {
        self.of_one(logit, cotangent).1
    }

    #[inline(always)]
    fn with_kernel<R>(self, work: impl FnOnce(&dyn SpanKernel<F>) -> R) -> R {
        work(F::of_elements(&self))
    }
}

impl<F: Float, const LOG: bool> Kernel<F> for Sigmoid<LOG> {
    const IN_TWO_STEPS: bool = true;

    #[inline(always)]
    fn cost(self) -> f32 {
        1.0
    }

    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        None
    }

    /// e^−|x|
    #[inline(always)]
    fn ahead(self, logit: F) -> F {
        exp_nonpositive(-logit.abs())
    }

    #[inline(always)]
    fn value_and_derivative(self, e: F, logit: F, cotangent: F) -> (F, F) {
        let (zero, one) = (F::zero(), F::one());
        let is_positive = logit > zero;
        let (value, slope) = if LOG {
            (
                (if is_positive { zero } else { logit }) - ln_1p_of_fraction(e),
                (if is_positive { e } else { one }) / (one + e),
            )
        } else {
            (
                (if is_positive { one } else { e }) / (one + e),
                // (1 + e)², rounded nearly once
                e / (one + one + e).mul_add(e, one),
            )
        };
        (value, slope * cotangent)
    }
}

/// The logistic sigmoid of every element.
///
/// ```text
/// σ(x) = 1 / (1 + e^−x)
/// ```
///
/// Right to a few ULP everywhere, the tiny results of very negative x included; σ(−∞) = 0, σ(∞) = 1, NaN stays NaN.
///
/// # Errors
///
/// [`TooLarge`](LossError::TooLarge).
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::sigmoid;
///
/// assert_eq!(sigmoid(&array![0.0, f64::INFINITY, f64::NEG_INFINITY])?, array![0.5, 1.0, 0.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn sigmoid<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
) -> Result<Array<F, D>, LossError> {
    elementwise(SIGMOID, logits.into())
}

/// As [`sigmoid`], into the caller's buffer.
///
/// # Errors
///
/// [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn sigmoid_into<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    elementwise_into(SIGMOID, logits.into(), out)
}

/// The logarithm of the [`sigmoid`] of every element.
///
/// ```text
/// ln σ(x) = −ln(1 + e^−x)
/// ```
///
/// Right to a few ULP everywhere, also where σ(x) rounds to 1; −∞ at −∞, 0 at ∞, NaN stays NaN.
///
/// # Errors
///
/// [`TooLarge`](LossError::TooLarge).
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::log_sigmoid;
///
/// let logs = log_sigmoid(&array![0.0_f64, -1000.0, 100.0])?;
/// assert_eq!((logs[0], logs[1]), (-2.0_f64.ln(), -1000.0));
/// assert!((logs[2] / -(-100.0_f64).exp() - 1.0).abs() < 1e-15); // where σ(x) is 1
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn log_sigmoid<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
) -> Result<Array<F, D>, LossError> {
    elementwise(LOG_SIGMOID, logits.into())
}

/// As [`log_sigmoid`], into the caller's buffer.
///
/// # Errors
///
/// [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn log_sigmoid_into<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    elementwise_into(LOG_SIGMOID, logits.into(), out)
}

/// The vector–Jacobian product of [`sigmoid`]: `g·σ(x)·σ(−x)`, from the logits.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch); [`TooLarge`](LossError::TooLarge).
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::sigmoid_vjp;
///
/// assert_eq!(sigmoid_vjp(&array![0.0], &array![2.0])?, array![0.5]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn sigmoid_vjp<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
) -> Result<Array<F, D>, LossError> {
    let (logits, cotangent) = of_one_shape(logits.into(), cotangent.into())?;
    SIGMOID.gradient(logits, cotangent)
}

/// As [`sigmoid_vjp`], into the caller's buffer.
///
/// # Errors
///
/// As [`sigmoid_vjp`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn sigmoid_vjp_into<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    let (logits, cotangent) = of_one_shape(logits.into(), cotangent.into())?;
    SIGMOID.gradient_into(logits, cotangent, out)
}

/// The vector–Jacobian product of [`log_sigmoid`]: `g·σ(−x)`, from the logits.
///
/// # Errors
///
/// As [`sigmoid_vjp`].
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::log_sigmoid_vjp;
///
/// assert_eq!(log_sigmoid_vjp(&array![0.0], &array![2.0])?, array![1.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn log_sigmoid_vjp<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
) -> Result<Array<F, D>, LossError> {
    let (logits, cotangent) = of_one_shape(logits.into(), cotangent.into())?;
    LOG_SIGMOID.gradient(logits, cotangent)
}

/// As [`log_sigmoid_vjp`], into the caller's buffer.
///
/// # Errors
///
/// As [`log_sigmoid_vjp`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn log_sigmoid_vjp_into<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    let (logits, cotangent) = of_one_shape(logits.into(), cotangent.into())?;
    LOG_SIGMOID.gradient_into(logits, cotangent, out)
}

/// A cotangent does not align as targets do.
fn of_one_shape<'x, 'g, F, D: Dimension>(
    logits: ArrayView<'x, F, D>,
    cotangent: ArrayView<'g, F, D>,
) -> Result<(ArrayView<'x, F, D>, ArrayView<'g, F, D>), LossError> {
    check_cotangent(logits.shape(), cotangent.shape())?;
    Ok((logits, cotangent))
}

// The values need no second argument: the logits serve as one, and are not read for it.
fn elementwise<F: Float + OfElements<Sigmoid<LOG>>, D: Dimension, const LOG: bool>(
    activation: Sigmoid<LOG>,
    logits: ArrayView<'_, F, D>,
) -> Result<Array<F, D>, LossError> {
    activation.loss(logits.view(), logits.view())
}

fn elementwise_into<F: Float + OfElements<Sigmoid<LOG>>, D: Dimension, const LOG: bool>(
    activation: Sigmoid<LOG>,
    logits: ArrayView<'_, F, D>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    activation.loss_into(logits.view(), logits.view(), out)
}
