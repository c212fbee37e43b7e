//! Item-wise work: any layout in; a kernel sees short rows in batches and long rows singly.

mod operands;
mod picked;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, Ix1, Slice};

pub(crate) use super::span::Job;
use operands::Rows;
pub(crate) use operands::{Operands, Targets};
use picked::picked;

use super::elementwise::Weights;
use super::parallel::{self, CHUNK, Divisible};
use super::reduce::{Lanes, Pair};
use super::rows::{
    AnyRowKernel, BLOCK, Batch, BatchTargets, Coefficients, Dense, DenseTarget, ItemKernel, Panel,
    ROWS, Room, Row, RowTarget, SHORT, Sink, Source,
};
use super::shape::distinct;
use super::tiles::{gather, scatter};
use crate::float::{Float, Target};

/// How many short rows a kernel gets at once, where they lie one after the other.
const BATCH: usize = 256;
/// How many elements of long rows are copied at once, where they are not contiguous.
const COPIED: usize = 8 * 1024;

/// A rough number of nanoseconds for reading the score of a label, and its logarithm or the like.
const PICKED: f32 = 2.5;
/// The same for an element of the gradient that is only filled.
const FILLED: f32 = 0.1;

/// What the traversal knows of the work.
#[derive(Clone, Copy)]
struct Work<'k, F> {
    kernel: &'k dyn AnyRowKernel<F>,
    classes: usize,
    /// Whether nothing but the scores of the labels is read.
    picks: bool,
    dense: Dense,
    /// Whether there is a label whose items are left out, and which.
    ignores: Option<&'k (dyn Fn(i128) -> bool + Sync)>,
    reduce: bool,
    scale: F,
    divisor: Pair,
    /// The number of items from which on they are shared among threads.
    grain: usize,
    /// Nanoseconds for an item.
    cost: f32,
}

/// Fills the outputs and returns the (weighted) sum of the losses. The shapes fit; labels are checked.
pub(crate) fn run<F: Float, T: Target<F>, K: ItemKernel<F>>(
    operands: Operands<'_, F, T>,
    classes: usize,
    job: Job<F, K>,
) -> Pair {
    if classes == 0 {
        // Nothing to read, and nothing to add up: however many items there are, their loss is 0.
        if let Some(mut loss) = operands.loss {
            loss.fill(F::zero());
        }
        return match operands.weights {
            // ∞·0
            Weights::Floats(weights) if !distinct(&weights, 0).iter().all(|w| w.is_finite()) => {
                Pair::from(f64::NAN)
            }
            _ => Pair::ZERO,
        };
    }
    let ignores = |label| job.kernel.ignores(label);
    let kernel = job.kernel.arithmetic();
    let picks = kernel.picks() && !matches!(operands.targets, Targets::Dense(_));
    let work = Work {
        kernel,
        classes,
        picks,
        dense: K::DENSE,
        ignores: if K::IGNORES { Some(&ignores) } else { None },
        reduce: job.reduce,
        scale: job.scale,
        divisor: job.divisor,
        grain: usize::MAX,
        cost: match (picks, &operands.gradient) {
            (false, _) => job.kernel.cost() * classes as f32,
            (true, None) => PICKED,
            (true, Some(_)) => PICKED + FILLED * classes as f32,
        },
    };
    traverse(operands, work)
}

fn traverse<F: Float, T: Target<F>>(operands: Operands<'_, F, T>, work: Work<'_, F>) -> Pair {
    if operands.mergeable() {
        match operands.into_rows() {
            Some(rows) if rows.items() > 0 => {
                let grain = parallel::grain(rows.items(), work.cost);
                let work = Work { grain, ..work };
                parallel::run(Leaves { rows, work }, work.cost)
            }
            _ => Pair::ZERO,
        }
    } else {
        let axis = Axis(0);
        let length = operands.items_shape().first().copied().unwrap_or(1);
        if length == 1 {
            return traverse(operands.first(), work);
        }
        let (left, right) = operands.split_at(axis, length.next_power_of_two() / 2);
        let (left, right) = parallel::join(|| traverse(left, work), || traverse(right, work));
        left.join(right)
    }
}

