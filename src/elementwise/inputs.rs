//! Predictions and targets that fit each other: checked before the first element, then handed to the engine.

use ndarray::{Array, ArrayView, ArrayViewMut, Dimension, ShapeBuilder};

use super::ElementwiseLoss;
use crate::aggregate::Plan;
use crate::engine::elementwise::{Operands, Weights, run_contiguous};
use crate::engine::fresh::{self, Output};
use crate::engine::reduce::Pair;
use crate::engine::shape::{align, allocate, check_pair, is_column_major};
use crate::engine::span::{Job, Kernel, Span, SpanKernel, Stream, WeightStream};
use crate::error::too_large;
use crate::{BinaryLabels, Float, LossError, Target};

/// The scalar functions of a loss as the engine sees them.
#[derive(Clone, Copy)]
pub(crate) struct Scalar<L>(pub(crate) L);

impl<F: Float, L: ElementwiseLoss<F>> Kernel<F> for Scalar<L> {
    #[inline(always)]
    fn cost(self) -> f32 {
        self.0.cost()
    }
    #[inline(always)]
    fn labels(self) -> Option<BinaryLabels> {
        self.0.labels()
    }
    #[inline(always)]
    fn value(self, _ahead: F, prediction: F, target: F) -> F {
        self.0.value(prediction, target)
    }
    #[inline(always)]
    fn derivative(self, _ahead: F, prediction: F, target: F) -> F {
        self.0.derivative(prediction, target)
    }
    #[inline(always)]
    fn value_and_derivative(self, _ahead: F, prediction: F, target: F) -> (F, F) {
        self.0.value_and_derivative(prediction, target)
    }
}

/// Predictions and targets that fit, checked.
pub(super) struct Inputs<'k, 'p, 't, F, T, D, E> {
    kernel: &'k dyn SpanKernel<F>,
    shape: D,
    /// Absent where they lie in the buffer of the gradient.
    predictions: Option<ArrayView<'p, F, D>>,
    targets: ArrayView<'t, T, E>,
}

