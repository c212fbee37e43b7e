//! Long rows that are treated together, and what a pass over them makes use of.

use std::ops::Range;

use ndarray::ArrayViewMut2;

use super::RowKernel;
use super::columns::{Columns, are_enough_across, are_large};
use super::copies::{Source, Workspace, are_contiguous_columns, fetch_part};
use super::parts::Part;
use crate::engine::reduce::{Lanes, Order};
use crate::float::Float;

/// What a pass over a row makes use of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) scores: bool,
    pub(crate) targets: bool,
    pub(crate) gradient: Gradient,
    /// Whether there is something to [add up](RowKernel::close).
    pub(crate) adds_up: bool,
    /// Whether there is a [`RowKernel::across`], which takes the place of [`RowKernel::part`] where all of this lies
    /// along columns: for what passes hand on to each other, where all operands do.
    pub(crate) across: bool,
}

impl Access {
    pub(crate) const NONE: Self = Self {
        scores: false,
        targets: false,
        gradient: Gradient::Unused,
        adds_up: false,
        across: false,
    };

    /// Whether the pass may go across where others do not, and needs no room: where it only reads scores or fills the
    /// gradient.
    #[inline(always)]
    pub(super) fn goes_across_alone(self) -> bool {
        let is_light = match self.gradient {
            Gradient::Unused => true,
            Gradient::Filled => !self.scores,
            _ => false,
        };
        self.across && is_light && !self.targets
    }
}

/// What a pass does with the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gradient {
    Unused,
    /// It is written, where one is wanted.
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
    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Updated)
    }

    #[inline(always)]
    pub(super) fn is_result(self) -> bool {
        matches!(self, Self::Written | Self::Filled | Self::Updated)
    }

    #[inline(always)]
    fn is_only_for_gradient(self) -> bool {
        matches!(self, Self::Filled | Self::Read | Self::Updated)
    }
}

/// Running sums of a section of a row.
pub(crate) trait Sums: Clone {
    const ZERO: Self;
}

impl<const N: usize> Sums for [Lanes; N] {
    const ZERO: Self = [Lanes::ZERO; N];
}

/// What a pass of a kernel sees of a row: slices of the length of the part, empty where the pass has no use for them. That
/// may be [several blocks](RowKernel::AT_ONCE), and for a pass that makes use of the gradient alone all of a row; the room
/// to work in is for [one](Piece::block).
pub(crate) struct Piece<'a, F> {
    pub(crate) part: Part,
    /// How many elements lie before the end of the row.
    pub(crate) within: usize,
    /// [`RowKernel::padding`] behind the end.
    pub(crate) scores: &'a [F],
    /// 0 behind the end; empty for a label.
    pub(crate) targets: &'a [F],
    /// 0 behind the end; empty where none is wanted.
    pub(crate) gradient: &'a mut [F],
    /// Whether what was kept is in the gradient. Where it is not, since it would have to be copied there and back, the
    /// scores are at hand to compute it again.
    pub(crate) is_kept: bool,
    pub(crate) wants_gradient: bool,
    /// In which order the row is added up.
    pub(crate) order: Order,
    pub(crate) work: &'a mut Workspace<F>,
}

impl<F> Piece<'_, F> {
    /// What it has of [a part of its part](Part::each).
    #[inline(always)]
    pub(crate) fn block(&mut self, part: Part) -> Piece<'_, F> {
        let start = part.start - self.part.start;
        let span = start..start + part.len;
        Piece {
            part,
            within: part.len.min(self.within.saturating_sub(start)),
            scores: self.scores.get(span.clone()).unwrap_or_default(),
            targets: self.targets.get(span.clone()).unwrap_or_default(),
            gradient: self.gradient.get_mut(span).unwrap_or_default(),
            is_kept: self.is_kept,
            wants_gradient: self.wants_gradient,
            order: self.order,
            work: self.work,
        }
    }
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

impl<F> Sink<'_, '_, F> {
    #[inline(always)]
    fn is_by_columns(&self) -> bool {
        matches!(self, Self::View(view) if are_contiguous_columns(&view.view()))
    }

    #[inline(always)]
    pub(super) fn view(&mut self) -> Option<ArrayViewMut2<'_, F>> {
        match self {
            Self::Slices(_) => None,
            Self::View(view) => Some(view.view_mut()),
        }
    }
}

/// Whether the rows of each operand are contiguous; so is what there is none of.
#[derive(Clone, Copy)]
pub(super) struct AreLines {
    pub(super) scores: bool,
    pub(super) targets: bool,
    pub(super) gradient: bool,
}

impl AreLines {
    #[inline(always)]
    pub(super) fn all(self) -> bool {
        self.scores && self.targets && self.gradient
    }

    /// Whether all rows are that a pass makes use of.
    #[inline(always)]
    pub(super) fn serve(self, access: Access) -> bool {
        let gradient = access.gradient.is_read() || access.gradient.is_result();
        (self.scores || !access.scores)
            && (self.targets || !access.targets)
            && (self.gradient || !gradient)
    }

    /// For how many of a kernel's passes, from the first, they do.
    #[inline(always)]
    pub(super) fn passes<F: Float, K: RowKernel<F>>(self) -> usize {
        let passes = K::PASSES.iter();
        passes
            .take_while(|&&(_, access)| self.serve(access))
            .count()
    }
}

