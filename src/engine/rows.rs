//! A row of scores and a target, as a kernel of an item-wise loss sees them: all that is compiled for every instruction
//! set.
//!
//! Rows of few classes come in groups, so that a kernel can work on all of them at once; longer ones come singly and
//! are read in blocks, whatever their layout. Which way a row goes depends on the number of classes alone.

use ndarray::{ArrayView1, ArrayViewMut1, Axis, Slice};
use pulp::NullaryFnOnce;

use super::simd::{self, TILE};
use crate::float::Float;

/// Rows of at most so many classes are short.
pub(crate) const SHORT: usize = 64;
/// How many short rows a group has at most.
pub(crate) const ROWS: usize = 32;
/// How many elements of a long row a kernel sees at once at most.
pub(crate) const BLOCK: usize = 256;
/// The elements of a part are a multiple of so many.
const STEP: usize = 32;

/// Room for a part of a long row.
pub(crate) type Block<F> = [F; BLOCK];

/// Room to work in for the kernel of long rows; what it holds is unspecified.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Room<F> {
    pub(crate) scores: Block<F>,
    pub(crate) targets: Block<F>,
    pub(crate) gradient: Block<F>,
    pub(crate) values: Block<F>,
    pub(crate) sums: Block<F>,
}

impl<F: Float> Room<F> {
    pub(crate) fn new() -> Self {
        let zeros = [F::zero(); BLOCK];
        Self {
            scores: zeros,
            targets: zeros,
            gradient: zeros,
            values: zeros,
            sums: zeros,
        }
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
pub(crate) struct Parts {
    next: usize,
    classes: usize,
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
/// A group of short rows, one class after the other: `panel[class][row]`.
pub(crate) type Panel<F> = [[F; ROWS]];

/// What a row of targets in the shape of the predictions means to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dense {
    /// It is handed on as it is.
    Distribution,
    /// It has to be one-hot, and is handed on as a label.
    OneHot,
    /// Its largest element is the label; a row with a NaN names no class, and the item's value is 0.
    Largest,
}

/// The arithmetic of one row. All functions have to be `#[inline(always)]`.
pub(crate) trait RowKernel<F: Float>: Copy + Send + Sync {
    /// The losses of short rows, and their gradients times the coefficients.
    fn group(self, group: Group<'_, F>);
    /// The loss of a long row; the gradient, times the coefficient, goes where the row says.
    fn row(
        self,
        row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F;
    /// Any number of short rows.
    #[inline(always)]
    fn batch(self, batch: Batch<'_, F>) {
        batch.each_group(self);
    }
}

/// A kernel as the traversal sees it: compiled once for a type of floats, whatever the targets and the layout are.
#[doc(hidden)]
pub trait AnyRowKernel<F>: Sync {
    fn batch(&self, batch: Batch<'_, F>);
    fn row(
        &self,
        row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F;
}

/// What is computed of items, and which of them are left out.
#[doc(hidden)]
pub trait ItemKernel<F: Float>: Copy + Send + Sync {
    /// The least number of classes that the loss is defined for.
    const MIN_CLASSES: usize;
    const DENSE: Dense;
    /// Whether there is a label whose items are left out.
    const IGNORES: bool = false;

    /// A rough number of nanoseconds a score takes on one core.
    fn cost(&self) -> f32;
    fn arithmetic(&self) -> &dyn AnyRowKernel<F>;
    /// Whether items with this label are left out.
    fn ignores(&self, _label: i128) -> bool {
        false
    }
}

impl<F: Float, K: RowKernel<F>> AnyRowKernel<F> for K {
    fn batch(&self, batch: Batch<'_, F>) {
        let kernel = *self;
        simd::dispatch(OfBatch { kernel, batch });
    }

    fn row(
        &self,
        row: Row<'_, F>,
        target: RowTarget<'_, F>,
        coefficient: F,
        room: &mut Room<F>,
    ) -> F {
        simd::dispatch(OfRow {
            kernel: *self,
            row,
            target,
            coefficient,
            room,
        })
    }
}

struct OfBatch<'a, F, K> {
    kernel: K,
    batch: Batch<'a, F>,
}

impl<F: Float, K: RowKernel<F>> NullaryFnOnce for OfBatch<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        RowKernel::batch(self.kernel, self.batch);
    }
}

struct OfRow<'a, 't, 'r, F, K> {
    kernel: K,
    row: Row<'a, F>,
    target: RowTarget<'t, F>,
    coefficient: F,
    room: &'r mut Room<F>,
}

impl<F: Float, K: RowKernel<F>> NullaryFnOnce for OfRow<'_, '_, '_, F, K> {
    type Output = F;

    #[inline(always)]
    fn call(self) -> F {
        RowKernel::row(
            self.kernel,
            self.row,
            self.target,
            self.coefficient,
            self.room,
        )
    }
}

/// Short rows, one after the other.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Batch<'a, F> {
    pub(crate) classes: usize,
    /// Absent where they lie in the buffer of the gradient.
    pub(crate) scores: Option<&'a [F]>,
    pub(crate) targets: BatchTargets<'a, F>,
    pub(crate) coefficients: Coefficients<'a, F>,
    pub(crate) losses: &'a mut [F],
    pub(crate) gradient: Option<&'a mut [F]>,
    /// Room for three panels.
    pub(super) scratch: &'a mut Panel<F>,
}

