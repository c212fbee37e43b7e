//! Long rows: in turn where they are contiguous, else copied, as a whole or part by part.

use std::array::from_fn;
use std::ops::Range;

use ndarray::{ArrayBase, ArrayView2, ArrayViewMut2, Axis, Ix2, RawData};

use super::Work;
use super::aims::aim;
use super::operands::Rows;
use super::targets::{AnyRows, Divide, Targets};
use crate::engine::copying::{gather, scatter};
use crate::engine::parallel;
use crate::engine::reduce::Order;
use crate::engine::rows::{
    ABREAST, BLOCK, Band, Block, Dense, IN_TURN, Item, Part, Room, Rooms, SECTION, Sink, Source,
    TOGETHER, Way, are_contiguous_columns, are_enough_across, are_slices, named, rows_across,
    rows_in_turn, slices, slices_mut,
};
use crate::float::Float;

/// Blocks of copies for few elements: to clear more would take longer than the work.
const FEW_BLOCKS: usize = 16;
/// What some cache holds of the rows of [`TOGETHER`] from one pass to the next.
const BETWEEN_PASSES: usize = 4 << 20;
/// Of how many sections a row is at least, for threads to share them.
const LEAST_SECTIONS: usize = 4;
/// About so many passes share the work of a row, and wait for each other.
const PASSES: f64 = 3.0;

pub(super) fn long<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>) {
    if work.in_sections {
        let together = Together {
            rows: rows_across::<F>(),
            way: Way::InSections {
                across: rows.go_across(&work),
            },
        };
        let mut room = Rooms::<F, 1>::new();
        bands::<F, ABREAST>(rows, losses, work, together, room.room());
        return;
    }
    if rows.are_float_slices() {
        each(rows, losses, work);
        return;
    }
    if rows.go_across(&work) {
        let together = Together {
            rows: rows_across::<F>(),
            way: Way::Across,
        };
        let mut room = Rooms::<F, 1>::new();
        bands::<F, ABREAST>(rows, losses, work, together, room.room());
        return;
    }
    let few = losses.len() * work.classes <= FEW_BLOCKS * BLOCK;
    let mut rows = Some(rows);
    let mut run = |room: Room<'_, F>| {
        if let Some(rows) = rows.take() {
            with_copies(rows, losses, work, room);
        }
    };
    if few {
        with_room::<F, FEW_BLOCKS>(&mut run);
    } else if size_of::<F>() <= size_of::<f32>() {
        with_room::<F, TOGETHER>(&mut run);
    } else {
        // As many bytes.
        with_room::<F, { TOGETHER / 2 }>(&mut run);
    }
}

#[inline(never)] // its frame is large
fn with_room<F: Float, const BLOCKS: usize>(run: &mut dyn FnMut(Room<'_, F>)) {
    run(Rooms::<F, BLOCKS>::new().room());
}

/// Rows that are not contiguous: part by part where they share lines of memory or are too long to be copied as a whole.
fn with_copies<F: Float>(
    rows: Rows<'_, '_, F>,
    losses: &mut [F],
    work: Work<'_, F>,
    room: Room<'_, F>,
) {
    let blocks = room.blocks();
    if rows.share_lines() {
        let at_once = rows_that_share_lines::<F>(work.classes);
        if at_once <= TOGETHER {
            bands::<F, TOGETHER>(rows, losses, work, Together::of(blocks), room);
        } else {
            // More than there is room for: what they share is fetched at once, and copied by and by.
            bands::<F, ABREAST>(rows, losses, work, Together::of(at_once), room);
        }
    } else if work.classes <= blocks * BLOCK {
        whole(rows, losses, work, room);
    } else {
        bands::<F, IN_TURN>(rows, losses, work, Together::of(1), room);
    }
}

/// How many rows are treated together that are not contiguous and share lines of memory: so few that they are still in
/// some cache in the next pass, or if they are too long for that, so many that they share much.
pub(super) fn rows_that_share_lines<F: Float>(classes: usize) -> usize {
    if classes > BETWEEN_PASSES / (TOGETHER * size_of::<F>()) {
        rows_across::<F>()
    } else {
        TOGETHER
    }
}

/// Rows that are copied as a whole, as many as fit.
fn whole<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>, room: Room<'_, F>) {
    let classes = work.classes;
    let [score_copies, target_copies, gradient_copies] = room.copies();
    let mut rest = rows;
    for losses in losses.chunks_mut((score_copies.len() / classes).max(1)) {
        let shape = (losses.len(), classes);
        let size = losses.len() * classes;
        let (part, behind) = rest.divide(losses.len());
        rest = behind;
        let score_copies = &mut score_copies[..size];
        let gradient_copies = &mut gradient_copies[..size];
        let (direct, strided) = match part.gradient {
            Some(view) if !are_slices(&view) => (None, Some(view)),
            direct => (direct, None),
        };
        if let (None, Some(view)) = (&part.scores, &strided) {
            gather(&view.view(), gradient_copies);
        }
        let scores = match part.scores {
            Some(view) if !are_slices(&view) => {
                gather(&view, score_copies);
                ArrayView2::from_shape(shape, &*score_copies).ok()
            }
            direct => direct.map(|view| view.reborrow()),
        };
        let gradient = match strided {
            Some(_) => ArrayViewMut2::from_shape(shape, &mut *gradient_copies).ok(),
            None => direct.map(|view| view.reborrow()),
        };
        let targets = match &part.targets {
            Targets::Dense(rows) => {
                let targets = rows.consecutive(0..losses.len(), &mut target_copies[..size]);
                let targets = ArrayView2::from_shape(shape, targets);
                targets.map_or(Targets::None, |rows| Targets::Dense(AnyRows::Floats(rows)))
            }
            Targets::Labels(labels) => Targets::Labels(*labels),
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
            scatter(gradient_copies, view);
        }
    }
}

