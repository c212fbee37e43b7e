//! Long rows: one at a time, part by part.

use std::array::from_fn;
use std::hint::black_box;

use ndarray::{ArrayView1, ArrayViewMut1, Axis, Slice};

use crate::float::Float;

/// How many elements of a long row a kernel sees at once at most.
pub(crate) const BLOCK: usize = 256;
/// The elements of a part are a multiple of so many.
const STEP: usize = 32;

/// Room for a part of a long row.
pub(crate) type Block<F> = [F; BLOCK];

/// Room to work in for the kernel of long rows; what it holds is unspecified.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
#[repr(align(64))] // as `Lines`
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
    pub(in crate::engine) classes: usize,
    /// Absent where the scores are in the sink.
    pub(in crate::engine) scores: Option<Source<'a, F>>,
    pub(in crate::engine) sink: Option<Sink<'a, F>>,
}

pub(in crate::engine) enum Source<'a, F> {
    Slice(&'a [F]),
    Lane(ArrayView1<'a, F>),
}

pub(in crate::engine) enum Sink<'a, F> {
    Slice(&'a mut [F]),
    Lane(ArrayViewMut1<'a, F>),
}

impl<F: Float> Sink<'_, F> {
    /// Whether this part can be written in place: it is contiguous, and the row does not end within it.
    #[inline(always)]
    fn is_direct(&self, part: Part) -> bool {
        matches!(self, Self::Slice(slice) if slice.len() >= part.start + part.len)
    }

    /// The row's own memory of this part, where [`is_direct`](Self::is_direct) says so.
    #[inline(always)]
    fn direct(&mut self, part: Part) -> Option<&mut [F]> {
        match self {
            Self::Slice(slice) => slice.get_mut(part.start..part.start + part.len),
            Self::Lane(_) => None,
        }
    }
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
        let direct = self.sink.as_mut().and_then(|sink| sink.direct(part));
        (scores, direct.unwrap_or(&mut out_buffer[..part.len]))
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
        let direct = self.sink.as_mut().and_then(|sink| sink.direct(part));
        direct.unwrap_or(&mut buffer[..part.len])
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
        self.sink.as_ref().is_some_and(|sink| sink.is_direct(part))
    }

    /// Writes this part of the gradient back, where it was not written in place.
    #[inline(always)]
    pub(crate) fn flush(&mut self, part: Part, buffer: &Block<F>) {
        if self.is_direct(part) {
            return;
        }
        match &mut self.sink {
            Some(Sink::Slice(slice)) => {
                for (to, &x) in slice[part.start..].iter_mut().zip(buffer) {
                    *to = x;
                }
            }
            Some(Sink::Lane(lane)) => {
                // A slice, not `skip`, which would walk there from the start of the row.
                let end = (part.start + part.len).min(lane.len());
                let lane = lane.slice_axis_mut(Axis(0), Slice::from(part.start..end));
                for (to, &x) in lane.into_iter().zip(buffer) {
                    *to = x;
                }
            }
            None => {}
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
