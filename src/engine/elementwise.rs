//! Element-wise work: any layout in, a kernel that only ever sees contiguous slices.
//!
//! Where every operand is contiguous in the same order, a chunk is a slice of each. Otherwise the axes are put into
//! the order of memory, and a chunk is a tile, small in every direction that is contiguous for one of the operands,
//! which is copied to the stack and back.

use ndarray::{ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Axis, IxDyn, Zip};
use pulp::NullaryFnOnce;

use super::parallel::{self, CHUNK, Divisible};
use super::reduce::{Lanes, Pair};
use super::simd;
use crate::BinaryLabels;
use crate::float::{Float, Target};

/// How many elements the kernel sees at once; what lies between its passes stays in the first-level cache.
const BLOCK: usize = 512;

/// The elements of a tile at most.
const TILE: usize = 1024;

/// The arithmetic of one element. All functions have to be `#[inline(always)]`.
pub(crate) trait Kernel<F>: Copy + Send + Sync {
    fn value(self, prediction: F, target: F) -> F;
    fn derivative(self, prediction: F, target: F) -> F;
    fn value_and_derivative(self, prediction: F, target: F) -> (F, F);
}

/// Weights of the elements, broadcast to their shape.
#[derive(Clone)]
pub(crate) enum Weights<'a, F> {
    None,
    Floats(ArrayViewD<'a, F>),
    Mask(ArrayViewD<'a, bool>),
}

/// What is the same for all elements.
#[derive(Clone, Copy)]
pub(crate) struct Job<F, K> {
    pub(crate) kernel: K,
    /// How the kernel's `bool` targets are written.
    pub(crate) pair: Option<BinaryLabels>,
    /// Whether the losses are added up.
    pub(crate) reduce: bool,
    /// Factor of the gradients, where there are no weights.
    pub(crate) scale: F,
    /// Divides the weights before they multiply the gradients.
    pub(crate) divisor: Pair,
    /// A rough number of nanoseconds for an element.
    pub(crate) cost: f32,
}

/// The arrays, all of one shape.
pub(crate) struct Operands<'a, F, T> {
    /// Absent where they lie in the buffer of the gradient.
    pub(crate) predictions: Option<ArrayViewD<'a, F>>,
    pub(crate) targets: ArrayViewD<'a, T>,
    pub(crate) weights: Weights<'a, F>,
    pub(crate) loss: Option<ArrayViewMutD<'a, F>>,
    pub(crate) gradient: Option<ArrayViewMutD<'a, F>>,
}

/// Fills the outputs and returns the (weighted) sum of the losses.
pub(crate) fn run<F: Float, T: Target<F>, K: Kernel<F>>(
    mut operands: Operands<'_, F, T>,
    job: Job<F, K>,
) -> Pair {
    if !operands.in_row_major_order() {
        operands.order_axes();
    }
    match operands.into_span() {
        Ok(span) => parallel::run(Spanning { span, job }, job.cost),
        Err(operands) => parallel::run(Tiling { operands, job }, job.cost),
    }
}

/// Contiguous elements, or one for all.
#[derive(Clone, Copy)]
enum Stream<'a, T> {
    Slice(&'a [T]),
    Constant(T),
}

