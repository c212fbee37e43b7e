//! Item-wise work: a row of scores and a target for each item.
//!
//! Rows of few classes come in groups, so that a kernel can work on all of them at once; longer ones come singly and
//! are read in blocks, whatever their layout. Which way a row goes depends on the number of classes alone.

use ndarray::{
    ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut1, ArrayViewMut2, ArrayViewMutD, Axis, Ix1,
    Ix2, Slice,
};
use pulp::NullaryFnOnce;

use super::elementwise::{Weights, unzip};
use super::parallel::{self, CHUNK, Divisible};
use super::reduce::{Lanes, Pair};
use super::simd;
use crate::float::{Float, Target};

/// Rows of at most so many classes are short.
pub(crate) const SHORT: usize = 64;
/// How many short rows a group has at most.
pub(crate) const ROWS: usize = 32;
/// How many elements of a long row a kernel sees at once.
pub(crate) const BLOCK: usize = 256;

/// A block of a long row.
pub(crate) type Block<F> = [F; BLOCK];
/// A group of short rows, one class after the other: `panel[class][row]`.
pub(crate) type Panel<F> = [[F; ROWS]; SHORT];

/// What a row of targets in the shape of the predictions means to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dense {
    /// It is handed on as it is.
    Distribution,
    /// It has to be one-hot, and is handed on as a label.
    OneHot,
    /// Its largest element is the label; a row with a NaN names no class, and the item's value is 0.
    Largest,
}

/// The arithmetic of one row. All functions have to be `#[inline(always)]`.
#[doc(hidden)]
pub trait RowKernel<F: Float>: Copy + Send + Sync {
    /// The least number of classes that the kernel is defined for.
    const MIN_CLASSES: usize;
    const DENSE: Dense;

    /// A rough number of nanoseconds a score takes on one core.
    fn cost(self) -> f32;
    /// Items with this label are left out.
    #[inline(always)]
    fn ignores(self, _label: i128) -> bool {
        false
    }
    fn group(self, group: Group<'_, F>);
    /// The loss of a long row; the gradient, times the coefficient, goes where the row says.
    fn row(self, row: Row<'_, F>, target: RowTarget<'_, F>, coefficient: F) -> F;
}

/// At most [`ROWS`] short rows.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Group<'a, F> {
    pub(crate) classes: usize,
    pub(crate) scores: &'a [F],
    pub(crate) targets: GroupTargets<'a, F>,
    /// Factors of the gradients, one a row.
    pub(crate) coefficients: &'a [F; ROWS],
    pub(crate) losses: &'a mut [F; ROWS],
    pub(crate) gradient: Option<&'a mut [F]>,
    /// Two panels to work in; what they hold is unspecified.
    pub(crate) panel: &'a mut Panel<F>,
    pub(crate) target_panel: &'a mut Panel<F>,
}

#[derive(Clone, Copy)]
pub(crate) enum GroupTargets<'a, F> {
    /// One valid label for each of [`ROWS`] rows.
    Labels(&'a [usize; ROWS]),
    /// Rows like the scores.
    Dense(&'a [F]),
}

/// The target of one long row.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
#[derive(Clone, Copy)]
pub enum RowTarget<'a, F> {
    Label(usize),
    /// Fills a block with what stands from an index on, and zeros behind the end.
    Dense(&'a dyn Fn(usize, &mut Block<F>)),
}

/// One long row: where its scores are and where its gradient goes.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Row<'a, F> {
    classes: usize,
    /// Absent where the scores are in the sink.
    scores: Option<Source<'a, F>>,
    sink: Option<Sink<'a, F>>,
}