/// Items in leaves of [`CHUNK`], whose losses are added up together.
struct Leaves<'a, 'k, F, T> {
    rows: Rows<'a, F, T>,
    work: Work<'k, F>,
}

impl<F: Float, T: Target<F>> Divisible for Leaves<'_, '_, F, T> {
    fn size(&self) -> usize {
        self.rows.items()
    }

    fn divide(self) -> Result<(Self, Self), Self> {
        let items = self.rows.items();
        if items <= CHUNK {
            return Err(self);
        }
        let middle = CHUNK * (items.div_ceil(CHUNK).next_power_of_two() / 2);
        let work = self.work;
        let (left, right) = self.rows.split_at(Axis(0), middle);
        Ok((Self { rows: left, work }, Self { rows: right, work }))
    }

    fn run(self) -> Pair {
        match self.rows.items() {
            few @ ..=BATCH => self.leaf(&mut [F::zero(); BATCH][..few]),
            many => self.leaf(&mut [F::zero(); CHUNK][..many]),
        }
    }
}

impl<F: Float, T: Target<F>> Leaves<'_, '_, F, T> {
    fn leaf(self, losses: &mut [F]) -> Pair {
        let Self { mut rows, work } = self;
        let loss_out = rows.loss.take();
        let weights = rows.weights.clone();
        fill(rows, losses, work);
        if let Some(mut out) = loss_out {
            out.assign(&ArrayView1::from(&*losses));
        }
        let mut lanes = Lanes::ZERO;
        match weights {
            _ if !work.reduce => return Pair::ZERO,
            Weights::None => F::accumulate(&mut lanes, losses),
            weights => {
                let mut block = [F::zero(); BLOCK];
                for (index, losses) in losses.chunks(BLOCK).enumerate() {
                    for (offset, weight) in block.iter_mut().take(losses.len()).enumerate() {
                        *weight = weights.get(index * BLOCK + offset).unwrap_or_else(F::one);
                    }
                    F::accumulate_weighted(&mut lanes, losses, &block[..losses.len()]);
                }
            }
        }
        lanes.total()
    }
}

impl<F: Float> Weights<'_, F, Ix1> {
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

/// Computes the losses, one an item, and the gradients.
fn fill<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
    let items = losses.len();
    if items > work.grain && items > 1 {
        let half = items.div_ceil(2);
        // whole groups, where there are several
        let middle = if half > ROWS {
            half.next_multiple_of(ROWS)
        } else {
            half
        };
        if middle < items {
            let (left_losses, right_losses) = losses.split_at_mut(middle);
            let (left, right) = rows.split_at(Axis(0), middle);
            parallel::join(
                || fill(left, left_losses, work),
                || fill(right, right_losses, work),
            );
            return;
        }
    }
    if work.picks {
        picked(rows, losses, work);
    } else if work.classes > SHORT && (work.classes > COPIED || rows.contiguous()) {
        long(rows, losses, work);
    } else if work.classes > SHORT {
        long_copied(rows, losses, work);
    } else if rows.consecutive() {
        short(rows, losses, work, None);
    } else {
        short_copied(rows, losses, work);
    }
}

/// What an item aims at.
enum Aim {
    Class(usize),
    /// The item is left out.
    Nothing,
    Row,
}

