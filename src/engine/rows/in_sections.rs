//! Rows of very many classes that share lines of memory: in each pass, their sections are shared among threads.
//!
//! Every section begins with what was known before the pass, or goes on from those before it; what is found in each
//! joins that of those before it, one after the other.
//!
//! As long as passes read contiguous rows alone, threads share the rows instead, each of which goes through all of these
//! passes while a core's cache may hold it.

use std::array::from_fn;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

use super::across::{Stage, across_stage};
use super::band::{Access, AreLines, Band, Item, Sink, Way};
use super::copies::{Rooms, Source, are_slices, slices, slices_mut};
use super::long::{InTurn, part_by_part};
use super::parts::{Part, SECTION};
use super::{ABREAST, RowKernel, TOGETHER};
use crate::engine::parallel;
use crate::engine::simd;
use crate::engine::span::unzip;
use crate::float::Float;

/// What is known of the rows. Not in a frame, of which there may be many on a stack: a thread that waits for another
/// begins other work.
struct Memory<K> {
    /// Of each section that is seen at a time. The first goes on from those that were seen earlier in the pass, so that it
    /// holds all that is known.
    sections: Vec<Option<K>>,
    /// What was known before the pass.
    before: Vec<Option<K>>,
}

impl<K> Memory<K> {
    fn known(&mut self, rows: usize) -> &mut [Option<K>] {
        &mut self.sections[..rows]
    }
}

/// So many rows are at least each thread's, where threads share them.
const ROWS_OF_A_THREAD: usize = 4;

pub(super) fn in_sections<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    losses: &mut [F],
) {
    let rows = band.items.len();
    let at_once = parallel::threads().min(band.classes.div_ceil(SECTION));
    let mut memory = Memory {
        sections: vec![None; rows * at_once],
        before: vec![None; rows],
    };
    let passes = passes_by_rows::<F, K>(band);
    if passes > 0 {
        let of_all = ByRows {
            kernel,
            classes: band.classes,
            items: band.items,
            scores: band.scores.as_ref().and_then(Source::view),
            targets: band.targets.as_ref().and_then(Source::view),
            gradient: band.gradient.as_mut().and_then(Sink::view),
            known: memory.known(rows),
            passes,
        };
        of_all.share();
    } else {
        across_stage(kernel, Stage::Begin, band, memory.known(rows), &mut []);
    }
    pass::<F, K, 0>(kernel, band, &mut memory, passes);
    pass::<F, K, 1>(kernel, band, &mut memory, passes);
    pass::<F, K, 2>(kernel, band, &mut memory, passes);
    pass::<F, K, 3>(kernel, band, &mut memory, passes);
    across_stage(kernel, Stage::Finish, band, memory.known(rows), losses);
}

/// How many of the passes, from the first, make use of nothing but contiguous rows; none where there are so few rows
/// that a thread would have more of them than another.
fn passes_by_rows<F: Float, K: RowKernel<F>>(band: &Band<'_, '_, F>) -> usize {
    if band.items.len() < ROWS_OF_A_THREAD * parallel::threads() {
        return 0;
    }
    let [scores, targets] = [&band.scores, &band.targets].map(|source| {
        let source = source.as_ref();
        source.map(|source| source.view().is_some_and(|view| are_slices(&view)))
    });
    let gradient = match &band.gradient {
        Some(Sink::View(view)) => are_slices(view),
        _ => true,
    };
    let are_lines = AreLines {
        scores: scores.unwrap_or(gradient),
        targets: targets.unwrap_or(true),
        gradient,
    };
    are_lines.passes::<F, K>()
}

/// Passes over contiguous rows.
struct ByRows<'a, 's, F: Float, K: RowKernel<F>> {
    kernel: K,
    classes: usize,
    items: &'s [Option<Item<F>>],
    scores: Option<ArrayView2<'a, F>>,
    targets: Option<ArrayView2<'a, F>>,
    gradient: Option<ArrayViewMut2<'a, F>>,
    known: &'s mut [Option<K::Known>],
    /// How many, from the first.
    passes: usize,
}

