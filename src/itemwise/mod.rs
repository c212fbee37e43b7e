//! Losses of one row of scores and its target.

pub(crate) mod categorical_crossentropy;
pub(crate) mod categorical_crossentropy_with_logits;
pub(crate) mod class_weights;
pub(crate) mod ignore_label;
pub(crate) mod multiclass_hinge_loss;
pub(crate) mod softmax;

use ndarray::{
    Array, ArrayRef, ArrayView, ArrayView1, ArrayViewD, ArrayViewMutD, Axis, Dimension, Ix1, Ix2,
    Ix3, Ix4, Ix5, Ix6, IxDyn, Zip,
};

pub use ignore_label::IgnoreLabel;

use crate::aggregate::Plan;
use crate::engine::elementwise::Weights;
use crate::engine::items::{self, Job, Operands, Targets};
use crate::engine::reduce::Pair;
use crate::engine::rows::{
    Dense, DenseTarget, Group, GroupTargets, ItemKernel, ROWS, Room, Row, RowKernel, RowTarget,
};
use crate::engine::shape::{allocate, check_output, distinct};
use crate::error::{class_out_of_range, not_one_hot, shape_mismatch, too_few_classes};
use crate::float::kind;
use crate::{Aggregate, Float, LossError, Target};

/// A loss of one row of scores and the class, or the distribution over classes, that it should have given.
///
/// The classes lie along the last axis of the predictions; the result has one value an item, the shape of the
/// predictions without that axis. Targets are integer labels, one an item, or an array in the shape of the
/// predictions: see the [crate page](crate#shapes). The methods are those of
/// [`ElementwiseLoss`](crate::ElementwiseLoss), and [`ignore_label`](Self::ignore_label). Weights in an
/// [`Aggregate`] have the shape of the loss, one an item.
///
/// The trait is sealed for now: its kernels have two forms, for few and for many classes, whose interface is not
/// settled.
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, CategoricalCrossentropyWithLogits, ItemwiseLoss};
///
/// let mut logits = array![[1.0_f32, 2.0, 0.5], [0.0, 0.0, 3.0]];
/// let loss = CategoricalCrossentropyWithLogits::default();
/// let mean = loss.objective_and_gradient_in_place(&mut logits, &[1, 0], Aggregate::Mean)?;
/// assert!(mean > 0.0);
/// let gradient = logits; // now holds ∂mean/∂logits
/// assert!(gradient.sum().abs() < 1e-6);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Errors
///
/// All methods check everything before the first element is computed; on an error no buffer has been touched.
/// [`ShapeMismatch`](LossError::ShapeMismatch), [`OutputShapeMismatch`](LossError::OutputShapeMismatch) and
/// [`WeightsShapeMismatch`](LossError::WeightsShapeMismatch) for shapes that do not fit;
/// [`LabelOutOfRange`](LossError::LabelOutOfRange) for labels that name no class, [`NotOneHot`](LossError::NotOneHot)
/// for rows that name none; [`TooFewClasses`](LossError::TooFewClasses);
/// [`EmptyMean`](LossError::EmptyMean) and [`ZeroTotalWeight`](LossError::ZeroTotalWeight) from the aggregate;
/// [`TooLarge`](LossError::TooLarge) where a new array cannot be allocated.
pub trait ItemwiseLoss<F: Float>: ItemKernel<F> {
    /// The same loss without the items that have this label: their rows are never read, their loss is 0, their
    /// gradient exactly 0, and [`Mean`](Aggregate::Mean) and [`masked_mean`](Aggregate::masked_mean) do not count them.
    ///
    /// Any label can be ignored, inside the range of classes or outside (−100, say). It concerns integer labels; rows
    /// of targets are never ignored.
    ///
    /// ```
    /// use ndarray::array;
    /// use ndarray_loss::{Aggregate, CategoricalCrossentropy, ItemwiseLoss};
    ///
    /// let p = array![[0.5, 0.5], [f64::NAN, 0.0]];
    /// let loss = CategoricalCrossentropy.ignore_label(-100);
    /// assert_eq!(loss.objective(&p, &[0, -100], Aggregate::Mean)?, 2.0_f64.ln());
    /// # Ok::<(), ndarray_loss::LossError>(())
    /// ```
    fn ignore_label(self, label: i128) -> IgnoreLabel<Self> {
        IgnoreLabel::new(self, label)
    }

