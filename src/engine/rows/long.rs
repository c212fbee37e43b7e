//! Long rows: pass after pass, part by part. A contiguous row is treated alone; rows that are not are treated together,
//! a part of each at a time, since a line of memory may hold an element of each of them.

use std::array::from_fn;
use std::hint::black_box;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, Slice};

use super::RowKernel;
use crate::engine::simd;
use crate::engine::tiles::{by_columns, copy, copy_back};
use crate::float::{Float, Target};

/// How many elements of a long row a kernel sees at once at most, but for a pass that is element by element.
pub(crate) const BLOCK: usize = 256;
/// The elements of a part are a multiple of so many.
const STEP: usize = 32;

/// How many classes are fetched at once where they lie along columns.
const STRETCH: usize = 64;
/// The bytes of a line of memory.
pub(in crate::engine) const LINE: usize = 64;

/// Room for a part of a long row.
pub(crate) type Block<F> = [F; BLOCK];

/// Room for the parts of so many rows, and for the kernel to work in; what it holds is unspecified.
#[repr(align(64))] // as `Lines`
pub(crate) struct Rooms<F, const ROWS: usize> {
    scores: [Block<F>; ROWS],
    targets: [Block<F>; ROWS],
    gradient: [Block<F>; ROWS],
    work: Work<F>,
}

/// Room to work in.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Work<F> {
    pub(crate) values: Block<F>,
    pub(crate) sums: Block<F>,
}

impl<F: Float, const ROWS: usize> Rooms<F, ROWS> {
    pub(crate) fn new() -> Self {
        let zeros = [F::zero(); BLOCK];
        Self {
            scores: [zeros; ROWS],
            targets: [zeros; ROWS],
            gradient: [zeros; ROWS],
            work: Work {
                values: zeros,
                sums: zeros,
            },
        }
    }

    pub(crate) fn room(&mut self) -> Room<'_, F> {
        Room {
            scores: &mut self.scores,
            targets: &mut self.targets,
            gradient: &mut self.gradient,
            work: &mut self.work,
        }
    }
}

/// [`Rooms`] of any number of rows.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Room<'r, F> {
    scores: &'r mut [Block<F>],
    pub(super) targets: &'r mut [Block<F>],
    gradient: &'r mut [Block<F>],
    work: &'r mut Work<F>,
}

impl<'r, F> Room<'r, F> {
    pub(crate) fn reborrow(&mut self) -> Room<'_, F> {
        Room {
            scores: self.scores,
            targets: self.targets,
            gradient: self.gradient,
            work: self.work,
        }
    }

    /// Room for scores, for targets and for their gradient.
    pub(crate) fn copies(self) -> [&'r mut [F]; 3] {
        let Self {
            scores,
            targets,
            gradient,
            ..
        } = self;
        [scores, targets, gradient].map(|blocks| blocks.as_flattened_mut())
    }

    /// The room of one row; that to work in is the same for all.
    #[inline(always)]
    fn of_row(&mut self, row: usize) -> Option<Copies<'_, F>> {
        Some(Copies {
            scores: self.scores.get_mut(row)?,
            targets: self.targets.get_mut(row)?,
            gradient: self.gradient.get_mut(row)?,
            work: self.work,
        })
    }
}

/// A part of a long row: from `start` on `len` elements, a multiple of [`STEP`]; the last part may go beyond the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Part {
    /// Where the class is in this part, if it is there.
    #[inline(always)]
    pub(crate) fn offset_of(self, class: usize) -> Option<usize> {
        class
            .checked_sub(self.start)
            .filter(|&offset| offset < self.len)
    }
}

/// The parts of a row one after the other: they depend on the number of classes alone.
pub(super) struct Parts {
    next: usize,
    classes: usize,
}

impl Parts {
    pub(super) fn of(classes: usize) -> Self {
        Self { next: 0, classes }
    }
}

impl Iterator for Parts {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        let start = self.next;
        let rest = self.classes.checked_sub(start).filter(|&rest| rest > 0)?;
        let len = (rest - rest % STEP).clamp(STEP, BLOCK);
        self.next = start + len;
        Some(Part { start, len })
    }
}

/// What a pass over a row makes use of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) scores: bool,
    pub(crate) targets: bool,
    pub(crate) gradient: Gradient,
}