impl<F: Float, K: RowKernel<F>> ByRows<'_, '_, F, K> {
    fn share(self) {
        let rows = self.items.len();
        if rows <= 1 {
            self.run();
            return;
        }
        let (items, other_items) = self.items.split_at(rows / 2);
        let (known, other_known) = self.known.split_at_mut(rows / 2);
        let [scores, targets] = [self.scores, self.targets]
            .map(|view| unzip(view.map(|view| view.split_at(Axis(0), rows / 2))));
        let gradient = unzip(self.gradient.map(|view| view.split_at(Axis(0), rows / 2)));
        let half = ByRows {
            items,
            scores: scores.0,
            targets: targets.0,
            gradient: gradient.0,
            known,
            ..self
        };
        let other = ByRows {
            items: other_items,
            scores: scores.1,
            targets: targets.1,
            gradient: gradient.1,
            known: other_known,
            ..self
        };
        parallel::join(|| half.share(), || other.share());
    }

    #[inline(never)] // its frame is large
    fn run(self) {
        let mut lines: [[&[F]; 1]; 2] = [[&[]]; 2];
        let [score_lines, target_lines] = &mut lines;
        let mut gradient_line: [&mut [F]; 1] = Default::default();
        let mut rooms = Rooms::<F, 1>::new();
        let mut band = Band {
            first: 0,
            classes: self.classes,
            items: self.items,
            scores: self.scores.map(|view| source_of(view, score_lines)),
            targets: self.targets.map(|view| source_of(view, target_lines)),
            gradient: self.gradient.map(|view| sink_of(view, &mut gradient_line)),
            way: Way::ByRows,
        };
        simd::dispatch(InTurn {
            kernel: self.kernel,
            band: &mut band,
            known: self.known,
            rows: 0..self.items.len(),
            passes: 0..self.passes,
            losses: &mut [],
            room: rooms.room(),
        });
    }
}

fn pass<F: Float, K: RowKernel<F>, const PASS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    memory: &mut Memory<K::Known>,
    done: usize,
) {
    let Some(&(pass, access)) = K::PASSES.get(PASS) else {
        return;
    };
    if PASS < done || band.leaves_out(access) {
        return;
    }
    let across = match band.way {
        Way::InSections { across } => across,
        Way::ByRows | Way::Across => false,
    };
    let by_columns = band.is_by_columns(access);
    let (rows, classes) = (band.items.len(), band.classes);
    let mut gradient = match &mut band.gradient {
        Some(Sink::View(view)) => Some(view.view_mut()),
        Some(Sink::Slices(_)) | None => None,
    };
    let sections = Sections::<F, K, PASS> {
        kernel,
        pass: (pass, access),
        across: across || access.goes_across_alone() && by_columns,
        items: band.items,
        scores: band.scores.as_ref(),
        targets: band.targets.as_ref(),
    };
    memory.before.clone_from_slice(&memory.sections[..rows]);
    let at_once = memory.sections.len() / rows * SECTION;
    for start in (0..classes).step_by(at_once) {
        let here = start..classes.min(start + at_once);
        let of_here;
        (of_here, gradient) = unzip(gradient.map(|view| view.split_at(Axis(1), here.len())));
        let found = &mut memory.sections[..here.len().div_ceil(SECTION) * rows];
        for section in found.chunks_mut(rows).skip(1) {
            section.clone_from_slice(&memory.before);
        }
        sections.share(here, of_here, found);
        let (known, others) = found.split_at_mut(rows);
        for section in others.chunks(rows) {
            simd::dispatch(Adopt {
                kernel,
                pass,
                known: &mut *known,
                section,
            });
        }
    }
    across_stage(
        kernel,
        Stage::After(pass),
        band,
        memory.known(rows),
        &mut [],
    );
}

/// A pass over sections of a band, but for the gradient.
struct Sections<'a, 's, F: Float, K: RowKernel<F>, const PASS: usize> {
    kernel: K,
    pass: (K::Pass, Access),
    across: bool,
    items: &'s [Option<Item<F>>],
    scores: Option<&'s Source<'a, F>>,
    targets: Option<&'s Source<'a, F>>,
}

