//! The parts that a long row is seen in, and what is found in them.

use std::array::from_fn;
use std::hint::{black_box, select_unpredictable};
use std::ops::Range;
use std::slice::from_ref;

use super::short::update;
use crate::engine::reduce::STRIPE;
use crate::float::Float;

/// Of how many elements of a long row there may be copies, and intermediate results, at once.
pub(crate) const BLOCK: usize = 256;
/// A part has at least so many elements, and kernels see so many at a time.
const STEP: usize = 32;
/// How many elements of a long row are added up by themselves before their sum joins that of those before them. Sums
/// depend on it, so it is the same everywhere: sections of a row may be seen on several threads.
pub(crate) const SECTION: usize = 16 * BLOCK;

/// The sections of a row one after the other; the last may be shorter.
#[inline(always)]
pub(super) fn sections(classes: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..classes).step_by(SECTION);
    starts.map(move |start| start..classes.min(start + SECTION))
}

/// A part of a long row: from `start` on `len` elements. The last part of a copy may go beyond the end, so that it is a
/// multiple of [`STEP`]; that of a contiguous row does only where there is less than a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Part {
    /// All of a row, for what is element by element.
    #[inline(always)]
    pub(super) fn whole(classes: usize) -> Self {
        Self {
            start: 0,
            len: classes,
        }
    }

    /// The same part of rows that so many classes come before.
    #[inline(always)]
    pub(super) fn behind(self, first: usize) -> Self {
        Self {
            start: first + self.start,
            ..self
        }
    }

    /// The parts of at most [`BLOCK`] elements that this one is made of.
    #[inline(always)]
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        self.several(1)
    }

    /// The same, up to so many as one.
    #[inline(always)]
    pub(crate) fn several(self, at_once: usize) -> impl Iterator<Item = Self> {
        Parts::of_line(self.start..self.start + self.len, at_once)
    }

    /// Where the class is in this part, if it is there.
    #[inline(always)]
    pub(crate) fn offset_of(self, class: usize) -> Option<usize> {
        class
            .checked_sub(self.start)
            .filter(|&offset| offset < self.len)
    }

    /// Writes the value of a class, if it is in this part.
    #[inline(always)]
    pub(crate) fn write<F>(self, value: Option<(usize, F)>, to: &mut [F]) {
        if let Some((class, value)) = value
            && let Some(offset) = self.offset_of(class)
            && let Some(to) = to.get_mut(offset)
        {
            *to = value;
        }
    }
}

/// The parts of a section one after the other: they depend on the number of classes alone.
pub(crate) struct Parts {
    next: usize,
    end: usize,
    /// The length of the longest.
    longest: usize,
    /// Whether the last goes beyond the end rather than to have a length that is no multiple of [`STEP`].
    are_padded: bool,
}

impl Parts {
    #[inline(always)]
    pub(crate) fn of(section: Range<usize>) -> Self {
        Self::several(section, 1)
    }

    /// Up to so many of [`BLOCK`] elements as one; [`Part::each`] takes them apart.
    #[inline(always)]
    pub(super) fn several(section: Range<usize>, at_once: usize) -> Self {
        Self {
            next: section.start,
            end: section.end,
            longest: at_once * BLOCK,
            are_padded: true,
        }
    }

    /// The same of a contiguous row.
    #[inline(always)]
    pub(super) fn of_line(section: Range<usize>, at_once: usize) -> Self {
        Self {
            are_padded: false,
            ..Self::several(section, at_once)
        }
    }
}

impl Iterator for Parts {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        let start = self.next;
        let rest = self.end.checked_sub(start).filter(|&rest| rest > 0)?;
        let longest = self.longest;
        let len = if self.are_padded {
            (rest - rest % STEP).min(longest)
        } else if longest < rest && rest < longest + STEP {
            // Whole stripes, and more than a step is left.
            longest - STRIPE
        } else {
            rest.min(longest)
        };
        let len = len.max(STEP);
        self.next = start + len;
        Some(Part { start, len })
    }
}

