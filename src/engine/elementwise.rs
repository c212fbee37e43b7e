//! Element-wise work: any layout in, a kernel that only ever sees contiguous slices.
//!
//! Where every operand is contiguous in the same order, a chunk is a slice of each. Otherwise the axes are put into
//! the order of memory and the work is done in [`tiles`](super::tiles). Targets of other types become floats on the
//! way.

use ndarray::{ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Axis, Dimension, IxDyn};

use super::parallel::{self, CHUNK, Divisible};
use super::reduce::{Lanes, Pair};
use super::repeated::Repeated;
use super::simd::{self, Lines};
use super::span::{Job, Span, SpanKernel, Stream, WeightStream, unzip};
use super::tiles::Tiling;
use crate::BinaryLabels;
use crate::float::{Float, Target};

/// How many targets are converted at once.
pub(super) const AT_ONCE: usize = 1024;
/// How many times as long as high the parts are where operands lie along different axes: those that lie along the
/// first are read and written in long runs, and a line of the others has room for several rows.
const BREADTH: usize = 8;

/// Weights of the elements, broadcast to their shape.
#[derive(Clone)]
pub(crate) enum Weights<'a, F, D = IxDyn> {
    None,
    Floats(ArrayView<'a, F, D>),
    Mask(ArrayView<'a, bool, D>),
}

/// What a mask keeps has weight 1.
#[inline(always)]
pub(super) fn of_mask<F: Float>(keep: bool) -> F {
    if keep { F::one() } else { F::zero() }
}

impl<'a, F, D: Dimension> Weights<'a, F, D> {
    pub(super) fn reborrow<'b>(self) -> Weights<'b, F, D>
    where
        'a: 'b,
    {
        match self {
            Weights::None => Weights::None,
            Weights::Floats(view) => Weights::Floats(view.reborrow()),
            Weights::Mask(view) => Weights::Mask(view.reborrow()),
        }
    }

    pub(super) fn split_at(self, axis: Axis, middle: usize) -> (Self, Self) {
        match self {
            Weights::None => (Weights::None, Weights::None),
            Weights::Floats(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Weights::Floats(left), Weights::Floats(right))
            }
            Weights::Mask(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Weights::Mask(left), Weights::Mask(right))
            }
        }
    }
}

/// The arrays, all of one shape.
#[doc(hidden)]
pub struct Operands<'a, F, T, D = IxDyn> {
    /// Absent where they lie in the buffer of the gradient.
    pub(crate) predictions: Option<ArrayView<'a, F, D>>,
    pub(crate) targets: ArrayView<'a, T, D>,
    pub(crate) weights: Weights<'a, F, D>,
    pub(crate) loss: Option<ArrayViewMut<'a, F, D>>,
    pub(crate) gradient: Option<ArrayViewMut<'a, F, D>>,
}

/// What the traversal knows of the work.
#[derive(Clone, Copy)]
pub(super) struct Work<'k, F> {
    kernel: &'k dyn SpanKernel<F>,
    job: Job<F>,
    /// How `bool` targets are written as numbers.
    pub(super) pair: Option<BinaryLabels>,
}

impl<'k, F: Float> Work<'k, F> {
    fn new(kernel: &'k dyn SpanKernel<F>, job: Job<F>) -> Self {
        let pair = kernel.labels();
        Self { kernel, job, pair }
    }

    pub(super) fn run(self, span: Span<'_, F, F>, lanes: &mut Lanes) {
        self.kernel.run(self.job, span, lanes);
    }
}

/// Fills the outputs and returns the (weighted) sum of the losses.
///
/// This is what [`Target::traverse`] and [`Compiled::traverse`](super::compiled::Compiled::traverse) come to.
pub(crate) fn traverse<F: Float, T: Target<F>>(
    mut operands: Operands<'_, F, T>,
    kernel: &dyn SpanKernel<F>,
    job: Job<F>,
) -> Pair {
    if !operands.in_row_major_order() {
        operands.order_axes();
    }
    let (cost, work) = (kernel.cost(), Work::new(kernel, job));
    match operands.into_span() {
        Ok((span, repeated)) => {
            let mut spanning = Spanning::new(span, work);
            if repeated.is_some() {
                // There is room for copies of so many.
                spanning.leaf = CHUNK;
                spanning.repeated = repeated;
            }
            parallel::run(spanning, cost)
        }
        Err(operands) => parallel::run(Tiling::new(operands, work), cost),
    }
}

/// The same of contiguous arrays.
pub(crate) fn run_contiguous<F: Float, T: Target<F>>(
    span: Span<'_, F, T>,
    kernel: &dyn SpanKernel<F>,
    job: Job<F>,
) -> Pair {
    parallel::run(Spanning::new(span, Work::new(kernel, job)), kernel.cost())
}