enum Source<'a, F> {
    Slice(&'a [F]),
    Lane(ArrayView1<'a, F>),
}

enum Sink<'a, F> {
    Slice(&'a mut [F]),
    Lane(ArrayViewMut1<'a, F>),
}

impl<'a, F: Float> Row<'a, F> {
    /// A row of a group, to be treated alone.
    #[inline(always)]
    pub(crate) fn of_slices(scores: &'a [F], gradient: Option<&'a mut [F]>) -> Self {
        Self {
            classes: scores.len(),
            scores: Some(Source::Slice(scores)),
            sink: gradient.map(Sink::Slice),
        }
    }

    #[inline(always)]
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    #[inline(always)]
    pub(crate) fn wants_gradient(&self) -> bool {
        self.sink.is_some()
    }

    /// The scores from `start` on; `fill` behind the end.
    #[inline(always)]
    pub(crate) fn scores<'b>(
        &'b self,
        start: usize,
        fill: F,
        buffer: &'b mut Block<F>,
    ) -> &'b Block<F> {
        match (&self.scores, &self.sink) {
            (Some(Source::Slice(slice)), _) => block_of(slice, start, fill, buffer),
            (Some(Source::Lane(lane)), _) => block_of_lane(&lane.view(), start, fill, buffer),
            (None, Some(_)) => self.gradient(start, fill, buffer),
            (None, None) => {
                buffer.fill(fill);
                buffer
            }
        }
    }

    /// What was written to the gradient from `start` on; `fill` behind the end.
    #[inline(always)]
    pub(crate) fn gradient<'b>(
        &'b self,
        start: usize,
        fill: F,
        buffer: &'b mut Block<F>,
    ) -> &'b Block<F> {
        match &self.sink {
            Some(Sink::Slice(slice)) => block_of(slice, start, fill, buffer),
            Some(Sink::Lane(lane)) => block_of_lane(&lane.view(), start, fill, buffer),
            None => {
                buffer.fill(fill);
                buffer
            }
        }
    }

    #[inline(always)]
    pub(crate) fn score(&self, class: usize) -> F {
        let score = match (&self.scores, &self.sink) {
            (Some(Source::Slice(slice)), _) => slice.get(class),
            (Some(Source::Lane(lane)), _) => lane.get(class),
            (None, Some(Sink::Slice(slice))) => slice.get(class),
            (None, Some(Sink::Lane(lane))) => lane.get(class),
            (None, None) => None,
        };
        score.copied().unwrap_or_else(F::nan)
    }

    /// Writes a block of the gradient; what is behind the end of the row is dropped.
    #[inline(always)]
    pub(crate) fn write(&mut self, start: usize, block: &Block<F>) {
        match &mut self.sink {
            Some(Sink::Slice(slice)) => {
                let rest = &mut slice[start..];
                if let Some(full) = rest.first_chunk_mut::<BLOCK>() {
                    *full = *block;
                } else {
                    let n = rest.len();
                    rest.copy_from_slice(&block[..n]);
                }
            }
            Some(Sink::Lane(lane)) => {
                for (to, &x) in lane.iter_mut().skip(start).zip(block) {
                    *to = x;
                }
            }
            None => {}
        }
    }

    /// Writes one element of the gradient.
    #[inline(always)]
    pub(crate) fn set(&mut self, class: usize, value: F) {
        let to = match &mut self.sink {
            Some(Sink::Slice(slice)) => slice.get_mut(class),
            Some(Sink::Lane(lane)) => lane.get_mut(class),
            None => None,
        };
        if let Some(to) = to {
            *to = value;
        }
    }

    /// Fills the gradient.
    #[inline(always)]
    pub(crate) fn fill(&mut self, value: F) {
        match &mut self.sink {
            Some(Sink::Slice(slice)) => slice.fill(value),
            Some(Sink::Lane(lane)) => lane.fill(value),
            None => {}
        }
    }

    /// Where the blocks of the row start.
    #[inline(always)]
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> + use<'a, F> {
        (0..self.classes).step_by(BLOCK)
    }
}

#[inline(always)]
fn block_of<'b, F: Float>(
    slice: &'b [F],
    start: usize,
    fill: F,
    buffer: &'b mut Block<F>,
) -> &'b Block<F> {
    let rest = &slice[start..];
    if let Some(full) = rest.first_chunk::<BLOCK>() {
        return full;
    }
    let (head, tail) = buffer.split_at_mut(rest.len());
    head.copy_from_slice(rest);
    tail.fill(fill);
    buffer
}

