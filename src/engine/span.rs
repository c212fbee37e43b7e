//! Contiguous elements, and the arithmetic on them: all that is compiled for every instruction set.

use ndarray::{ArrayView, Dimension};

use super::elementwise::{Weights, of_mask};
use super::fresh::Output;
use super::reduce::{Divisor, Lanes};
use super::simd::{self, Lines};
use crate::BinaryLabels;
use crate::float::Float;

/// How many elements the kernel sees at once; what lies between its passes stays in the first-level cache.
const BLOCK: usize = 128;

/// The arithmetic of one element. All functions have to be `#[inline(always)]`.
pub(crate) trait Kernel<F: Copy>: Copy + Send + Sync {
    /// A rough number of nanoseconds for an element.
    fn cost(self) -> f32;
    /// The pair of labels that targets are from, if they have to be.
    fn labels(self) -> Option<BinaryLabels>;
    /// Whether [`ahead`](Self::ahead) is computed of a block of predictions before all else.
    ///
    /// Where a logarithm waits for an exponential, one loop over both has so many operations that the processor sees no
    /// more than two or three turns of it at once, each of which mostly waits.
    const IN_TWO_STEPS: bool = false;

    /// The first step, if there are two.
    #[inline(always)]
    fn ahead(self, prediction: F) -> F {
        prediction
    }

    /// `ahead` is what the first step made of the prediction, the prediction itself if there is one step.
    fn value_and_derivative(self, ahead: F, prediction: F, target: F) -> (F, F);

    /// The same in one go.
    #[inline(always)]
    fn of_one(self, prediction: F, target: F) -> (F, F) {
        self.value_and_derivative(self.ahead(prediction), prediction, target)
    }

    #[inline(always)]
    fn value(self, ahead: F, prediction: F, target: F) -> F {
        self.value_and_derivative(ahead, prediction, target).0
    }

    #[inline(always)]
    fn derivative(self, ahead: F, prediction: F, target: F) -> F {
        self.value_and_derivative(ahead, prediction, target).1
    }
}

/// A kernel as all else sees it: compiled once for a type of floats, whatever the targets and the layout are.
#[doc(hidden)]
pub trait SpanKernel<F>: Sync {
    /// See [`Kernel::cost`].
    fn cost(&self) -> f32;

    /// See [`Kernel::labels`].
    fn labels(&self) -> Option<BinaryLabels>;

