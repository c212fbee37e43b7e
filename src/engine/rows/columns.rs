//! Long rows whose columns are contiguous: read and written where they are, lanes across rows.

use std::array::from_fn;

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use super::parts::{Part, Parts};
use super::short::update;
use crate::engine::copying::fetch;
use crate::engine::reduce::{LANES, Lanes};
use crate::float::Float;

/// How many rows are treated together at most where all that is made use of lies along columns: the longer the pieces of
/// columns, the less memory is waited for.
pub(crate) const ABREAST: usize = 256;
/// How many rows of a type: as many bytes of a column.
pub(crate) const fn rows_across<F>() -> usize {
    ABREAST * size_of::<f32>() / size_of::<F>()
}

/// Whether so many rows are seen by their columns: of fewer, a column takes longer than a copy of its elements.
pub(crate) const fn are_enough_across<F>(rows: usize) -> bool {
    rows * size_of::<F>() >= 24 * size_of::<f32>()
}

/// From so many bytes on, columns come from memory rather than from a cache: about half of what a processor's last one
/// holds.
const LARGE: usize = 16 << 20;
/// How many elements are fetched ahead.
const STRETCH: usize = 16384;

/// A number of each of the rows that are treated together.
pub(crate) type Abreast<T> = [T; ABREAST];

/// A number of each row; `absent` for those that are left out, and behind the last.
#[inline(always)]
pub(crate) fn abreast<T: Copy, K>(
    known: &[Option<K>],
    absent: T,
    of: impl Fn(&K) -> T,
) -> Abreast<T> {
    let mut numbers = [absent; ABREAST];
    for (to, row) in numbers.iter_mut().zip(known) {
        if let Some(row) = row {
            *to = of(row);
        }
    }
    numbers
}

/// Which rows there are.
pub(crate) struct Present<F>(Abreast<F>);

impl<F: Float> Present<F> {
    #[inline(always)]
    pub(crate) fn of<K>(known: &[Option<K>]) -> Self {
        Self(abreast(known, F::zero(), |_| F::one()))
    }

    /// The value of a row, or 0 if that is left out.
    #[inline(always)]
    pub(crate) fn only(&self, row: usize, value: F) -> F {
        if self.0[row] == F::one() {
            value
        } else {
            F::zero()
        }
    }
}

/// Where in a part the class of each row is; −1 where it is not there.
#[inline(always)]
pub(crate) fn offsets<F: Float, K>(
    known: &[Option<K>],
    part: Part,
    class: impl Fn(&K) -> Option<usize>,
) -> Abreast<F> {
    let nowhere = -F::one();
    abreast(known, nowhere, |row| {
        let offset = class(row).and_then(|class| part.offset_of(class));
        offset.map_or(nowhere, |offset| F::narrow(offset as f64))
    })
}

/// What a pass makes use of of several rows, at most [`ABREAST`], class by class.
pub(crate) struct Columns<'a, F> {
    /// Absent where the pass has no use for them, or they are where the gradient will be.
    pub(super) scores: Option<ArrayView2<'a, F>>,
    pub(super) targets: Option<ArrayView2<'a, F>>,
    pub(super) gradient: Option<ArrayViewMut2<'a, F>>,
    pub(super) rows: usize,
    /// The class of the first column.
    pub(super) first: usize,
    /// How many there are.
    pub(super) classes: usize,
    pub(super) in_place: bool,
    /// See [`are_large`].
    pub(super) are_large: bool,
}

impl<'a, F: Float> Columns<'a, F> {
    /// Of scores alone.
    pub(super) fn of(scores: ArrayView2<'a, F>) -> Self {
        Self {
            rows: scores.nrows(),
            first: 0,
            classes: scores.ncols(),
            are_large: are_large(&scores, scores.ncols()),
            scores: Some(scores),
            targets: None,
            gradient: None,
            in_place: false,
        }
    }

    /// The parts of a section's classes.
    #[inline(always)]
    pub(crate) fn parts(&self) -> Parts {
        Parts::of(self.first..self.first + self.classes)
    }

    #[inline(always)]
    pub(crate) fn has_targets(&self) -> bool {
        self.targets.is_some()
    }