fn block_of_lane<'b, F: Float>(
    lane: &ArrayView1<'_, F>,
    start: usize,
    fill: F,
    buffer: &'b mut Block<F>,
) -> &'b Block<F> {
    let end = (start + BLOCK).min(lane.len());
    let part = lane.slice_axis(Axis(0), Slice::from(start..end));
    for (to, &x) in buffer.iter_mut().zip(part) {
        *to = x;
    }
    if let Some(tail) = buffer.get_mut(end - start..) {
        tail.fill(fill);
    }
    buffer
}

/// The targets of all items.
#[derive(Clone)]
pub(crate) enum Targets<L, D> {
    /// Nothing to aim at.
    None,
    /// One label an item.
    Labels(L),
    /// A row an item.
    Dense(D),
}

/// What is the same for all items.
#[derive(Clone, Copy)]
pub(crate) struct Job<F, K> {
    pub(crate) kernel: K,
    /// Whether the losses are added up.
    pub(crate) reduce: bool,
    /// Factor of the gradients, where there are no weights.
    pub(crate) scale: F,
    /// Divides the weights before they multiply the gradients.
    pub(crate) divisor: Pair,
}

/// The arrays: of the shape of the predictions, or with one value an item.
pub(crate) struct Operands<'a, F, T> {
    /// Absent where they lie in the buffer of the gradient.
    pub(crate) scores: Option<ArrayViewD<'a, F>>,
    pub(crate) targets: Targets<ArrayViewD<'a, T>, ArrayViewD<'a, T>>,
    pub(crate) weights: Weights<'a, F>,
    pub(crate) loss: Option<ArrayViewMutD<'a, F>>,
    pub(crate) gradient: Option<ArrayViewMutD<'a, F>>,
}

/// The same with all items along one axis.
struct Rows<'a, F, T> {
    items: usize,
    classes: usize,
    scores: Option<ArrayView2<'a, F>>,
    targets: Targets<ArrayView1<'a, T>, ArrayView2<'a, T>>,
    weights: RowWeights<'a, F>,
    loss: Option<ArrayViewMut1<'a, F>>,
    gradient: Option<ArrayViewMut2<'a, F>>,
}

enum RowWeights<'a, F> {
    None,
    Floats(ArrayView1<'a, F>),
    Mask(ArrayView1<'a, bool>),
}

impl<F: Float> RowWeights<'_, F> {
    fn get(&self, item: usize) -> Option<F> {
        match self {
            Self::None => None,
            Self::Floats(weights) => weights.get(item).copied(),
            Self::Mask(mask) => mask
                .get(item)
                .map(|&keep| if keep { F::one() } else { F::zero() }),
        }
    }
}

/// Fills the outputs and returns the (weighted) sum of the losses. The shapes fit; labels are checked.
pub(crate) fn run<F: Float, T: Target<F>, K: RowKernel<F>>(
    operands: Operands<'_, F, T>,
    classes: usize,
    job: Job<F, K>,
) -> Pair {
    if classes == 0 {
        // Nothing to read, and nothing to add up: however many items there are, their loss is 0.
        if let Some(mut loss) = operands.loss {
            loss.fill(F::zero());
        }
        return Pair::ZERO;
    }
    let cost = job.kernel.cost() * classes as f32;
    if operands.mergeable() {
        match operands.into_rows(classes) {
            Some(rows) if rows.items > 0 => {
                let grain = parallel::grain(rows.items, cost);
                parallel::run(Leaves { rows, grain, job }, cost)
            }
            _ => Pair::ZERO,
        }
    } else {
        let (left, right) = match operands.divide() {
            Ok(halves) => halves,
            Err(single) => return run(single, classes, job),
        };
        let (left, right) = parallel::join(|| run(left, classes, job), || run(right, classes, job));
        left.join(right)
    }
}

