//! Long rows: pass after pass, part by part. A contiguous row is treated alone; rows that are not are treated together,
//! a part of each at a time, since a line of memory may hold an element of each of them.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use super::RowKernel;
use super::columns::Columns;
use super::copies::{
    Copies, Room, Source, Workspace, copy_of, copy_part, copy_part_back, pad, part_of,
};
use super::parts::{Part, Parts};
use crate::engine::simd;
use crate::float::Float;

/// What a pass over a row makes use of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) scores: bool,
    pub(crate) targets: bool,
    pub(crate) gradient: Gradient,
    /// Whether scores that lie along columns are read there: [`RowKernel::across`] then takes the place of
    /// [`RowKernel::part`]. For passes that read scores and nothing else.
    pub(crate) across: bool,
}

impl Access {
    pub(crate) const NONE: Self = Self {
        scores: false,
        targets: false,
        gradient: Gradient::Unused,
        across: false,
    };
}

/// What a pass does with the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gradient {
    Unused,
    /// It is written; where none is wanted, that is lost.
    Written,
    /// The same, but it is only what the passes that follow start from: see [`Piece::is_kept`].
    Kept,
    /// It is written; where none is wanted, the pass is left out. So it is for those that follow.
    Filled,
    Read,
    Updated,
}

impl Gradient {
    /// Whether the pass starts from what an earlier one kept.
    #[inline(always)]
    fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Updated)
    }

    #[inline(always)]
    fn is_result(self) -> bool {
        matches!(self, Self::Written | Self::Filled | Self::Updated)
    }

    /// Whether the pass is left out where no gradient is wanted.
    #[inline(always)]
    fn is_only_for_gradient(self) -> bool {
        matches!(self, Self::Filled | Self::Read | Self::Updated)
    }
}

/// What a pass of a kernel sees of a row: slices of the length of the part, empty where the pass has no use for them. A
/// pass that makes use of the gradient alone may see all of a row at once.
pub(crate) struct Piece<'a, F> {
    pub(crate) part: Part,
    /// How many elements lie before the end of the row.
    pub(crate) within: usize,
    /// [`RowKernel::padding`] behind the end.
    pub(crate) scores: &'a [F],
    /// 0 behind the end; empty for a label.
    pub(crate) targets: &'a [F],
    /// 0 behind the end.
    pub(crate) gradient: &'a mut [F],
    /// Whether what was kept is in the gradient. Where it is not, since it would have to be copied there and back, the
    /// scores are at hand to compute it again.
    pub(crate) is_kept: bool,
    pub(crate) wants_gradient: bool,
    pub(crate) work: &'a mut Workspace<F>,
}

/// What a long row aims at, and the factor of its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<F> {
    pub(crate) classes: usize,
    /// `None` for a row of targets.
    pub(crate) label: Option<usize>,
    pub(crate) coefficient: F,
}

/// Where the gradients of the rows go.
pub(crate) enum Sink<'a, 'b, F> {
    Slices(&'a mut [&'b mut [F]]),
    View(ArrayViewMut2<'b, F>),
}

/// Long rows that are treated together.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Band<'a, 'b, F> {
    pub(crate) classes: usize,
    /// `None` for what is left out: its loss and its gradient are 0.
    pub(crate) items: &'a [Option<Item<F>>],
    /// Absent where the scores are in the sink.
    pub(crate) scores: Option<Source<'a, F>>,
    pub(crate) targets: Option<Source<'a, F>>,
    pub(crate) gradient: Option<Sink<'a, 'b, F>>,
}

impl<F: Float> Band<'_, '_, F> {
    /// Whether no row has to be copied.
    #[inline(always)]
    fn is_contiguous(&self) -> bool {
        matches!(self.scores, None | Some(Source::Slices(_)))
            && matches!(self.targets, None | Some(Source::Slices(_)))
            && matches!(self.gradient, None | Some(Sink::Slices(_)))
    }

    /// The score of a class.
    pub(super) fn score(&self, row: usize, class: usize) -> F {
        let score = match (&self.scores, &self.gradient) {
            (Some(Source::Slices(rows)), _) => rows.get(row).and_then(|row| row.get(class)),
            (Some(Source::View(view)), _) => view.get([row, class]),
            (None, Some(Sink::Slices(rows))) => rows.get(row).and_then(|row| row.get(class)),
            (None, Some(Sink::View(view))) => view.get([row, class]),
            // Scores are floats already.
            (Some(Source::Parts(_)), _) | (None, None) => None,
        };
        score.copied().unwrap_or_else(F::nan)
    }

