//! Predictions and class targets that fit each other: checked before the first element, then handed to the engine.

use ndarray::{ArrayView, ArrayView1, ArrayViewD, ArrayViewMutD, Axis, Dimension, IxDyn, Zip};
use pulp::NullaryFnOnce;

use super::ClassTargetShape;
use crate::aggregate::Plan;
use crate::engine::elementwise::Weights;
use crate::engine::items::{self, Job, Operands, Targets};
use crate::engine::reduce::Pair;
use crate::engine::rows::{Dense, ItemKernel};
use crate::engine::shape::distinct;
use crate::engine::simd;
use crate::error::{class_out_of_range, not_one_hot, shape_mismatch, too_few_classes};
use crate::{Aggregate, Float, LossError, Target};

/// Dimensions of the result: those of the predictions but for the last.
pub(crate) fn items_dim<F, D: Dimension>(predictions: &ArrayView<'_, F, D>) -> D::Smaller {
    let ndim = predictions.ndim().saturating_sub(1);
    let mut dim = D::Smaller::zeros(ndim);
    dim.slice_mut()
        .copy_from_slice(&predictions.shape()[..ndim]);
    dim
}

/// Predictions and targets that fit each other.
pub(crate) struct Inputs<'p, 't, F, T> {
    /// Absent where they lie in the buffer of the gradient.
    predictions: Option<ArrayViewD<'p, F>>,
    targets: Targets<ArrayViewD<'t, T>, ArrayViewD<'t, T>>,
    shape: IxDyn,
}

impl<'p, 't, F: Float, T: Target<F>> Inputs<'p, 't, F, T> {
    pub(crate) fn check<K, D, E>(
        kernel: K,
        predictions: &ArrayView<'p, F, D>,
        targets: ArrayView<'t, T, E>,
    ) -> Result<Self, LossError>
    where
        K: ItemKernel<F>,
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        const {
            let () = <T::Kind as ClassTargetShape<D, E>>::FITS;
            assert!(
                !matches!(D::NDIM, Some(0)),
                "predictions of an item-wise loss have at least one dimension: the classes"
            );
        }
        let predictions = predictions.clone().into_dyn();
        let targets = targets.into_dyn();
        let shape = predictions.shape();
        let Some((&classes, items)) = shape.split_last() else {
            return Err(shape_mismatch(shape, targets.shape()));
        };
        let targets = if targets.shape() == shape {
            Targets::Dense(targets)
        } else if T::INTEGER && targets.shape() == items {
            Targets::Labels(targets)
        } else {
            return Err(shape_mismatch(shape, targets.shape()));
        };
        if classes < K::MIN_CLASSES {
            return Err(too_few_classes(classes, K::MIN_CLASSES));
        }
        match &targets {
            Targets::Labels(labels) => {
                check_labels::<F, T>(labels, classes, |label| kernel.ignores(label.label()))?;
            }
            Targets::Dense(rows) if K::DENSE == Dense::OneHot => check_one_hot::<F, T>(rows)?,
            Targets::Dense(_) | Targets::None => {}
        }
        let shape = predictions.raw_dim();
        Ok(Self {
            predictions: Some(predictions),
            targets,
            shape,
        })
    }

    /// The predictions will be found in the buffer of the gradient.
    pub(super) fn in_place<'q>(self) -> Inputs<'q, 't, F, T> {
        Inputs {
            predictions: None,
            targets: self.targets,
            shape: self.shape,
        }
    }

    pub(super) fn shape(&self) -> &[usize] {
        self.shape.slice()
    }

    pub(super) fn items_shape(&self) -> &[usize] {
        let shape = self.shape();
        shape.split_last().map_or(shape, |(_, items)| items)
    }

    fn classes(&self) -> usize {
        self.shape().last().copied().unwrap_or(0)
    }

    pub(super) fn plan<'w, K: ItemKernel<F>>(
        &self,
        kernel: K,
        by: &'w Aggregate<'_, F>,
    ) -> Result<Plan<'w, F>, LossError> {
        let items: usize = self.items_shape().iter().product();
        by.plan(self.items_shape(), |mask| match (&self.targets, mask) {
            (Targets::Labels(labels), None) => labels.fold(0, |count, label| {
                count + usize::from(!kernel.ignores(label.label()))
            }),
            (Targets::Labels(labels), Some(mask)) => {
                Zip::from(labels).and(mask).fold(0, |count, label, &keep| {
                    count + usize::from(keep && !kernel.ignores(label.label()))
                })
            }
            (_, None) => items,
            (_, Some(mask)) => mask.fold(0, |count, &keep| count + usize::from(keep)),
        })
    }

    pub(crate) fn items<K: ItemKernel<F>>(
        self,
        kernel: K,
        loss: Option<ArrayViewMutD<'_, F>>,
        gradient: Option<ArrayViewMutD<'_, F>>,
    ) {
        let classes = self.classes();
        let operands = Operands {
            scores: self.predictions,
            targets: self.targets,
            weights: Weights::None,
            loss,
            gradient,
        };
        let job = Job {
            kernel,
            reduce: false,
            scale: F::one(),
            divisor: Pair::ONE,
        };
        items::run(operands, classes, job);
    }

    pub(super) fn objective<'b, K: ItemKernel<F>>(
        self,
        kernel: K,
        plan: &Plan<'b, F>,
        gradient: Option<ArrayViewMutD<'b, F>>,
    ) -> F
    where
        'p: 'b,
        't: 'b,
    {
        let classes = self.classes();
        let operands = Operands {
            scores: self.predictions,
            targets: self.targets,
            weights: plan.weights.clone(),
            loss: None,
            gradient,
        };
        let job = Job {
            kernel,
            reduce: true,
            scale: plan.scale(),
            divisor: plan.divisor,
        };
        plan.finish(items::run(operands, classes, job))
    }
}