/// Whether the axes but the last `kept` ones can become one.
fn merges<S: ndarray::RawData>(view: &ndarray::ArrayBase<S, ndarray::IxDyn>, kept: usize) -> bool {
    let leading = view.ndim().saturating_sub(kept);
    let (shape, strides) = (view.shape(), view.strides());
    // Axes of length 1 may have any stride.
    let mut axes = (0..leading).filter(|&axis| shape[axis] != 1);
    let Some(mut outer) = axes.next() else {
        return true;
    };
    axes.all(|axis| {
        let fits = strides[outer] == strides[axis] * shape[axis] as isize;
        outer = axis;
        fits
    })
}

/// Makes one axis of all but the last `kept` ones; only for what [`merges`].
macro_rules! merged {
    ($view:expr, $kept:expr) => {{
        let mut view = $view;
        while view.ndim() < 1 + $kept {
            view = view.insert_axis(Axis(0));
        }
        while view.ndim() > 1 + $kept {
            view.merge_axes(Axis(0), Axis(1));
            // What could be merged has length 1 now, or it is the other that has.
            if view.len_of(Axis(0)) != 1 {
                view.swap_axes(0, 1);
            }
            view = view.index_axis_move(Axis(0), 0);
        }
        view
    }};
}

impl<'a, F: Float, T: Target<F>> Operands<'a, F, T> {
    fn items_shape(&self) -> &[usize] {
        let of_rows = |shape: &'_ [usize]| shape.len().saturating_sub(1);
        match (&self.scores, &self.gradient, &self.loss) {
            (Some(view), _, _) => &view.shape()[..of_rows(view.shape())],
            (None, Some(view), _) => &view.shape()[..of_rows(view.shape())],
            (None, None, Some(view)) => view.shape(),
            (None, None, None) => &[],
        }
    }

    fn mergeable(&self) -> bool {
        if self.items_shape().contains(&0) {
            return true;
        }
        self.scores.iter().all(|view| merges(view, 1))
            && match &self.targets {
                Targets::None => true,
                Targets::Labels(view) => merges(view, 0),
                Targets::Dense(view) => merges(view, 1),
            }
            && match &self.weights {
                Weights::None => true,
                Weights::Floats(view) => merges(view, 0),
                Weights::Mask(view) => merges(view, 0),
            }
            && self.loss.iter().all(|view| merges(view, 0))
            && self.gradient.iter().all(|view| merges(view, 1))
    }

    /// `None` if there are no items.
    fn into_rows(self, classes: usize) -> Option<Rows<'a, F, T>> {
        let items: usize = self.items_shape().iter().product();
        if items == 0 {
            return None;
        }
        Some(Rows {
            items,
            classes,
            scores: match self.scores {
                Some(view) => Some(merged!(view, 1).into_dimensionality::<Ix2>().ok()?),
                None => None,
            },
            targets: match self.targets {
                Targets::None => Targets::None,
                Targets::Labels(view) => {
                    Targets::Labels(merged!(view, 0).into_dimensionality::<Ix1>().ok()?)
                }
                Targets::Dense(view) => {
                    Targets::Dense(merged!(view, 1).into_dimensionality::<Ix2>().ok()?)
                }
            },
            weights: match self.weights {
                Weights::None => RowWeights::None,
                Weights::Floats(view) => {
                    RowWeights::Floats(merged!(view, 0).into_dimensionality::<Ix1>().ok()?)
                }
                Weights::Mask(view) => {
                    RowWeights::Mask(merged!(view, 0).into_dimensionality::<Ix1>().ok()?)
                }
            },
            loss: match self.loss {
                Some(view) => Some(merged!(view, 0).into_dimensionality::<Ix1>().ok()?),
                None => None,
            },
            gradient: match self.gradient {
                Some(view) => Some(merged!(view, 1).into_dimensionality::<Ix2>().ok()?),
                None => None,
            },
        })
    }

    /// Two halves along the first axis; or all without it, if it has length 1.
    fn divide(self) -> Result<(Self, Self), Self> {
        let axis = Axis(0);
        let length = self.items_shape().first().copied().unwrap_or(1);
        if length == 1 {
            return Err(Self {
                scores: self.scores.map(|view| view.index_axis_move(axis, 0)),
                targets: match self.targets {
                    Targets::None => Targets::None,
                    Targets::Labels(view) => Targets::Labels(view.index_axis_move(axis, 0)),
                    Targets::Dense(view) => Targets::Dense(view.index_axis_move(axis, 0)),
                },
                weights: match self.weights {
                    Weights::None => Weights::None,
                    Weights::Floats(view) => Weights::Floats(view.index_axis_move(axis, 0)),
                    Weights::Mask(view) => Weights::Mask(view.index_axis_move(axis, 0)),
                },
                loss: self.loss.map(|view| view.index_axis_move(axis, 0)),
                gradient: self.gradient.map(|view| view.index_axis_move(axis, 0)),
            });
        }
        let middle = length.next_power_of_two() / 2;
        let (left_scores, right_scores) =
            unzip(self.scores.map(|view| view.split_at(axis, middle)));
        let (left_targets, right_targets) = match self.targets {
            Targets::None => (Targets::None, Targets::None),
            Targets::Labels(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Targets::Labels(left), Targets::Labels(right))
            }
            Targets::Dense(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Targets::Dense(left), Targets::Dense(right))
            }
        };
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
        Ok((
            Self {
                scores: left_scores,
                targets: left_targets,
                weights: left_weights,
                loss: left_loss,
                gradient: left_gradient,
            },
            Self {
                scores: right_scores,
                targets: right_targets,
                weights: right_weights,
                loss: right_loss,
                gradient: right_gradient,
            },
        ))
    }
}