    /// The scores, if their columns are contiguous.
    #[inline(always)]
    fn score_columns(&self) -> Option<ArrayView2<'_, F>> {
        let scores = match (&self.scores, &self.gradient) {
            (Some(Source::View(view)), _) => view.view(),
            (None, Some(Sink::View(view))) => view.view(),
            _ => return None,
        };
        (scores.nrows() > 1 && scores.stride_of(Axis(0)) == 1).then_some(scores)
    }

    #[inline(always)]
    fn lines(&mut self, row: usize, access: Access) -> Lines<'_, F> {
        Lines {
            scores: self
                .scores
                .as_ref()
                .filter(|_| access.scores)
                .and_then(|source| source.line(row)),
            targets: self
                .targets
                .as_ref()
                .filter(|_| access.targets)
                .and_then(|source| source.line(row)),
            gradient: match &mut self.gradient {
                Some(Sink::Slices(rows)) => rows.get_mut(row).map(|row| &mut **row),
                _ => None,
            },
        }
    }
}

/// A kernel's passes over a band.
pub(super) struct Passes<'a, 'b, 'r, 's, F: Float, K: RowKernel<F>> {
    pub(super) kernel: K,
    pub(super) band: &'s mut Band<'a, 'b, F>,
    /// Room for what is known of each row.
    pub(super) known: &'s mut [Option<K::Known>],
    pub(super) losses: &'s mut [F],
    pub(super) room: Room<'r, F>,
}

impl<F: Float, K: RowKernel<F>> simd::Work for Passes<'_, '_, '_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        const { assert!(K::PASSES.len() <= 4) };
        let Self { kernel, band, .. } = self;
        for (row, (known, item)) in self.known.iter_mut().zip(band.items).enumerate() {
            *known = item.map(|item| kernel.begin(item, |class| band.score(row, class)));
        }
        // Not a loop: each is compiled for what it makes use of.
        self.pass(K::PASSES.first());
        self.pass(K::PASSES.get(1));
        self.pass(K::PASSES.get(2));
        self.pass(K::PASSES.get(3));
        for (loss, known) in self.losses.iter_mut().zip(&*self.known) {
            *loss = match known {
                Some(known) => self.kernel.finish(known),
                None => F::zero(),
            };
        }
    }
}

impl<F: Float, K: RowKernel<F>> Passes<'_, '_, '_, '_, F, K> {
    #[inline(always)]
    fn pass(&mut self, pass: Option<&(K::Pass, Access)>) {
        let Some(&(pass, access)) = pass else {
            return;
        };
        if access.gradient.is_only_for_gradient() && self.band.gradient.is_none() {
            return;
        }
        let keeps = !matches!(self.band.gradient, Some(Sink::View(_)));
        let turn = Turn {
            kernel: self.kernel,
            pass,
            access: Access {
                scores: access.scores || (access.gradient.is_read() && !keeps),
                targets: access.targets && self.band.targets.is_some(),
                ..access
            },
            keeps,
            wants_gradient: self.band.gradient.is_some(),
            in_place: self.band.scores.is_none(),
        };
        if self.known.len() == 1 && self.band.is_contiguous() {
            self.alone(turn);
        } else {
            self.together(turn);
        }
        for known in self.known.iter_mut().flatten() {
            self.kernel.after(pass, known);
        }
    }

    /// A pass over a contiguous row.
    #[inline(always)]
    fn alone(&mut self, turn: Turn<K, K::Pass>) {
        let Self {
            band, known, room, ..
        } = self;
        let classes = band.classes;
        let mut lines = band.lines(0, turn.access);
        if let (Some(known), Some(mut copies)) = (known.first_mut(), room.of_row(0)) {
            if turn.sees_gradient_alone() {
                let whole = Part::whole(classes);
                turn.step(whole, classes, known.as_mut(), &mut lines, &mut copies);
                return;
            }
            for part in Parts::of(classes) {
                turn.step(part, classes, known.as_mut(), &mut lines, &mut copies);
            }
        }
    }