impl<'a, T: Copy> Stream<'a, T> {
    fn of(view: &ArrayViewD<'a, T>) -> Option<Self> {
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

    fn split_at(self, middle: usize) -> (Self, Self) {
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
enum WeightStream<'a, F> {
    None,
    Floats(Stream<'a, F>),
    Mask(Stream<'a, bool>),
}

impl<'a, F: Float> WeightStream<'a, F> {
    fn of(weights: &Weights<'a, F>) -> Option<Self> {
        Some(match weights {
            Weights::None => Self::None,
            Weights::Floats(view) => Self::Floats(Stream::of(view)?),
            Weights::Mask(view) => Self::Mask(Stream::of(view)?),
        })
    }

    fn split_at(self, middle: usize) -> (Self, Self) {
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
struct Span<'a, F, T> {
    size: usize,
    predictions: Option<&'a [F]>,
    targets: Stream<'a, T>,
    weights: WeightStream<'a, F>,
    loss: Option<&'a mut [F]>,
    gradient: Option<&'a mut [F]>,
}

impl<F: Float, T: Copy> Span<'_, F, T> {
    fn split_at(self, middle: usize) -> (Self, Self) {
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

pub(super) fn unzip<T>(pair: Option<(T, T)>) -> (Option<T>, Option<T>) {
    match pair {
        Some((left, right)) => (Some(left), Some(right)),
        None => (None, None),
    }
}

struct Spanning<'a, F, T, K> {
    span: Span<'a, F, T>,
    job: Job<F, K>,
}

impl<F: Float, T: Target<F>, K: Kernel<F>> Divisible for Spanning<'_, F, T, K> {
    fn size(&self) -> usize {
        self.span.size
    }

    /// The left half is the largest power of two of chunks.
    fn divide(self) -> Result<(Self, Self), Self> {
        if self.span.size <= CHUNK {
            return Err(self);
        }
        let chunks = self.span.size.div_ceil(CHUNK);
        let middle = CHUNK * (chunks.next_power_of_two() / 2);
        let (left, right) = self.span.split_at(middle);
        let job = self.job;
        Ok((Self { span: left, job }, Self { span: right, job }))
    }

    fn run(self) -> Pair {
        simd::dispatch(self)
    }
}

impl<F: Float, T: Target<F>, K: Kernel<F>> NullaryFnOnce for Spanning<'_, F, T, K> {
    type Output = Pair;

    #[inline(always)]
    fn call(self) -> Pair {
        let Self { span, job } = self;
        let mut lanes = Lanes::ZERO;
        let lanes = lanes.in_memory();
        let mut prediction_block = [F::zero(); BLOCK];
        let mut target_block = [F::zero(); BLOCK];
        let mut weight_block = [F::zero(); BLOCK];
        let mut loss_block = [F::zero(); BLOCK];
        if let Stream::Constant(target) = span.targets {
            target_block.fill(target.to_float(job.pair));
        }
        let (mut loss_out, mut gradient_out) = (span.loss, span.gradient);
        let mut start = 0;
        while start < span.size {
            let end = (start + BLOCK).min(span.size);
            let n = end - start;
            let targets = match span.targets {
                Stream::Constant(_) => &target_block[..n],
                Stream::Slice(slice) => match T::as_floats(&slice[start..end]) {
                    Some(floats) => floats,
                    None => {
                        for (block, &t) in target_block.iter_mut().zip(&slice[start..end]) {
                            *block = t.to_float(job.pair);
                        }
                        &target_block[..n]
                    }
                },
            };
            let mut gradient = gradient_out.as_deref_mut().map(|out| &mut out[start..end]);
            let predictions = match (span.predictions, gradient.as_deref()) {
                (Some(slice), _) => &slice[start..end],
                (None, Some(in_place)) => {
                    prediction_block[..n].copy_from_slice(in_place);
                    &prediction_block[..n]
                }
                (None, None) => &prediction_block[..n],
            };
            let loss = match loss_out.as_deref_mut() {
                Some(out) => Some(&mut out[start..end]),
                None if job.reduce => Some(&mut loss_block[..n]),
                None => None,
            };
            let loss = match (loss, &mut gradient) {
                (Some(loss), Some(gradient)) => {
                    let inputs = predictions.iter().zip(targets);
                    for ((l, g), (&p, &t)) in loss.iter_mut().zip(gradient.iter_mut()).zip(inputs) {
                        let (value, derivative) = job.kernel.value_and_derivative(p, t);
                        *l = value;
                        *g = derivative * job.scale;
                    }
                    Some(loss)
                }
                (Some(loss), None) => {
                    for (l, (&p, &t)) in loss.iter_mut().zip(predictions.iter().zip(targets)) {
                        *l = job.kernel.value(p, t);
                    }
                    Some(loss)
                }
                (None, Some(gradient)) => {
                    for (g, (&p, &t)) in gradient.iter_mut().zip(predictions.iter().zip(targets)) {
                        *g = job.kernel.derivative(p, t) * job.scale;
                    }
                    None
                }
                (None, None) => None,
            };
            let weights = match span.weights {
                WeightStream::None => None,
                WeightStream::Floats(Stream::Slice(slice)) => Some(&slice[start..end]),
                WeightStream::Floats(Stream::Constant(weight)) => {
                    weight_block[..n].fill(weight);
                    Some(&weight_block[..n])
                }
                WeightStream::Mask(Stream::Slice(slice)) => {
                    for (block, &keep) in weight_block.iter_mut().zip(&slice[start..end]) {
                        *block = if keep { F::one() } else { F::zero() };
                    }
                    Some(&weight_block[..n])
                }
                WeightStream::Mask(Stream::Constant(keep)) => {
                    weight_block[..n].fill(if keep { F::one() } else { F::zero() });
                    Some(&weight_block[..n])
                }
            };
            if let (Some(gradient), Some(weights)) = (gradient, weights) {
                for (g, &w) in gradient.iter_mut().zip(weights) {
                    let weighted = *g * F::coefficient(w, job.divisor);
                    *g = if w == F::zero() { F::zero() } else { weighted };
                }
            }
            match (loss, weights) {
                (Some(loss), None) if job.reduce => F::accumulate(lanes, loss),
                (Some(loss), Some(weights)) if job.reduce => {
                    F::accumulate_weighted(lanes, loss, weights);
                }
                _ => {}
            }
            start = end;
        }
        if job.reduce {
            lanes.total()
        } else {
            Pair::ZERO
        }
    }
}

impl<'a, F: Float, T: Target<F>> Operands<'a, F, T> {
    fn shape(&self) -> &[usize] {
        self.targets.shape()
    }

    /// The strides of the operands that have a layout of their own, outputs first.
    fn each_strides(&self) -> impl Iterator<Item = &[isize]> {
        let outputs = self.loss.iter().chain(&self.gradient);
        let weights = match &self.weights {
            Weights::None => None,
            Weights::Floats(view) => Some(view.strides()),
            Weights::Mask(view) => Some(view.strides()),
        };
        outputs
            .map(|view| view.strides())
            .chain(self.predictions.iter().map(|view| view.strides()))
            .chain([self.targets.strides()])
            .chain(weights)
    }

    fn in_row_major_order(&self) -> bool {
        let main = match (&self.predictions, &self.gradient) {
            (Some(predictions), _) => predictions.is_standard_layout(),
            (None, Some(gradient)) => gradient.is_standard_layout(),
            (None, None) => true,
        };
        main && self.loss.iter().all(|view| view.is_standard_layout())
            && self.gradient.iter().all(|view| view.is_standard_layout())
    }

    /// Applies the same change of axes to all.
    fn change_axes(self, change: &impl Change) -> Self {
        Self {
            predictions: self.predictions.map(|view| change.view(view)),
            targets: change.view(self.targets),
            weights: match self.weights {
                Weights::None => Weights::None,
                Weights::Floats(view) => Weights::Floats(change.view(view)),
                Weights::Mask(view) => Weights::Mask(change.view(view)),
            },
            loss: self.loss.map(|view| change.view_mut(view)),
            gradient: self.gradient.map(|view| change.view_mut(view)),
        }
    }

    /// Puts the axes into the order of memory of the first operand that moves along them, the fastest last, and turns
    /// those round that run backwards.
    fn order_axes(&mut self) {
        let ndim = self.shape().len();
        let leading = |axis: usize| {
            self.each_strides()
                .map(|strides| strides[axis])
                .find(|&stride| stride != 0)
                .unwrap_or(0)
        };
        let backwards: Vec<usize> = (0..ndim).filter(|&axis| leading(axis) < 0).collect();
        let mut order: Vec<usize> = (0..ndim).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(leading(axis).unsigned_abs()));
        let empty = Self {
            predictions: None,
            targets: self.targets.clone(),
            weights: Weights::None,
            loss: None,
            gradient: None,
        };
        let operands = std::mem::replace(self, empty);
        *self = operands.change_axes(&Reorder { order, backwards });
    }

    fn into_span(self) -> Result<Span<'a, F, T>, Self> {
        let contiguous = self.loss.iter().all(|view| view.is_standard_layout())
            && self.gradient.iter().all(|view| view.is_standard_layout())
            && self
                .predictions
                .iter()
                .all(|view| view.is_standard_layout());
        let (Some(targets), Some(weights)) =
            (Stream::of(&self.targets), WeightStream::of(&self.weights))
        else {
            return Err(self);
        };
        if !contiguous {
            return Err(self);
        }
        Ok(Span {
            size: self.targets.len(),
            predictions: self.predictions.and_then(|view| view.to_slice()),
            targets,
            weights,
            loss: self.loss.and_then(ArrayViewMut::into_slice),
            gradient: self.gradient.and_then(ArrayViewMut::into_slice),
        })
    }

    /// The axis to divide next. Where one axis is the fastest for all, it is kept whole the longest.
    fn axis_to_divide(&self) -> usize {
        let shape = self.shape();
        let mut fastest = self.each_strides().map(|strides| {
            (0..shape.len())
                .filter(|&axis| shape[axis] > 1 && strides[axis] != 0)
                .min_by_key(|&axis| strides[axis].unsigned_abs())
        });
        let first = fastest.find_map(|axis| axis);
        let common = fastest.all(|axis| axis.is_none() || axis == first);
        let axes = 0..shape.len();
        if common {
            axes.clone()
                .find(|&axis| shape[axis] > 1 && Some(axis) != first)
                .or(first)
                .unwrap_or(0)
        } else {
            axes.max_by_key(|&axis| shape[axis]).unwrap_or(0)
        }
    }

    fn split_at(self, axis: Axis, middle: usize) -> (Self, Self) {
        let (left_predictions, right_predictions) =
            unzip(self.predictions.map(|view| view.split_at(axis, middle)));
        let (left_targets, right_targets) = self.targets.split_at(axis, middle);
        let (left_weights, right_weights) = match self.weights {
            Weights::None => (Weights::None, Weights::None),
            Weights::Floats(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Weights::Floats(left), Weights::Floats(right))
            }
            Weights::Mask(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Weights::Mask(left), Weights::Mask(right))
            }
        };
        let (left_loss, right_loss) = unzip(self.loss.map(|view| view.split_at(axis, middle)));
        let (left_gradient, right_gradient) =
            unzip(self.gradient.map(|view| view.split_at(axis, middle)));
        (
            Self {
                predictions: left_predictions,
                targets: left_targets,
                weights: left_weights,
                loss: left_loss,
                gradient: left_gradient,
            },
            Self {
                predictions: right_predictions,
                targets: right_targets,
                weights: right_weights,
                loss: right_loss,
                gradient: right_gradient,
            },
        )
    }
}

