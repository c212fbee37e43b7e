//! Long rows: pass after pass, part by part. Contiguous rows take turns in each pass; rows that are not are treated
//! together, a part of each at a time, since a line of memory may hold an element of each of them; where all operands
//! lie along columns, all of a pass at a time.

use std::ops::Range;

use ndarray::{ArrayViewMut2, Axis, Slice};

use super::columns::{Columns, LanesAcross, are_large};
use super::copies::{
    Copies, Room, Source, Workspace, are_contiguous_columns, copy_of, copy_part, copy_part_back,
    fetch_part, pad, part_of,
};
use super::parts::{Part, Parts, sections};
use super::{ABREAST, IN_TURN, RowKernel, TOGETHER};
use crate::engine::reduce::Lanes;
use crate::engine::simd;
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
    pub(super) fn is_only_for_gradient(self) -> bool {
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

impl<F> Sink<'_, '_, F> {
    #[inline(always)]
    fn is_by_columns(&self) -> bool {
        matches!(self, Self::View(view) if are_contiguous_columns(&view.view()))
    }

    #[inline(always)]
    fn view(&mut self) -> Option<ArrayViewMut2<'_, F>> {
        match self {
            Self::Slices(_) => None,
            Self::View(view) => Some(view.view_mut()),
        }
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

    /// Whether all that a pass makes use of lies along columns.
    #[inline(always)]
    pub(super) fn is_by_columns(&self, access: Access) -> bool {
        let gradient = self.gradient.as_ref().is_none_or(Sink::is_by_columns);
        let scores = self.scores.as_ref();
        let scores = scores.map_or(gradient, Source::is_by_columns);
        let targets = self.targets.as_ref().is_none_or(Source::is_by_columns);
        (scores || !access.scores)
            && (targets || !access.targets)
            && (gradient || access.gradient == Gradient::Unused)
    }

    /// What a pass makes use of, which lies along columns.
    #[inline(always)]
    fn columns(&mut self, access: Access) -> Columns<'_, F> {
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
    fn fetch(&self, part: Part, access: Access, in_place: bool) {
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
        begin(self.kernel, self.band, self.known);
        // Not a loop: each is compiled for what it makes use of.
        self.pass::<0>();
        self.pass::<1>();
        self.pass::<2>();
        self.pass::<3>();
        finish(self.kernel, self.known, self.losses);
    }
}

/// What is known before the first pass.
#[inline(always)]
fn begin<F: Float, K: RowKernel<F>>(
    kernel: K,
    band: &Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
) {
    const { assert!(K::PASSES.len() <= 4) };
    for (row, (known, item)) in known.iter_mut().zip(band.items).enumerate() {
        *known = item.map(|item| kernel.begin(item, |class| band.score(row, class)));
    }
}

/// The losses, after the last pass.
#[inline(always)]
fn finish<F: Float, K: RowKernel<F>>(kernel: K, known: &[Option<K::Known>], losses: &mut [F]) {
    for (loss, known) in losses.iter_mut().zip(known) {
        *loss = match known {
            Some(known) => kernel.finish(known),
            None => F::zero(),
        };
    }
}

impl<F: Float, K: RowKernel<F>> Passes<'_, '_, '_, '_, F, K> {
    #[inline(always)]
    fn pass<const PASS: usize>(&mut self) {
        let Some(&(pass, access)) = K::PASSES.get(PASS) else {
            return;
        };
        if access.gradient.is_only_for_gradient() && self.band.gradient.is_none() {
            return;
        }
        if access.goes_across_alone() && self.band.is_by_columns(access) {
            // Its frame is not that of this one.
            let stage = Stage::Pass(pass, access);
            across_stage(self.kernel, stage, self.band, self.known, &mut []);
        } else if self.band.is_contiguous() {
            self.in_turn(Turn::of(self.kernel, (pass, access), self.band));
        } else {
            // Its frame is not that of a contiguous row, of which there may be very many.
            let room = self.room.reborrow();
            part_by_part::<F, K, PASS>(self.kernel, self.band, self.known, room);
        }
        for known in self.known.iter_mut().flatten() {
            self.kernel.after(pass, known);
        }
    }

    /// A pass over contiguous rows.
    #[inline(always)]
    fn in_turn(&mut self, turn: Turn<K, K::Pass>) {
        let Self {
            band, known, room, ..
        } = self;
        let classes = band.classes;
        let Some(mut copies) = room.of_row(0) else {
            return;
        };
        for (row, known) in known.iter_mut().enumerate() {
            let mut lines = band.lines(row, turn.access);
            if turn.sees_gradient_alone() {
                turn.whole(classes, known.as_mut(), &mut lines, &mut copies);
                continue;
            }
            for section in sections(classes) {
                let mut sums = K::Sums::ZERO;
                for part in Parts::of(section) {
                    turn.step(
                        part,
                        classes,
                        known.as_mut(),
                        &mut sums,
                        &mut lines,
                        &mut copies,
                    );
                }
                if let (true, Some(known)) = (turn.access.adds_up, known.as_mut()) {
                    self.kernel.close(turn.pass, known, &sums);
                }
            }
        }
    }
}

/// A kernel in one pass over rows of which some are not contiguous.
pub(super) fn part_by_part<F: Float, K: RowKernel<F>, const PASS: usize>(
    kernel: K,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
    room: Room<'_, F>,
) {
    let adds_up = K::PASSES
        .get(PASS)
        .is_some_and(|(_, access)| access.adds_up);
    // No more sums than there is use for.
    let parts = PartByPart::<_, _, PASS> {
        kernel,
        band,
        known,
        sums: &mut [],
        room,
    };
    match parts.known.len() {
        _ if !adds_up => simd::dispatch(parts),
        n if n <= IN_TURN => adding_up::<F, K, PASS, IN_TURN>(parts),
        n if n <= TOGETHER => adding_up::<F, K, PASS, TOGETHER>(parts),
        _ => adding_up::<F, K, PASS, ABREAST>(parts),
    }
}

#[inline(never)] // its frame is large
fn adding_up<F: Float, K: RowKernel<F>, const PASS: usize, const ROWS: usize>(
    parts: PartByPart<'_, '_, '_, '_, F, K, PASS>,
) {
    let mut sums: [_; ROWS] = [const { K::Sums::ZERO }; _];
    let sums = &mut sums[..parts.known.len()];
    simd::dispatch(PartByPart { sums, ..parts });
}

/// A kernel in one pass over rows of which some are not contiguous: a part of each at a time, copied of all at once.
struct PartByPart<'a, 'b, 'r, 's, F: Float, K: RowKernel<F>, const PASS: usize> {
    kernel: K,
    band: &'s mut Band<'a, 'b, F>,
    known: &'s mut [Option<K::Known>],
    /// One of each row, or none where nothing is added up.
    sums: &'s mut [K::Sums],
    room: Room<'r, F>,
}

impl<F: Float, K: RowKernel<F>, const PASS: usize> simd::Work
    for PartByPart<'_, '_, '_, '_, F, K, PASS>
{
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        let Self {
            kernel,
            band,
            known,
            room,
            ..
        } = self;
        let Some(&pass) = K::PASSES.get(PASS) else {
            return;
        };
        let turn = Turn::of(*kernel, pass, band);
        let classes = band.classes;
        if turn.sees_gradient_alone() && matches!(band.gradient, Some(Sink::Slices(_))) {
            for (row, known) in known.iter_mut().enumerate() {
                if let Some(mut copies) = room.of_row(0) {
                    let mut lines = band.lines(row, turn.access);
                    turn.whole(classes, known.as_mut(), &mut lines, &mut copies);
                }
            }
            return;
        }
        for section in sections(classes) {
            self.sums.fill(K::Sums::ZERO);
            self.section(turn, section);
            for (known, sums) in self.known.iter_mut().zip(&*self.sums) {
                if let Some(known) = known {
                    self.kernel.close(turn.pass, known, sums);
                }
            }
        }
    }
}