impl<F: Float, T: Target<F>> Rows<'_, F, T> {
    fn split_at(self, middle: usize) -> (Self, Self) {
        let axis = Axis(0);
        let (left_scores, right_scores) =
            unzip(self.scores.map(|view| view.split_at(axis, middle)));
        let (left_targets, right_targets) = match self.targets {
            Targets::None => (Targets::None, Targets::None),
            Targets::Labels(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Targets::Labels(left), Targets::Labels(right))
            }
            Targets::Dense(view) => {
                let (left, right) = view.split_at(axis, middle);
                (Targets::Dense(left), Targets::Dense(right))
            }
        };
        let (left_weights, right_weights) = match self.weights {
            RowWeights::None => (RowWeights::None, RowWeights::None),
            RowWeights::Floats(view) => {
                let (left, right) = view.split_at(axis, middle);
                (RowWeights::Floats(left), RowWeights::Floats(right))
            }
            RowWeights::Mask(view) => {
                let (left, right) = view.split_at(axis, middle);
                (RowWeights::Mask(left), RowWeights::Mask(right))
            }
        };
        let (left_loss, right_loss) = unzip(self.loss.map(|view| view.split_at(axis, middle)));
        let (left_gradient, right_gradient) =
            unzip(self.gradient.map(|view| view.split_at(axis, middle)));
        (
            Self {
                items: middle,
                classes: self.classes,
                scores: left_scores,
                targets: left_targets,
                weights: left_weights,
                loss: left_loss,
                gradient: left_gradient,
            },
            Self {
                items: self.items - middle,
                classes: self.classes,
                scores: right_scores,
                targets: right_targets,
                weights: right_weights,
                loss: right_loss,
                gradient: right_gradient,
            },
        )
    }
}

/// Items in leaves of [`CHUNK`], whose losses are added up together.
struct Leaves<'a, F, T, K> {
    rows: Rows<'a, F, T>,
    /// The number of items from which on they are shared among threads.
    grain: usize,
    job: Job<F, K>,
}