    /// What is read, unless it lies where the gradient will be.
    #[inline(always)]
    pub(crate) fn without_gradient(self) -> Self {
        Self {
            gradient: self.gradient.filter(|_| self.in_place),
            ..self
        }
    }

    /// The target of a class, if it is among these.
    pub(crate) fn target(&self, row: usize, class: usize) -> Option<F> {
        let column = class.checked_sub(self.first)?;
        self.targets.as_ref()?.get([row, column]).copied()
    }

    /// Whether there is a NaN among the scores of a row.
    pub(crate) fn any_nan(&self, row: usize) -> bool {
        let scores = self.scores.as_ref();
        let scores = scores.filter(|view| row < view.nrows());
        scores.is_some_and(|view| view.row(row).iter().any(|x| x.is_nan()))
    }

    /// Writes one element of the gradient, if its class is among these.
    pub(crate) fn put(&mut self, row: usize, class: usize, value: F) {
        if let Some(column) = class.checked_sub(self.first)
            && let Some(gradient) = &mut self.gradient
            && let Some(to) = gradient.get_mut([row, column])
        {
            *to = value;
        }
    }

    /// The same columns once more.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> Columns<'_, F> {
        Columns {
            scores: self.scores.as_ref().map(|view| view.view()),
            targets: self.targets.as_ref().map(|view| view.view()),
            gradient: self.gradient.as_mut().map(|view| view.view_mut()),
            ..*self
        }
    }

    /// Takes off the first classes, so many or as many as there are.
    #[inline(always)]
    pub(crate) fn split_off(&mut self, classes: usize) -> Self {
        let (start, classes) = (self.first, classes.min(self.classes));
        self.first += classes;
        self.classes -= classes;
        let read = |view: &mut Option<ArrayView2<'a, F>>| {
            let (first, rest) = view.take()?.split_at(Axis(1), classes);
            *view = Some(rest);
            Some(first)
        };
        Self {
            scores: read(&mut self.scores),
            targets: read(&mut self.targets),
            gradient: self.gradient.take().map(|view| {
                let (first, rest) = view.split_at(Axis(1), classes);
                self.gradient = Some(rest);
                first
            }),
            first: start,
            classes,
            ..*self
        }
    }

    /// All classes, as many at a time as are fetched ahead; scores alone are read as fast without, where a cache may hold
    /// them.
    #[inline(always)]
    pub(crate) fn stretches(&mut self) -> impl Iterator<Item = (Part, Columns<'_, F>)> {
        let (classes, length) = (self.classes, self.stretch());
        let alone = self.targets.is_none() && self.gradient.is_none();
        let is_fetched = !alone || self.are_large;
        let mut rest = self.reborrow();
        (0..classes).step_by(length).map(move |_| {
            let stretch = rest.split_off(length);
            if is_fetched {
                stretch.fetch();
            }
            let (start, len) = (stretch.first, stretch.classes);
            (Part { start, len }, stretch)
        })
    }

    /// How many columns are fetched ahead, a multiple of [`LANES`].
    #[inline(always)]
    pub(crate) fn stretch(&self) -> usize {
        let length = STRETCH / self.rows.max(1);
        (length - length % LANES).max(LANES)
    }

    /// Reads a little of every line of memory, but where the processor sees by itself which lines come next.
    pub(crate) fn fetch(&self) {
        let gradient = self.gradient.as_ref().map(|view| view.view());
        let views = [&self.scores, &self.targets, &gradient];
        let apart = views.into_iter().flatten().filter(|view| !is_gapless(view));
        apart.for_each(fetch);
    }

    /// Column by column.
    #[inline(always)]
    pub(crate) fn each(self) -> impl Iterator<Item = Column<'a, F>> {
        let Self {
            scores,
            targets,
            gradient,
            classes,
            in_place,
            ..
        } = self;
        let mut scores = scores.map(columns_of);
        let mut targets = targets.map(columns_of);
        let mut gradient = gradient.map(|view| view.reversed_axes().into_outer_iter_mut());
        (0..classes).map(move |_| Column {
            scores: scores.as_mut().and_then(Iterator::next).unwrap_or_default(),
            targets: targets
                .as_mut()
                .and_then(Iterator::next)
                .unwrap_or_default(),
            gradient: match gradient.as_mut().and_then(Iterator::next) {
                Some(column) => column.into_slice().unwrap_or_default(),
                None => &mut [],
            },
            in_place,
        })
    }
}

