//! The parts that a long row is seen in, and what is found in them.

use std::array::from_fn;
use std::hint::black_box;
use std::ops::Range;

use super::short::update;
use crate::float::Float;

/// How many elements of a long row a kernel sees at once at most, but for a pass that is element by element.
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

    /// The parts that this one is made of, where it is several: see [`Parts::several`].
    #[inline(always)]
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
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
    /// How many whole ones at a time.
    at_once: usize,
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
            at_once,
        }
    }
}

impl Iterator for Parts {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        let start = self.next;
        let rest = self.end.checked_sub(start).filter(|&rest| rest > 0)?;
        let len = match rest / BLOCK {
            0 => (rest - rest % STEP).max(STEP),
            whole => whole.min(self.at_once) * BLOCK,
        };
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

    /// Takes the next part into account; whether there is a greater value in it.
    #[inline(always)]
    pub(crate) fn look(&mut self, part: Part, values: &[F]) -> bool {
        self.look_at(part, largest(values))
    }

    /// The same of the part's largest number.
    #[inline(always)]
    pub(crate) fn look_at(&mut self, part: Part, largest: F) -> bool {
        // of zeros of both signs, +0
        let value = largest + F::zero();
        let is_greater = value > self.value;
        if is_greater {
            (self.value, self.start) = (value, part.start);
        }
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
        if part.start != self.start {
            return None;
        }
        let offset = position_of_present(values, self.value)?;
        Some(part.start + offset)
    }
}

/// The largest number of a part; a NaN is none.
#[inline(always)]
fn largest<F: Float>(values: &[F]) -> F {
    look::<F, false>(values).0
}

/// The same, and whether there is a NaN.
#[inline(always)]
pub(crate) fn largest_and_any_nan<F: Float>(values: &[F]) -> (F, bool) {
    look::<F, true>(values)
}

#[inline(always)]
fn look<F: Float, const NANS: bool>(values: &[F]) -> (F, bool) {
    const WIDTH: usize = STEP / 4;
    let (zero, one) = (F::zero(), F::one());
    let (steps, rest) = values.as_chunks::<STEP>();
    // Lane by lane: as one fold, each step would also ask which of both is a NaN.
    let mut lanes = [[F::neg_infinity(); WIDTH]; 4];
    let mut nans = [[zero; WIDTH]; 4];
    for step in steps {
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
    let [a, b, c, d] = &lanes;
    // Kept in memory: the compiler would take the loop above apart to have each lane at hand.
    let of_lanes: [F; WIDTH] = black_box(from_fn(|i| {
        greater(greater(a[i], b[i]), greater(c[i], d[i]))
    }));
    let of_rest = rest.iter().fold(F::neg_infinity(), |m, &x| greater(x, m));
    let mut any_nan = false;
    if NANS {
        let [a, b, c, d] = &nans;
        let of_lanes: [F; WIDTH] = black_box(from_fn(|i| (a[i] + b[i]) + (c[i] + d[i])));
        any_nan = of_lanes.iter().fold(false, |any, &nan| any | (nan != zero));
        any_nan |= rest.iter().any(|x| x.is_nan());
    }
    // Pair by pair: one after the other, each would wait for the one before.
    let [a, b, c, d]: [F; WIDTH / 2] = from_fn(|i| greater(of_lanes[i], of_lanes[i + WIDTH / 2]));
    let largest = greater(of_rest, greater(greater(a, b), greater(c, d)));
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
    // In which step each lane first has it.
    let mut places = [F::infinity(); STEP];
    for (index, step) in steps.iter().enumerate().rev() {
        let start = F::narrow((index * STEP) as f64);
        for i in 0..STEP {
            places[i] = update(step[i] == value, start, places[i]);
        }
    }
    for (lane, place) in places.iter_mut().enumerate() {
        *place += F::narrow(lane as f64);
    }
    let eight: [F; STEP / 4] = from_fn(|i| {
        let [a, b, c, d] = from_fn(|quarter| places[i + quarter * (STEP / 4)]);
        lesser(lesser(a, b), lesser(c, d))
    });
    let four: [F; STEP / 8] = from_fn(|i| lesser(eight[i], eight[i + STEP / 8]));
    let place = lesser(lesser(four[0], four[2]), lesser(four[1], four[3]));
    place.is_finite().then(|| place.widen() as usize)
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
                assert_eq!(largest(&values), -1.0, "{place} of {len}");
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
            assert_eq!(largest(&nans), f32::NEG_INFINITY);
            assert_eq!(position_of_present(&nans, -1.0), None);
        }
    }
}