trait Change {
    fn view<'a, A>(&self, view: ArrayViewD<'a, A>) -> ArrayViewD<'a, A>;
    fn view_mut<'a, A>(&self, view: ArrayViewMutD<'a, A>) -> ArrayViewMutD<'a, A>;
}

struct Reorder {
    order: Vec<usize>,
    backwards: Vec<usize>,
}

impl Change for Reorder {
    fn view<'a, A>(&self, mut view: ArrayViewD<'a, A>) -> ArrayViewD<'a, A> {
        for &axis in &self.backwards {
            view.invert_axis(Axis(axis));
        }
        view.permuted_axes(IxDyn(&self.order))
    }

    fn view_mut<'a, A>(&self, mut view: ArrayViewMutD<'a, A>) -> ArrayViewMutD<'a, A> {
        for &axis in &self.backwards {
            view.invert_axis(Axis(axis));
        }
        view.permuted_axes(IxDyn(&self.order))
    }
}

struct Tiling<'a, F, T, K> {
    operands: Operands<'a, F, T>,
    job: Job<F, K>,
}

impl<F: Float, T: Target<F>, K: Kernel<F>> Divisible for Tiling<'_, F, T, K> {
    fn size(&self) -> usize {
        self.operands.targets.len()
    }

    fn divide(self) -> Result<(Self, Self), Self> {
        if self.size() <= TILE {
            return Err(self);
        }
        let axis = self.operands.axis_to_divide();
        let middle = self.operands.shape()[axis].next_power_of_two() / 2;
        let (left, right) = self.operands.split_at(Axis(axis), middle);
        let job = self.job;
        Ok((
            Self {
                operands: left,
                job,
            },
            Self {
                operands: right,
                job,
            },
        ))
    }

    fn run(self) -> Pair {
        let Self { operands, job } = self;
        let size = operands.targets.len();
        let dim = operands.targets.raw_dim();
        let mut prediction_tile = [F::zero(); TILE];
        let mut target_tile = [F::zero(); TILE];
        let mut weight_tile = [F::zero(); TILE];
        let mut loss_tile = [F::zero(); TILE];
        let mut gradient_tile = [F::zero(); TILE];

        let in_place = operands.predictions.is_none();
        if let Some(view) = &operands.predictions {
            gather(view, &mut prediction_tile[..size], &dim, |x| x);
        }
        gather(&operands.targets, &mut target_tile[..size], &dim, |t: T| {
            t.to_float(job.pair)
        });
        let weights = match &operands.weights {
            Weights::None => WeightStream::None,
            Weights::Floats(view) => {
                gather(view, &mut weight_tile[..size], &dim, |w| w);
                WeightStream::Floats(Stream::Slice(&weight_tile[..size]))
            }
            Weights::Mask(view) => {
                let one_or_zero = |keep| if keep { F::one() } else { F::zero() };
                gather(view, &mut weight_tile[..size], &dim, one_or_zero);
                WeightStream::Floats(Stream::Slice(&weight_tile[..size]))
            }
        };
        if let (true, Some(view)) = (in_place, &operands.gradient) {
            gather(&view.view(), &mut gradient_tile[..size], &dim, |x| x);
        }
        let span = Span {
            size,
            predictions: (!in_place).then_some(&prediction_tile[..size]),
            targets: Stream::Slice(&target_tile[..size]),
            weights,
            loss: operands.loss.is_some().then_some(&mut loss_tile[..size]),
            gradient: operands
                .gradient
                .is_some()
                .then_some(&mut gradient_tile[..size]),
        };
        let sum = simd::dispatch(Spanning::<F, F, K> { span, job });
        if let Some(view) = operands.loss {
            scatter(&loss_tile[..size], view, &dim);
        }
        if let Some(view) = operands.gradient {
            scatter(&gradient_tile[..size], view, &dim);
        }
        sum
    }
}

/// Copies a tile to a slice in row-major order.
fn gather<A: Copy, F: Float>(
    from: &ArrayViewD<'_, A>,
    to: &mut [F],
    dim: &IxDyn,
    convert: impl Fn(A) -> F,
) {
    // The sizes are the same: this cannot fail.
    if let Ok(to) = ArrayViewMut::from_shape(dim.clone(), to) {
        Zip::from(to).and(from).for_each(|to, &x| *to = convert(x));
    }
}

fn scatter<F: Float>(from: &[F], mut to: ArrayViewMutD<'_, F>, dim: &IxDyn) {
    if let Ok(from) = ArrayView::from_shape(dim.clone(), from) {
        to.assign(&from);
    }
}
