//! Predictions and class targets that fit each other: checked before the first element, then handed to the engine.

use ndarray::{ArrayView, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut, Axis, Dimension, Zip};

use super::ClassTargetShape;
use crate::aggregate::{Plan, kept};
use crate::engine::elementwise::Weights;
use crate::engine::items::{self, Ignored, Operands, Targets, TypedRows};
use crate::engine::reduce::Pair;
use crate::engine::rows::{Dense, ItemKernel};
use crate::engine::shape::{all, distinct};
use crate::engine::simd;
use crate::engine::span::Job;
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
pub(crate) struct Inputs<'k, 'p, 't, F, T, D, E> {
    kernel: &'k dyn ItemKernel<F>,
    shape: D,
    /// Absent where they lie in the buffer of the gradient.
    predictions: Option<ArrayView<'p, F, D>>,
    targets: ArrayView<'t, T, E>,
    /// Whether the targets are labels, and not rows.
    labels: bool,
}

impl<'k, 'p, 't, F: Float, T: Target<F>, D: Dimension, E: Dimension>
    Inputs<'k, 'p, 't, F, T, D, E>
{
    pub(crate) fn check(
        kernel: &'k dyn ItemKernel<F>,
        predictions: &ArrayView<'p, F, D>,
        targets: ArrayView<'t, T, E>,
    ) -> Result<Self, LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
    {
        const {
            let () = <T::Kind as ClassTargetShape<D, E>>::FITS;
            assert!(
                !matches!(D::NDIM, Some(0)),
                "predictions of an item-wise loss have at least one dimension: the classes"
            );
        }
        let shape = predictions.shape();
        let Some((&classes, items)) = shape.split_last() else {
            return Err(shape_mismatch(shape, targets.shape()));
        };
        let labels = targets.shape() != shape;
        if labels && !(T::INTEGER && targets.shape() == items) {
            return Err(shape_mismatch(shape, targets.shape()));
        }
        let at_least = kernel.min_classes();
        if classes < at_least {
            return Err(too_few_classes(classes, at_least));
        }
        if labels {
            check_labels(&targets, classes, Ignored::by(kernel))?;
        } else if kernel.dense() == Dense::OneHot {
            check_one_hot::<F, T>(&targets.view().into_dyn())?;
        }
        Ok(Self {
            kernel,
            shape: predictions.raw_dim(),
            predictions: Some(predictions.clone()),
            targets,
            labels,
        })
    }

    /// The predictions will be found in the buffer of the gradient.
    pub(super) fn in_place<'q>(self) -> Inputs<'k, 'q, 't, F, T, D, E> {
        Inputs {
            kernel: self.kernel,
            shape: self.shape,
            predictions: None,
            targets: self.targets,
            labels: self.labels,
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

    pub(super) fn plan<'w>(&self, by: &'w Aggregate<'_, F>) -> Result<Plan<'w, F>, LossError> {
        let items: usize = self.items_shape().iter().product();
        let ignored = Ignored::by(self.kernel);
        let ignored_labels = ignored.among::<T>();
        let counts = |label: &T| !ignored_labels.contain(*label);
        let some_are_ignored = self.labels && ignored.exist();
        by.plan(self.items_shape(), |mask| match (mask, some_are_ignored) {
            (None, true) => self
                .targets
                .fold(0, |count, label| count + usize::from(counts(label))),
            (None, false) => items,
            // `&&` would be a branch, which masks leave to chance.
            (Some(mask), true) => Zip::from(&self.targets.view().into_dyn())
                .and(mask)
                .fold(0, |count, label, &keep| {
                    count + usize::from(keep & counts(label))
                }),
            (Some(mask), false) => kept(mask),
        })
    }

    pub(crate) fn items<'b>(
        self,
        loss: Option<ArrayViewMut<'b, F, D::Smaller>>,
        gradient: Option<ArrayViewMut<'b, F, D>>,
    ) where
        'p: 'b,
        't: 'b,
    {
        self.run(Job::each(), &Weights::None, loss, gradient);
    }

    pub(super) fn objective<'b>(
        self,
        plan: &Plan<'b, F>,
        gradient: Option<ArrayViewMut<'b, F, D>>,
    ) -> F
    where
        'p: 'b,
        't: 'b,
    {
        plan.finish(self.run(plan.job(), &plan.weights, None, gradient))
    }

    fn run<'b>(
        self,
        job: Job<F>,
        weights: &Weights<'b, F>,
        loss: Option<ArrayViewMut<'b, F, D::Smaller>>,
        gradient: Option<ArrayViewMut<'b, F, D>>,
    ) -> Pair
    where
        'p: 'b,
        't: 'b,
    {
        let classes = self.classes();
        // Rows one after the other need no other axes: to look at those takes longer than a small batch.
        let in_order = loss.iter().all(|view| view.is_standard_layout())
            && gradient.iter().all(|view| view.is_standard_layout());
        if let (true, Some(mut rows)) = (in_order, self.rows(weights)) {
            let shape = (self.shape.size() / classes, classes);
            rows.loss = loss.and_then(|view| view.into_shape_with_order(shape.0).ok());
            rows.gradient = gradient.and_then(|view| view.into_shape_with_order(shape).ok());
            return items::run(rows, classes, self.kernel, job);
        }
        let targets = self.targets.into_dyn();
        let operands = Operands {
            scores: self.predictions.map(ArrayView::into_dyn),
            targets: if self.labels {
                Targets::Labels(targets)
            } else {
                Targets::Dense(targets)
            },
            weights: weights.clone(),
            loss: loss.map(ArrayViewMut::into_dyn),
            gradient: gradient.map(ArrayViewMut::into_dyn),
        };
        items::run(operands, classes, self.kernel, job)
    }

    /// The inputs with all items along one axis, if they are contiguous in row-major order.
    fn rows<'b>(&self, weights: &Weights<'b, F>) -> Option<TypedRows<'b, F, T>>
    where
        'p: 'b,
        't: 'b,
    {
        let classes = self.classes();
        let shape = (self.shape.size().checked_div(classes)?, classes);
        let targets = self.targets.to_slice()?;
        Some(TypedRows {
            scores: match &self.predictions {
                Some(view) => Some(ArrayView2::from_shape(shape, view.to_slice()?).ok()?),
                None => None,
            },
            targets: if self.labels {
                Targets::Labels(ArrayView1::from(targets))
            } else {
                Targets::Dense(ArrayView2::from_shape(shape, targets).ok()?)
            },
            weights: match weights {
                Weights::None => Weights::None,
                Weights::Floats(view) => Weights::Floats(ArrayView1::from(view.to_slice()?)),
                Weights::Mask(view) => Weights::Mask(ArrayView1::from(view.to_slice()?)),
            },
            loss: None,
            gradient: None,
        })
    }
}