/// Large work that adds up nothing has so many leaves for each thread, or twice as many: between two, its streams of memory
/// come to a halt.
const LEAVES: usize = 128;

/// Contiguous operands and what is done with them.
pub(super) struct Spanning<'a, 'k, F, T> {
    span: Span<'a, F, T>,
    /// The weights, where they are not contiguous as well; the span has none then.
    repeated: Option<Repeated<'a, F>>,
    work: Work<'k, F>,
    /// How many elements a leaf has: [`CHUNK`] where losses are added up, and no more where weights are copied.
    leaf: usize,
}

impl<F: Float, T: Target<F>> Divisible for Spanning<'_, '_, F, T> {
    fn size(&self) -> usize {
        self.span.size
    }

    /// The left half is the largest power of two of leaves.
    fn divide(self) -> Result<(Self, Self), Self> {
        if self.span.size <= self.leaf {
            return Err(self);
        }
        let leaves = self.span.size.div_ceil(self.leaf);
        let middle = self.leaf * (leaves.next_power_of_two() / 2);
        let (left, right) = self.span.split_at(middle);
        let (left_repeated, right_repeated) =
            unzip(self.repeated.map(|weights| weights.split_at(middle)));
        Ok((
            Self {
                span: left,
                repeated: left_repeated,
                ..self
            },
            Self {
                span: right,
                repeated: right_repeated,
                ..self
            },
        ))
    }

    fn run(mut self) -> Pair {
        match self.repeated.take() {
            None => self.leaf(),
            Some(repeated) => self.weighted_leaf(&repeated),
        }
    }
}

impl<'a, 'k, F: Float, T: Target<F>> Spanning<'a, 'k, F, T> {
    pub(super) fn new(span: Span<'a, F, T>, work: Work<'k, F>) -> Self {
        let chunks = span.size / CHUNK;
        let leaf = if work.job.reduce || chunks < LEAVES {
            CHUNK
        } else {
            CHUNK * (chunks / (LEAVES * parallel::threads())).max(1)
        };
        Self {
            span,
            repeated: None,
            work,
            leaf,
        }
    }

    /// A leaf whose weights are copied.
    #[inline(never)] // its frame is large
    fn weighted_leaf(self, repeated: &Repeated<'_, F>) -> Pair {
        let mut copy = Lines([F::zero(); CHUNK]);
        let weights = &mut copy.0[..self.span.size];
        repeated.fill(weights);
        let weights = WeightStream::Floats(Stream::Slice(weights));
        Spanning::new(self.span.with_weights(weights), self.work).leaf()
    }

    pub(super) fn leaf(self) -> Pair {
        let mut lanes = Lanes::ZERO;
        let (work, reduces) = (self.work, self.work.job.reduce);
        match self.span.targets {
            Stream::Constant(target) => {
                let target = Stream::Constant(target.to_float(work.pair));
                work.run(self.span.with_targets(target), &mut lanes);
            }
            Stream::Slice(targets) => match T::as_floats(targets) {
                Some(floats) => {
                    let span = self.span.with_targets(Stream::Slice(floats));
                    work.run(span, &mut lanes);
                }
                None => self.convert(targets, &mut lanes),
            },
        }
        if reduces { lanes.total() } else { Pair::ZERO }
    }

    /// Converts the targets piece by piece.
    fn convert(self, targets: &[T], lanes: &mut Lanes) {
        let mut room = Lines([F::zero(); AT_ONCE]);
        let mut rest = self.span;
        for targets in targets.chunks(AT_ONCE) {
            let (span, behind) = rest.split_at(targets.len());
            rest = behind;
            let floats = to_floats(targets, self.work.pair, &mut room);
            let span = span.with_targets(Stream::Slice(floats));
            self.work.run(span, lanes);
        }
    }
}

/// At most [`AT_ONCE`] targets as floats.
pub(super) fn to_floats<'a, F: Float, T: Target<F>>(
    targets: &[T],
    pair: Option<BinaryLabels>,
    room: &'a mut Lines<[F; AT_ONCE]>,
) -> &'a [F] {
    let floats = &mut room.0[..targets.len()];
    simd::dispatch(Converting {
        targets,
        pair,
        floats,
    });
    floats
}

struct Converting<'a, 'b, F, T> {
    targets: &'a [T],
    pair: Option<BinaryLabels>,
    floats: &'b mut [F],
}

