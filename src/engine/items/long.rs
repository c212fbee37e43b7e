//! Long rows: one by one where they are contiguous, else several together.

use std::array::from_fn;

use ndarray::{ArrayView2, ArrayViewMut, Axis, Slice};

use super::aims::{Aim, aim};
use super::operands::Rows;
use super::{Targets, Work};
use crate::engine::rows::{
    Band, Block, Dense, Item, Part, Rooms, Sink, Source, TOGETHER, copy_part, named,
};
use crate::float::{Float, Target};

pub(super) fn long<F: Float, T: Target<F>>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    if rows.contiguous() {
        bands::<F, T, 1>(rows, losses, work);
    } else {
        together(rows, losses, work);
    }
}

#[inline(never)] // its frame is large
fn together<F: Float, T: Target<F>>(rows: Rows<'_, F, T>, losses: &mut [F], work: Work<'_, F>) {
    bands::<F, T, TOGETHER>(rows, losses, work);
}

/// So many rows at a time.
fn bands<F: Float, T: Target<F>, const ROWS: usize>(
    rows: Rows<'_, F, T>,
    losses: &mut [F],
    work: Work<'_, F>,
) {
    let mut rooms = Rooms::<F, ROWS>::new();
    let mut gradients = rows.gradient;
    let mut gradients = gradients
        .as_mut()
        .map(|view| view.axis_chunks_iter_mut(Axis(0), ROWS));
    for (index, losses) in losses.chunks_mut(ROWS).enumerate() {
        let start = index * ROWS;
        let span = Slice::from(start..start + losses.len());
        let scores = rows.scores.map(|view| view.slice_axis_move(Axis(0), span));
        let targets = match &rows.targets {
            Targets::Dense(view) => Some(view.slice_axis_move(Axis(0), span)),
            Targets::None | Targets::Labels(_) => None,
        };
        let mut gradient = gradients.as_mut().and_then(Iterator::next);

        let target_slices = targets.as_ref().and_then(slices::<F, T, ROWS>);
        let target_parts = |part: Part, copies: &mut [Block<F>]| {
            if let Some(view) = &targets {
                copy_part(view, part, copies);
            }
        };
        let target_source = || match (&targets, &target_slices) {
            (None, _) => None,
            (_, Some(slices)) => Some(Source::Slices(slices)),
            (_, None) => Some(Source::Parts(&target_parts)),
        };
        let mut classes = [None; ROWS];
        let by_class = work.dense != Dense::Distribution;
        if let (true, Some(source)) = (by_class, target_source()) {
            named(work.dense, source, work.classes, rooms.room(), &mut classes);
        }
        let item = |row: usize| {
            let weight = rows.weights.get(start + row);
            if row >= losses.len() || weight == Some(F::zero()) {
                return None;
            }
            let class = match &rows.targets {
                Targets::Dense(_) if by_class => Some(classes[row]?),
                Targets::Dense(_) => None,
                labels => match aim(&work, labels, start + row) {
                    Aim::Class(class) => Some(class),
                    Aim::Row | Aim::Nothing => return None,
                },
            };
            Some(Item {
                classes: work.classes,
                label: class,
                coefficient: match weight {
                    None => work.scale,
                    Some(weight) => F::coefficient(weight, work.divisor),
                },
            })
        };
        let items: [_; ROWS] = from_fn(item);
        let items = &items[..losses.len()];
        if items.iter().all(Option::is_none) {
            losses.fill(F::zero());
            if let Some(gradient) = &mut gradient {
                gradient.fill(F::zero());
            }
            continue;
        }

        let score_slices = scores.as_ref().and_then(slices::<F, F, ROWS>);
        let mut lines;
        let band = Band {
            classes: work.classes,
            items,
            scores: scores.map(|view| match &score_slices {
                Some(slices) => Source::Slices(slices),
                None => Source::View(view),
            }),
            targets: if by_class { None } else { target_source() },
            gradient: match gradient {
                None => None,
                Some(view) if are_slices(&view.view()) => {
                    let mut view = view.into_outer_iter_mut().map(ArrayViewMut::into_slice);
                    lines = from_fn::<_, ROWS, _>(|_| view.next().flatten().unwrap_or_default());
                    Some(Sink::Slices(&mut lines[..losses.len()]))
                }
                Some(view) => Some(Sink::View(view)),
            },
        };
        work.kernel.band(band, losses, rooms.room());
    }
}

/// The rows as slices, if they are contiguous and floats.
pub(super) fn slices<'a, F: Float, T: Target<F>, const ROWS: usize>(
    rows: &ArrayView2<'a, T>,
) -> Option<[&'a [F]; ROWS]> {
    let mut slices: [&[F]; ROWS] = [&[]; ROWS];
    for (index, slice) in slices.iter_mut().enumerate().take(rows.nrows()) {
        let row = rows.index_axis_move(Axis(0), index);
        *slice = T::as_floats(row.to_slice()?)?;
    }
    Some(slices)
}

/// Whether every row is contiguous.
pub(super) fn are_slices<T>(rows: &ArrayView2<'_, T>) -> bool {
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
