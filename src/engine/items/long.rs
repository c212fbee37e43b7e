//! Long rows, one by one.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, Slice};

use super::aims::{Aim, aim};
use super::operands::Rows;
use super::{Targets, Work};
use crate::engine::rows::{DenseTarget, Room, Row, RowTarget, Sink, Source};
use crate::engine::tiles::{copy, gather, scatter};
use crate::float::{Float, Target};

/// How many elements are copied at once, where rows are not contiguous.
const COPIED: usize = 8 * 1024;
/// How many rows belong together where they are not contiguous: their elements of a class share a line of memory.
pub(super) const TOGETHER: usize = 16;
/// How much of such rows is copied before the next stretch, so that the lines of it are still at hand.
const STRETCH: usize = 128;

pub(super) fn long<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    if rows.contiguous() {
        each(rows, losses, work);
    } else if work.classes <= COPIED {
        in_copies(rows, losses, work);
    } else {
        in_the_gradient(rows, losses, work);
    }
}

/// Rows too long for copies: scores that are not contiguous are copied to where their gradient will be, if that is.
fn in_the_gradient<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    let mut rest = rows;
    for losses in losses.chunks_mut(TOGETHER) {
        let (mut part, behind) = rest.split_at(Axis(0), losses.len());
        rest = behind;
        if let (Some(scores), Some(gradient)) = (part.scores, &mut part.gradient)
            && !are_slices(&scores)
            && are_slices(&gradient.view())
        {
            let from = scores.axis_chunks_iter(Axis(1), STRETCH);
            for (from, to) in from.zip(gradient.axis_chunks_iter_mut(Axis(1), STRETCH)) {
                copy(&from, to, None);
            }
            part.scores = None;
        }
        each(part, losses, work);
    }
}

/// Rows one by one.
fn each<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
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
fn in_copies<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
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
        each(rows, losses, work);
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

/// Whether every row is contiguous.
fn are_slices<T>(rows: &ArrayView2<'_, T>) -> bool {
    rows.rows()
        .into_iter()
        .next()
        .is_none_or(|row| row.is_standard_layout())
}

impl<F: Float, T: Target<F>> Rows<'_, F, T> {
    /// Whether each row is contiguous.
    pub(super) fn contiguous(&self) -> bool {
        self.scores.iter().all(are_slices)
            && self.gradient.iter().all(|view| are_slices(&view.view()))
            && match &self.targets {
                Targets::Dense(view) => are_slices(view),
                Targets::None | Targets::Labels(_) => true,
            }
    }
}
