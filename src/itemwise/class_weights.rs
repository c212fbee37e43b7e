//! Weights of classes, as weights of items.

use ndarray::{Array, Array1, ArrayView, Dimension, Ix1};

use crate::engine::shape::allocate;
use crate::error::{class_out_of_range, invalid_parameter};
use crate::float::kind;
use crate::{Float, LossError, Target};

/// The weight of every item's class, for [`weighted_mean`](crate::Aggregate::weighted_mean) or
/// [`normalized_sum`](crate::Aggregate::normalized_sum).
///
/// ```text
/// wᵢ = per_class[labelᵢ]
/// ```
///
/// What `PyTorch`'s `cross_entropy(x, y, weight=w)` computes is `normalized_sum`: its mean divides by Σ w, while
/// `weighted_mean` divides by the number of items. To leave out the items of one label besides, see
/// [`class_weights_ignoring`].
///
/// # Errors
///
/// [`LabelOutOfRange`](LossError::LabelOutOfRange); [`TooLarge`](LossError::TooLarge).
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, CategoricalCrossentropyWithLogits, ItemwiseLoss, class_weights};
///
/// let x = array![[0.0_f64, 0.0], [0.0, 3.0_f64.ln()]]; // losses ln 2 and ln 4 for the labels 1 and 0
/// let labels = [1, 0];
/// let weights = class_weights(&[3.0, 1.0], &labels)?;
/// assert_eq!(weights, array![1.0, 3.0]);
///
/// let loss = CategoricalCrossentropyWithLogits::default();
/// let total = 2.0_f64.ln() + 3.0 * 4.0_f64.ln();
/// let torch = loss.objective(&x, &labels, Aggregate::normalized_sum(&weights))?;
/// assert!((torch - total / 4.0).abs() < 1e-15); // weight=: divided by Σw = 1 + 3
/// let mean = loss.objective(&x, &labels, Aggregate::weighted_mean(&weights))?;
/// assert!((mean - total / 2.0).abs() < 1e-15); // divided by n = 2
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn class_weights<'w, 'l, F, T, D>(
    per_class: impl Into<ArrayView<'w, F, Ix1>>,
    labels: impl Into<ArrayView<'l, T, D>>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F, Kind = kind::Labels>,
    D: Dimension,
{
    weigh(per_class.into(), labels.into(), None)
}

/// As [`class_weights`], with a weight of 0 for the items of one label, whether it names a class or not: what goes with
/// [`ignore_label`](crate::ItemwiseLoss::ignore_label).
///
/// # Errors
///
/// As [`class_weights`].
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::class_weights_ignoring;
///
/// assert_eq!(class_weights_ignoring(&[2.0, 3.0], &[1, -100, 0], -100)?, array![3.0, 0.0, 2.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn class_weights_ignoring<'w, 'l, F, T, D>(
    per_class: impl Into<ArrayView<'w, F, Ix1>>,
    labels: impl Into<ArrayView<'l, T, D>>,
    ignored: i128,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F, Kind = kind::Labels>,
    D: Dimension,
{
    weigh(per_class.into(), labels.into(), Some(ignored))
}

fn weigh<F, T, D>(
    per_class: ArrayView<'_, F, Ix1>,
    labels: ArrayView<'_, T, D>,
    ignored: Option<i128>,
) -> Result<Array<F, D>, LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
{
    let mut weights = allocate(labels.raw_dim(), false)?;
    for (index, (weight, label)) in weights.iter_mut().zip(labels.iter()).enumerate() {
        if ignored == Some(label.label()) {
            continue;
        }
        match per_class.get(label.class()) {
            Some(&of_class) => *weight = of_class,
            None => {
                return Err(class_out_of_range(index, label.label(), per_class.len()));
            }
        }
    }
    Ok(weights)
}

/// Weights that give every class the same influence: n / (K·nₖ), as scikit-learn's `"balanced"`.
///
/// A class without items gets the weight ∞, which no item uses.
///
/// # Errors
///
/// [`LabelOutOfRange`](LossError::LabelOutOfRange); [`TooLarge`](LossError::TooLarge);
/// [`InvalidParameter`](LossError::InvalidParameter) for 0 classes.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::balanced_class_weights;
///
/// let weights = balanced_class_weights::<f64, _, _>(&[0, 0, 0, 1], 2)?;
/// assert_eq!(weights, array![4.0 / (2.0 * 3.0), 4.0 / (2.0 * 1.0)]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Source
///
/// G. King, L. Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9 (2001).
pub fn balanced_class_weights<'l, F, T, D>(
    labels: impl Into<ArrayView<'l, T, D>>,
    classes: usize,
) -> Result<Array1<F>, LossError>
where
    F: Float,
    T: Target<F, Kind = kind::Labels>,
    D: Dimension,
{
    let labels = labels.into();
    if classes == 0 {
        return Err(invalid_parameter("classes", 0.0, "at least 1"));
    }
    let mut weights: Array1<F> = allocate(Ix1(classes), false)?;
    let mut counts: Array1<f64> = allocate(Ix1(classes), false)?;
    for (index, label) in labels.iter().enumerate() {
        match counts.get_mut(label.class()) {
            Some(count) => *count += 1.0,
            None => return Err(class_out_of_range(index, label.label(), classes)),
        }
    }
    for (weight, &count) in weights.iter_mut().zip(&counts) {
        let balanced = labels.len() as f64 / (classes as f64 * count);
        *weight = F::narrow(if count == 0.0 {
            f64::INFINITY
        } else {
            balanced
        });
    }
    Ok(weights)
}
