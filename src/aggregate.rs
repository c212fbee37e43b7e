//! From losses to the one number that is minimised.

use std::fmt::Debug;

use ndarray::{
    Array, ArrayBase, ArrayView, ArrayViewD, Axis, Dimension, Ix0, IxDyn, ViewRepr, Zip,
};

use crate::engine::elementwise::{Operands, Weights};
use crate::engine::reduce::Pair;
use crate::engine::shape;
use crate::engine::span::{Job, Kernel};
use crate::error::weights_shape_mismatch;
use crate::{BinaryLabels, Float, LossError};

/// How losses become one number.
///
/// | aggregate | value | gradient with respect to lᵢ |
/// |---|---|---|
/// | `Mean` | Σl / n | 1 / n |
/// | `Sum` | Σl | 1 |
/// | [`weighted_mean(w)`](Self::weighted_mean) | Σ w·l / n | wᵢ / n |
/// | [`weighted_sum(w)`](Self::weighted_sum) | Σ w·l | wᵢ |
/// | [`normalized_sum(w)`](Self::normalized_sum) | Σ w·l / Σ w | wᵢ / Σ w |
/// | [`masked_mean(mask)`](Self::masked_mean) | mean of the lᵢ where the mask holds | 1 / k or 0 |
///
/// Weights and masks broadcast to the loss as ndarray broadcasts; besides, n of them go with a loss of shape (n, 1) as
/// a column. They never enlarge the loss. A weight of exactly 0 (a mask of `false`) adds exactly 0 to value and
/// gradient, even where loss or gradient there is ±∞ or NaN. Negative weights are allowed; a NaN or infinite one
/// follows the formula.
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, aggregate};
///
/// let loss = array![1.0, 2.0, 6.0];
/// let weights = array![1.0, 1.0, 0.0];
/// assert_eq!(aggregate(&loss, Aggregate::Mean)?, 3.0);
/// assert_eq!(aggregate(&loss, Aggregate::weighted_mean(&weights))?, 1.0);
/// assert_eq!(aggregate(&loss, Aggregate::normalized_sum(&weights))?, 1.5);
/// assert_eq!(aggregate(&loss, Aggregate::masked_mean(&[true, false, true]))?, 3.5);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Aggregate<'w, F> {
    /// Σl / n. Ignored items are not counted.
    #[default]
    Mean,
    /// Σl
    Sum,
    /// See [`weighted_mean`](Self::weighted_mean).
    WeightedMean(ArrayBase<ViewRepr<&'w F>, IxDyn, F>),
    /// See [`weighted_sum`](Self::weighted_sum).
    WeightedSum(ArrayBase<ViewRepr<&'w F>, IxDyn, F>),
    /// See [`normalized_sum`](Self::normalized_sum).
    NormalizedSum(ArrayBase<ViewRepr<&'w F>, IxDyn, F>),
    /// See [`masked_mean`](Self::masked_mean).
    MaskedMean(ArrayBase<ViewRepr<&'w bool>, IxDyn, bool>),
}

impl<'w, F: Float> Aggregate<'w, F> {
    /// Σ w·l / n, where n counts every element, those of weight 0 too.
    pub fn weighted_mean<D: Dimension>(weights: impl Into<ArrayView<'w, F, D>>) -> Self {
        Self::WeightedMean(weights.into().into_dyn())
    }

    /// Σ w·l
    pub fn weighted_sum<D: Dimension>(weights: impl Into<ArrayView<'w, F, D>>) -> Self {
        Self::WeightedSum(weights.into().into_dyn())
    }

    /// Σ w·l / Σ w, with Σ w over the weights as they are given, before broadcasting: weights that broadcast over m
    /// elements each give m times a mean.
    ///
    /// Weights that add up to exactly 0 are refused with [`LossError::ZeroTotalWeight`].
    pub fn normalized_sum<D: Dimension>(weights: impl Into<ArrayView<'w, F, D>>) -> Self {
        Self::NormalizedSum(weights.into().into_dyn())
    }

    /// The mean of the elements where the mask holds; [`LossError::EmptyMean`] if it holds nowhere.
    pub fn masked_mean<D: Dimension>(mask: impl Into<ArrayView<'w, bool, D>>) -> Self {
        Self::MaskedMean(mask.into().into_dyn())
    }
}

impl<'a, 'w: 'a, F: Float> From<&'a Aggregate<'w, F>> for Aggregate<'a, F> {
    fn from(stored: &'a Aggregate<'w, F>) -> Self {
        stored.clone()
    }
}

/// An aggregate that was checked against the shape of a loss.
pub(crate) struct Plan<'a, F> {
    /// Broadcast to the loss.
    pub(crate) weights: Weights<'a, F>,
    /// What the (weighted) sum is divided by.
    pub(crate) divisor: Pair,
}

impl<F: Float> Plan<'_, F> {
    /// The losses added up, and their gradients divided.
    pub(crate) fn job(&self) -> Job<F> {
        let divisor = self.divisor.into();
        Job {
            reduce: true,
            scale: match self.weights {
                Weights::None => F::coefficient(F::one(), divisor),
                _ => F::one(),
            },
            divisor,
        }
    }

    pub(crate) fn finish(&self, sum: Pair) -> F {
        F::narrow(sum.divide(self.divisor))
    }
}

impl<F: Float> Aggregate<'_, F> {
    /// Checks the weights. `counted` gives the number of elements that count: of all, or of those under a mask.
    pub(crate) fn plan(
        &self,
        shape: &[usize],
        counted: impl FnOnce(Option<&ArrayViewD<'_, bool>>) -> usize,
    ) -> Result<Plan<'_, F>, LossError> {
        let size: usize = shape.iter().product();
        Ok(match self {
            Self::Sum => Plan {
                weights: Weights::None,
                divisor: Pair::ONE,
            },
            Self::Mean => Plan {
                weights: Weights::None,
                divisor: count(counted(None))?,
            },
            Self::WeightedSum(weights) => Plan {
                weights: Weights::Floats(broadcast(weights, shape)?),
                divisor: Pair::ONE,
            },
            Self::WeightedMean(weights) => Plan {
                weights: Weights::Floats(broadcast(weights, shape)?),
                divisor: count(size)?,
            },
            Self::NormalizedSum(weights) => {
                let broadcast = broadcast(weights, shape)?;
                let total = sum(weights.view());
                if total.is_zero() {
                    return Err(LossError::ZeroTotalWeight);
                }
                Plan {
                    weights: Weights::Floats(broadcast),
                    divisor: total,
                }
            }
            Self::MaskedMean(mask) => {
                let mask = broadcast(mask, shape)?;
                let kept = count(counted(Some(&mask)))?;
                Plan {
                    weights: Weights::Mask(mask),
                    divisor: kept,
                }
            }
        })
    }
}