/// Refuses labels that name no class and are not left out.
pub(crate) fn check_labels<F: Float, T: Target<F>>(
    labels: &ArrayViewD<'_, T>,
    classes: usize,
    ignored: impl Fn(T) -> bool,
) -> Result<(), LossError> {
    let fits = |label: T| label.class() < classes || ignored(label);
    let once = distinct(labels, 0);
    let all_fit = match once.to_slice_memory_order() {
        Some(slice) => simd::dispatch(AllFit {
            labels: slice,
            fits,
        }),
        None => once.iter().all(|&label| fits(label)),
    };
    if all_fit {
        return Ok(());
    }
    match labels.iter().enumerate().find(|&(_, &label)| !fits(label)) {
        Some((index, label)) => Err(class_out_of_range(index, label.label(), classes)),
        None => Ok(()),
    }
}

struct AllFit<'a, T, P> {
    labels: &'a [T],
    fits: P,
}

impl<T: Copy, P: Fn(T) -> bool> NullaryFnOnce for AllFit<'_, T, P> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        // without an early exit, so that it vectorises
        let Self { labels, fits } = self;
        labels.iter().fold(true, |all, &label| all & fits(label))
    }
}

/// Refuses rows that are not a single 1 among zeros.
fn check_one_hot<F: Float, T: Target<F>>(rows: &ArrayViewD<'_, T>) -> Result<(), LossError> {
    let Some(last) = rows.ndim().checked_sub(1) else {
        return Ok(());
    };
    if rows.is_empty() {
        // With classes but no items, or, refused before, items without classes.
        return Ok(());
    }
    let is_one_hot = |row: ArrayView1<'_, T>| {
        let mut ones = 0;
        let mut others = false;
        for t in row {
            let t = t.to_float(None);
            ones += usize::from(t == F::one());
            others |= t != F::one() && t != F::zero();
        }
        ones == 1 && !others
    };
    let once = distinct(rows, 1);
    if once.lanes(Axis(last)).into_iter().all(is_one_hot) {
        return Ok(());
    }
    for (index, row) in rows.lanes(Axis(last)).into_iter().enumerate() {
        if !is_one_hot(row) {
            return Err(not_one_hot(index));
        }
    }
    Ok(())
}