    /// Fills the outputs and, where losses are added up, adds the (weighted) losses to the lanes, the first to the first
    /// lane.
    fn run(&self, job: Job<F>, span: Span<'_, F, F>, lanes: &mut Lanes);

    /// Appends the losses or the gradients, without weights, to a vector that has room for them.
    fn append(&self, to: &mut Vec<F>, output: Output, predictions: &[F], targets: Stream<'_, F>);
}

/// What is done with the losses and gradients of all elements, or items.
#[derive(Clone, Copy)]
pub struct Job<F> {
    /// Whether the losses are added up.
    pub(crate) reduce: bool,
    /// Factor of the gradients, where there are no weights.
    pub(crate) scale: F,
    /// Divides the weights before they multiply the gradients.
    pub(crate) divisor: Divisor,
}

impl<F: Float> Job<F> {
    /// Losses and gradients of each, as they are.
    pub(crate) fn each() -> Self {
        Self {
            reduce: false,
            scale: F::one(),
            divisor: Divisor::ONE,
        }
    }
}

/// Contiguous elements, or one for all.
#[derive(Clone, Copy)]
pub enum Stream<'a, T> {
    Slice(&'a [T]),
    Constant(T),
}

impl<'a, T: Copy> Stream<'a, T> {
    pub(super) fn of<D: Dimension>(view: &ArrayView<'a, T, D>) -> Option<Self> {
        if let Some(slice) = view.to_slice() {
            return Some(Self::Slice(slice));
        }
        let constant = view
            .shape()
            .iter()
            .zip(view.strides())
            .all(|(&n, &stride)| n == 1 || stride == 0);
        if constant {
            view.first().copied().map(Self::Constant)
        } else {
            None
        }
    }

    pub(super) fn split_at(self, middle: usize) -> (Self, Self) {
        match self {
            Self::Slice(slice) => {
                let (left, right) = slice.split_at(middle);
                (Self::Slice(left), Self::Slice(right))
            }
            Self::Constant(value) => (Self::Constant(value), Self::Constant(value)),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum WeightStream<'a, F> {
    None,
    Floats(Stream<'a, F>),
    Mask(Stream<'a, bool>),
}

impl<'a, F: Float> WeightStream<'a, F> {
    pub(crate) fn of(weights: &Weights<'a, F>) -> Option<Self> {
        Some(match weights {
            Weights::None => Self::None,
            Weights::Floats(view) => Self::Floats(Stream::of(view)?),
            Weights::Mask(view) => Self::Mask(Stream::of(view)?),
        })
    }

    pub(super) fn split_at(self, middle: usize) -> (Self, Self) {
        match self {
            Self::None => (Self::None, Self::None),
            Self::Floats(stream) => {
                let (left, right) = stream.split_at(middle);
                (Self::Floats(left), Self::Floats(right))
            }
            Self::Mask(stream) => {
                let (left, right) = stream.split_at(middle);
                (Self::Mask(left), Self::Mask(right))
            }
        }
    }
}

/// The operands where all of them are contiguous.
pub struct Span<'a, F, T> {
    pub(crate) size: usize,
    pub(crate) predictions: Option<&'a [F]>,
    pub(crate) targets: Stream<'a, T>,
    pub(crate) weights: WeightStream<'a, F>,
    pub(crate) loss: Option<&'a mut [F]>,
    pub(crate) gradient: Option<&'a mut [F]>,
}

impl<'a, F: Float, T: Copy> Span<'a, F, T> {
    pub(super) fn split_at(self, middle: usize) -> (Self, Self) {
        let (left_targets, right_targets) = self.targets.split_at(middle);
        let (left_weights, right_weights) = self.weights.split_at(middle);
        let (left_predictions, right_predictions) =
            unzip(self.predictions.map(|slice| slice.split_at(middle)));
        let (left_loss, right_loss) = unzip(self.loss.map(|slice| slice.split_at_mut(middle)));
        let (left_gradient, right_gradient) =
            unzip(self.gradient.map(|slice| slice.split_at_mut(middle)));
        (
            Self {
                size: middle,
                predictions: left_predictions,
                targets: left_targets,
                weights: left_weights,
                loss: left_loss,
                gradient: left_gradient,
            },
            Self {
                size: self.size - middle,
                predictions: right_predictions,
                targets: right_targets,
                weights: right_weights,
                loss: right_loss,
                gradient: right_gradient,
            },
        )
    }
}

impl<'a, F, T> Span<'a, F, T> {
    /// The same with other targets.
    pub(super) fn with_targets<'b, U>(self, targets: Stream<'b, U>) -> Span<'b, F, U>
    where
        'a: 'b,
    {
        Span {
            size: self.size,
            predictions: self.predictions,
            targets,
            weights: self.weights,
            loss: self.loss,
            gradient: self.gradient,
        }
    }

    /// The same with other weights.
    pub(super) fn with_weights<'b>(self, weights: WeightStream<'b, F>) -> Span<'b, F, T>
    where
        'a: 'b,
    {
        Span {
            size: self.size,
            predictions: self.predictions,
            targets: self.targets,
            weights,
            loss: self.loss,
            gradient: self.gradient,
        }
    }
}

pub(super) fn unzip<T>(pair: Option<(T, T)>) -> (Option<T>, Option<T>) {
    match pair {
        Some((left, right)) => (Some(left), Some(right)),
        None => (None, None),
    }
}

impl<F: Float, K: Kernel<F>> SpanKernel<F> for K {
    fn cost(&self) -> f32 {
        Kernel::cost(*self)
    }

    fn labels(&self) -> Option<BinaryLabels> {
        Kernel::labels(*self)
    }

    fn run(&self, job: Job<F>, mut span: Span<'_, F, F>, lanes: &mut Lanes) {
        simd::dispatch(Run {
            kernel: *self,
            job: &job,
            span: &mut span,
            lanes,
        });
    }

    fn append(&self, to: &mut Vec<F>, output: Output, predictions: &[F], targets: Stream<'_, F>) {
        simd::dispatch(Append {
            to,
            kernel: *self,
            output,
            predictions,
            targets,
        });
    }
}

struct Append<'a, F, K> {
    to: &'a mut Vec<F>,
    kernel: K,
    output: Output,
    predictions: &'a [F],
    targets: Stream<'a, F>,
}

impl<F: Float, K: Kernel<F>> simd::Work for Append<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let kernel = self.kernel;
        let mut room = Lines([F::zero(); BLOCK]);
        let (mut target_block, mut ahead_block) = (Spare(None), Spare(None));
        let mut start = 0;
        for predictions in self.predictions.chunks(BLOCK) {
            let end = start + predictions.len();
            let targets = match self.targets {
                Stream::Constant(target) => target_block.filled(predictions.len(), target),
                Stream::Slice(slice) => &slice[start..end],
            };
            let block = &mut room.0[..predictions.len()];
            let inputs = BlockInputs::new(kernel, predictions, targets, &mut ahead_block);
            match self.output {
                Output::Losses => inputs.values(block),
                Output::Gradients => inputs.derivatives(block, F::one()),
            }
            self.to.extend_from_slice(block);
            start = end;
        }
    }
}

