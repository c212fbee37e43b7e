//! Losses of one row of scores and its target.

pub(crate) mod categorical_crossentropy;
pub(crate) mod categorical_crossentropy_with_logits;
pub(crate) mod class_weights;
pub(crate) mod ignore_label;
pub(crate) mod multiclass_hinge_loss;
pub(crate) mod softmax;

mod inputs;

use ndarray::{Array, ArrayRef, ArrayView, Dimension, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn};

pub use ignore_label::IgnoreLabel;
pub(crate) use inputs::{Inputs, items_dim};

use crate::engine::rows::ItemKernel;
use crate::engine::shape::{allocate, check_output};
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
pub trait ItemwiseLoss<F: Float>: ItemKernel<F> + Copy {
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
        let inputs = Inputs::check(&self, &predictions, targets.into())?;
        let mut loss = allocate(items_dim(&predictions), false)?;
        inputs.items(Some(loss.view_mut()), None);
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
        let inputs = Inputs::check(&self, &predictions, targets.into())?;
        let mut gradient = allocate(predictions.raw_dim(), false)?;
        inputs.items(None, Some(gradient.view_mut()));
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
        let inputs = Inputs::check(&self, &predictions, targets.into())?;
        let mut loss = allocate(items_dim(&predictions), false)?;
        let mut gradient = allocate(predictions.raw_dim(), false)?;
        inputs.items(Some(loss.view_mut()), Some(gradient.view_mut()));
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
        let inputs = Inputs::check(&self, &predictions.into(), targets.into())?;
        check_output(inputs.items_shape(), loss.shape())?;
        inputs.items(Some(loss.view_mut()), None);
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
        let inputs = Inputs::check(&self, &predictions.into(), targets.into())?;
        check_output(inputs.shape(), gradient.shape())?;
        inputs.items(None, Some(gradient.view_mut()));
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
        let inputs = Inputs::check(&self, &predictions.into(), targets.into())?;
        check_output(inputs.items_shape(), loss.shape())?;
        check_output(inputs.shape(), gradient.shape())?;
        inputs.items(Some(loss.view_mut()), Some(gradient.view_mut()));
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
        let inputs = Inputs::check(&self, &predictions.into(), targets.into())?;
        let by = by.into();
        let plan = inputs.plan(&by)?;
        Ok(inputs.objective(&plan, None))
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
        let inputs = Inputs::check(&self, &predictions, targets.into())?;
        let by = by.into();
        let plan = inputs.plan(&by)?;
        let mut gradient = allocate(predictions.raw_dim(), false)?;
        let value = inputs.objective(&plan, Some(gradient.view_mut()));
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
        let inputs = Inputs::check(&self, &predictions.into(), targets.into())?;
        check_output(inputs.shape(), gradient.shape())?;
        let by = by.into();
        let plan = inputs.plan(&by)?;
        Ok(inputs.objective(&plan, Some(gradient.view_mut())))
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
        let inputs = Inputs::check(&self, &predictions.view(), targets.into())?.in_place();
        let by = by.into();
        let plan = inputs.plan(&by)?;
        Ok(inputs.objective(&plan, Some(predictions.view_mut())))
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