fn aim<F: Float, T: Target<F>>(
    work: &Work<'_, F>,
    targets: &Targets<ArrayView1<'_, T>, ArrayView2<'_, T>>,
    item: usize,
) -> Aim {
    match targets {
        Targets::None => Aim::Class(0),
        Targets::Labels(labels) => match labels.get(item) {
            Some(&label) if !work.ignores.is_some_and(|ignores| ignores(label.label())) => {
                Aim::Class(label.class())
            }
            _ => Aim::Nothing,
        },
        Targets::Dense(rows) => match work.dense {
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

/// What is known of the aims of several items.
struct Aims {
    /// Whether they aim at rows.
    is_dense: bool,
    any_left_out: bool,
}

/// The classes that items aim at, from `start` on, and which of them are left out.
fn aims<F: Float, T: Target<F>>(
    work: &Work<'_, F>,
    targets: &Targets<ArrayView1<'_, T>, ArrayView2<'_, T>>,
    start: usize,
    classes: &mut [usize],
    left_out: &mut [bool],
) -> Aims {
    let mut aims = Aims {
        is_dense: false,
        any_left_out: false,
    };
    left_out.fill(false);
    if let (Targets::Labels(labels), None) = (targets, work.ignores) {
        let labels = labels.slice_axis(Axis(0), Slice::from(start..start + classes.len()));
        match labels.to_slice() {
            Some(labels) => {
                for (class, &label) in classes.iter_mut().zip(labels) {
                    *class = label.class();
                }
            }
            None => {
                for (class, &label) in classes.iter_mut().zip(&labels) {
                    *class = label.class();
                }
            }
        }
        return aims;
    }
    for (offset, class) in classes.iter_mut().enumerate() {
        *class = 0;
        match aim(work, targets, start + offset) {
            Aim::Class(of_item) => *class = of_item,
            Aim::Row => aims.is_dense = true,
            Aim::Nothing => {
                left_out[offset] = true;
                aims.any_left_out = true;
            }
        }
    }
    aims
}

/// Marks the items whose weight is 0, from `start` on; whether there are any.
fn leave_out_weightless<F: Float>(
    weights: &Weights<'_, F, Ix1>,
    start: usize,
    left_out: &mut [bool],
) -> bool {
    let mut any = false;
    if !matches!(weights, Weights::None) {
        for (offset, left_out) in left_out.iter_mut().enumerate() {
            let weightless = weights.get(start + offset) == Some(F::zero());
            *left_out |= weightless;
            any |= weightless;
        }
    }
    any
}

/// The factors of the gradients, from `start` on.
fn factors<'b, F: Float>(
    work: &Work<'_, F>,
    weights: &Weights<'_, F, Ix1>,
    start: usize,
    buffer: &'b mut [F],
) -> Coefficients<'b, F> {
    if let Weights::None = weights {
        return Coefficients::Same(work.scale);
    }
    for (offset, factor) in buffer.iter_mut().enumerate() {
        let weight = weights.get(start + offset).unwrap_or_else(F::one);
        *factor = F::coefficient(weight, work.divisor);
    }
    Coefficients::Each(buffer)
}

/// Rows one by one.
fn long<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
    let mut gradient_rows = rows.gradient.map(|view| view.into_outer_iter_mut());
    let mut room = Room::new();
    for (item, loss) in losses.iter_mut().enumerate() {
        let sink = gradient_rows.as_mut().and_then(Iterator::next);
        let weight = rows.weights.get(item);
        let coefficient = match weight {
            None => work.scale,
            Some(weight) => F::coefficient(weight, work.divisor),
        };
        let aim = aim(&work, &rows.targets, item);
        if matches!(aim, Aim::Nothing) || weight == Some(F::zero()) {
            if let Some(mut sink) = sink {
                sink.fill(F::zero());
            }
            *loss = F::zero();
            continue;
        }
        let row = Row {
            classes: work.classes,
            scores: rows.scores.map(|scores| {
                let row = scores.index_axis_move(Axis(0), item);
                row.to_slice().map_or(Source::Lane(row), Source::Slice)
            }),
            sink: sink.map(|sink| {
                if sink.is_standard_layout() {
                    Sink::Slice(sink.into_slice().unwrap_or_default())
                } else {
                    Sink::Lane(sink)
                }
            }),
        };
        let parts = |start: usize, part: &mut [F]| {
            if let Targets::Dense(targets) = &rows.targets {
                fill_part(&targets.row(item), start, part);
            }
        };
        let target = match (aim, &rows.targets) {
            (Aim::Class(class), _) => RowTarget::Label(class),
            (_, Targets::Dense(targets)) => {
                let floats = targets
                    .index_axis_move(Axis(0), item)
                    .to_slice()
                    .and_then(T::as_floats);
                RowTarget::Dense(floats.map_or(DenseTarget::Parts(&parts), DenseTarget::Slice))
            }
            _ => RowTarget::Dense(DenseTarget::Parts(&parts)),
        };
        *loss = work.kernel.row(row, target, coefficient, &mut room);
    }
}

