//! The activations that the losses from logits rest on, and their vector–Jacobian products.

mod kernel;
mod sigmoid;

use ndarray::{Array, ArrayRef, ArrayView, ArrayViewD, ArrayViewMutD, Dimension};

use crate::compiled::OfItems;
use crate::engine::elementwise::Weights;
use crate::engine::items::{self, Operands, Targets};
use crate::engine::shape::{allocate, check_output};
use crate::engine::span::Job;
use crate::error::{shape_mismatch, too_few_classes};
use crate::itemwise::items_dim;
use crate::{Float, LossError};
use kernel::Activation;

pub(crate) use kernel::{AlongClasses, LogSoftmax, LogSoftmaxVjp, Softmax, SoftmaxVjp};
pub(crate) use sigmoid::Sigmoid;
pub use sigmoid::{
    log_sigmoid, log_sigmoid_into, log_sigmoid_vjp, log_sigmoid_vjp_into, sigmoid, sigmoid_into,
    sigmoid_vjp, sigmoid_vjp_into,
};

/// Checks that there are classes, and runs.
fn along_classes<'a, F: Float + OfItems<AlongClasses<A>>, A: Activation>(
    activation: A,
    logits: ArrayViewD<'a, F>,
    cotangent: Option<ArrayViewD<'a, F>>,
    weights: Weights<'a, F>,
    sums: Option<ArrayViewMutD<'a, F>>,
    out: Option<ArrayViewMutD<'a, F>>,
) {
    let classes = logits.shape().last().copied().unwrap_or(0);
    let operands = Operands {
        scores: Some(logits),
        targets: match cotangent {
            None => Targets::None,
            Some(cotangent) => Targets::Dense(cotangent),
        },
        weights,
        loss: sums,
        gradient: out,
    };
    items::run(operands, classes, &AlongClasses(activation), Job::each());
}

fn check_classes<F, D: Dimension>(logits: &ArrayView<'_, F, D>) -> Result<(), LossError> {
    const {
        assert!(
            !matches!(D::NDIM, Some(0)),
            "logits have at least one dimension: the classes"
        );
    }
    match logits.shape().last() {
        Some(1..) => Ok(()),
        _ => Err(too_few_classes(0, 1)),
    }
}

fn check_cotangent(expected: &[usize], cotangent: &[usize]) -> Result<(), LossError> {
    if expected == cotangent {
        Ok(())
    } else {
        Err(shape_mismatch(expected, cotangent))
    }
}

/// The softmax along the last axis.
///
/// ```text
/// softmax(x)ⱼ = e^xⱼ / Σₖ e^xₖ
/// ```
///
/// Nothing overflows, and every element is right to a few ULP, the tiny ones too. −∞ gives 0. A row of −∞ alone, or
/// with a +∞ or a NaN, gives NaN throughout.
///
/// # Errors
///
/// [`TooFewClasses`](LossError::TooFewClasses) where the last axis is empty; [`TooLarge`](LossError::TooLarge).
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::softmax;
///
/// let p = softmax(&array![[0.0_f64, 3.0_f64.ln()]])?;
/// assert!((p[[0, 0]] - 0.25).abs() < 1e-15 && (p[[0, 1]] - 0.75).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn softmax<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
) -> Result<Array<F, D>, LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    let mut out = allocate(logits.raw_dim(), false)?;
    softmax_into(logits, &mut out)?;
    Ok(out)
}

/// As [`softmax`], into the caller's buffer.
///
/// # Errors
///
/// As [`softmax`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn softmax_into<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    map_into(Softmax, logits.into(), out)
}