/// The targets of a batch.
#[derive(Clone, Copy)]
pub(crate) enum BatchTargets<'a, F> {
    /// One valid label for each row.
    Labels(&'a [usize]),
    /// Rows like the scores.
    Dense(&'a [F]),
}

/// Factors of the gradients.
#[derive(Clone, Copy)]
pub(crate) enum Coefficients<'a, F> {
    /// One for all rows.
    Same(F),
    /// One for each row.
    Each(&'a [F]),
}

impl<F: Float> Coefficients<'_, F> {
    /// Those of at most [`ROWS`] rows from `start` on; unspecified behind the last.
    #[inline(always)]
    pub(crate) fn of_rows(self, start: usize) -> [F; ROWS] {
        match self {
            Self::Same(factor) => [factor; ROWS],
            Self::Each(factors) => {
                let mut of_rows = [F::one(); ROWS];
                for (to, &factor) in of_rows.iter_mut().zip(&factors[start..]) {
                    *to = factor;
                }
                of_rows
            }
        }
    }
}

/// At most [`ROWS`] short rows.
pub(crate) struct Group<'a, F> {
    pub(crate) classes: usize,
    pub(crate) scores: &'a [F],
    pub(crate) targets: GroupTargets<'a, F>,
    /// Factors of the gradients, one a row.
    pub(crate) coefficients: &'a [F; ROWS],
    pub(crate) losses: &'a mut [F; ROWS],
    pub(crate) gradient: Option<&'a mut [F]>,
    /// Two panels of as many classes to work in; what they hold is unspecified.
    pub(crate) panel: &'a mut Panel<F>,
    pub(crate) target_panel: &'a mut Panel<F>,
}

#[derive(Clone, Copy)]
pub(crate) enum GroupTargets<'a, F> {
    /// One valid label for each of [`ROWS`] rows.
    Labels(&'a [usize; ROWS]),
    /// Rows like the scores.
    Dense(&'a [F]),
}

impl<F: Float> Batch<'_, F> {
    /// Hands the rows to the kernel in groups.
    #[inline(always)]
    pub(crate) fn each_group<K: RowKernel<F>>(self, kernel: K) {
        let classes = self.classes;
        let (panel, rest) = self.scratch.split_at_mut(classes);
        let (target_panel, copy) = rest.split_at_mut(classes);
        let copy = copy.as_flattened_mut();
        let mut gradient = self.gradient;
        let mut labels = [0; ROWS];
        let mut spare = [F::zero(); ROWS];
        let rows = self.losses.len();
        let mut start = 0;
        while start < rows {
            let end = (start + ROWS).min(rows);
            let span = start * classes..end * classes;
            let gradient = gradient.as_deref_mut().map(|all| &mut all[span.clone()]);
            let scores = match (self.scores, &gradient) {
                (Some(scores), _) => &scores[span.clone()],
                (None, Some(gradient)) => {
                    let copy = &mut copy[..gradient.len()];
                    copy.copy_from_slice(gradient);
                    copy
                }
                (None, None) => &[],
            };
            let targets = match self.targets {
                BatchTargets::Dense(targets) => GroupTargets::Dense(&targets[span]),
                BatchTargets::Labels(all) => match all[start..].first_chunk() {
                    Some(labels) => GroupTargets::Labels(labels),
                    None => {
                        for (to, &label) in labels.iter_mut().zip(&all[start..]) {
                            *to = label;
                        }
                        GroupTargets::Labels(&labels)
                    }
                },
            };
            let coefficients = self.coefficients.of_rows(start);
            let rest = &mut self.losses[start..];
            let (losses, few) = match rest.first_chunk_mut() {
                Some(losses) => (losses, None),
                None => (&mut spare, Some(start)),
            };
            kernel.group(Group {
                classes,
                scores,
                targets,
                coefficients: &coefficients,
                losses,
                gradient,
                panel: &mut *panel,
                target_panel: &mut *target_panel,
            });
            if let Some(start) = few {
                self.losses[start..].copy_from_slice(&spare[..rows - start]);
            }
            start = end;
        }
    }
}