/// What the arithmetic sees at once.
struct BlockInputs<'b, F, K> {
    kernel: K,
    /// Nothing if all is done in one step.
    ahead: &'b [F],
    predictions: &'b [F],
    targets: &'b [F],
}

impl<'b, F: Float, K: Kernel<F>> BlockInputs<'b, F, K> {
    /// The first step, if there are two.
    #[inline(always)]
    fn new(kernel: K, predictions: &'b [F], targets: &'b [F], room: &'b mut Spare<F>) -> Self {
        let mut ahead: &[F] = &[];
        if K::IN_TWO_STEPS {
            let to = room.get(predictions.len());
            for (to, &p) in to.iter_mut().zip(predictions) {
                *to = kernel.ahead(p);
            }
            ahead = to;
        }
        Self {
            kernel,
            ahead,
            predictions,
            targets,
        }
    }

    #[inline(always)]
    fn values(&self, to: &mut [F]) {
        let inputs = self.predictions.iter().zip(self.targets);
        if K::IN_TWO_STEPS {
            for (l, (&a, (&p, &t))) in to.iter_mut().zip(self.ahead.iter().zip(inputs)) {
                *l = self.kernel.value(a, p, t);
            }
        } else {
            for (l, (&p, &t)) in to.iter_mut().zip(inputs) {
                *l = self.kernel.value(p, p, t);
            }
        }
    }

    #[inline(always)]
    fn derivatives(&self, to: &mut [F], scale: F) {
        let inputs = self.predictions.iter().zip(self.targets);
        if K::IN_TWO_STEPS {
            for (g, (&a, (&p, &t))) in to.iter_mut().zip(self.ahead.iter().zip(inputs)) {
                *g = self.kernel.derivative(a, p, t) * scale;
            }
        } else {
            for (g, (&p, &t)) in to.iter_mut().zip(inputs) {
                *g = self.kernel.derivative(p, p, t) * scale;
            }
        }
    }

    #[inline(always)]
    fn both(&self, loss: &mut [F], gradient: &mut [F], scale: F) {
        let inputs = self.predictions.iter().zip(self.targets);
        let outputs = loss.iter_mut().zip(gradient);
        if K::IN_TWO_STEPS {
            for ((l, g), (&a, (&p, &t))) in outputs.zip(self.ahead.iter().zip(inputs)) {
                let (value, derivative) = self.kernel.value_and_derivative(a, p, t);
                *l = value;
                *g = derivative * scale;
            }
        } else {
            for ((l, g), (&p, &t)) in outputs.zip(inputs) {
                let (value, derivative) = self.kernel.value_and_derivative(p, p, t);
                *l = value;
                *g = derivative * scale;
            }
        }
    }
}

/// Room for a block, made when it is first needed: most calls need little of it.
struct Spare<F>(Option<Lines<[F; BLOCK]>>);

impl<F: Float> Spare<F> {
    #[inline(always)]
    fn get(&mut self, n: usize) -> &mut [F] {
        let Lines(block) = match &mut self.0 {
            Some(lines) => lines,
            none => none.insert(Lines([F::zero(); BLOCK])),
        };
        &mut block[..n]
    }

    #[inline(always)]
    fn filled(&mut self, n: usize, value: F) -> &[F] {
        let block = self.get(n);
        block.fill(value);
        block
    }
}

struct Run<'a, 'b, F, K> {
    kernel: K,
    /// Neither is moved, for the reason that [`dispatch`](simd::dispatch) has.
    job: &'b Job<F>,
    span: &'b mut Span<'a, F, F>,
    lanes: &'b mut Lanes,
}