/// Rows that are not contiguous, several copied at once: where their columns are, a line of memory holds an element
/// of each.
#[inline(never)] // its frame is large
fn long_copied<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
    let classes = work.classes;
    let (mut score_copy, mut gradient_copy) = ([F::zero(); COPIED], [F::zero(); COPIED]);
    let mut target_copy = match &rows.targets {
        Targets::Dense(view) => view.first().map(|&t| [t; COPIED]),
        Targets::None | Targets::Labels(_) => None,
    };
    let mut rest = rows;
    for losses in losses.chunks_mut((COPIED / classes).max(1)) {
        let shape = (losses.len(), classes);
        let size = losses.len() * classes;
        let (part, behind) = rest.split_at(Axis(0), losses.len());
        rest = behind;
        let (score_copy, gradient_copy) = (&mut score_copy[..size], &mut gradient_copy[..size]);
        let (direct, strided) = match part.gradient {
            Some(view) if !are_slices(&view.view()) => (None, Some(view)),
            direct => (direct, None),
        };
        if let (None, Some(view)) = (&part.scores, &strided) {
            gather(&view.view(), gradient_copy, None);
        }
        let gradient = match strided {
            Some(_) => ArrayViewMut2::from_shape(shape, &mut *gradient_copy).ok(),
            None => direct.map(|view| view.reborrow()),
        };
        let scores = match part.scores {
            Some(view) if !are_slices(&view) => {
                gather(&view, score_copy, None);
                ArrayView2::from_shape(shape, score_copy).ok()
            }
            direct => direct.map(|view| view.reborrow()),
        };
        let targets = match part.targets {
            Targets::Dense(view) => Targets::Dense(match &mut target_copy {
                Some(copy) if !are_slices(&view) => copied(&view, &mut copy[..size]),
                _ => view.reborrow(),
            }),
            Targets::Labels(view) => Targets::Labels(view.reborrow()),
            Targets::None => Targets::None,
        };
        let rows = Rows {
            scores,
            targets,
            weights: part.weights.reborrow(),
            loss: None,
            gradient,
        };
        long(rows, losses, work);
        if let Some(view) = strided {
            scatter(gradient_copy, view);
        }
    }
}

/// The same in row-major order, in a slice of the same size.
fn copied<'b, T: Copy>(view: &ArrayView2<'b, T>, copy: &'b mut [T]) -> ArrayView2<'b, T> {
    if let Ok(mut copy) = ArrayViewMut2::from_shape(view.raw_dim(), &mut *copy) {
        copy.assign(view);
    }
    ArrayView2::from_shape(view.raw_dim(), copy).unwrap_or(*view)
}

/// Whether every row is contiguous.
fn are_slices<T>(rows: &ArrayView2<'_, T>) -> bool {
    rows.rows()
        .into_iter()
        .next()
        .is_none_or(|row| row.is_standard_layout())
}

/// Copies of rows that do not lie one after the other.
struct Copies<F> {
    scores: [F; ROWS * SHORT],
    targets: [F; ROWS * SHORT],
    gradient: [F; ROWS * SHORT],
}

#[inline(never)] // its frame is large
fn short_copied<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
    let mut copies = Copies {
        scores: [F::zero(); ROWS * SHORT],
        targets: [F::zero(); ROWS * SHORT],
        gradient: [F::zero(); ROWS * SHORT],
    };
    short(rows, losses, work, Some(&mut copies));
}

fn short<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
    copies: Option<&mut Copies<F>>,
) {
    const FEW: usize = 16;
    let zeros = [F::zero(); ROWS];
    if work.classes <= FEW {
        batches(rows, losses, work, copies, &mut [zeros; 3 * FEW]);
    } else {
        batches(rows, losses, work, copies, &mut [zeros; 3 * SHORT]);
    }
}