impl<F: Float, T: Target<F>> simd::Work for Converting<'_, '_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        for (float, &t) in self.floats.iter_mut().zip(self.targets) {
            *float = t.to_float(self.pair);
        }
    }
}

impl<F: Float, T: Target<F>, D: Dimension> Operands<'_, F, T, D> {
    pub(super) fn shape(&self) -> &[usize] {
        self.targets.shape()
    }

    /// The strides of the operands that have a layout of their own, outputs first.
    pub(super) fn each_strides(&self) -> impl Iterator<Item = &[isize]> {
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
}

impl<'a, F: Float, T: Target<F>> Operands<'a, F, T> {
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

    /// Slices of all; of the weights, where they repeat, that instead.
    fn into_span(self) -> Result<(Span<'a, F, T>, Option<Repeated<'a, F>>), Self> {
        let contiguous = self.loss.iter().all(|view| view.is_standard_layout())
            && self.gradient.iter().all(|view| view.is_standard_layout())
            && self
                .predictions
                .iter()
                .all(|view| view.is_standard_layout());
        let Some(targets) = Stream::of(&self.targets).filter(|_| contiguous) else {
            return Err(self);
        };
        let (weights, repeated) = match WeightStream::of(&self.weights) {
            Some(weights) => (weights, None),
            None => match Repeated::of(&self.weights) {
                Some(repeated) => (WeightStream::None, Some(repeated)),
                None => return Err(self),
            },
        };
        let span = Span {
            size: self.targets.len(),
            predictions: self.predictions.and_then(|view| view.to_slice()),
            targets,
            weights,
            loss: self.loss.and_then(ArrayViewMut::into_slice),
            gradient: self.gradient.and_then(ArrayViewMut::into_slice),
        };
        Ok((span, repeated))
    }

    /// The axis to divide next. Where one axis is the fastest for all, it is kept whole the longest.
    pub(super) fn axis_to_divide(&self) -> usize {
        let shape = self.shape();
        let mut axes = 0..shape.len();
        let (first, other) = self.fastest_axes();
        if other.is_some() {
            let breadth = |axis| if Some(axis) == first { BREADTH } else { 1 };
            axes.max_by_key(|&axis| shape[axis] / breadth(axis))
                .unwrap_or(0)
        } else {
            axes.find(|&axis| shape[axis] > 1 && Some(axis) != first)
                .or(first)
                .unwrap_or(0)
        }
    }

    /// The axis along which the first operand is the fastest, and the one along which another is that moves along
    /// the first as well; where more are the fastest along the latter, the other way about.
    pub(super) fn fastest_axes(&self) -> (Option<usize>, Option<usize>) {
        let shape = self.shape();
        let fastest = |strides: &[isize]| {
            (0..shape.len())
                .filter(|&axis| shape[axis] > 1 && strides[axis] != 0)
                .min_by_key(|&axis| strides[axis].unsigned_abs())
        };
        let Some(first) = self.each_strides().find_map(fastest) else {
            return (None, None);
        };
        let other = self
            .each_strides()
            .filter(|strides| strides[first] != 0)
            .filter_map(fastest)
            .find(|&axis| axis != first);
        let Some(other) = other else {
            return (Some(first), None);
        };
        let along = |axis| {
            let moving = |strides: &&[isize]| strides[first] != 0 && strides[other] != 0;
            let operands = self.each_strides().filter(moving).filter_map(fastest);
            operands.filter(|&fastest| fastest == axis).count()
        };
        if along(other) > along(first) {
            (Some(other), Some(first))
        } else {
            (Some(first), Some(other))
        }
    }

    /// The same with its axes in another order.
    pub(super) fn in_order(self, order: Vec<usize>) -> Self {
        self.change_axes(&Reorder {
            order,
            backwards: Vec::new(),
        })
    }

    /// All without the first axis, whose length is 1.
    pub(super) fn first(self) -> Self {
        self.change_axes(&First)
    }

    pub(super) fn split_at(self, axis: Axis, middle: usize) -> (Self, Self) {
        let (left_predictions, right_predictions) =
            unzip(self.predictions.map(|view| view.split_at(axis, middle)));
        let (left_targets, right_targets) = self.targets.split_at(axis, middle);
        let (left_weights, right_weights) = self.weights.split_at(axis, middle);
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

struct First;

impl Change for First {
    fn view<'a, A>(&self, view: ArrayViewD<'a, A>) -> ArrayViewD<'a, A> {
        view.index_axis_move(Axis(0), 0)
    }

    fn view_mut<'a, A>(&self, view: ArrayViewMutD<'a, A>) -> ArrayViewMutD<'a, A> {
        view.index_axis_move(Axis(0), 0)
    }
}