impl<F: Float, K: Kernel<F>> simd::Work for Run<'_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let Self {
            kernel,
            job,
            span,
            lanes,
        } = self;
        let (kernel, job) = (*kernel, **job);
        let (size, all_predictions) = (span.size, span.predictions);
        let (all_targets, all_weights) = (span.targets, span.weights);
        let (mut prediction_block, mut target_block) = (Spare(None), Spare(None));
        let (mut weight_block, mut loss_block) = (Spare(None), Spare(None));
        let mut ahead_block = Spare(None);
        if let Stream::Constant(target) = all_targets {
            target_block.get(BLOCK).fill(target);
        }
        let (mut loss_out, mut gradient_out) = (span.loss.take(), span.gradient.take());
        let of_kept = F::coefficient(F::one(), job.divisor);
        // One pass over slices leaves nothing in between.
        let single_pass = !K::IN_TWO_STEPS
            && matches!(all_targets, Stream::Slice(_))
            && matches!(all_weights, WeightStream::None)
            && all_predictions.is_some()
            && !job.reduce;
        let at_once = if single_pass { size } else { BLOCK };
        let mut start = 0;
        while start < size {
            let end = start.saturating_add(at_once).min(size);
            let n = end - start;
            let targets = match all_targets {
                Stream::Constant(_) => target_block.get(n),
                Stream::Slice(slice) => &slice[start..end],
            };
            let mut gradient = gradient_out.as_deref_mut().map(|out| &mut out[start..end]);
            let predictions = match (all_predictions, gradient.as_deref()) {
                (Some(slice), _) => &slice[start..end],
                (None, Some(in_place)) => {
                    let copy = prediction_block.get(n);
                    copy.copy_from_slice(in_place);
                    copy
                }
                (None, None) => prediction_block.get(n),
            };
            let loss = match loss_out.as_deref_mut() {
                Some(out) => Some(&mut out[start..end]),
                None if job.reduce => Some(loss_block.get(n)),
                None => None,
            };
            let inputs = BlockInputs::new(kernel, predictions, targets, &mut ahead_block);
            let loss = match (loss, &mut gradient) {
                (Some(loss), Some(gradient)) => {
                    inputs.both(loss, gradient, job.scale);
                    Some(loss)
                }
                (Some(loss), None) => {
                    inputs.values(loss);
                    Some(loss)
                }
                (None, Some(gradient)) => {
                    inputs.derivatives(gradient, job.scale);
                    None
                }
                (None, None) => None,
            };
            let loss = loss.filter(|_| job.reduce);
            match all_weights {
                WeightStream::None => {
                    if let Some(loss) = loss {
                        F::accumulate(lanes, loss);
                    }
                }
                WeightStream::Mask(Stream::Slice(slice)) => {
                    let (mask, room) = (&slice[start..end], weight_block.get(n));
                    keep(lanes, loss, gradient, mask, of_kept, room);
                }
                WeightStream::Floats(stream) => {
                    let weights = match stream {
                        Stream::Slice(slice) => &slice[start..end],
                        Stream::Constant(weight) => weight_block.filled(n, weight),
                    };
                    weigh(lanes, loss, gradient, weights, job.divisor);
                }
                WeightStream::Mask(Stream::Constant(keep)) => {
                    let weights = weight_block.filled(n, of_mask(keep));
                    weigh(lanes, loss, gradient, weights, job.divisor);
                }
            }
            start = end;
        }
    }
}

/// Adds up losses under a mask, and multiplies their gradients by a factor.
#[inline(always)]
fn keep<F: Float>(
    lanes: &mut Lanes,
    loss: Option<&mut [F]>,
    gradient: Option<&mut [F]>,
    mask: &[bool],
    factor: F,
    room: &mut [F],
) {
    if let Some(gradient) = gradient {
        for (g, &keep) in gradient.iter_mut().zip(mask) {
            *g = if keep { *g * factor } else { F::zero() };
        }
    }
    if let Some(loss) = loss {
        for (kept, (&l, &keep)) in room.iter_mut().zip(loss.iter().zip(mask)) {
            *kept = if keep { l } else { F::zero() };
        }
        F::accumulate(lanes, room);
    }
}

/// Adds up weighted losses, and weighs their gradients.
#[inline(always)]
fn weigh<F: Float>(
    lanes: &mut Lanes,
    loss: Option<&mut [F]>,
    gradient: Option<&mut [F]>,
    weights: &[F],
    divisor: Divisor,
) {
    if let Some(gradient) = gradient {
        F::weigh(gradient, weights, divisor);
    }
    if let Some(loss) = loss {
        F::accumulate_weighted(lanes, loss, weights);
    }
}