fn count(n: usize) -> Result<Pair, LossError> {
    if n == 0 {
        Err(LossError::EmptyMean)
    } else {
        Ok(Pair::from(n as f64))
    }
}

/// The number of elements that a mean divides by, where none is ignored.
pub(crate) fn count_all(shape: &[usize]) -> impl FnOnce(Option<&ArrayViewD<'_, bool>>) -> usize {
    let size = shape.iter().product();
    move |mask| mask.map_or(size, kept)
}

/// The number of elements that a mask keeps.
pub(crate) fn kept(mask: &ArrayViewD<'_, bool>) -> usize {
    match mask.as_slice_memory_order() {
        Some(mask) => mask.chunks(u8::MAX.into()).map(few_kept).sum(),
        None => Zip::from(mask).fold(0, |kept, &keep| kept + usize::from(keep)),
    }
}

/// The same of at most 255: in bytes, many of which are added at once.
fn few_kept(mask: &[bool]) -> usize {
    let kept = mask.iter().fold(0, |kept, &keep| kept + u8::from(keep));
    kept.into()
}

/// Weights in the shape of the loss.
fn broadcast<'a, A>(
    weights: &'a ArrayBase<ViewRepr<&'a A>, IxDyn, A>,
    shape: &[usize],
) -> Result<ArrayViewD<'a, A>, LossError> {
    if let Some(broadcast) = weights.broadcast(IxDyn(shape)) {
        return Ok(broadcast);
    }
    match *shape {
        [items, 1] if weights.shape() == [items] => Ok(weights.view().insert_axis(Axis(1))),
        _ => Err(weights_shape_mismatch(shape, weights.shape())),
    }
}