impl<F: Float, K: RowKernel<F>, const PASS: usize> PartByPart<'_, '_, '_, '_, F, K, PASS> {
    #[inline(always)]
    fn section(&mut self, turn: Turn<K, K::Pass>, section: Range<usize>) {
        let (zero, padding) = (F::zero(), K::padding());
        let Self {
            band,
            known,
            sums,
            room,
            ..
        } = self;
        let classes = band.classes;
        let access = turn.access;
        let mut no_sums = K::Sums::ZERO;
        // The room is one row's, or for a part of each.
        let at_once = if known.len() == 1 { room.blocks() } else { 1 };
        let rows_at_once = room.blocks();
        for parts in Parts::several(section, at_once) {
            if known.len() > rows_at_once {
                band.fetch(parts, access, turn.in_place);
            }
            for (index, known) in known.chunks_mut(rows_at_once).enumerate() {
                let start = index * rows_at_once;
                let rows = start..start + known.len();
                if let (true, Some(source)) = (access.targets, &band.targets) {
                    source.copy(rows.clone(), parts, classes, zero, room.targets);
                }
                if let (true, Some(source)) = (access.scores, &band.scores) {
                    source.copy(rows.clone(), parts, classes, padding, room.scores);
                }
                if let Some(Sink::View(view)) = &band.gradient
                    && access.scores
                    && turn.in_place
                {
                    let view = view.slice_axis(Axis(0), Slice::from(rows.clone()));
                    copy_part(&view, parts, room.scores);
                    pad(room.scores, parts, classes, padding);
                }
                for (place, known) in known.iter_mut().enumerate() {
                    let row = start + place;
                    let sums = sums.get_mut(row).unwrap_or(&mut no_sums);
                    let mut lines = band.lines(row, access);
                    for (offset, part) in parts.each().enumerate() {
                        if let Some(mut copies) = room.of_row(place + offset) {
                            let known = known.as_mut();
                            turn.step(part, classes, known, sums, &mut lines, &mut copies);
                        }
                    }
                }
                if let (Some(Sink::View(view)), true) =
                    (&mut band.gradient, access.gradient.is_result())
                {
                    let mut view = view.slice_axis_mut(Axis(0), Slice::from(rows));
                    copy_part_back(room.gradient, parts, &mut view);
                }
            }
        }
    }
}