impl Access {
    pub(crate) const NONE: Self = Self {
        scores: false,
        targets: false,
        gradient: Gradient::Unused,
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
    pub(crate) work: &'a mut Work<F>,
}

/// What a long row aims at, and the factor of its gradient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<F> {
    pub(crate) classes: usize,
    /// `None` for a row of targets.
    pub(crate) label: Option<usize>,
    pub(crate) coefficient: F,
}

/// Where the rows of an operand are.
pub(crate) enum Source<'a, F> {
    Slices(&'a [&'a [F]]),
    View(ArrayView2<'a, F>),
    /// Copies a part of each row, as far as the row goes.
    Parts(&'a dyn Fn(Part, &mut [Block<F>])),
}

impl<F: Float> Source<'_, F> {
    /// Copies what is not contiguous, and pads it.
    #[inline(always)]
    pub(super) fn copy(&self, part: Part, classes: usize, padding: F, copies: &mut [Block<F>]) {
        match self {
            Self::Slices(_) => return,
            Self::View(view) => copy_part(view, part, copies),
            Self::Parts(copy) => copy(part, copies),
        }
        pad(copies, part, classes, padding);
    }

    /// A row that is contiguous.
    #[inline(always)]
    fn line(&self, row: usize) -> Option<&[F]> {
        match self {
            Self::Slices(rows) => rows.get(row).copied(),
            Self::View(_) | Self::Parts(_) => None,
        }
    }

    /// A part of one row, after [`copy`](Self::copy).
    #[inline(always)]
    pub(super) fn part<'b>(
        &'b self,
        row: usize,
        part: Part,
        padding: F,
        copy: &'b mut Block<F>,
    ) -> &'b [F] {
        match self.line(row) {
            Some(row) => part_of(row, part, padding, copy),
            None => &copy[..part.len],
        }
    }
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
    pub(super) band: Band<'a, 'b, F>,
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
                gradient: access.gradient,
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
            if !turn.access.scores && !turn.access.targets {
                // Element by element.
                let whole = Part {
                    start: 0,
                    len: classes,
                };
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

/// Room for a part of one row.
struct Copies<'c, F> {
    scores: &'c mut Block<F>,
    targets: &'c mut Block<F>,
    gradient: &'c mut Block<F>,
    work: &'c mut Work<F>,
}

impl<K, P: Copy> Turn<K, P> {
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

/// Copies a part of each row, as far as the rows go.
pub(in crate::engine) fn copy_part<F: Float, T: Target<F>>(
    rows: &ArrayView2<'_, T>,
    part: Part,
    copies: &mut [Block<F>],
) {
    let count = rows.nrows();
    for span in stretches(part, rows.ncols()) {
        let from = rows.slice_axis(Axis(1), Slice::from(span.clone()));
        fetch(&from);
        let place = copies.as_flattened_mut().get_mut(span.start - part.start..);
        let shape = (count, span.len()).strides((BLOCK, 1));
        if let Some(Ok(to)) = place.map(|place| ArrayViewMut2::from_shape(shape, place)) {
            copy(&from, to, None);
        }
    }
}

/// The inverse of [`copy_part`].
fn copy_part_back<F: Float>(copies: &[Block<F>], part: Part, rows: &mut ArrayViewMut2<'_, F>) {
    let count = rows.nrows();
    for span in stretches(part, rows.ncols()) {
        let to = rows.slice_axis_mut(Axis(1), Slice::from(span.clone()));
        fetch(&to.view());
        let place = copies.as_flattened().get(span.start - part.start..);
        let shape = (count, span.len()).strides((BLOCK, 1));
        if let Some(Ok(from)) = place.map(|place| ArrayView2::from_shape(shape, place)) {
            copy_back(from, to);
        }
    }
}

/// The classes of a part, as many at a time as may be fetched before they are used.
fn stretches(part: Part, classes: usize) -> impl Iterator<Item = Range<usize>> {
    let end = classes.min(part.start + part.len);
    let starts = (part.start..end).step_by(STRETCH);
    starts.map(move |start| start..end.min(start + STRETCH))
}

/// Reads a little of every line of memory where rows are columns of it: loads and nothing else, so that many are under
/// way at once.
fn fetch<T: Copy>(rows: &ArrayView2<'_, T>) {
    if by_columns(rows) {
        let line = (LINE / size_of::<T>()).max(1);
        for class in rows.axis_iter(Axis(1)) {
            for x in class.to_slice().unwrap_or_default().iter().step_by(line) {
                black_box(*x);
            }
        }
    }
}

fn pad<F: Float>(copies: &mut [Block<F>], part: Part, classes: usize, padding: F) {
    let within = classes - part.start;
    if within < part.len {
        for copy in copies {
            copy[within..part.len].fill(padding);
        }
    }
}

/// This part of a row; a copy that is padded, where the row ends within it.
#[inline(always)]
fn part_of<'b, F: Float>(row: &'b [F], part: Part, padding: F, copy: &'b mut Block<F>) -> &'b [F] {
    match row.get(part.start..part.start + part.len) {
        Some(whole) => whole,
        None => copy_of(row, part, padding, copy),
    }
}

/// A copy of this part of a row, padded.
#[inline(always)]
fn copy_of<'b, F: Float>(row: &[F], part: Part, padding: F, copy: &'b mut Block<F>) -> &'b [F] {
    let rest = row.get(part.start..).unwrap_or_default();
    let copy = &mut copy[..part.len];
    match rest.get(..part.len) {
        Some(whole) => copy.copy_from_slice(whole),
        None => {
            copy.fill(padding);
            for (to, &x) in copy.iter_mut().zip(rest) {
                *to = x;
            }
        }
    }
    copy
}

