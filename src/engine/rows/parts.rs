//! The parts that a long row is seen in, and what is found in them.

use std::array::from_fn;
use std::hint::{black_box, select_unpredictable};
use std::ops::Range;

use super::short::update;
use crate::float::Float;

/// Of how many elements of a long row there may be copies, and intermediate results, at once.
pub(crate) const BLOCK: usize = 256;
/// The elements of a part are a multiple of so many.
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

/// A part of a long row: from `start` on `len` elements, a multiple of [`STEP`]; the last part may go beyond the end.
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
        (0..self.len.div_ceil(BLOCK)).map(move |index| Self {
            start: self.start + index * BLOCK,
            len: BLOCK.min(self.len - index * BLOCK),
        })
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
        }
    }
}

impl Iterator for Parts {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        let start = self.next;
        let rest = self.end.checked_sub(start).filter(|&rest| rest > 0)?;
        let len = (rest - rest % STEP).clamp(STEP, self.longest.max(STEP));
        self.next = start + len;
        Some(Part { start, len })
    }
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
        let infinity = F::infinity();
        // Which block each lane has its largest number from.
        let mut largest = [-infinity; WIDTH];
        let mut blocks = [F::zero(); WIDTH];
        for (index, block) in values.chunks(BLOCK).enumerate() {
            let (index, (of_block, _)) = (F::narrow(index as f64), look::<F, false>(block));
            for i in 0..WIDTH {
                let is_greater = of_block[i] > largest[i];
                largest[i] = update(is_greater, of_block[i], largest[i]);
                blocks[i] = update(is_greater, index, blocks[i]);
            }
        }
        let (largest, blocks) = black_box((largest, blocks));
        let value = across_lanes(largest, greater);
        let first = across_lanes(
            from_fn(|i| update(largest[i] == value, blocks[i], infinity)),
            lesser,
        );
        let start = part.start + first.widen() as usize * BLOCK;
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

    /// The same, once all parts were looked at: it is then asked for in one part of a row alone.
    #[inline(always)]
    pub(crate) fn final_class(&self, part: Part, values: &[F]) -> Option<usize> {
        let start = part.offset_of(self.start)?;
        let block = &values[start..part.len.min(start + BLOCK)];
        Some(self.start + position_of_present(block, self.value)?)
    }
}

/// The largest number of a part, which is no NaN, and whether there is a NaN.
#[inline(always)]
pub(crate) fn largest_and_any_nan<F: Float>(values: &[F]) -> (F, bool) {
    let (largest, any_nan) = look::<F, true>(values);
    (across_lanes(largest, greater), any_nan)
}

/// The lanes that numbers are compared in.
const WIDTH: usize = STEP / 4;

/// What `choose` leaves of all lanes, pair by pair: one after the other, each would wait for the one before.
#[inline(always)]
fn across_lanes<F: Float>(lanes: [F; WIDTH], choose: impl Fn(F, F) -> F) -> F {
    let [a, b, c, d]: [F; WIDTH / 2] = from_fn(|i| choose(lanes[i], lanes[i + WIDTH / 2]));
    choose(choose(a, b), choose(c, d))
}

/// The largest number of each lane, and whether there is a NaN.
#[inline(always)]
fn look<F: Float, const NANS: bool>(values: &[F]) -> ([F; WIDTH], bool) {
    let (zero, one) = (F::zero(), F::one());
    // Lane by lane: as one fold, each step would also ask which of both is a NaN.
    let mut lanes = [[F::neg_infinity(); WIDTH]; 4];
    let mut nans = [[zero; WIDTH]; 4];
    for step in values.as_chunks::<STEP>().0 {
        let quarters = step.chunks_exact(WIDTH);
        for ((lanes, nans), quarter) in lanes.iter_mut().zip(&mut nans).zip(quarters) {
            for i in 0..WIDTH {
                let x = quarter[i];
                lanes[i] = greater(x, lanes[i]);
                if NANS {
                    nans[i] = update(x.is_nan(), one, nans[i]);
                }
            }
        }
    }
    // Kept in memory: the compiler would take the loop above apart to have each lane at hand.
    let [a, b, c, d] = &lanes;
    let largest = black_box(from_fn(|i| {
        greater(greater(a[i], b[i]), greater(c[i], d[i]))
    }));
    let mut any_nan = false;
    if NANS {
        let [a, b, c, d] = &nans;
        let of_lanes: [F; WIDTH] = black_box(from_fn(|i| (a[i] + b[i]) + (c[i] + d[i])));
        any_nan = of_lanes.iter().fold(false, |any, &nan| any | (nan != zero));
    }
    (largest, any_nan)
}

/// The greater number; `known`, which is no NaN, where `x` is one.
#[inline(always)]
pub(super) fn greater<F: Float>(x: F, known: F) -> F {
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

/// The same, without a branch that depends on the place, which cannot be foretold: quicker where the value is there.
#[inline(always)]
fn position_of_present<F: Float>(values: &[F], value: F) -> Option<usize> {
    let (steps, _) = values.as_chunks::<STEP>();
    let mut first = steps.len();
    for (index, step) in steps.iter().enumerate().rev() {
        let is_here = step.iter().fold(false, |any, &x| any | (x == value));
        first = select_unpredictable(is_here, index, first);
    }
    let step = steps.get(first)?;
    let places: [F; STEP] = from_fn(|lane| {
        let place = F::narrow(lane as f64);
        if step[lane] == value {
            place
        } else {
            F::infinity()
        }
    });
    let of_lanes = from_fn(|i| {
        let [a, b, c, d] = from_fn(|quarter| places[i + quarter * WIDTH]);
        lesser(lesser(a, b), lesser(c, d))
    });
    let place = across_lanes(of_lanes, lesser);
    Some(first * STEP + place.widen() as usize)
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
        for len in [STEP, 3 * STEP, BLOCK] {
            for place in 0..len {
                let mut values = vec![-2.0_f32; len];
                values[(place + 1) % len] = f32::NAN;
                values[place] = -1.0;
                let with_nan = largest_and_any_nan(&values);
                assert_eq!(with_nan, (-1.0, true), "{place} of {len}");
                assert_eq!(position(&values, -1.0), Some(place));
                assert_eq!(position_of_present(&values, -1.0), Some(place));
                values[(place + len / 2) % len] = -1.0;
                values[(place + 1) % len] = -2.0;
                assert!(!largest_and_any_nan(&values).1, "{place} of {len}");
                let first = place.min((place + len / 2) % len);
                assert_eq!(position(&values, -1.0), Some(first));
                assert_eq!(position_of_present(&values, -1.0), Some(first));
            }
            let nans = vec![f32::NAN; len];
            assert_eq!(
                largest_and_any_nan(&nans),
                (f32::NEG_INFINITY, true),
                "{len}"
            );
            assert_eq!(position_of_present(&nans, -1.0), None);
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