/// Whether so many classes are more than a cache holds, with what lies in between.
pub(super) fn are_large<F>(column_of: &ArrayView2<'_, F>, classes: usize) -> bool {
    let column = column_of.stride_of(Axis(1)).unsigned_abs();
    column.saturating_mul(classes) > LARGE / size_of::<F>()
}

/// Whether each column begins where the one before ends.
fn is_gapless<F>(view: &ArrayView2<'_, F>) -> bool {
    view.stride_of(Axis(1)).unsigned_abs() == view.nrows()
}

#[inline(always)]
fn columns_of<'a, F: Float>(rows: ArrayView2<'a, F>) -> impl Iterator<Item = &'a [F]> {
    let columns = rows.reversed_axes().into_outer_iter();
    columns.map(|column| column.to_slice().unwrap_or_default())
}

/// What there is of a class, row by row; empty where there is none, or no use for it.
#[derive(Default)]
pub(crate) struct Column<'c, F> {
    scores: &'c [F],
    pub(crate) targets: &'c [F],
    pub(crate) gradient: &'c mut [F],
    in_place: bool,
}

impl<'c, F: Float> Column<'c, F> {
    /// Of at most [`ABREAST`] rows, which the compiler is to know: else it would check every index.
    #[inline(always)]
    pub(crate) fn scores(&self) -> &[F] {
        let scores = if self.in_place {
            &*self.gradient
        } else {
            self.scores
        };
        &scores[..scores.len().min(ABREAST)]
    }

    /// The scores, or a copy of them where the gradient takes their place, and the gradient.
    #[inline(always)]
    pub(crate) fn scores_and_gradient(self, room: &'c mut Abreast<F>) -> (&'c [F], &'c mut [F]) {
        if !self.in_place {
            return (self.scores, self.gradient);
        }
        let copy = &mut room[..self.gradient.len()];
        copy.copy_from_slice(self.gradient);
        (copy, self.gradient)
    }
}

/// How many columns are looked at together: what is known of a row is loaded and stored once for all of them.
const AT_ONCE: usize = 2;

/// The largest numbers of a part, and how far from its start they were first met.
pub(crate) struct LargestAcross<F> {
    values: Abreast<F>,
    offsets: Abreast<F>,
    /// 1 where there is a NaN.
    nans: Abreast<F>,
}

impl<F: Float> LargestAcross<F> {
    /// All scores of a part, but those at the offsets in `own`.
    #[inline(always)]
    pub(crate) fn of(columns: Columns<'_, F>, own: Option<&Abreast<F>>) -> Self {
        let mut largest = Self {
            values: [F::neg_infinity(); ABREAST],
            offsets: [F::zero(); ABREAST],
            nans: [F::zero(); ABREAST],
        };
        let gradient = columns.gradient.as_ref().map(|view| view.view());
        let in_place = gradient.filter(|_| columns.in_place);
        let Some(mut scores) = in_place.or(columns.scores).map(columns_of) else {
            return largest;
        };
        let mut offset = 0;
        // Memory is quicker column by column.
        while offset + AT_ONCE <= columns.classes && !columns.are_large {
            let scores: [&[F]; AT_ONCE] = from_fn(|_| scores.next().unwrap_or_default());
            largest.look(offset, scores, own);
            offset += AT_ONCE;
        }
        for scores in scores {
            largest.look(offset, [scores], own);
            offset += 1;
        }
        largest
    }