/// The largest number of a row, and where it was first met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Largest<F> {
    /// −∞ where there is none.
    pub(crate) value: F,
    /// Where its part starts.
    start: usize,
}

impl<F: Float> Largest<F> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            value: F::neg_infinity(),
            start: usize::MAX,
        }
    }

    /// Takes the next part into account; whether there is a greater value in it.
    #[inline(always)]
    pub(crate) fn look(&mut self, part: Part, values: &[F]) -> bool {
        let value = largest(values);
        let is_greater = value > self.value;
        if is_greater {
            (self.value, self.start) = (value, part.start);
        }
        is_greater
    }

    /// The first class that has it, if it is in this part.
    #[inline(always)]
    pub(crate) fn class(&self, part: Part, values: &[F]) -> Option<usize> {
        if part.start == self.start {
            position(values, self.value).map(|offset| part.start + offset)
        } else {
            None
        }
    }
}

/// The largest number of a part; a NaN is none.
#[inline(always)]
fn largest<F: Float>(values: &[F]) -> F {
    const WIDTH: usize = STEP / 4;
    let (steps, rest) = values.as_chunks::<STEP>();
    // Lane by lane: as one fold, each step would also ask which of both is a NaN.
    let mut lanes = [[F::neg_infinity(); WIDTH]; 4];
    for step in steps {
        for (lanes, quarter) in lanes.iter_mut().zip(step.chunks_exact(WIDTH)) {
            for i in 0..WIDTH {
                lanes[i] = greater(quarter[i], lanes[i]);
            }
        }
    }
    let [a, b, c, d] = &lanes;
    // Kept in memory: the compiler would take the loop above apart to have each lane at hand.
    let of_lanes: [F; WIDTH] = black_box(from_fn(|i| {
        greater(greater(a[i], b[i]), greater(c[i], d[i]))
    }));
    let of_rest = rest.iter().fold(F::neg_infinity(), |m, &x| greater(x, m));
    let of_all = of_lanes.iter().fold(of_rest, |m, &x| greater(x, m));
    // of zeros of both signs, +0
    of_all + F::zero()
}

/// The greater number; `known`, which is no NaN, where `x` is one.
#[inline(always)]
fn greater<F: Float>(x: F, known: F) -> F {
    if x > known { x } else { known }
}

/// The first place in a part that has this value.
#[inline(always)]
pub(super) fn position<F: Float>(values: &[F], value: F) -> Option<usize> {
    let (steps, _) = values.as_chunks::<STEP>();
    for (index, step) in steps.iter().enumerate() {
        // without an early exit, so that it vectorises
        if step.iter().fold(false, |any, &x| any | (x == value)) {
            let offset = step.iter().position(|&x| x == value)?;
            return Some(index * STEP + offset);
        }
    }
    None
}