/// How the rows of a band are seen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    ByRows,
    /// All operands are views that lie along columns, and the kernel is to see them there: at most
    /// [`ABREAST`](super::ABREAST) rows, and no room is needed.
    Across,
    /// The sections are shared among threads; operands are views, or rows in [`Source::Parts`]. No room is needed.
    InSections {
        across: bool,
    },
}

/// Long rows that are treated together.
#[doc(hidden)]
pub struct Band<'a, 'b, F> {
    /// How many classes come before these, where they are a section.
    pub(crate) first: usize,
    pub(crate) classes: usize,
    /// `None` for what is left out: its loss and its gradient are 0.
    pub(crate) items: &'a [Option<Item<F>>],
    /// Absent where the scores are in the sink.
    pub(crate) scores: Option<Source<'a, F>>,
    pub(crate) targets: Option<Source<'a, F>>,
    pub(crate) gradient: Option<Sink<'a, 'b, F>>,
    pub(crate) way: Way,
}

impl<F: Float> Band<'_, '_, F> {
    #[inline(always)]
    pub(super) fn are_lines(&self) -> AreLines {
        let gradient = matches!(self.gradient, None | Some(Sink::Slices(_)));
        AreLines {
            scores: self.scores.as_ref().map_or(gradient, Source::are_slices),
            targets: self.targets.as_ref().is_none_or(Source::are_slices),
            gradient,
        }
    }

    /// Whether a pass is for a gradient that is not wanted.
    #[inline(always)]
    pub(super) fn leaves_out(&self, access: Access) -> bool {
        access.gradient.is_only_for_gradient() && self.gradient.is_none()
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

    /// Whether all that a pass makes use of lies along columns, of so many rows that they are seen there.
    #[inline(always)]
    pub(super) fn is_by_columns(&self, access: Access) -> bool {
        let gradient = self.gradient.as_ref().is_none_or(Sink::is_by_columns);
        let scores = self.scores.as_ref();
        let scores = scores.map_or(gradient, Source::is_by_columns);
        let targets = self.targets.as_ref().is_none_or(Source::is_by_columns);
        are_enough_across::<F>(self.items.len())
            && (scores || !access.scores)
            && (targets || !access.targets)
            && (gradient || access.gradient == Gradient::Unused)
    }

    /// What a pass makes use of, which lies along columns.
    #[inline(always)]
    pub(super) fn columns(&mut self, access: Access) -> Columns<'_, F> {
        let in_place = access.scores && self.scores.is_none();
        let scores = self.scores.as_ref().filter(|_| access.scores);
        let targets = self.targets.as_ref().filter(|_| access.targets);
        let is_used = in_place || access.gradient != Gradient::Unused;
        let gradient = self.gradient.as_mut().filter(|_| is_used);
        let scores = scores.and_then(Source::view);
        let targets = targets.and_then(Source::view);
        let gradient = gradient.and_then(Sink::view);
        // All that there are: the band may be a section of them.
        let classes = self.items.iter().flatten().next();
        let classes = classes.map_or(self.classes, |item| item.classes);
        let written = gradient.as_ref().map(|view| view.view());
        let mut views = scores.iter().chain(&targets).chain(&written);
        Columns {
            are_large: views.any(|view| are_large(view, classes)),
            rows: self.items.len(),
            first: self.first,
            classes: self.classes,
            scores,
            targets,
            gradient,
            in_place,
        }
    }

    /// Reads a little of every line of memory that holds a part of what a pass makes use of, and lies along columns.
    pub(super) fn fetch(&self, part: Part, access: Access, in_place: bool) {
        let sources = [
            (&self.scores, access.scores),
            (&self.targets, access.targets),
        ];
        for (source, is_used) in sources {
            if let (Some(Source::View(view)), true) = (source, is_used) {
                fetch_part(view, part);
            }
        }
        if let Some(Sink::View(view)) = &self.gradient
            && (in_place && access.scores || access.gradient.is_result())
        {
            fetch_part(&view.view(), part);
        }
    }

    #[inline(always)]
    pub(super) fn lines(&mut self, row: usize, access: Access) -> Lines<'_, F> {
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

/// The contiguous rows of an item, as far as a pass makes use of them.
pub(super) struct Lines<'l, F> {
    pub(super) scores: Option<&'l [F]>,
    pub(super) targets: Option<&'l [F]>,
    pub(super) gradient: Option<&'l mut [F]>,
}

/// What is known of some rows before the first pass.
#[inline(always)]
pub(super) fn begin<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &Band<'_, '_, F>,
    rows: Range<usize>,
    known: &mut [Option<K::Known>],
) {
    const { assert!(K::PASSES.len() <= 4) };
    for row in rows {
        known[row] = band.items[row].map(|item| kernel.begin(item, |class| band.score(row, class)));
    }
}

/// The losses, after the last pass.
#[inline(always)]
pub(super) fn finish<F: Float, K: RowKernel<F>>(
    kernel: K,
    known: &[Option<K::Known>],
    losses: &mut [F],
) {
    for (loss, known) in losses.iter_mut().zip(known) {
        *loss = match known {
            Some(known) => kernel.finish(known),
            None => F::zero(),
        };
    }
}
