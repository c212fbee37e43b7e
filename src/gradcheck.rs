//! Gradients held against central differences.

use std::fmt;

use ndarray::{Array, ArrayD, ArrayView, Axis, Dimension, Slice};

use crate::elementwise::{ElementwiseLoss, TargetShape};
use crate::itemwise::{ClassTargetShape, ItemwiseLoss};
use crate::{Float, LossError, Target};

/// What [`gradcheck`] found: where a gradient is furthest from its central difference, and by how much.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GradientCheck<F> {
    /// Where in the predictions the error is largest.
    pub index: Vec<usize>,
    /// The gradient there.
    pub gradient: F,
    /// The central difference there.
    pub difference: F,
    /// |gradient − difference| / max(1, |gradient|, |difference|) there; ∞ if the gradient is not finite.
    pub error: F,
    /// How many elements were compared.
    pub checked: usize,
    /// How many had no finite central difference: at a singularity, or at the edge of the domain.
    pub skipped: usize,
}

impl<F: Float> GradientCheck<F> {
    /// Whether at least one element was compared, and none is further off than this.
    #[must_use]
    pub fn is_within(&self, tolerance: F) -> bool {
        self.checked > 0 && self.error <= tolerance
    }
}

impl<F: Float> fmt::Display for GradientCheck<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gradient {} at {:?}, where the central difference is {}: off by {:e} at most ({} compared, {} skipped)",
            self.gradient, self.index, self.difference, self.error, self.checked, self.skipped
        )
    }
}

/// A loss whose gradient can be checked: every [`ElementwiseLoss`] and every [`ItemwiseLoss`]. `Kind` says which, and
/// is inferred.
pub trait Differentiable<F: Float, T, D: Dimension, E, Kind>: Copy {
    #[doc(hidden)]
    fn losses(self, p: ArrayView<'_, F, D>, t: ArrayView<'_, T, E>)
    -> Result<ArrayD<F>, LossError>;
    #[doc(hidden)]
    fn derivatives(
        self,
        p: ArrayView<'_, F, D>,
        t: ArrayView<'_, T, E>,
    ) -> Result<Array<F, D>, LossError>;
    /// Whether a loss depends on all predictions of its row.
    #[doc(hidden)]
    const BY_ROWS: bool;
}

/// Marks element-wise losses.
#[derive(Debug)]
pub struct ByElement;
/// Marks item-wise losses.
#[derive(Debug)]
pub struct ByItem;

impl<F, T, D, E, L> Differentiable<F, T, D, E, ByElement> for L
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
    L: ElementwiseLoss<F>,
{
    const BY_ROWS: bool = false;

    fn losses(
        self,
        p: ArrayView<'_, F, D>,
        t: ArrayView<'_, T, E>,
    ) -> Result<ArrayD<F>, LossError> {
        self.loss(p, t).map(Array::into_dyn)
    }

    fn derivatives(
        self,
        p: ArrayView<'_, F, D>,
        t: ArrayView<'_, T, E>,
    ) -> Result<Array<F, D>, LossError> {
        self.gradient(p, t)
    }
}

impl<F, T, D, E, L> Differentiable<F, T, D, E, ByItem> for L
where
    F: Float,
    T: Target<F, Kind: ClassTargetShape<D, E>>,
    D: Dimension,
    E: Dimension,
    L: ItemwiseLoss<F>,
{
    const BY_ROWS: bool = true;

    fn losses(
        self,
        p: ArrayView<'_, F, D>,
        t: ArrayView<'_, T, E>,
    ) -> Result<ArrayD<F>, LossError> {
        self.loss(p, t).map(Array::into_dyn)
    }

    fn derivatives(
        self,
        p: ArrayView<'_, F, D>,
        t: ArrayView<'_, T, E>,
    ) -> Result<Array<F, D>, LossError> {
        self.gradient(p, t)
    }
}