/// Spans of whole steps that cover so many elements, for what is computed of each by itself: the last may overlap the
/// one before, so that no element is left over, which would be computed alone. What is done with both has to be a function
/// that is `#[inline(always)]`: a closure that is called twice is compiled for the baseline.
#[inline(always)]
pub(crate) fn spans(len: usize) -> (Range<usize>, Option<Range<usize>>) {
    let whole = len - len % STEP;
    let last = (whole < len).then(|| len.saturating_sub(STEP)..len);
    (0..whole, last)
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

    /// Takes the next part into account.
    #[inline(always)]
    pub(crate) fn look(&mut self, part: Part, values: &[F]) {
        let (value, block) = largest_and_block(values);
        let start = part.start + block * BLOCK;
        self.look_at(Part { start, ..part }, value);
    }

    /// The same of the part's largest number; whether it is greater than those before.
    #[inline(always)]
    pub(crate) fn look_at(&mut self, part: Part, largest: F) -> bool {
        // of zeros of both signs, +0
        let value = largest + F::zero();
        let is_greater = value > self.value;
        // No branch, which nothing foretells.
        self.start = select_unpredictable(is_greater, part.start, self.start);
        self.value = select_unpredictable(is_greater, value, self.value);
        is_greater
    }

    /// The same of what was found in a later section.
    #[inline(always)]
    pub(crate) fn adopt(&mut self, later: &Self) -> bool {
        let is_greater = later.value > self.value;
        if is_greater {
            *self = *later;
        }
        is_greater
    }

    /// The first class that has it, if it is in this part.
    #[inline(always)]
    pub(crate) fn class(&self, part: Part, values: &[F]) -> Option<usize> {
        if part.start != self.start {
            return None;
        }
        let offset = position(values, self.value)?;
        Some(part.start + offset)
    }

    /// The same, once all parts were looked at, which may have been others: those that its block of these is in.
    #[inline(always)]
    pub(crate) fn final_class(&self, part: Part, values: &[F]) -> Option<usize> {
        let start = self.start.saturating_sub(part.start);
        let end = self.start.saturating_add(BLOCK).min(part.start + part.len);
        let end = end.saturating_sub(part.start);
        if start >= end {
            return None;
        }
        Some(part.start + position_of_present(&values[..end], start, self.value)?)
    }
}

/// The largest number, and the first block that has it.
#[inline(always)]
fn largest_and_block<F: Float>(values: &[F]) -> (F, usize) {
    let infinity = F::infinity();
    // Which block each lane has its largest number from.
    let mut largest = [-infinity; WIDTH];
    let mut blocks = [F::zero(); WIDTH];
    let (whole, rest) = values.as_chunks::<BLOCK>();
    for (index, block) in whole.iter().enumerate() {
        let (steps, _) = block.as_chunks();
        let (of_block, _) = look::<F, false>(steps);
        look_at_lanes(&mut largest, &mut blocks, &of_block, index);
    }
    if !rest.is_empty() {
        let (steps, _) = rest.as_chunks();
        let (of_rest, _) = look::<F, false>(steps);
        look_at_lanes(&mut largest, &mut blocks, &of_rest, whole.len());
        if let Some(last) = values.last_chunk() {
            // What it has of an earlier block is found there as well.
            let (of_last, _) = look::<F, false>(from_ref(last));
            look_at_lanes(&mut largest, &mut blocks, &of_last, whole.len());
        }
    }
    let (largest, blocks) = black_box((largest, blocks));
    let value = across_lanes(largest, greater);
    let first = across_lanes(
        from_fn(|i| update(largest[i] == value, blocks[i], infinity)),
        lesser,
    );
    (value, first.widen() as usize)
}

/// Takes a block into account of which this is the largest number of each lane.
#[inline(always)]
fn look_at_lanes<F: Float>(
    largest: &mut [F; WIDTH],
    blocks: &mut [F; WIDTH],
    of_block: &[F; WIDTH],
    block: usize,
) {
    let block = F::narrow(block as f64);
    for i in 0..WIDTH {
        let is_greater = of_block[i] > largest[i];
        largest[i] = update(is_greater, of_block[i], largest[i]);
        blocks[i] = update(is_greater, block, blocks[i]);
    }
}

