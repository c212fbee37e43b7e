//! Rows of very many classes that share lines of memory: in each pass, their sections are shared among threads.
//!
//! Every section begins with what was known before the pass; what is found in each joins that of those before it, one
//! after the other.

use std::array::from_fn;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

use super::copies::{Rooms, Source, are_slices, slices, slices_mut};
use super::long::{Access, Band, Item, Sink, Stage, Way, across_stage, part_by_part};
use super::parts::{Part, SECTION};
use super::{ABREAST, RowKernel, TOGETHER};
use crate::engine::parallel;
use crate::engine::simd;
use crate::engine::span::unzip;
use crate::float::Float;

/// What is known of the rows. Not in a frame, of which there may be many on a stack: a thread that waits for another
/// begins other work.
struct Memory<K> {
    known: Vec<Option<K>>,
    /// The same before the pass.
    before: Vec<Option<K>>,
    /// What is known in each of the sections that are seen at a time.
    found: Vec<Option<K>>,
}

/// How many sections there are to each thread at a time: one that is interrupted does not hold up the rest for long.
const OF_A_THREAD: usize = 2;

pub(super) fn in_sections<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    losses: &mut [F],
) {
    let rows = band.items.len();
    let mut memory = Memory {
        known: (0..rows).map(|_| None).collect(),
        before: Vec::with_capacity(rows),
        found: Vec::with_capacity(rows * OF_A_THREAD * parallel::threads()),
    };
    across_stage(kernel, Stage::Begin, band, &mut memory.known, &mut []);
    pass::<F, K, 0>(kernel, band, &mut memory);
    pass::<F, K, 1>(kernel, band, &mut memory);
    pass::<F, K, 2>(kernel, band, &mut memory);
    pass::<F, K, 3>(kernel, band, &mut memory);
    across_stage(kernel, Stage::Finish, band, &mut memory.known, losses);
}

fn pass<F: Float, K: RowKernel<F>, const PASS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    memory: &mut Memory<K::Known>,
) {
    let Memory {
        known,
        before,
        found,
    } = memory;
    let Some(&(pass, access)) = K::PASSES.get(PASS) else {
        return;
    };
    if access.gradient.is_only_for_gradient() && band.gradient.is_none() {
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
    before.clear();
    before.extend_from_slice(known);
    let at_once = OF_A_THREAD * parallel::threads();
    for start in (0..classes).step_by(at_once * SECTION) {
        let here = start..classes.min(start + at_once * SECTION);
        let of_here;
        (of_here, gradient) = unzip(gradient.map(|view| view.split_at(Axis(1), here.len())));
        found.clear();
        for _ in here.clone().step_by(SECTION) {
            found.extend_from_slice(before);
        }
        sections.share(here, of_here, found);
        for section in found.chunks(rows) {
            simd::dispatch(Adopt {
                kernel,
                pass,
                known: &mut *known,
                section,
            });
        }
    }
    across_stage(kernel, Stage::After(pass), band, known, &mut []);
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
            (Some(view), _) => Some(source_of(view, target_lines)),
            (None, Some(Source::Parts(_))) => Some(Source::Parts(&target_parts)),
            (None, _) => None,
        };
        let mut gradient_lines: [&mut [F]; ABREAST] = from_fn(|_| Default::default());
        let mut band = Band {
            first,
            classes: classes.len(),
            items: self.items,
            scores: scores.as_ref().map(|view| source_of(view, score_lines)),
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
fn source_of<'v, F: Float>(view: &'v ArrayView2<'_, F>, lines: &'v mut [&'v [F]]) -> Source<'v, F> {
    if are_slices(view) {
        slices(&view.reborrow(), lines).map_or(Source::View(view.view()), Source::Slices)
    } else {
        Source::View(view.view())
    }
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