/// The target of one long row.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
#[derive(Clone, Copy)]
pub enum RowTarget<'a, F> {
    Label(usize),
    Dense(DenseTarget<'a, F>),
}

/// A row of targets.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
#[derive(Clone, Copy)]
pub enum DenseTarget<'a, F> {
    Slice(&'a [F]),
    /// Fills a slice with what stands from an index on, and zeros behind the end.
    Parts(&'a dyn Fn(usize, &mut [F])),
}

impl<F: Float> DenseTarget<'_, F> {
    /// The targets of this part, zeros behind the end.
    #[inline(always)]
    pub(crate) fn part<'b>(&'b self, part: Part, buffer: &'b mut Block<F>) -> &'b [F] {
        match self {
            Self::Slice(slice) => part_of(slice, part, F::zero(), buffer),
            Self::Parts(fill) => {
                let buffer = &mut buffer[..part.len];
                fill(part.start, buffer);
                buffer
            }
        }
    }
}

/// One long row: where its scores are and where its gradient goes.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Row<'a, F> {
    pub(super) classes: usize,
    /// Absent where the scores are in the sink.
    pub(super) scores: Option<Source<'a, F>>,
    pub(super) sink: Option<Sink<'a, F>>,
}

pub(super) enum Source<'a, F> {
    Slice(&'a [F]),
    Lane(ArrayView1<'a, F>),
}

pub(super) enum Sink<'a, F> {
    Slice(&'a mut [F]),
    Lane(ArrayViewMut1<'a, F>),
}

impl<'a, F: Float> Row<'a, F> {
    /// A row of a group, to be treated alone.
    #[inline(always)]
    pub(crate) fn of_slices(scores: &'a [F], gradient: Option<&'a mut [F]>) -> Self {
        Self {
            classes: scores.len(),
            scores: Some(Source::Slice(scores)),
            sink: gradient.map(Sink::Slice),
        }
    }

    #[inline(always)]
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    #[inline(always)]
    pub(crate) fn wants_gradient(&self) -> bool {
        self.sink.is_some()
    }

    /// The scores of this part; `fill` behind the end.
    #[inline(always)]
    pub(crate) fn scores<'b>(&'b self, part: Part, fill: F, buffer: &'b mut Block<F>) -> &'b [F] {
        match (&self.scores, &self.sink) {
            (Some(Source::Slice(slice)), _) => part_of(slice, part, fill, buffer),
            (Some(Source::Lane(lane)), _) => part_of_lane(&lane.view(), part, fill, buffer),
            (None, _) => self.gradient(part, fill, buffer),
        }
    }

    /// What was written to the gradient of this part; `fill` behind the end.
    #[inline(always)]
    pub(crate) fn gradient<'b>(&'b self, part: Part, fill: F, buffer: &'b mut Block<F>) -> &'b [F] {
        match &self.sink {
            Some(Sink::Slice(slice)) => part_of(slice, part, fill, buffer),
            Some(Sink::Lane(lane)) => part_of_lane(&lane.view(), part, fill, buffer),
            None => {
                let buffer = &mut buffer[..part.len];
                buffer.fill(fill);
                buffer
            }
        }
    }

    #[inline(always)]
    pub(crate) fn score(&self, class: usize) -> F {
        let score = match (&self.scores, &self.sink) {
            (Some(Source::Slice(slice)), _) => slice.get(class),
            (Some(Source::Lane(lane)), _) => lane.get(class),
            (None, Some(Sink::Slice(slice))) => slice.get(class),
            (None, Some(Sink::Lane(lane))) => lane.get(class),
            (None, None) => None,
        };
        score.copied().unwrap_or_else(F::nan)
    }

    /// The scores of this part, `fill` behind the end, and where their gradient goes: the row's own memory or the
    /// buffer, which [`flush`](Self::flush) writes back.
    #[inline(always)]
    pub(crate) fn scores_and_gradient<'b>(
        &'b mut self,
        part: Part,
        fill: F,
        buffer: &'b mut Block<F>,
        out_buffer: &'b mut Block<F>,
    ) -> (&'b [F], &'b mut [F]) {
        if self.scores.is_none() {
            let mut spare = [F::zero(); BLOCK];
            buffer[..part.len].copy_from_slice(self.gradient(part, fill, &mut spare));
        }
        let scores = match &self.scores {
            Some(Source::Slice(slice)) => part_of(slice, part, fill, buffer),
            Some(Source::Lane(lane)) => part_of_lane(lane, part, fill, buffer),
            None => &buffer[..part.len],
        };
        let out = match &mut self.sink {
            Some(Sink::Slice(slice)) if slice.len() - part.start >= part.len => {
                &mut slice[part.start..part.start + part.len]
            }
            _ => &mut out_buffer[..part.len],
        };
        (scores, out)
    }

    /// What was written to the gradient of this part, to be changed, 0 behind the end: the row's own memory or the
    /// buffer, which [`flush`](Self::flush) writes back.
    #[inline(always)]
    pub(crate) fn gradient_mut<'b>(
        &'b mut self,
        part: Part,
        buffer: &'b mut Block<F>,
    ) -> &'b mut [F] {
        if !self.is_direct(part) {
            let mut spare = [F::zero(); BLOCK];
            buffer[..part.len].copy_from_slice(self.gradient(part, F::zero(), &mut spare));
        }
        match &mut self.sink {
            Some(Sink::Slice(slice)) if slice.len() - part.start >= part.len => {
                &mut slice[part.start..part.start + part.len]
            }
            _ => &mut buffer[..part.len],
        }
    }

    /// The scores of this part, 0 behind the end, and what was written to its gradient: as in
    /// [`gradient_mut`](Self::gradient_mut).
    #[inline(always)]
    pub(crate) fn scores_and_gradient_mut<'b>(
        &'b mut self,
        part: Part,
        buffer: &'b mut Block<F>,
        out_buffer: &'b mut Block<F>,
    ) -> (&'b [F], &'b mut [F]) {
        if !self.is_direct(part) {
            let mut spare = [F::zero(); BLOCK];
            out_buffer[..part.len].copy_from_slice(self.gradient(part, F::zero(), &mut spare));
        }
        self.scores_and_gradient(part, F::zero(), buffer, out_buffer)
    }

    #[inline(always)]
    fn is_direct(&self, part: Part) -> bool {
        matches!(&self.sink, Some(Sink::Slice(slice)) if slice.len() - part.start >= part.len)
    }

    /// Writes this part of the gradient back, where it was not written in place.
    #[inline(always)]
    pub(crate) fn flush(&mut self, part: Part, buffer: &Block<F>) {
        match &mut self.sink {
            Some(Sink::Slice(slice)) if slice.len() - part.start < part.len => {
                for (to, &x) in slice[part.start..].iter_mut().zip(buffer) {
                    *to = x;
                }
            }
            Some(Sink::Slice(_)) | None => {}
            Some(Sink::Lane(lane)) => {
                for (to, &x) in lane.iter_mut().skip(part.start).zip(&buffer[..part.len]) {
                    *to = x;
                }
            }
        }
    }

    /// Writes one element of the gradient.
    #[inline(always)]
    pub(crate) fn set(&mut self, class: usize, value: F) {
        let to = match &mut self.sink {
            Some(Sink::Slice(slice)) => slice.get_mut(class),
            Some(Sink::Lane(lane)) => lane.get_mut(class),
            None => None,
        };
        if let Some(to) = to {
            *to = value;
        }
    }

    /// Fills the gradient.
    #[inline(always)]
    pub(crate) fn fill(&mut self, value: F) {
        match &mut self.sink {
            Some(Sink::Slice(slice)) => slice.fill(value),
            Some(Sink::Lane(lane)) => lane.fill(value),
            None => {}
        }
    }

    /// The parts of the row.
    #[inline(always)]
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            next: 0,
            classes: self.classes,
        }
    }
}