/// Compares a loss's gradient with central differences of its value, at the given predictions and targets.
///
/// ```text
/// (loss(p + h) − loss(p − h)) / 2h,   h = ∛ε·max(|p|, 1/10)
/// ```
///
/// In `f64` a right gradient is off by 10⁻⁸ or so, in `f32` by 10⁻³. Where a loss has a kink between p − h and p + h the
/// two differ though both are right.
///
/// # Errors
///
/// Those of the loss.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{BinaryCrossentropyWithLogits, ElementwiseLoss, gradcheck};
///
/// let x = array![-1.5, 0.3, 2.0];
/// let check = gradcheck(BinaryCrossentropyWithLogits::default(), &x, &[0, 1, 1])?;
/// assert!(check.is_within(1e-8), "{check}");
///
/// /// Forgot the factor of the chain rule.
/// #[derive(Clone, Copy)]
/// struct Wrong;
/// impl ElementwiseLoss<f64> for Wrong {
///     fn value(self, p: f64, t: f64) -> f64 {
///         (3.0 * (p - t)).sin()
///     }
///     fn derivative(self, p: f64, t: f64) -> f64 {
///         (3.0 * (p - t)).cos()
///     }
/// }
/// let check = gradcheck(Wrong, &x, &[0.0, 0.0, 0.0])?;
/// assert!(!check.is_within(1e-3));
/// assert!(check.error > 0.6); // where and by how much: check.index, or its message
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn gradcheck<'p, 't, L, F, T, D, E, Kind>(
    loss: L,
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<GradientCheck<F>, LossError>
where
    L: Differentiable<F, T, D, E, Kind>,
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: Dimension,
{
    let predictions = predictions.into();
    let targets = targets.into();
    let gradient = loss.derivatives(predictions.view(), targets.view())?;
    let mut check = GradientCheck {
        index: vec![0; predictions.ndim()],
        gradient: F::zero(),
        difference: F::zero(),
        error: F::zero(),
        checked: 0,
        skipped: 0,
    };
    // What does not depend on each other is moved at once: all elements, or one class of every row.
    let last = predictions.ndim().saturating_sub(1);
    let classes = if L::BY_ROWS {
        predictions.shape()[last]
    } else {
        1
    };
    for class in 0..classes {
        let moved = |step: F| {
            let mut moved = predictions.to_owned();
            if L::BY_ROWS {
                let column = Slice::from(class..class + 1);
                let mut column = moved.slice_axis_mut(Axis(last), column);
                column.mapv_inplace(|p| p + step * scale(p));
            } else {
                moved.mapv_inplace(|p| p + step * scale(p));
            }
            moved
        };
        let step = F::epsilon().cbrt();
        let (above, below) = (moved(step), moved(-step));
        let rise = loss.losses(above.view(), targets.view())?
            - loss.losses(below.view(), targets.view())?;
        let run = above - below;
        let mut rises = rise.iter();
        for ((index, &g), &run) in gradient
            .view()
            .into_dyn()
            .indexed_iter()
            .zip(run.iter())
            .filter(|((index, _), _)| !L::BY_ROWS || index[last] == class)
        {
            let Some(&rise) = rises.next() else { break };
            check.compare(index.as_array_view().to_vec(), g, rise / run);
        }
    }
    Ok(check)
}

fn scale<F: Float>(prediction: F) -> F {
    let least = F::narrow(0.1);
    if prediction.abs() > least {
        prediction.abs()
    } else {
        least
    }
}

impl<F: Float> GradientCheck<F> {
    fn compare(&mut self, index: Vec<usize>, gradient: F, difference: F) {
        if !difference.is_finite() {
            self.skipped += 1;
            return;
        }
        self.checked += 1;
        let size = F::one().max(gradient.abs()).max(difference.abs());
        let error = if gradient.is_finite() {
            (gradient - difference).abs() / size
        } else {
            F::infinity()
        };
        if self.checked == 1 || error > self.error {
            (self.index, self.gradient, self.difference, self.error) =
                (index, gradient, difference, error);
        }
    }
}