impl<F: Float, T: Target<F>, K: RowKernel<F>> Divisible for Leaves<'_, F, T, K> {
    fn size(&self) -> usize {
        self.rows.items
    }

    fn divide(self) -> Result<(Self, Self), Self> {
        if self.rows.items <= CHUNK {
            return Err(self);
        }
        let middle = CHUNK * (self.rows.items.div_ceil(CHUNK).next_power_of_two() / 2);
        let Self { rows, grain, job } = self;
        let (left, right) = rows.split_at(middle);
        Ok((
            Self {
                rows: left,
                grain,
                job,
            },
            Self {
                rows: right,
                grain,
                job,
            },
        ))
    }

    fn run(self) -> Pair {
        let Self {
            mut rows,
            grain,
            job,
        } = self;
        let n = rows.items;
        let mut losses = [F::zero(); CHUNK];
        let losses = &mut losses[..n];
        let loss_out = rows.loss.take();
        let weights = match &rows.weights {
            RowWeights::None => RowWeights::None,
            RowWeights::Floats(view) => RowWeights::Floats(*view),
            RowWeights::Mask(view) => RowWeights::Mask(*view),
        };
        fill(rows, losses, grain, job);
        if let Some(mut out) = loss_out {
            for (out, &loss) in out.iter_mut().zip(losses.iter()) {
                *out = loss;
            }
        }
        if !job.reduce {
            return Pair::ZERO;
        }
        let mut lanes = Lanes::ZERO;
        if let RowWeights::None = weights {
            F::accumulate(&mut lanes, losses);
        } else {
            let mut block = [F::zero(); BLOCK];
            for (index, losses) in losses.chunks(BLOCK).enumerate() {
                for (offset, weight) in block.iter_mut().take(losses.len()).enumerate() {
                    *weight = weights.get(index * BLOCK + offset).unwrap_or_else(F::one);
                }
                F::accumulate_weighted(&mut lanes, losses, &block[..losses.len()]);
            }
        }
        lanes.total()
    }
}

/// Computes the losses, one an item, and the gradients.
fn fill<F: Float, T: Target<F>, K: RowKernel<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    grain: usize,
    job: Job<F, K>,
) {
    if rows.items > grain && rows.items > 1 {
        let half = rows.items.div_ceil(2);
        // whole groups, where there are several
        let middle = if half > ROWS {
            half.next_multiple_of(ROWS)
        } else {
            half
        };
        if middle < rows.items {
            let (left_losses, right_losses) = losses.split_at_mut(middle);
            let (left, right) = rows.split_at(middle);
            parallel::join(
                || fill(left, left_losses, grain, job),
                || fill(right, right_losses, grain, job),
            );
            return;
        }
    }
    simd::dispatch(Filling { rows, losses, job });
}

struct Filling<'a, 'b, F, T, K> {
    rows: Rows<'a, F, T>,
    losses: &'b mut [F],
    job: Job<F, K>,
}

impl<F: Float, T: Target<F>, K: RowKernel<F>> NullaryFnOnce for Filling<'_, '_, F, T, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        if self.rows.classes <= SHORT {
            self.short();
        } else {
            self.long();
        }
    }
}

/// What an item aims at.
enum Aim {
    Class(usize),
    /// The item is left out.
    Nothing,
    Row,
}

#[inline(always)]
fn aim<F: Float, T: Target<F>, K: RowKernel<F>>(
    kernel: K,
    targets: &Targets<ArrayView1<'_, T>, ArrayView2<'_, T>>,
    item: usize,
) -> Aim {
    match targets {
        Targets::None => Aim::Class(0),
        Targets::Labels(labels) => match labels.get(item) {
            Some(&label) if !kernel.ignores(label.label()) => Aim::Class(label.class()),
            _ => Aim::Nothing,
        },
        Targets::Dense(rows) => match K::DENSE {
            Dense::Distribution => Aim::Row,
            Dense::OneHot => {
                let row = rows.row(item);
                let class = row.iter().position(|t| t.to_float(None) != F::zero());
                class.map_or(Aim::Nothing, Aim::Class)
            }
            Dense::Largest => {
                let mut best: Option<(usize, F)> = None;
                for (class, t) in rows.row(item).iter().enumerate() {
                    let t = t.to_float(None);
                    if t.is_nan() {
                        return Aim::Nothing;
                    }
                    if best.is_none_or(|(_, largest)| t > largest) {
                        best = Some((class, t));
                    }
                }
                best.map_or(Aim::Nothing, |(class, _)| Aim::Class(class))
            }
        },
    }
}