#[inline(always)]
fn part_of<'b, F: Float>(slice: &'b [F], part: Part, fill: F, buffer: &'b mut Block<F>) -> &'b [F] {
    let rest = &slice[part.start..];
    if let Some(whole) = rest.get(..part.len) {
        return whole;
    }
    // Fewer than a step.
    let buffer = &mut buffer[..STEP];
    buffer.fill(fill);
    for (to, &x) in buffer.iter_mut().zip(rest) {
        *to = x;
    }
    buffer
}

fn part_of_lane<'b, F: Float>(
    lane: &ArrayView1<'_, F>,
    part: Part,
    fill: F,
    buffer: &'b mut Block<F>,
) -> &'b [F] {
    let end = (part.start + part.len).min(lane.len());
    let buffer = &mut buffer[..part.len];
    let values = lane.slice_axis(Axis(0), Slice::from(part.start..end));
    for (to, &x) in buffer.iter_mut().zip(values) {
        *to = x;
    }
    buffer[end - part.start..].fill(fill);
    buffer
}

/// The largest number of a part; a NaN is none.
#[inline(always)]
pub(crate) fn largest<F: Float>(values: &[F]) -> F {
    // Of zeros of both signs `max` may give either.
    values
        .iter()
        .fold(F::neg_infinity(), |largest, &x| largest.max(x))
        + F::zero()
}