impl<F: Float, K: RowKernel<F>, const PASS: usize> Sections<'_, '_, F, K, PASS> {
    /// Some sections; `found` holds what is known of the rows of each.
    fn share(
        &self,
        classes: Range<usize>,
        gradient: Option<ArrayViewMut2<'_, F>>,
        found: &mut [Option<K::Known>],
    ) {
        let sections = classes.len().div_ceil(SECTION);
        if sections <= 1 {
            self.section(classes, gradient, found);
            return;
        }
        let half = sections / 2;
        let middle = classes.start + half * SECTION;
        let (left, right) = unzip(gradient.map(|view| view.split_at(Axis(1), half * SECTION)));
        let (left_found, right_found) = found.split_at_mut(half * self.items.len());
        parallel::join(
            || self.share(classes.start..middle, left, left_found),
            || self.share(middle..classes.end, right, right_found),
        );
    }

    #[inline(never)] // its frame is large, and no other work is begun in it
    fn section(
        &self,
        classes: Range<usize>,
        gradient: Option<ArrayViewMut2<'_, F>>,
        found: &mut [Option<K::Known>],
    ) {
        let first = classes.start;
        let rows = self.items.len();
        let [scores, targets] = [self.scores, self.targets].map(|source| match source {
            Some(Source::View(view)) => {
                Some(view.slice_axis(Axis(1), Slice::from(classes.clone())))
            }
            _ => None,
        });
        let mut lines: [[&[F]; ABREAST]; 2] = [[&[]; ABREAST]; 2];
        let [score_lines, target_lines] = lines.each_mut().map(|lines| &mut lines[..rows]);
        let target_parts = |rows: Range<usize>, part: Part, copies: &mut [_]| {
            if let Some(Source::Parts(copy)) = self.targets {
                copy(rows, part.behind(first), copies);
            }
        };
        let targets = match (&targets, self.targets) {
            (Some(view), _) => Some(source_of(*view, target_lines)),
            (None, Some(Source::Parts(_))) => Some(Source::Parts(&target_parts)),
            (None, _) => None,
        };
        let mut gradient_lines: [&mut [F]; ABREAST] = from_fn(|_| Default::default());
        let mut band = Band {
            first,
            classes: classes.len(),
            items: self.items,
            scores: scores.map(|view| source_of(view, score_lines)),
            targets,
            gradient: gradient.map(|view| sink_of(view, &mut gradient_lines[..rows])),
            way: Way::ByRows,
        };
        let (pass, access) = self.pass;
        if self.across {
            across_stage(
                self.kernel,
                Stage::Pass(pass, access),
                &mut band,
                found,
                &mut [],
            );
        } else if size_of::<F>() <= size_of::<f32>() {
            by_parts::<F, K, PASS, TOGETHER>(self.kernel, &mut band, found);
        } else {
            // As many bytes.
            by_parts::<F, K, PASS, { TOGETHER / 2 }>(self.kernel, &mut band, found);
        }
    }
}

#[inline(never)] // its frame is large
fn by_parts<F: Float, K: RowKernel<F>, const PASS: usize, const BLOCKS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
) {
    let mut rooms = Rooms::<F, BLOCKS>::new();
    part_by_part::<F, K, PASS>(kernel, band, known, rooms.room());
}

/// Rows as slices, if they are contiguous.
fn source_of<'l, 'v: 'l, F: Float>(
    view: ArrayView2<'v, F>,
    lines: &'l mut [&'v [F]],
) -> Source<'l, F> {
    slices(&view, lines).map_or(Source::View(view), Source::Slices)
}

fn sink_of<'v, 's, F: Float>(
    view: ArrayViewMut2<'v, F>,
    lines: &'s mut [&'v mut [F]],
) -> Sink<'s, 'v, F> {
    if are_slices(&view) {
        slices_mut(view, lines);
        Sink::Slices(lines)
    } else {
        Sink::View(view)
    }
}

/// What a pass has found in a section.
struct Adopt<'s, K: RowKernel<F>, F: Float> {
    kernel: K,
    pass: K::Pass,
    known: &'s mut [Option<K::Known>],
    section: &'s [Option<K::Known>],
}

impl<K: RowKernel<F>, F: Float> simd::Work for Adopt<'_, K, F> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        for (known, section) in self.known.iter_mut().zip(self.section) {
            if let (Some(known), Some(section)) = (known, section) {
                self.kernel.adopt(self.pass, known, section);
            }
        }
    }
}