impl<F: Float, T: Target<F>, K: RowKernel<F>> Filling<'_, '_, F, T, K> {
    #[inline(always)]
    fn long(self) {
        let Self { rows, losses, job } = self;
        let mut gradient_rows = rows.gradient.map(|view| view.into_outer_iter_mut());
        for (item, loss) in losses.iter_mut().enumerate() {
            let sink = gradient_rows.as_mut().and_then(Iterator::next);
            let weight = rows.weights.get(item);
            let coefficient = match weight {
                None => job.scale,
                Some(weight) => F::coefficient(weight, job.divisor),
            };
            let aim = aim::<F, T, K>(job.kernel, &rows.targets, item);
            if matches!(aim, Aim::Nothing) || weight == Some(F::zero()) {
                if let Some(mut sink) = sink {
                    sink.fill(F::zero());
                }
                *loss = F::zero();
                continue;
            }
            let row = Row {
                classes: rows.classes,
                scores: rows.scores.as_ref().map(|scores| {
                    let row = (*scores).index_axis_move(Axis(0), item);
                    match row.to_slice() {
                        Some(slice) => Source::Slice(slice),
                        None => Source::Lane(row),
                    }
                }),
                sink: sink.map(|sink| {
                    if sink.is_standard_layout() {
                        Sink::Slice(sink.into_slice().unwrap_or_default())
                    } else {
                        Sink::Lane(sink)
                    }
                }),
            };
            let dense = |start: usize, block: &mut Block<F>| {
                if let Targets::Dense(targets) = &rows.targets {
                    fill_block(&targets.row(item), start, block);
                }
            };
            let target = match aim {
                Aim::Class(class) => RowTarget::Label(class),
                Aim::Nothing | Aim::Row => RowTarget::Dense(&dense),
            };
            *loss = job.kernel.row(row, target, coefficient);
        }
    }

    #[inline(always)]
    fn short(self) {
        let Self { rows, losses, job } = self;
        let classes = rows.classes;
        let mut panel = [[F::zero(); ROWS]; SHORT];
        let mut target_panel = [[F::zero(); ROWS]; SHORT];
        let mut score_buffer = [F::zero(); ROWS * SHORT];
        let mut target_buffer = [F::zero(); ROWS * SHORT];
        let mut gradient_buffer = [F::zero(); ROWS * SHORT];
        let mut group_losses = [F::zero(); ROWS];
        let mut gradient = rows.gradient;
        let mut start = 0;
        while start < rows.items {
            let end = (start + ROWS).min(rows.items);
            let n = end - start;
            let size = n * classes;
            let slice = Slice::from(start..end);

            let mut labels = [0; ROWS];
            let mut left_out = [false; ROWS];
            let mut weightless = [false; ROWS];
            let mut dense = false;
            for (offset, (label, left_out)) in
                labels.iter_mut().zip(&mut left_out).take(n).enumerate()
            {
                match aim::<F, T, K>(job.kernel, &rows.targets, start + offset) {
                    Aim::Class(class) => *label = class,
                    Aim::Nothing => *left_out = true,
                    Aim::Row => dense = true,
                }
            }
            let mut coefficients = [job.scale; ROWS];
            if !matches!(rows.weights, RowWeights::None) {
                for (offset, coefficient) in coefficients.iter_mut().take(n).enumerate() {
                    if let Some(weight) = rows.weights.get(start + offset) {
                        *coefficient = F::coefficient(weight, job.divisor);
                        weightless[offset] = weight == F::zero();
                    }
                }
            }
            let mut out = gradient
                .as_mut()
                .map(|view| view.slice_axis_mut(Axis(0), slice));
            let score_view = rows
                .scores
                .as_ref()
                .map(|view| view.slice_axis(Axis(0), slice));
            let scores = match (score_view.as_ref().and_then(|view| view.to_slice()), &out) {
                (Some(slice), _) => slice,
                (None, out) => {
                    let buffer = &mut score_buffer[..size];
                    match (&score_view, out) {
                        (Some(view), _) => copy_rows(view, buffer),
                        (None, Some(out)) => copy_rows(&out.view(), buffer),
                        (None, None) => {}
                    }
                    &score_buffer[..size]
                }
            };
            let target_view;
            let targets = match &rows.targets {
                Targets::Dense(view) if dense => {
                    target_view = view.slice_axis(Axis(0), slice);
                    match target_view.to_slice().and_then(T::as_floats) {
                        Some(floats) => GroupTargets::Dense(floats),
                        None => {
                            for (to, t) in target_buffer.iter_mut().zip(target_view.iter()) {
                                *to = t.to_float(None);
                            }
                            GroupTargets::Dense(&target_buffer[..size])
                        }
                    }
                }
                _ => GroupTargets::Labels(&labels),
            };
            let has_gradient = out.is_some();
            let mut direct = out.as_mut().and_then(|out| out.as_slice_mut());
            let is_direct = direct.is_some();
            job.kernel.group(Group {
                classes,
                scores,
                targets,
                coefficients: &coefficients,
                losses: &mut group_losses,
                gradient: match &mut direct {
                    Some(slice) => Some(slice),
                    None if has_gradient => Some(&mut gradient_buffer[..size]),
                    None => None,
                },
                panel: &mut panel,
                target_panel: &mut target_panel,
            });
            for (loss, &left_out) in group_losses.iter_mut().zip(&left_out) {
                if left_out {
                    *loss = F::zero();
                }
            }
            losses[start..end].copy_from_slice(&group_losses[..n]);
            if let Some(out) = &mut out {
                if !is_direct {
                    for (to, &g) in out.iter_mut().zip(&gradient_buffer[..size]) {
                        *to = g;
                    }
                }
                for offset in 0..n {
                    if left_out[offset] || weightless[offset] {
                        out.row_mut(offset).fill(F::zero());
                    }
                }
            }
            start = end;
        }
    }
}