    /// A pass over several rows, a part of each at a time. What is not contiguous is copied, of all rows at once.
    #[inline(always)]
    fn together(&mut self, turn: Turn<K, K::Pass>) {
        let (zero, padding) = (F::zero(), K::padding());
        let Self {
            band, known, room, ..
        } = self;
        let classes = band.classes;
        let access = turn.access;
        if access.across
            && let Some(scores) = band.score_columns()
        {
            for part in Parts::of(classes) {
                let columns = Columns::of(part, &scores);
                turn.kernel.across(turn.pass, known, columns);
            }
            return;
        }
        if turn.sees_gradient_alone() && matches!(band.gradient, Some(Sink::Slices(_))) {
            for (row, known) in known.iter_mut().enumerate() {
                if let Some(mut copies) = room.of_row(row) {
                    let whole = Part::whole(classes);
                    let mut lines = band.lines(row, access);
                    turn.step(whole, classes, known.as_mut(), &mut lines, &mut copies);
                }
            }
            return;
        }
        for part in Parts::of(classes) {
            if let (true, Some(source)) = (access.targets, &band.targets) {
                source.copy(part, classes, zero, room.targets);
            }
            if let (true, Some(source)) = (access.scores, &band.scores) {
                source.copy(part, classes, padding, room.scores);
            }
            if let Some(Sink::View(view)) = &band.gradient
                && access.scores
                && turn.in_place
            {
                copy_part(&view.view(), part, room.scores);
                pad(room.scores, part, classes, padding);
            }
            for (row, known) in known.iter_mut().enumerate() {
                if let Some(mut copies) = room.of_row(row) {
                    let mut lines = band.lines(row, access);
                    turn.step(part, classes, known.as_mut(), &mut lines, &mut copies);
                }
            }
            if let (Some(Sink::View(view)), true) =
                (&mut band.gradient, access.gradient.is_result())
            {
                copy_part_back(room.gradient, part, view);
            }
        }
    }
}

/// A kernel in one of its passes.
#[derive(Clone, Copy)]
struct Turn<K, P> {
    kernel: K,
    pass: P,
    access: Access,
    /// Whether the gradient is contiguous, or none is wanted.
    keeps: bool,
    wants_gradient: bool,
    in_place: bool,
}

/// The contiguous rows of an item, as far as a pass makes use of them.
struct Lines<'l, F> {
    scores: Option<&'l [F]>,
    targets: Option<&'l [F]>,
    gradient: Option<&'l mut [F]>,
}

impl<K, P: Copy> Turn<K, P> {
    /// Whether the pass is element by element, so that it may see a contiguous row at once.
    #[inline(always)]
    fn sees_gradient_alone(&self) -> bool {
        !self.access.scores && !self.access.targets
    }

    /// A part of a row; `known` is absent for one that is left out.
    #[inline(always)]
    fn step<F: Float>(
        self,
        part: Part,
        classes: usize,
        known: Option<&mut K::Known>,
        lines: &mut Lines<'_, F>,
        copies: &mut Copies<'_, F>,
    ) where
        K: RowKernel<F, Pass = P>,
    {
        let Access {
            scores: reads_scores,
            targets: reads_targets,
            gradient: use_of_gradient,
            ..
        } = self.access;
        let (zero, padding) = (F::zero(), K::padding());
        let end = part.start + part.len;
        let targets = match lines.targets {
            Some(row) => part_of(row, part, zero, copies.targets),
            None if reads_targets => &copies.targets[..part.len],
            None => &[],
        };
        let scores = match (lines.scores, &lines.gradient) {
            (Some(row), _) => part_of(row, part, padding, copies.scores),
            _ if !reads_scores => &[],
            // A copy, since the gradient may overwrite them.
            (None, Some(row)) if self.in_place => copy_of(row, part, padding, copies.scores),
            (None, _) => &copies.scores[..part.len],
        };
        let row = lines.gradient.as_deref_mut();
        let is_direct = row.as_ref().is_some_and(|row| row.len() >= end);
        let gradient = match row {
            Some(row) if is_direct => &mut row[part.start..end],
            Some(row) if use_of_gradient.is_read() => {
                copy_of(row, part, zero, copies.gradient);
                &mut copies.gradient[..part.len]
            }
            _ => &mut copies.gradient[..part.len],
        };
        match known {
            Some(known) => self.kernel.part(
                self.pass,
                known,
                Piece {
                    part,
                    within: part.len.min(classes - part.start),
                    scores,
                    targets,
                    gradient,
                    is_kept: self.keeps,
                    wants_gradient: self.wants_gradient,
                    work: copies.work,
                },
            ),
            None if use_of_gradient != Gradient::Unused => gradient.fill(zero),
            None => {}
        }
        if let (Some(row), true, false) = (
            &mut lines.gradient,
            use_of_gradient != Gradient::Unused,
            is_direct,
        ) {
            for (to, &g) in row[part.start..].iter_mut().zip(&*copies.gradient) {
                *to = g;
            }
        }
    }
}