/// The logarithm of the [`softmax`] along the last axis.
///
/// ```text
/// log_softmax(x)ⱼ = xⱼ − ln Σₖ e^xₖ
/// ```
///
/// Right to a few ULP also where the probability rounds to 1. −∞ gives −∞. A row of −∞ alone, or with a +∞ or a NaN,
/// gives NaN throughout.
///
/// # Errors
///
/// As [`softmax`].
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::log_softmax;
///
/// let log_p = log_softmax(&array![0.0_f64, 100.0])?;
/// assert!((log_p[1] / -(-100.0_f64).exp() - 1.0).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn log_softmax<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
) -> Result<Array<F, D>, LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    let mut out = allocate(logits.raw_dim(), false)?;
    log_softmax_into(logits, &mut out)?;
    Ok(out)
}

/// As [`log_softmax`], into the caller's buffer.
///
/// # Errors
///
/// As [`log_softmax`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn log_softmax_into<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    map_into(LogSoftmax, logits.into(), out)
}

fn map_into<F: Float + OfItems<AlongClasses<A>>, A: Activation, D: Dimension>(
    activation: A,
    logits: ArrayView<'_, F, D>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    check_classes(&logits)?;
    check_output(logits.shape(), out.shape())?;
    let out = Some(out.view_mut().into_dyn());
    along_classes(
        activation,
        logits.into_dyn(),
        None,
        Weights::None,
        None,
        out,
    );
    Ok(())
}

/// ln Σ e^x along the last axis, which the result lacks.
///
/// Nothing overflows. A row of −∞ gives −∞, one with a +∞ gives +∞, one with a NaN gives NaN. Where the largest logit
/// and the rest cancel, near a result of 0, the error is a few ULP of the largest logit.
///
/// # Errors
///
/// As [`softmax`].
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::log_sum_exp;
///
/// let sums = log_sum_exp(&array![[1000.0_f64, 1000.0], [0.0, 3.0_f64.ln()]])?;
/// assert_eq!(sums[0], 1000.0 + 2.0_f64.ln());
/// assert!((sums[1] - 4.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn log_sum_exp<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
) -> Result<Array<F, D::Smaller>, LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    let mut out = allocate(items_dim(&logits), false)?;
    log_sum_exp_into(logits, &mut out)?;
    Ok(out)
}

/// As [`log_sum_exp`], into the caller's buffer.
///
/// # Errors
///
/// As [`log_sum_exp`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn log_sum_exp_into<'x, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    out: &mut ArrayRef<F, D::Smaller>,
) -> Result<(), LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    check_output(items_dim(&logits).slice(), out.shape())?;
    let out = Some(out.view_mut().into_dyn());
    let logits = logits.into_dyn();
    along_classes(Softmax, logits, None, Weights::None, out, None);
    Ok(())
}

/// The vector–Jacobian product of [`softmax`]: for a cotangent g with respect to its result, the gradient with respect to x.
///
/// ```text
/// ∂L/∂xⱼ = pⱼ·(gⱼ − Σₖ pₖ·gₖ),   p = softmax(x)
/// ```
///
/// It takes the logits, not the probabilities, so that nothing is lost where these round.
///
/// # Errors
///
/// As [`softmax`], and [`ShapeMismatch`](LossError::ShapeMismatch) where the cotangent has another shape.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{categorical_crossentropy_gradient, softmax, softmax_vjp};
///
/// // Backwards through a softmax: the gradient of the cross-entropy is p − onehot.
/// let x = array![[0.0_f64, 3.0_f64.ln()]];
/// let p = softmax(&x)?;
/// let gradient = softmax_vjp(&x, &categorical_crossentropy_gradient(&p, &[0])?)?;
/// assert!((&gradient - &array![[-0.75, 0.75]]).iter().all(|d| d.abs() < 1e-15));
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn softmax_vjp<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
) -> Result<Array<F, D>, LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    let mut out = allocate(logits.raw_dim(), false)?;
    softmax_vjp_into(logits, cotangent, &mut out)?;
    Ok(out)
}

/// As [`softmax_vjp`], into the caller's buffer.
///
/// # Errors
///
/// As [`softmax_vjp`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn softmax_vjp_into<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    vjp_into(SoftmaxVjp, logits.into(), cotangent.into(), out)
}