/// Batches of short rows.
fn batches<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
    mut copies: Option<&mut Copies<F>>,
    scratch: &mut Panel<F>,
) {
    let step = if copies.is_some() { ROWS } else { BATCH };
    let mut labels = [0; BATCH];
    let mut coefficients = [F::zero(); BATCH];
    let mut left_out = [false; BATCH];
    let mut gradient = rows.gradient;
    for (index, losses) in losses.chunks_mut(step).enumerate() {
        let (start, n) = (index * step, losses.len());
        let slice = Slice::from(start..start + n);
        let size = n * work.classes;

        let Aims {
            is_dense,
            mut any_left_out,
        } = aims(&work, &rows.targets, start, &mut labels[..n], &mut left_out);
        any_left_out |= leave_out_weightless(&rows.weights, start, &mut left_out[..n]);
        let factors = factors(&work, &rows.weights, start, &mut coefficients[..n]);

        let (score_copy, target_copy, gradient_copy) = match &mut copies {
            Some(copies) => (
                &mut copies.scores[..size],
                &mut copies.targets[..size],
                &mut copies.gradient[..size],
            ),
            None => Default::default(),
        };
        let mut out = gradient
            .as_mut()
            .map(|view| view.slice_axis_mut(Axis(0), slice));
        let scores = rows.scores.map(|view| {
            let view = view.slice_axis_move(Axis(0), slice);
            match view.to_slice() {
                Some(slice) => slice,
                None => {
                    gather(&view, score_copy, None);
                    &*score_copy
                }
            }
        });
        let targets = match &rows.targets {
            Targets::Dense(view) if is_dense => {
                let view = (*view).slice_axis_move(Axis(0), slice);
                BatchTargets::Dense(match view.to_slice().and_then(T::as_floats) {
                    Some(floats) => floats,
                    None => {
                        gather(&view, target_copy, None);
                        target_copy
                    }
                })
            }
            _ => BatchTargets::Labels(&labels[..n]),
        };
        let direct = out.as_ref().is_none_or(|out| out.is_standard_layout());
        if let (false, None, Some(out)) = (direct, scores, &out) {
            gather(&out.view(), gradient_copy, None);
        }
        let mut direct_out = out.as_mut().and_then(|out| out.as_slice_mut());
        work.kernel.batch(Batch {
            classes: work.classes,
            scores,
            targets,
            coefficients: factors,
            losses,
            gradient: match &mut direct_out {
                Some(slice) => Some(slice),
                None if direct => None,
                None => Some(&mut *gradient_copy),
            },
            scratch,
        });
        if let (false, Some(out)) = (direct, &mut out) {
            scatter(gradient_copy, out.view_mut());
        }
        if any_left_out {
            for offset in (0..n).filter(|&offset| left_out[offset]) {
                losses[offset] = F::zero();
                if let Some(out) = &mut out {
                    out.row_mut(offset).fill(F::zero());
                }
            }
        }
    }
}

impl<F: Float, T: Target<F>> Rows<'_, F, T> {
    /// Whether each row is contiguous.
    fn contiguous(&self) -> bool {
        self.scores.iter().all(are_slices)
            && self.gradient.iter().all(|view| are_slices(&view.view()))
            && match &self.targets {
                Targets::Dense(view) => are_slices(view),
                Targets::None | Targets::Labels(_) => true,
            }
    }

    /// Whether the rows lie one after the other, as floats.
    fn consecutive(&self) -> bool {
        self.scores.iter().all(|view| view.is_standard_layout())
            && self.gradient.iter().all(|view| view.is_standard_layout())
            && match &self.targets {
                Targets::Dense(view) => view.to_slice().and_then(T::as_floats).is_some(),
                Targets::None | Targets::Labels(_) => true,
            }
    }
}

/// What a row holds from `start` on, and zeros behind its end.
fn fill_part<F: Float, T: Target<F>>(row: &ArrayView1<'_, T>, start: usize, part: &mut [F]) {
    let end = (start + part.len()).min(row.len());
    match row.to_slice() {
        Some(slice) => {
            for (to, &t) in part.iter_mut().zip(&slice[start..end]) {
                *to = t.to_float(None);
            }
        }
        None => {
            let values = row.slice_axis(Axis(0), Slice::from(start..end));
            for (to, &t) in part.iter_mut().zip(values) {
                *to = t.to_float(None);
            }
        }
    }
    part[end - start..].fill(F::zero());
}