/// Copies rows to a slice in row-major order.
fn copy_rows<F: Float>(from: &ArrayView2<'_, F>, to: &mut [F]) {
    for (to, &x) in to.iter_mut().zip(from) {
        *to = x;
    }
}

/// What a row holds from `start` on, and zeros behind its end.
fn fill_block<F: Float, T: Target<F>>(row: &ArrayView1<'_, T>, start: usize, block: &mut Block<F>) {
    let end = (start + BLOCK).min(row.len());
    match row.to_slice() {
        Some(slice) => {
            for (to, &t) in block.iter_mut().zip(&slice[start..end]) {
                *to = t.to_float(None);
            }
        }
        None => {
            for (to, &t) in block
                .iter_mut()
                .zip(row.slice_axis(Axis(0), Slice::from(start..end)))
            {
                *to = t.to_float(None);
            }
        }
    }
    if let Some(tail) = block.get_mut(end - start..) {
        tail.fill(F::zero());
    }
}

/// What a lane that is kept in memory becomes: the new value where the condition holds, else what it was (−0 as 0).
///
/// Without the addition the compiler would store only where the condition holds: a masked store, which takes tens of
/// cycles on some processors.
#[inline(always)]
pub(crate) fn update<F: Float>(condition: bool, new: F, old: F) -> F {
    (if condition { new } else { old }) + F::zero()
}

/// Rows of scores, one class after the other; what the panel holds for rows that are not there is unspecified.
#[inline(always)]
pub(crate) fn transpose<F: Float>(scores: &[F], panel: &mut [[F; ROWS]]) {
    let classes = panel.len();
    for r in 0..ROWS {
        let Some(row) = scores.get(r * classes..(r + 1) * classes) else {
            break;
        };
        for (lanes, &x) in panel.iter_mut().zip(row) {
            lanes[r] = x;
        }
    }
}

/// The inverse of [`transpose`].
#[inline(always)]
pub(crate) fn transpose_back<F: Float>(panel: &[[F; ROWS]], rows: &mut [F]) {
    let classes = panel.len();
    for r in 0..ROWS {
        let Some(row) = rows.get_mut(r * classes..(r + 1) * classes) else {
            break;
        };
        for (lanes, to) in panel.iter().zip(row) {
            *to = lanes[r];
        }
    }
}