/// The vector–Jacobian product of [`log_softmax`]: for a cotangent g with respect to its result, the gradient with respect to x.
///
/// ```text
/// ∂L/∂xⱼ = gⱼ − softmax(x)ⱼ·Σₖ gₖ
/// ```
///
/// # Errors
///
/// As [`softmax_vjp`].
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::log_softmax_vjp;
///
/// let x = array![0.0_f64, 3.0_f64.ln()];
/// let gradient = log_softmax_vjp(&x, &array![1.0, 0.0])?;
/// assert!((&gradient - &array![0.75, -0.75]).iter().all(|d| d.abs() < 1e-15));
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn log_softmax_vjp<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
) -> Result<Array<F, D>, LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    let mut out = allocate(logits.raw_dim(), false)?;
    log_softmax_vjp_into(logits, cotangent, &mut out)?;
    Ok(out)
}

/// As [`log_softmax_vjp`], into the caller's buffer.
///
/// # Errors
///
/// As [`log_softmax_vjp`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn log_softmax_vjp_into<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    let (logits, cotangent) = (logits.into(), cotangent.into());
    vjp_into(LogSoftmaxVjp, logits, cotangent, out)
}

fn vjp_into<F: Float + OfItems<AlongClasses<A>>, A: Activation, D: Dimension>(
    activation: A,
    logits: ArrayView<'_, F, D>,
    cotangent: ArrayView<'_, F, D>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    check_classes(&logits)?;
    check_cotangent(logits.shape(), cotangent.shape())?;
    check_output(logits.shape(), out.shape())?;
    let (logits, cotangent) = (logits.into_dyn(), cotangent.into_dyn());
    let out = Some(out.view_mut().into_dyn());
    along_classes(
        activation,
        logits,
        Some(cotangent),
        Weights::None,
        None,
        out,
    );
    Ok(())
}

/// The vector–Jacobian product of [`log_sum_exp`]: for a cotangent g with respect to its result, one an item, the gradient
/// with respect to x.
///
/// ```text
/// ∂L/∂xⱼ = g·softmax(x)ⱼ
/// ```
///
/// Where g is exactly 0 so is the gradient, whatever the row holds.
///
/// # Errors
///
/// As [`softmax_vjp`]; the cotangent has the shape of the result of [`log_sum_exp`].
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::log_sum_exp_vjp;
///
/// let gradient = log_sum_exp_vjp(&array![[0.0_f64, 0.0], [5.0, 5.0]], &array![1.0, -2.0])?;
/// assert_eq!(gradient, array![[0.5, 0.5], [-1.0, -1.0]]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn log_sum_exp_vjp<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D::Smaller>>,
) -> Result<Array<F, D>, LossError> {
    let logits = logits.into();
    check_classes(&logits)?;
    let mut out = allocate(logits.raw_dim(), false)?;
    log_sum_exp_vjp_into(logits, cotangent, &mut out)?;
    Ok(out)
}

/// As [`log_sum_exp_vjp`], into the caller's buffer.
///
/// # Errors
///
/// As [`log_sum_exp_vjp`], and [`OutputShapeMismatch`](LossError::OutputShapeMismatch).
pub fn log_sum_exp_vjp_into<'x, 'g, F: Float, D: Dimension>(
    logits: impl Into<ArrayView<'x, F, D>>,
    cotangent: impl Into<ArrayView<'g, F, D::Smaller>>,
    out: &mut ArrayRef<F, D>,
) -> Result<(), LossError> {
    let (logits, cotangent) = (logits.into(), cotangent.into());
    check_classes(&logits)?;
    check_cotangent(items_dim(&logits).slice(), cotangent.shape())?;
    check_output(logits.shape(), out.shape())?;
    let weights = Weights::Floats(cotangent.into_dyn());
    let (logits, out) = (logits.into_dyn(), Some(out.view_mut().into_dyn()));
    along_classes(Softmax, logits, None, weights, None, out);
    Ok(())
}