impl<'k, 'p, 't, F: Float, T: Target<F>, D: Dimension, E: Dimension>
    Inputs<'k, 'p, 't, F, T, D, E>
{
    pub(super) fn check(
        kernel: &'k dyn SpanKernel<F>,
        predictions: &ArrayView<'p, F, D>,
        targets: ArrayView<'t, T, E>,
    ) -> Result<Self, LossError> {
        let inputs = Self {
            kernel,
            shape: predictions.raw_dim(),
            predictions: Some(predictions.clone()),
            targets,
        };
        if inputs.targets.shape() != predictions.shape() {
            align(predictions.shape(), inputs.targets.view().into_dyn())?;
        }
        let labels = kernel.labels().filter(|_| T::INTEGER);
        if let (Some(labels), false) = (labels, predictions.is_empty()) {
            check_pair(&inputs.targets.view().into_dyn(), labels)?;
        }
        Ok(inputs)
    }

    /// The predictions will be found in the buffer of the gradient.
    pub(super) fn in_place<'q>(self) -> Inputs<'k, 'q, 't, F, T, D, E> {
        Inputs {
            kernel: self.kernel,
            shape: self.shape,
            predictions: None,
            targets: self.targets,
        }
    }

    pub(super) fn shape(&self) -> &[usize] {
        self.shape.slice()
    }

    /// A new array of losses.
    pub(super) fn losses(self) -> Result<Array<F, D>, LossError> {
        if let Some(inputs) = self.contiguous() {
            return self.new_array(inputs.one(Output::Losses));
        }
        let mut loss = self.zeros()?;
        self.elements(Some(loss.view_mut()), None)?;
        Ok(loss)
    }

    /// A new array of gradients.
    pub(super) fn gradients(self) -> Result<Array<F, D>, LossError> {
        if let Some(inputs) = self.contiguous() {
            return self.new_array(inputs.one(Output::Gradients));
        }
        let mut gradient = self.zeros()?;
        self.elements(None, Some(gradient.view_mut()))?;
        Ok(gradient)
    }

    /// New arrays of both.
    pub(super) fn both(self) -> Result<(Array<F, D>, Array<F, D>), LossError> {
        if let Some(inputs) = self.contiguous().filter(fresh::Inputs::is_for_several) {
            let (loss, gradient) = inputs.both().unzip();
            return Ok((self.new_array(loss)?, self.new_array(gradient)?));
        }
        let (mut loss, mut gradient) = (self.zeros()?, self.zeros()?);
        self.elements(Some(loss.view_mut()), Some(gradient.view_mut()))?;
        Ok((loss, gradient))
    }

    /// Whether the predictions, and what is made of them, lie in column-major order alone.
    fn is_column_major(&self) -> bool {
        self.predictions.as_ref().is_some_and(is_column_major)
    }

    /// An array of these elements, which are in the order of the predictions.
    fn new_array(&self, elements: Option<Vec<F>>) -> Result<Array<F, D>, LossError> {
        let shape = self.shape.clone().set_f(self.is_column_major());
        elements
            .and_then(|elements| Array::from_shape_vec(shape, elements).ok())
            .ok_or_else(|| too_large(self.shape.slice()))
    }

    fn zeros(&self) -> Result<Array<F, D>, LossError> {
        allocate(self.shape.clone(), self.is_column_major())
    }

    /// Slices of predictions and targets, if they are contiguous in the same order and new arrays better made of them than
    /// of zeros.
    fn contiguous<'b>(&self) -> Option<fresh::Inputs<'b, 'k, F, T>>
    where
        'p: 'b,
        't: 'b,
    {
        let size = self.shape.size();
        let predictions = self
            .predictions
            .clone()
            .filter(|_| fresh::pays::<F>(size))?;
        let (predictions, targets) = if is_column_major(&predictions) {
            let targets = self.targets.clone().reversed_axes();
            (predictions.reversed_axes(), targets)
        } else {
            (predictions, self.targets.clone())
        };
        Some(fresh::Inputs {
            kernel: self.kernel,
            predictions: predictions.to_slice()?,
            targets: stream(&targets, size)?,
        })
    }

    pub(super) fn elements<'b>(
        self,
        loss_out: Option<ArrayViewMut<'b, F, D>>,
        gradient: Option<ArrayViewMut<'b, F, D>>,
    ) -> Result<(), LossError>
    where
        'p: 'b,
        't: 'b,
    {
        self.run(Job::each(), &Weights::None, loss_out, gradient)?;
        Ok(())
    }

    pub(super) fn objective<'b>(
        self,
        plan: &Plan<'b, F>,
        gradient: Option<ArrayViewMut<'b, F, D>>,
    ) -> Result<F, LossError>
    where
        'p: 'b,
        't: 'b,
    {
        let sum = self.run(plan.job(), &plan.weights, None, gradient)?;
        Ok(plan.finish(sum))
    }

    fn run<'b>(
        self,
        job: Job<F>,
        weights: &Weights<'b, F>,
        loss_out: Option<ArrayViewMut<'b, F, D>>,
        gradient: Option<ArrayViewMut<'b, F, D>>,
    ) -> Result<Pair, LossError>
    where
        'p: 'b,
        't: 'b,
    {
        // Slices have no axes to look at, which takes longer than the arithmetic of a small array.
        let in_order = loss_out
            .iter()
            .chain(&gradient)
            .all(|view| view.is_standard_layout());
        if in_order && let Some(mut span) = self.span(weights) {
            span.loss = loss_out.and_then(ArrayViewMut::into_slice);
            span.gradient = gradient.and_then(ArrayViewMut::into_slice);
            return Ok(run_contiguous(span, self.kernel, job));
        }
        let operands = Operands {
            predictions: self.predictions.map(ArrayView::into_dyn),
            targets: align(self.shape.slice(), self.targets.into_dyn())?,
            weights: weights.clone(),
            loss: loss_out.map(ArrayViewMut::into_dyn),
            gradient: gradient.map(ArrayViewMut::into_dyn),
        };
        Ok(T::traverse(operands, self.kernel, job))
    }

    /// Slices of the inputs, if they are contiguous in row-major order.
    fn span<'b>(&self, weights: &Weights<'b, F>) -> Option<Span<'b, F, T>>
    where
        'p: 'b,
        't: 'b,
    {
        let size = self.shape.size();
        Some(Span {
            size,
            predictions: match &self.predictions {
                Some(view) => Some(view.to_slice()?),
                None => None,
            },
            targets: stream(&self.targets, size)?,
            weights: WeightStream::of(weights)?,
            loss: None,
            gradient: None,
        })
    }
}

/// Targets in row-major order for so many elements, if they are contiguous.
fn stream<'t, T: Copy, E: Dimension>(
    targets: &ArrayView<'t, T, E>,
    size: usize,
) -> Option<Stream<'t, T>> {
    match targets.to_slice()? {
        all if all.len() == size => Some(Stream::Slice(all)),
        &[one] => Some(Stream::Constant(one)),
        _ => None,
    }
}