    /// Takes the next columns into account.
    #[inline(always)]
    fn look<const N: usize>(&mut self, offset: usize, x: [&[F]; N], own: Option<&Abreast<F>>) {
        let (zero, one) = (F::zero(), F::one());
        let offsets: [F; N] = from_fn(|i| F::narrow((offset + i) as f64));
        let rows = x[0].len().min(ABREAST);
        let x = x.map(|x| &x[..rows]);
        for row in 0..rows {
            let (mut largest, mut here, mut nan) = (self.values[row], zero, self.nans[row]);
            for i in 0..N {
                let mut x = x[i][row];
                nan = if x.is_nan() { one } else { nan };
                if let Some(own) = own {
                    x = if own[row] == offsets[i] {
                        F::neg_infinity()
                    } else {
                        x
                    };
                }
                let is_greater = x > largest;
                largest = if is_greater { x } else { largest };
                here = if is_greater { offsets[i] } else { here };
            }
            let first = self.offsets[row];
            self.values[row] = largest + zero;
            // The greater of both, since offsets only grow. Were the one before loaded only where it is wanted, that would
            // have to wait until what was stored there is in the cache.
            self.offsets[row] = update(here > first, here, first);
            self.nans[row] = nan + zero;
        }
    }

    /// The largest number of each row, its class, and whether there is a NaN.
    #[inline(always)]
    pub(crate) fn of_rows(&self, part: Part) -> impl Iterator<Item = (F, usize, bool)> {
        let offsets = self.offsets.iter();
        let classes = offsets.map(move |offset| part.start + offset.widen() as usize);
        let nans = self.nans.iter().map(|&nan| nan != F::zero());
        let found = self.values.iter().copied().zip(classes).zip(nans);
        found.map(|((value, class), any_nan)| (value, class, any_nan))
    }
}

/// [`Lanes`] of several rows, of `f64` at most half as many.
pub(crate) struct LanesAcross {
    sums: [Abreast<f64>; LANES],
}

impl LanesAcross {
    pub(super) const ZERO: Self = Self {
        sums: [[0.0; ABREAST]; LANES],
    };

    /// Adds the values of a class, to the lane of its place in the part.
    #[inline(always)]
    pub(crate) fn add<F: Float>(&mut self, place: usize, values: &[F]) {
        let rows = values.len();
        let mut none = [0.0; ABREAST];
        let (hi, lo) = self.lane::<F>(place, rows, &mut none);
        for i in 0..rows {
            F::add_to(&mut hi[i], &mut lo[i], values[i]);
        }
    }

    /// The same of the terms of four classes, added up pair by pair, but for those of the maximal class of a row.
    #[inline(always)]
    pub(crate) fn add_others<F: Float>(
        &mut self,
        place: usize,
        terms: [&[F]; 4],
        maximal: &[F],
        classes: [F; 4],
    ) {
        let zero = F::zero();
        let rows = maximal.len();
        let mut none = [0.0; ABREAST];
        let (hi, lo) = self.lane::<F>(place, rows, &mut none);
        let [a, b, c, d] = terms.map(|terms| &terms[..rows]);
        for i in 0..rows {
            let [is_a, is_b, is_c, is_d] = classes.map(|class| class == maximal[i]);
            let first = update(is_a, zero, a[i]) + update(is_b, zero, b[i]);
            let second = update(is_c, zero, c[i]) + update(is_d, zero, d[i]);
            F::add_to(&mut hi[i], &mut lo[i], first + second);
        }
    }

    /// The sums of a lane and what was rounded off; `none` where nothing is.
    #[inline(always)]
    fn lane<'l, F>(
        &'l mut self,
        place: usize,
        rows: usize,
        none: &'l mut Abreast<f64>,
    ) -> (&'l mut [f64], &'l mut [f64]) {
        let (hi, lo) = self.sums[place % LANES].split_at_mut(rows_across::<F>());
        let lo = if lo.is_empty() { none } else { lo };
        (&mut hi[..rows], &mut lo[..rows])
    }

    /// The lanes of a row.
    #[inline(always)]
    pub(crate) fn of_row<F: Float>(&self, row: usize) -> Lanes {
        Lanes::of(|lane| {
            let (hi, lo) = self.sums[lane].split_at(rows_across::<F>());
            (hi[row], lo.get(row).copied().unwrap_or(0.0))
        })
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.sums.as_flattened_mut().fill(0.0);
    }
}
