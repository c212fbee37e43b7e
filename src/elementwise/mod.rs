//! Losses of one prediction and one target.

pub(crate) mod binary_crossentropy;
pub(crate) mod binary_crossentropy_with_logits;
pub(crate) mod binary_hinge_loss;
pub(crate) mod huber_loss;
mod inputs;
pub(crate) mod squared_error;

use ndarray::{Array, ArrayRef, ArrayView, Dimension, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn};

use crate::aggregate::count_all;
use crate::engine::shape::{align, allocate, check_output, is_column_major};
use crate::engine::span::SpanKernel;
use crate::{Aggregate, BinaryLabels, Float, LossError, Target};
use inputs::Inputs;
pub(crate) use inputs::Scalar;

/// A loss of one prediction and one target; implement two functions of two numbers and get all the rest.
///
/// The methods are the same for the losses of this crate and for your own: layouts, threads, vector registers, weights
/// and errors are theirs already. `p` stands for the predictions, `t` for the targets; what these may be is said on the
/// [crate page](crate#shapes).
///
/// | method | returns |
/// |---|---|
/// | [`loss(p, t)`](Self::loss), [`gradient(p, t)`](Self::gradient), [`loss_and_gradient(p, t)`](Self::loss_and_gradient) | new arrays |
/// | [`loss_into`](Self::loss_into), [`gradient_into`](Self::gradient_into), [`loss_and_gradient_into`](Self::loss_and_gradient_into) | nothing: they fill the caller's buffers |
/// | [`objective(p, t, by)`](Self::objective) | the aggregated loss |
/// | [`objective_and_gradient(p, t, by)`](Self::objective_and_gradient) | the same, and its gradient |
/// | [`objective_and_gradient_into`](Self::objective_and_gradient_into), [`objective_and_gradient_in_place`](Self::objective_and_gradient_in_place) | the aggregated loss; the gradient goes into a buffer, or replaces the predictions |
///
/// # A loss of your own
///
/// Mark the two functions `#[inline]`, write selects rather than branches, and take logarithms and exponentials from
/// [`math`](crate::math): then the compiler vectorises them as it does the crate's own.
///
/// ```
/// use ndarray::array;
/// use ndarray_loss::{Aggregate, ElementwiseLoss, Float};
///
/// /// (p − t)⁴
/// #[derive(Clone, Copy)]
/// struct Quartic;
///
/// impl<F: Float> ElementwiseLoss<F> for Quartic {
///     #[inline]
///     fn value(self, p: F, t: F) -> F {
///         let square = (p - t) * (p - t);
///         square * square
///     }
///     #[inline]
///     fn derivative(self, p: F, t: F) -> F {
///         let (twice, square) = ((p - t) + (p - t), (p - t) * (p - t));
///         (twice + twice) * square
///     }
/// }
///
/// let (loss, gradient) =
///     Quartic.objective_and_gradient(&array![1.0, 3.0], &array![0.0, 1.0], Aggregate::Mean)?;
/// assert_eq!(loss, (1.0 + 16.0) / 2.0);
/// assert_eq!(gradient, array![4.0 / 2.0, 32.0 / 2.0]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
///
/// # Errors
///
/// All methods check everything before the first element is computed; on an error no buffer has been touched.
/// [`ShapeMismatch`](LossError::ShapeMismatch), [`OutputShapeMismatch`](LossError::OutputShapeMismatch) and
/// [`WeightsShapeMismatch`](LossError::WeightsShapeMismatch) for shapes that do not fit;
/// [`LabelOutOfRange`](LossError::LabelOutOfRange) for integer targets outside the [pair](Self::labels) that the loss
/// declares; [`EmptyMean`](LossError::EmptyMean) and [`ZeroTotalWeight`](LossError::ZeroTotalWeight) from the
/// aggregate; [`TooLarge`](LossError::TooLarge) where a new array cannot be allocated.
pub trait ElementwiseLoss<F: Float>: Copy + Send + Sync {
    /// The loss of one prediction and one target.
    fn value(self, prediction: F, target: F) -> F;

    /// Its derivative with respect to the prediction.
    fn derivative(self, prediction: F, target: F) -> F;

    /// Both; override it where they share work. It must give the same bits as the two alone.
    #[inline(always)]
    fn value_and_derivative(self, prediction: F, target: F) -> (F, F) {
        (
            self.value(prediction, target),
            self.derivative(prediction, target),
        )
    }