/// The first place in a part that has this value.
#[inline(always)]
pub(crate) fn position<F: Float>(values: &[F], value: F) -> Option<usize> {
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

/// What a lane that is kept in memory becomes: the new value where the condition holds, else what it was (−0 as 0).
///
/// Without the addition the compiler would store only where the condition holds: a masked store, which takes tens of
/// cycles on some processors.
#[inline(always)]
pub(crate) fn update<F: Float>(condition: bool, new: F, old: F) -> F {
    (if condition { new } else { old }) + F::zero()
}

/// Labels in the lanes' own type; exact for short rows.
#[inline(always)]
pub(crate) fn as_floats<F: Float>(labels: &[usize; ROWS]) -> [F; ROWS] {
    let mut floats = [F::zero(); ROWS];
    for i in 0..ROWS {
        // by way of 32 bits, for which there are vector instructions
        floats[i] = F::narrow(f64::from(labels[i] as i32));
    }
    floats
}

/// Where the squares start that cover a row of `classes`, [`TILE`] or more; the last overlaps the one before it.
#[inline(always)]
fn squares(classes: usize) -> impl Iterator<Item = usize> {
    (0..classes.div_ceil(TILE)).map(move |index| (index * TILE).min(classes - TILE))
}

/// Rows of scores, one class after the other; what the panel holds for rows that are not there is unspecified.
#[inline(always)]
pub(crate) fn transpose<F: Float>(scores: &[F], panel: &mut Panel<F>) {
    let classes = panel.len();
    let mut done = 0;
    if classes >= TILE {
        for rows in scores.chunks_exact(TILE * classes) {
            for class in squares(classes) {
                let Some(square) = square(rows, classes, class) else {
                    continue;
                };
                let columns = F::transpose(square);
                for (lanes, column) in panel[class..].iter_mut().zip(&columns) {
                    if let Some(lanes) = lanes[done..].first_chunk_mut() {
                        *lanes = *column;
                    }
                }
            }
            done += TILE;
        }
    }
    for (row, r) in scores[done * classes..]
        .chunks_exact(classes)
        .zip(done..ROWS)
    {
        for (lanes, &x) in panel.iter_mut().zip(row) {
            lanes[r] = x;
        }
    }
}

/// The inverse of [`transpose`].
#[inline(always)]
pub(crate) fn transpose_back<F: Float>(panel: &Panel<F>, rows: &mut [F]) {
    let classes = panel.len();
    let mut done = 0;
    if classes >= TILE {
        for rows in rows.chunks_exact_mut(TILE * classes) {
            for class in squares(classes) {
                let lanes = panel[class..].as_flattened();
                let Some(square) = square(&lanes[done..], ROWS, 0) else {
                    continue;
                };
                let rows_of_square = F::transpose(square);
                for (row, of_square) in rows.chunks_exact_mut(classes).zip(&rows_of_square) {
                    if let Some(to) = row[class..].first_chunk_mut() {
                        *to = *of_square;
                    }
                }
            }
            done += TILE;
        }
    }
    for (row, r) in rows[done * classes..]
        .chunks_exact_mut(classes)
        .zip(done..ROWS)
    {
        for (lanes, to) in panel.iter().zip(row) {
            *to = lanes[r];
        }
    }
}

/// A square from `column` on of the first rows, `stride` apart.
#[inline(always)]
fn square<F>(rows: &[F], stride: usize, column: usize) -> Option<[&[F; TILE]; TILE]> {
    Some([
        rows.get(column..)?.first_chunk()?,
        rows.get(stride + column..)?.first_chunk()?,
        rows.get(2 * stride + column..)?.first_chunk()?,
        rows.get(3 * stride + column..)?.first_chunk()?,
        rows.get(4 * stride + column..)?.first_chunk()?,
        rows.get(5 * stride + column..)?.first_chunk()?,
        rows.get(6 * stride + column..)?.first_chunk()?,
        rows.get(7 * stride + column..)?.first_chunk()?,
    ])
}