/// Refuses labels that name no class and are not left out.
pub(crate) fn check_labels<F: Float, T: Target<F>, E: Dimension>(
    labels: &ArrayView<'_, T, E>,
    classes: usize,
    ignored: Ignored<'_, F>,
) -> Result<(), LossError> {
    let all_fit = |labels: &[T]| {
        simd::dispatch(AllFit {
            labels,
            classes,
            ignored,
        })
    };
    let all_fit = match labels.to_slice() {
        Some(slice) => all_fit(slice),
        None => all(&distinct(&labels.view().into_dyn(), 0), all_fit),
    };
    if all_fit {
        return Ok(());
    }
    let ignored = ignored.among();
    let fits = |label: T| label.class() < classes || ignored.contain(label);
    match labels.iter().enumerate().find(|&(_, &label)| !fits(label)) {
        Some((index, label)) => Err(class_out_of_range(index, label.label(), classes)),
        None => Ok(()),
    }
}

/// Whether all labels name classes or are left out.
struct AllFit<'a, F, T> {
    labels: &'a [T],
    classes: usize,
    ignored: Ignored<'a, F>,
}

impl<F: Float, T: Target<F>> simd::Work for AllFit<'_, F, T> {
    type Output = bool;

    #[inline(always)]
    fn run(&mut self) -> bool {
        // without an early exit, so that it vectorises
        let (labels, classes, ignored) = (self.labels.iter(), self.classes, self.ignored);
        if ignored.exist() {
            let ignored = ignored.among();
            let fits = |label: T| (label.class() < classes) | ignored.contain(label);
            labels.fold(true, |all, &label| all & fits(label))
        } else {
            labels.fold(true, |all, label| all & (label.class() < classes))
        }
    }
}

/// Refuses rows that are not a single 1 among zeros.
fn check_one_hot<F: Float, T: Target<F>>(rows: &ArrayViewD<'_, T>) -> Result<(), LossError> {
    let Some(last) = rows.ndim().checked_sub(1) else {
        return Ok(());
    };
    // Without elements: with classes but no items, or, refused before, items without classes.
    if rows.is_empty() || items::are_one_hot::<F, T>(&distinct(rows, 1)) {
        return Ok(());
    }
    for (index, row) in rows.lanes(Axis(last)).into_iter().enumerate() {
        if !items::is_one_hot::<F, T>(&row) {
            return Err(not_one_hot(index));
        }
    }
    Ok(())
}