    /// The pair of labels that integer targets have to be from, and `bool` targets stand for; none unless overridden:
    /// any integer is then a number, and `bool` means 0 or 1.
    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        None
    }

    /// A rough cost of one element on one core, in nanoseconds. It decides only from which size on the work is spread
    /// over threads, never a result.
    #[inline(always)]
    fn cost(self) -> f32 {
        1.0
    }

    /// Lends the kernel that does the work to all that need not know of which loss it is.
    #[doc(hidden)]
    #[inline(always)]
    fn with_kernel<R>(self, work: impl FnOnce(&dyn SpanKernel<F>) -> R) -> R {
        work(&Scalar(self))
    }

    /// The loss of every element, in the shape of the predictions.
    ///
    /// # Errors
    ///
    /// See [the trait](Self#errors), as for all methods.
    fn loss<'p, 't, T, D, E>(
        self,
        predictions: impl Into<ArrayView<'p, F, D>>,
        targets: impl Into<ArrayView<'t, T, E>>,
    ) -> Result<Array<F, D>, LossError>
    where
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        let predictions = predictions.into();
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions, targets.into())?;
            inputs.losses()
        })
    }

    /// The gradient of every element's loss with respect to its prediction, in the shape of the predictions.
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
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        let predictions = predictions.into();
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions, targets.into())?;
            inputs.gradients()
        })
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
    ) -> Result<(Array<F, D>, Array<F, D>), LossError>
    where
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        let predictions = predictions.into();
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions, targets.into())?;
            inputs.both()
        })
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
        loss: &mut ArrayRef<F, D>,
    ) -> Result<(), LossError>
    where
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions.into(), targets.into())?;
            check_output(inputs.shape(), loss.shape())?;
            inputs.elements(Some(loss.view_mut()), None)
        })
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
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions.into(), targets.into())?;
            check_output(inputs.shape(), gradient.shape())?;
            inputs.elements(None, Some(gradient.view_mut()))
        })
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
        loss: &mut ArrayRef<F, D>,
        gradient: &mut ArrayRef<F, D>,
    ) -> Result<(), LossError>
    where
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions.into(), targets.into())?;
            check_output(inputs.shape(), loss.shape())?;
            check_output(inputs.shape(), gradient.shape())?;
            inputs.elements(Some(loss.view_mut()), Some(gradient.view_mut()))
        })
    }

    /// The aggregated loss: [`aggregate`](crate::aggregate())`(loss)`, bit for bit where the arrays are in row-major
    /// order, without an array of losses.
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
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions.into(), targets.into())?;
            let by = by.into();
            let plan = by.plan(inputs.shape(), count_all(inputs.shape()))?;
            inputs.objective(&plan, None)
        })
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
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        let predictions = predictions.into();
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions, targets.into())?;
            let by = by.into();
            let plan = by.plan(inputs.shape(), count_all(inputs.shape()))?;
            let mut gradient = allocate(predictions.raw_dim(), is_column_major(&predictions))?;
            let value = inputs.objective(&plan, Some(gradient.view_mut()))?;
            Ok((value, gradient))
        })
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
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions.into(), targets.into())?;
            check_output(inputs.shape(), gradient.shape())?;
            let by = by.into();
            let plan = by.plan(inputs.shape(), count_all(inputs.shape()))?;
            inputs.objective(&plan, Some(gradient.view_mut()))
        })
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
        T: Target<F>,
        D: Dimension,
        E: TargetShape<D>,
    {
        self.with_kernel(|kernel| {
            let inputs = Inputs::check(kernel, &predictions.view(), targets.into())?.in_place();
            let by = by.into();
            let plan = by.plan(inputs.shape(), count_all(inputs.shape()))?;
            inputs.objective(&plan, Some(predictions.view_mut()))
        })
    }
}

/// Ranks that targets may have beside predictions of rank `D`: the same; one for a column of predictions; none.
///
/// `IxDyn` goes with every rank and is checked at run time.
#[diagnostic::on_unimplemented(
    message = "targets of rank `{Self}` do not go with predictions of rank `{D}`",
    label = "the targets' rank does not fit",
    note = "targets have the shape of the predictions; only n targets with predictions (n, 1), or one 0-d target \
            (`aview0(&t)`), go without; make others fit yourself, with `t.broadcast(p.raw_dim())` or `t.column(0)`, say"
)]
pub trait TargetShape<D>: Dimension {}

impl<D: Dimension> TargetShape<D> for D {}
impl TargetShape<Ix2> for Ix1 {}

macro_rules! target_shapes {
    ($($rank:ty)*) => {$(
        impl TargetShape<IxDyn> for $rank {}
        impl TargetShape<$rank> for IxDyn {}
    )*};
}
macro_rules! scalar_target {
    ($($rank:ty)*) => {$(
        impl TargetShape<$rank> for Ix0 {}
    )*};
}
target_shapes! { Ix0 Ix1 Ix2 Ix3 Ix4 Ix5 Ix6 }
scalar_target! { Ix1 Ix2 Ix3 Ix4 Ix5 Ix6 }

/// Targets in the shape of the predictions, by the rule that all element-wise losses follow: for losses of your own.
///
/// Targets of the predictions' shape stay as they are; n targets become a column beside predictions of shape (n, 1);
/// a 0-d target broadcasts to every shape. Nothing else broadcasts silently.
///
/// # Errors
///
/// [`ShapeMismatch`](LossError::ShapeMismatch) with both shapes.
///
/// # Examples
///
/// ```
/// use ndarray::{array, aview1};
/// use ndarray_loss::align_targets;
///
/// let predictions = array![[0.5], [0.25]];
/// let (p, t) = align_targets(&predictions, aview1(&[1.0, 0.0]))?;
/// assert_eq!(&p - &t, array![[-0.5], [0.25]]);
/// # Ok::<(), ndarray_loss::LossError>(())
/// ```
pub fn align_targets<'p, 't, F, T, D, E>(
    predictions: impl Into<ArrayView<'p, F, D>>,
    targets: impl Into<ArrayView<'t, T, E>>,
) -> Result<(ArrayView<'p, F, D>, ArrayView<'t, T, D>), LossError>
where
    F: Float,
    T: Target<F>,
    D: Dimension,
    E: TargetShape<D>,
{
    let predictions = predictions.into();
    let targets = targets.into().into_dyn();
    let shape = targets.shape().to_vec();
    match align(predictions.shape(), targets)?.into_dimensionality() {
        Ok(targets) => Ok((predictions, targets)),
        Err(_) => Err(crate::error::shape_mismatch(predictions.shape(), &shape)),
    }
}