/// The largest number of a part, which is no NaN, and whether there is a NaN.
#[inline(always)]
pub(crate) fn largest_and_any_nan<F: Float>(values: &[F]) -> (F, bool) {
    let (steps, last) = steps(values);
    let (mut largest, mut any_nan) = look::<F, true>(steps);
    if let Some(last) = last {
        let (of_last, is_any_nan) = look::<F, true>(from_ref(last));
        for i in 0..WIDTH {
            largest[i] = greater(of_last[i], largest[i]);
        }
        any_nan |= is_any_nan;
    }
    (across_lanes(largest, greater), any_nan)
}

/// The lanes that numbers are compared in.
const WIDTH: usize = STEP / 2;

/// What `choose` leaves of all lanes, pair by pair: one after the other, each would wait for the one before.
#[inline(always)]
fn across_lanes<F: Float>(lanes: [F; WIDTH], choose: impl Fn(F, F) -> F) -> F {
    let eight: [F; WIDTH / 2] = from_fn(|i| choose(lanes[i], lanes[i + WIDTH / 2]));
    let [a, b, c, d]: [F; WIDTH / 4] = from_fn(|i| choose(eight[i], eight[i + WIDTH / 4]));
    choose(choose(a, c), choose(b, d))
}

/// Whole steps, and where something is left over, the last elements as one.
#[inline(always)]
fn steps<F>(values: &[F]) -> (&[[F; STEP]], Option<&[F; STEP]>) {
    let (steps, rest) = values.as_chunks();
    let last = values.last_chunk().filter(|_| !rest.is_empty());
    (steps, last)
}

/// The largest number of each lane, and whether there is a NaN.
#[inline(always)]
fn look<F: Float, const NANS: bool>(steps: &[[F; STEP]]) -> ([F; WIDTH], bool) {
    let (zero, one) = (F::zero(), F::one());
    // Lane by lane: as one fold, each step would also ask which of both is a NaN.
    let mut lanes = [[F::neg_infinity(); WIDTH]; 2];
    let mut nans = [[zero; WIDTH]; 2];
    for step in steps {
        let halves = step.chunks_exact(WIDTH);
        for ((lanes, nans), half) in lanes.iter_mut().zip(&mut nans).zip(halves) {
            for i in 0..WIDTH {
                let x = half[i];
                lanes[i] = greater(x, lanes[i]);
                if NANS {
                    nans[i] = update(x.is_nan(), one, nans[i]);
                }
            }
        }
    }
    // Kept in memory: the compiler would take the loop above apart to have each lane at hand.
    let [a, b] = &lanes;
    let largest = black_box(from_fn(|i| greater(a[i], b[i])));
    let mut any_nan = false;
    if NANS {
        let [a, b] = &nans;
        let of_lanes: [F; WIDTH] = black_box(from_fn(|i| a[i] + b[i]));
        any_nan = of_lanes.iter().fold(false, |any, &nan| any | (nan != zero));
    }
    (largest, any_nan)
}

/// The greater number; `known`, which is no NaN, where `x` is one.
#[inline(always)]
pub(super) fn greater<F: Float>(x: F, known: F) -> F {
    if x > known { x } else { known }
}

/// Whether a step has this value; without an early exit, so that it vectorises.
#[inline(always)]
fn has<F: Float>(step: &[F; STEP], value: F) -> bool {
    step.iter().fold(false, |any, &x| any | (x == value))
}

/// The first place in a part that has this value.
#[inline(always)]
pub(super) fn position<F: Float>(values: &[F], value: F) -> Option<usize> {
    let (steps, rest) = values.as_chunks::<STEP>();
    for (index, step) in steps.iter().enumerate() {
        if has(step, value) {
            let offset = step.iter().position(|&x| x == value)?;
            return Some(index * STEP + offset);
        }
    }
    let offset = rest.iter().position(|&x| x == value)?;
    Some(values.len() - rest.len() + offset)
}