/// The values themselves, as if they were losses.
#[derive(Clone, Copy)]
pub(crate) struct Identity;

impl<F: Float> Kernel<F> for Identity {
    #[inline(always)]
    fn cost(self) -> f32 {
        0.3
    }
    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        None
    }
    #[inline(always)]
    fn value_and_derivative(self, _: F, prediction: F, _target: F) -> (F, F) {
        (prediction, F::one())
    }
}

fn identity<'a, F: Float>(
    values: ArrayViewD<'a, F>,
    nothing: &'a ArrayBase<ViewRepr<&'a F>, Ix0, F>,
    plan: &Plan<'a, F>,
    gradient: Option<ndarray::ArrayViewMutD<'a, F>>,
) -> Result<Pair, LossError> {
    let targets = nothing
        .broadcast(values.raw_dim())
        .ok_or_else(|| crate::error::too_large(values.shape()))?;
    let operands = Operands {
        targets,
        weights: plan.weights.clone(),
        loss: None,
        predictions: Some(values),
        gradient: gradient.map(|view| view.into_dyn()),
    };
    Ok(F::traverse(operands, F::of_elements(&Identity), plan.job()))
}

/// The sum of all values.
fn sum<F: Float>(values: ArrayViewD<'_, F>) -> Pair {
    let plan = Plan {
        weights: Weights::None,
        divisor: Pair::ONE,
    };
    let zero = F::zero();
    // One zero broadcasts to every shape.
    identity(values, &ndarray::aview0(&zero), &plan, None).unwrap_or(Pair::ZERO)
}

/// The losses as one number, within 1 ULP of the exactly rounded result.
///
/// The sum is compensated and has the same bits on any number of threads. For `f64` the sum itself must not overflow,
/// even if the mean does not.
///
/// # Errors
///
/// [`WeightsShapeMismatch`](LossError::WeightsShapeMismatch) if weights or mask do not broadcast to the loss;
/// [`EmptyMean`](LossError::EmptyMean) for a mean over nothing;
/// [`ZeroTotalWeight`](LossError::ZeroTotalWeight) in a normalized sum.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, aggregate, squared_error};
///
/// let loss = squared_error(&array![1.0_f32, 2.0], &array![0.0, 4.0])?;
/// assert_eq!(aggregate(&loss, Aggregate::Mean)?, (1.0 + 4.0) / 2.0);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn aggregate<'l, 'w, F: Float, D: Dimension>(
    loss: impl Into<ArrayView<'l, F, D>>,
    by: impl Into<Aggregate<'w, F>>,
) -> Result<F, LossError> {
    let loss = loss.into().into_dyn();
    let by = by.into();
    let plan = by.plan(loss.shape(), count_all(loss.shape()))?;
    let zero = F::zero();
    let zero = ndarray::aview0(&zero);
    let total = identity(loss, &zero, &plan, None)?;
    Ok(plan.finish(total))
}

/// ∂[`aggregate`]/∂loss, in the shape of the loss.
///
/// Of the loss only the shape matters. The formulas stand at [`Aggregate`].
///
/// # Errors
///
/// As [`aggregate`], and [`TooLarge`](LossError::TooLarge) if the result cannot be allocated.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, aggregate_gradient};
///
/// let gradient = aggregate_gradient(&array![3.0, 5.0], Aggregate::weighted_mean(&array![1.0, 4.0]))?;
/// assert_eq!(gradient, array![1.0 / 2.0, 4.0 / 2.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn aggregate_gradient<'l, 'w, F: Float, D: Dimension>(
    loss: impl Into<ArrayView<'l, F, D>>,
    by: impl Into<Aggregate<'w, F>>,
) -> Result<Array<F, D>, LossError> {
    let loss = loss.into();
    let by = by.into();
    let plan = by.plan(loss.shape(), count_all(loss.shape()))?;
    let mut gradient = shape::allocate(loss.raw_dim(), shape::is_column_major(&loss))?;
    let zero = F::zero();
    identity(
        loss.into_dyn(),
        &ndarray::aview0(&zero),
        &plan,
        Some(gradient.view_mut().into_dyn()),
    )?;
    Ok(gradient)
}