    /// The loss of every item.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors), as for all methods.
    fn loss<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
    ) -> Result<Array<F, D::Smaller>, LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let predictions = predictions.into();
        let inputs = Inputs::check(self, &predictions, targets.into())?;
        let mut loss = allocate(items_dim(&predictions), false)?;
        inputs.items(self, Some(loss.view_mut().into_dyn()), None);
        Ok(loss)
    }

    /// The gradient of every item's loss with respect to its scores, in the shape of the predictions.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn gradient<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
    ) -> Result<Array<F, D>, LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let predictions = predictions.into();
        let inputs = Inputs::check(self, &predictions, targets.into())?;
        let mut gradient = allocate(predictions.raw_dim(), false)?;
        inputs.items(self, None, Some(gradient.view_mut().into_dyn()));
        Ok(gradient)
    }

    /// Loss and gradient in one pass.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn loss_and_gradient<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
    ) -> Result<(Array<F, D::Smaller>, Array<F, D>), LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let predictions = predictions.into();
        let inputs = Inputs::check(self, &predictions, targets.into())?;
        let mut loss = allocate(items_dim(&predictions), false)?;
        let mut gradient = allocate(predictions.raw_dim(), false)?;
        inputs.items(
            self,
            Some(loss.view_mut().into_dyn()),
            Some(gradient.view_mut().into_dyn()),
        );
        Ok((loss, gradient))
    }

    /// As [`loss`](Self::loss), into the caller's buffer.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn loss_into<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
        loss: &mut ArrayRef<F, D::Smaller>,
    ) -> Result<(), LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let inputs = Inputs::check(self, &predictions.into(), targets.into())?;
        check_output(inputs.items_shape(), loss.shape())?;
        inputs.items(self, Some(loss.view_mut().into_dyn()), None);
        Ok(())
    }

    /// As [`gradient`](Self::gradient), into the caller's buffer.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn gradient_into<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
        gradient: &mut ArrayRef<F, D>,
    ) -> Result<(), LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let inputs = Inputs::check(self, &predictions.into(), targets.into())?;
        check_output(inputs.shape(), gradient.shape())?;
        inputs.items(self, None, Some(gradient.view_mut().into_dyn()));
        Ok(())
    }

    /// As [`loss_and_gradient`](Self::loss_and_gradient), into the caller's buffers.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn loss_and_gradient_into<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
        loss: &mut ArrayRef<F, D::Smaller>,
        gradient: &mut ArrayRef<F, D>,
    ) -> Result<(), LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let inputs = Inputs::check(self, &predictions.into(), targets.into())?;
        check_output(inputs.items_shape(), loss.shape())?;
        check_output(inputs.shape(), gradient.shape())?;
        inputs.items(
            self,
            Some(loss.view_mut().into_dyn()),
            Some(gradient.view_mut().into_dyn()),
        );
        Ok(())
    }

    /// The aggregated loss: [`aggregate`](crate::aggregate())`(loss)`, bit for bit where the arrays are in row-major
    /// order and nothing is ignored, without an array of losses.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn objective<'p, 't, 'w, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
        by: impl Into<Aggregate<'w, F>>,
    ) -> Result<F, LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let inputs = Inputs::check(self, &predictions.into(), targets.into())?;
        let by = by.into();
        let plan = inputs.plan(self, &by)?;
        Ok(inputs.objective(self, &plan, None))
    }

    /// The aggregated loss and its gradient with respect to the predictions, in one pass.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn objective_and_gradient<'p, 't, 'w, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
        by: impl Into<Aggregate<'w, F>>,
    ) -> Result<(F, Array<F, D>), LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let predictions = predictions.into();
        let inputs = Inputs::check(self, &predictions, targets.into())?;
        let by = by.into();
        let plan = inputs.plan(self, &by)?;
        let mut gradient = allocate(predictions.raw_dim(), false)?;
        let value = inputs.objective(self, &plan, Some(gradient.view_mut().into_dyn()));
        Ok((value, gradient))
    }

    /// As [`objective_and_gradient`](Self::objective_and_gradient), into the caller's buffer: what a training step
    /// calls.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn objective_and_gradient_into<'p, 't, 'w, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
        by: impl Into<Aggregate<'w, F>>,
        gradient: &mut ArrayRef<F, D>,
    ) -> Result<F, LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let inputs = Inputs::check(self, &predictions.into(), targets.into())?;
        check_output(inputs.shape(), gradient.shape())?;
        let by = by.into();
        let plan = inputs.plan(self, &by)?;
        Ok(inputs.objective(self, &plan, Some(gradient.view_mut().into_dyn())))
    }

    /// As [`objective_and_gradient`](Self::objective_and_gradient); the gradient replaces the predictions.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors).
    fn objective_and_gradient_in_place<'t, 'w, T, D, E>(
        self,
        predictions: &mut ArrayRef<F, D>,
        targets: impl Into<ArrayView<'t, T, E>>,
        by: impl Into<Aggregate<'w, F>>,
    ) -> Result<F, LossError>
    where
        T: Target<F, Kind: ClassTargetShape<D, E>>,
        D: Dimension,
        E: Dimension,
    {
        let inputs = Inputs::check(self, &predictions.view(), targets.into())?.in_place();
        let by = by.into();
        let plan = inputs.plan(self, &by)?;
        Ok(inputs.objective(self, &plan, Some(predictions.view_mut().into_dyn())))
    }
}