/// A stage at a band of which all that a pass makes use of lies along columns.
pub(super) fn across_stage<F: Float, K: RowKernel<F>>(
    kernel: K,
    stage: Stage<K::Pass>,
    band: &mut Band<'_, '_, F>,
    known: &mut [Option<K::Known>],
    losses: &mut [F],
) {
    let adds_up = matches!(stage, Stage::Pass(_, access) if access.adds_up);
    let across = Across {
        kernel,
        stage,
        sums: &mut [],
        band,
        known,
        losses,
    };
    // No more sums than there is use for.
    match kernel.sums_across(across.band.targets.is_some()) {
        sums if sums == 0 || !adds_up => simd::dispatch(across),
        1 => adding_across::<F, K, 1>(across),
        _ => adding_across::<F, K, 3>(across),
    }
}

#[inline(never)] // its frame is large
fn adding_across<F: Float, K: RowKernel<F>, const SUMS: usize>(across: Across<'_, '_, '_, F, K>) {
    let mut sums = [const { LanesAcross::ZERO }; SUMS];
    let sums = &mut sums;
    simd::dispatch(Across { sums, ..across });
}

/// A kernel at a band whose operands all lie along columns.
struct Across<'a, 'b, 's, F: Float, K: RowKernel<F>> {
    kernel: K,
    stage: Stage<K::Pass>,
    band: &'s mut Band<'a, 'b, F>,
    /// Room for what is known of each row.
    known: &'s mut [Option<K::Known>],
    /// As many as the kernel needs.
    sums: &'s mut [LanesAcross],
    losses: &'s mut [F],
}

/// What is done at a time: all passes in one frame would need more stack than a thread may have.
#[derive(Clone, Copy)]
pub(super) enum Stage<P> {
    Begin,
    Pass(P, Access),
    /// What follows from all parts of a pass.
    After(P),
    Finish,
}

impl<F: Float, K: RowKernel<F>> simd::Work for Across<'_, '_, '_, F, K> {
    type Output = ();

    #[inline(always)]
    fn run(&mut self) {
        match self.stage {
            Stage::Begin => begin(self.kernel, self.band, self.known),
            Stage::Pass(pass, access) => self.pass(pass, access),
            Stage::After(pass) => {
                for known in self.known.iter_mut().flatten() {
                    self.kernel.after(pass, known);
                }
            }
            Stage::Finish => finish(self.kernel, self.known, self.losses),
        }
    }
}

impl<F: Float, K: RowKernel<F>> Across<'_, '_, '_, F, K> {
    #[inline(always)]
    fn pass(&mut self, pass: K::Pass, access: Access) {
        if access.gradient.is_only_for_gradient() && self.band.gradient.is_none() {
            return;
        }
        let mut columns = self.band.columns(access);
        for section in sections(columns.classes) {
            let section = columns.split_off(section.len());
            self.kernel.across(pass, self.known, section, self.sums);
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
    /// See [`Band`].
    first: usize,
}

/// The contiguous rows of an item, as far as a pass makes use of them.
struct Lines<'l, F> {
    scores: Option<&'l [F]>,
    targets: Option<&'l [F]>,
    gradient: Option<&'l mut [F]>,
}

impl<K, P: Copy> Turn<K, P> {
    #[inline(always)]
    fn of<F>(kernel: K, (pass, access): (P, Access), band: &Band<'_, '_, F>) -> Self {
        let keeps = !matches!(band.gradient, Some(Sink::View(_)));
        Self {
            kernel,
            pass,
            access: Access {
                scores: access.scores || (access.gradient.is_read() && !keeps),
                targets: access.targets && band.targets.is_some(),
                ..access
            },
            keeps,
            wants_gradient: band.gradient.is_some(),
            in_place: band.scores.is_none(),
            first: band.first,
        }
    }

    /// Whether the pass is element by element, so that it may see a contiguous row at once.
    #[inline(always)]
    fn sees_gradient_alone(&self) -> bool {
        !self.access.scores && !self.access.targets
    }

    /// All of a contiguous row, of which only the gradient is made use of.
    #[inline(always)]
    fn whole<F: Float>(
        self,
        classes: usize,
        known: Option<&mut K::Known>,
        lines: &mut Lines<'_, F>,
        copies: &mut Copies<'_, F>,
    ) where
        K: RowKernel<F, Pass = P>,
    {
        let whole = Part::whole(classes);
        let mut no_sums = K::Sums::ZERO;
        self.step(whole, classes, known, &mut no_sums, lines, copies);
    }

    /// A part of a row; `known` is absent for one that is left out.
    #[inline(always)]
    fn step<F: Float>(
        self,
        part: Part,
        classes: usize,
        known: Option<&mut K::Known>,
        sums: &mut K::Sums,
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
                sums,
                Piece {
                    part: part.behind(self.first),
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