/// The same from a place on, without a branch that depends on where it is, which cannot be foretold: quicker where the
/// value is there.
#[inline(always)]
fn position_of_present<F: Float>(values: &[F], start: usize, value: F) -> Option<usize> {
    const NOWHERE: u32 = u32::MAX / 2;
    // Where each lane has it.
    let mut places = [NOWHERE; WIDTH];
    let (chunks, rest) = values[start..].as_chunks::<WIDTH>();
    if !rest.is_empty()
        && let Some(last) = values.last_chunk::<WIDTH>()
    {
        let place = (values.len() - WIDTH) as u32;
        for i in 0..WIDTH {
            places[i] = if last[i] == value { place } else { NOWHERE };
        }
    }
    for (index, chunk) in chunks.iter().enumerate().rev() {
        let place = (start + index * WIDTH) as u32;
        for i in 0..WIDTH {
            places[i] = if chunk[i] == value { place } else { places[i] };
        }
    }
    let mut first = NOWHERE;
    for (place, lane) in places.into_iter().zip(0..) {
        first = first.min(place + lane);
    }
    (first < NOWHERE).then_some(first as usize)
}

#[inline(always)]
fn lesser<F: Float>(a: F, b: F) -> F {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_may_be_anywhere() {
        for len in [STEP, STEP + 1, 3 * STEP - 1, 3 * STEP, BLOCK] {
            for place in 0..len {
                let mut values = vec![-2.0_f32; len];
                values[(place + 1) % len] = f32::NAN;
                values[place] = -1.0;
                let with_nan = largest_and_any_nan(&values);
                assert_eq!(with_nan, (-1.0, true), "{place} of {len}");
                assert_eq!(position(&values, -1.0), Some(place));
                assert_eq!(position_of_present(&values, 0, -1.0), Some(place));
                values[(place + len / 2) % len] = -1.0;
                values[(place + 1) % len] = -2.0;
                assert!(!largest_and_any_nan(&values).1, "{place} of {len}");
                let first = place.min((place + len / 2) % len);
                assert_eq!(position(&values, -1.0), Some(first));
                assert_eq!(position_of_present(&values, 0, -1.0), Some(first));
            }
            let nans = vec![f32::NAN; len];
            assert_eq!(
                largest_and_any_nan(&nans),
                (f32::NEG_INFINITY, true),
                "{len}"
            );
            assert_eq!(position_of_present(&nans, 0, -1.0), None);
        }
    }

    #[test]
    fn the_largest_of_all_is_found_in_one_of_the_parts() {
        for classes in [
            32, 33, 63, 64, 65, 255, 256, 257, 271, 287, 288, 289, 513, 700,
        ] {
            for place in 0..classes {
                let mut values = vec![-2.0_f32; classes];
                values[place] = -1.0;
                let mut largest = Largest::new();
                largest.look(Part::whole(classes), &values);
                let parts: Vec<Part> = Parts::of_line(0..classes, 1).collect();
                assert_eq!(parts.iter().map(|part| part.len).sum::<usize>(), classes);
                let found = parts.iter().filter_map(|&part| {
                    largest.final_class(part, &values[part.start..part.start + part.len])
                });
                assert_eq!(found.collect::<Vec<_>>(), [place], "of {classes}");
            }
        }
    }

    #[test]
    fn spans_cover_all() {
        for len in 0..100 {
            let (most, last) = spans(len);
            assert_eq!(most.start, 0);
            assert_eq!(last.map_or(most.end, |last| last.end), len);
        }
    }

    #[test]
    fn the_first_of_the_largest_of_several_blocks() {
        let part = Part {
            start: 3 * SECTION,
            len: 3 * BLOCK + 2 * STEP,
        };
        for place in (0..part.len).step_by(7) {
            for later in [place + 1, place + BLOCK, part.len - 1] {
                let mut values = vec![f32::NAN; part.len];
                values[(place + 5) % part.len] = -2.0;
                values[later % part.len] = -1.0;
                values[place] = -1.0;
                let first = place.min(later % part.len);
                let mut largest = Largest::new();
                largest.look(part, &values);
                assert_eq!(largest.value, -1.0);
                let class = largest.final_class(part, &values);
                assert_eq!(class, Some(part.start + first), "{place}, {later}");
                // That of an earlier part is not taken over by its equal, nor looked for here.
                largest.look(part.behind(SECTION), &values);
                assert_eq!(largest.final_class(part, &values), class);
                assert_eq!(largest.final_class(part.behind(SECTION), &values), None);
            }
        }
    }
}