/// Ranks that class targets of this kind may have beside predictions of rank `D`.
///
/// Floats and `bool` come in the shape of the predictions; integers likewise, or as labels, with one dimension less.
/// `IxDyn` goes with every rank and is checked at run time.
#[diagnostic::on_unimplemented(
    message = "class targets of rank `{E}` do not go with predictions of rank `{D}`",
    label = "the targets' type and rank do not fit",
    note = "pass integer labels with one dimension less than the predictions, or an array in the shape of the \
            predictions: a distribution in their own float type, or one-hot in it, in `bool` or in an integer type",
    note = "labels stored as floats are no labels: convert them with `t.mapv(|t| t as i64)`, where none is NaN"
)]
pub trait ClassTargetShape<D, E> {
    /// Fails to compile for static ranks that do not fit.
    #[doc(hidden)]
    const FITS: () = ();
}

impl<D: Dimension> ClassTargetShape<D, D> for kind::Distribution {}
impl<D: Dimension> ClassTargetShape<D, D> for kind::OneHot {}

macro_rules! dynamic_ranks {
    ($kind:ty: $($rank:ty)*) => {$(
        impl ClassTargetShape<$rank, IxDyn> for $kind {}
        impl ClassTargetShape<IxDyn, $rank> for $kind {}
    )*};
}
dynamic_ranks! { kind::Distribution: Ix1 Ix2 Ix3 Ix4 Ix5 Ix6 }
dynamic_ranks! { kind::OneHot: Ix1 Ix2 Ix3 Ix4 Ix5 Ix6 }

// For all ranks, so that generic code need not prove that one is smaller than the other.
impl<D: Dimension, E: Dimension> ClassTargetShape<D, E> for kind::Labels {
    const FITS: () = if let (Some(predictions), Some(targets)) = (D::NDIM, E::NDIM) {
        assert!(
            targets == predictions || targets + 1 == predictions,
            "integer labels have one dimension less than the predictions, one-hot rows have as many"
        );
    };
}

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
    fn in_place<'q>(self) -> Inputs<'q, 't, F, T> {
        Inputs {
            predictions: None,
            targets: self.targets,
            shape: self.shape,
        }
    }

    fn shape(&self) -> &[usize] {
        self.shape.slice()
    }

    fn items_shape(&self) -> &[usize] {
        let shape = self.shape();
        shape.split_last().map_or(shape, |(_, items)| items)
    }

    fn classes(&self) -> usize {
        self.shape().last().copied().unwrap_or(0)
    }

    fn plan<'w, K: ItemKernel<F>>(
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

    fn objective<'b, K: ItemKernel<F>>(
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

/// Does the wide rows of a group alone, by the kernel's way for long rows.
#[inline(always)]
pub(crate) fn wide_rows<F: Float, K: RowKernel<F>>(
    kernel: K,
    group: &mut Group<'_, F>,
    wide: &[bool; ROWS],
) {
    // without an early exit, so that it vectorises
    if wide.iter().fold(false, |any, &wide| any | wide) {
        for r in (0..ROWS).filter(|&r| wide[r]) {
            single_row(kernel, group, r);
        }
    }
}

#[cold]
fn single_row<F: Float, K: RowKernel<F>>(kernel: K, group: &mut Group<'_, F>, r: usize) {
    let span = r * group.classes..(r + 1) * group.classes;
    let Some(scores) = group.scores.get(span.clone()) else {
        return;
    };
    let gradient = group.gradient.as_deref_mut();
    let row = Row::of_slices(scores, gradient.and_then(|rows| rows.get_mut(span.clone())));
    let coefficient = group.coefficients[r];
    let room = &mut Room::new();
    group.losses[r] = match group.targets {
        GroupTargets::Labels(labels) => {
            kernel.row(row, RowTarget::Label(labels[r]), coefficient, room)
        }
        GroupTargets::Dense(rows) => {
            let targets = rows.get(span).unwrap_or_default();
            kernel.row(
                row,
                RowTarget::Dense(DenseTarget::Slice(targets)),
                coefficient,
                room,
            )
        }
    };
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
        // without an early exit, so that it vectorises
        Some(slice) => slice.iter().fold(true, |all, &label| all & fits(label)),
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