/// Contiguous rows, as many in turn as a pass leaves in the cache for the next one.
fn each<F: Float>(rows: Rows<'_, '_, F>, losses: &mut [F], work: Work<'_, F>) {
    let mut room = Rooms::<F, 1>::new();
    let together = Together::of(rows_in_turn::<F>(work.classes));
    bands::<F, IN_TURN>(rows, losses, work, together, room.room());
}

/// How long rows are treated together.
#[derive(Clone, Copy)]
struct Together {
    /// How many at a time.
    rows: usize,
    way: Way,
}

impl Together {
    fn of(rows: usize) -> Self {
        Self {
            rows,
            way: Way::ByRows,
        }
    }
}

/// Rows part by part, at most `ROWS` at a time.
fn bands<F: Float, const ROWS: usize>(
    rows: Rows<'_, '_, F>,
    losses: &mut [F],
    work: Work<'_, F>,
    together: Together,
    mut room: Room<'_, F>,
) {
    let Together { rows: at_once, way } = together;
    // Not rows, of which sections are taken.
    let are_views = matches!(way, Way::InSections { .. });
    let mut scores = rows
        .scores
        .as_ref()
        .map(|view| view.axis_chunks_iter(Axis(0), at_once));
    let dense = match &rows.targets {
        Targets::Dense(rows) => Some(rows),
        Targets::None | Targets::Labels(_) => None,
    };
    let mut targets = dense
        .and_then(AnyRows::floats)
        .map(|view| view.axis_chunks_iter(Axis(0), at_once));
    let mut gradients = rows.gradient;
    let mut gradients = gradients
        .as_mut()
        .map(|view| view.axis_chunks_iter_mut(Axis(0), at_once));
    // Filled where they are: what was just written cannot be moved without waiting.
    let mut score_slices: [&[F]; ROWS] = [&[]; ROWS];
    let mut target_slices: [&[F]; ROWS] = [&[]; ROWS];
    let mut lines: [&mut [F]; ROWS] = from_fn(|_| Default::default());
    let mut classes = [None; ROWS];
    let mut items = [None; ROWS];
    let by_class = work.dense != Dense::Distribution;
    for (index, losses) in losses.chunks_mut(at_once).enumerate() {
        let start = index * at_once;
        let scores = scores.as_mut().and_then(Iterator::next);
        let targets = targets.as_mut().and_then(Iterator::next);
        let mut gradient = gradients.as_mut().and_then(Iterator::next);
        let rows_here = losses.len();

        let target_slices = targets
            .as_ref()
            .filter(|_| !are_views)
            .and_then(|view| slices(view, &mut target_slices[..rows_here]));
        let target_parts = |rows: Range<usize>, part: Part, copies: &mut [Block<F>]| {
            if let Some(AnyRows::Others(others)) = dense {
                others.copy_part(start + rows.start..start + rows.end, part, copies);
            }
        };
        let target_source = || match (&targets, &target_slices) {
            (_, Some(slices)) => Some(Source::Slices(slices)),
            (Some(view), None) => Some(Source::View(view.view())),
            (None, None) if dense.is_some() => Some(Source::Parts(&target_parts)),
            (None, None) => None,
        };
        if let (true, Some(source)) = (by_class, target_source()) {
            named(
                work.dense,
                source,
                work.classes,
                room.of_targets(),
                &mut classes[..rows_here],
            );
        }
        let item = |row: usize| {
            let weight = rows.weights.get(start + row);
            if weight == Some(F::zero()) {
                return None;
            }
            let class = match &rows.targets {
                Targets::Dense(_) if by_class => Some(classes[row]?),
                Targets::Dense(_) => None,
                labels => Some(aim(&work, labels, start + row)?),
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
        let items = &mut items[..rows_here];
        for (row, to) in items.iter_mut().enumerate() {
            *to = item(row);
        }
        if items.iter().all(Option::is_none) {
            losses.fill(F::zero());
            if let Some(gradient) = &mut gradient {
                gradient.fill(F::zero());
            }
            continue;
        }

        let score_slices = scores
            .as_ref()
            .filter(|_| !are_views)
            .and_then(|view| slices(view, &mut score_slices[..rows_here]));
        let mut band = Band {
            first: 0,
            classes: work.classes,
            items,
            scores: scores.map(|view| match &score_slices {
                Some(slices) => Source::Slices(slices),
                None => Source::View(view),
            }),
            targets: if by_class { None } else { target_source() },
            gradient: match gradient {
                None => None,
                Some(view) if !are_views && are_slices(&view.view()) => {
                    slices_mut(view, &mut lines);
                    Some(Sink::Slices(&mut lines[..rows_here]))
                }
                Some(view) => Some(Sink::View(view)),
            },
            way,
        };
        work.kernel.band(&mut band, losses, room.reborrow());
    }
}

/// Whether elements of several rows lie closer together than those of a row.
pub(super) fn are_columns<S: RawData>(rows: &ArrayBase<S, Ix2>) -> bool {
    let [of_rows, of_classes] = [rows.strides()[0], rows.strides()[1]].map(isize::unsigned_abs);
    rows.nrows() > 1 && 0 < of_rows && of_rows < of_classes
}

impl<F: Float> Rows<'_, '_, F> {
    /// Whether each row is contiguous, and floats.
    fn are_float_slices(&self) -> bool {
        self.scores.as_ref().is_none_or(are_slices)
            && self.gradient.as_ref().is_none_or(are_slices)
            && match &self.targets {
                Targets::Dense(rows) => rows.floats().is_some_and(are_slices),
                Targets::None | Targets::Labels(_) => true,
            }
    }

    /// Whether all but labels lies along columns, and is floats, and the kernel sees it there, where it adds up by lanes.
    pub(super) fn go_across(&self, work: &Work<'_, F>) -> bool {
        let gradient = self.gradient.as_ref();
        work.kernel.goes_across()
            && Order::of(work.classes) == Order::ByLanes
            && are_enough_across::<F>(self.items())
            && self.scores.as_ref().is_none_or(are_contiguous_columns)
            && gradient.is_none_or(|view| are_contiguous_columns(&view.view()))
            && match &self.targets {
                Targets::Dense(rows) => rows.floats().is_some_and(are_contiguous_columns),
                Targets::None | Targets::Labels(_) => true,
            }
    }

    /// Whether threads are better given sections of rows than rows: where these share lines of memory, and are so few that
    /// all threads would read parts of the same ones.
    pub(super) fn are_worth_sections(&self, work: &Work<'_, F>) -> bool {
        let names_classes = work.dense != Dense::Distribution;
        if work.picks
            || work.classes < LEAST_SECTIONS * SECTION
            || names_classes && matches!(self.targets, Targets::Dense(_))
            || !parallel::is_worth_threads(self.items() as f64 * f64::from(work.cost) / PASSES)
        {
            return false;
        }
        self.share_lines() && self.items() < rows_across::<F>() * parallel::threads()
    }

    /// Whether rows share lines of memory, of any of the operands.
    pub(super) fn share_lines(&self) -> bool {
        self.scores.as_ref().is_some_and(are_columns)
            || self.gradient.as_ref().is_some_and(are_columns)
            || match &self.targets {
                Targets::Dense(rows) => rows.are_columns(),
                Targets::None | Targets::Labels(_) => false,
            }
    }
}
