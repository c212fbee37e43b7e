//! Long rows whose columns are contiguous: read and written where they are, lanes across rows.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use super::parts::Part;
use super::short::{ROWS, update};
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

/// How many strips there are of them.
pub(crate) const STRIPS: usize = ABREAST / ROWS;
/// How many elements are fetched ahead.
const STRETCH: usize = 16384;

/// A number of each of the rows that are treated together, a strip of them at a time.
pub(crate) type Strips<T> = [[T; ROWS]; STRIPS];

/// A number of each row; `absent` for those that are left out, and behind the last.
#[inline(always)]
pub(crate) fn strips<T: Copy, K>(
    known: &[Option<K>],
    absent: T,
    of: impl Fn(&K) -> T,
) -> Strips<T> {
    let mut strips = [[absent; ROWS]; STRIPS];
    for (to, row) in strips.as_flattened_mut().iter_mut().zip(known) {
        if let Some(row) = row {
            *to = of(row);
        }
    }
    strips
}

/// Which rows there are.
pub(crate) struct Present<F>(Strips<F>);

impl<F: Float> Present<F> {
    #[inline(always)]
    pub(crate) fn of<K>(known: &[Option<K>]) -> Self {
        Self(strips(known, F::zero(), |_| F::one()))
    }

    /// The value of a row, or 0 if that is left out.
    #[inline(always)]
    pub(crate) fn only(&self, strip: usize, i: usize, value: F) -> F {
        if self.0[strip][i] == F::one() {
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
) -> Strips<F> {
    let nowhere = -F::one();
    strips(known, nowhere, |row| {
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
    pub(super) classes: usize,
    pub(super) in_place: bool,
}

impl<'a, F: Float> Columns<'a, F> {
    /// Of scores alone.
    pub(super) fn of(scores: ArrayView2<'a, F>) -> Self {
        Self {
            rows: scores.nrows(),
            classes: scores.ncols(),
            scores: Some(scores),
            targets: None,
            gradient: None,
            in_place: false,
        }
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    #[inline(always)]
    pub(crate) fn has_targets(&self) -> bool {
        self.targets.is_some()
    }

    #[inline(always)]
    pub(crate) fn has_gradient(&self) -> bool {
        self.gradient.is_some()
    }

    /// What is read, unless it lies where the gradient will be.
    #[inline(always)]
    pub(crate) fn without_gradient(self) -> Self {
        Self {
            gradient: self.gradient.filter(|_| self.in_place),
            ..self
        }
    }

    /// The target of a class, if there is one.
    pub(crate) fn target(&self, row: usize, class: usize) -> Option<F> {
        self.targets.as_ref()?.get([row, class]).copied()
    }

    /// Whether there is a NaN among the scores of a row.
    pub(crate) fn any_nan(&self, row: usize) -> bool {
        let scores = self.scores.as_ref();
        let scores = scores.filter(|view| row < view.nrows());
        scores.is_some_and(|view| view.row(row).iter().any(|x| x.is_nan()))
    }

    /// Writes one element of the gradient.
    pub(crate) fn put(&mut self, row: usize, class: usize, value: F) {
        let gradient = self.gradient.as_mut();
        if let Some(to) = gradient.and_then(|view| view.get_mut([row, class])) {
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
        let classes = classes.min(self.classes);
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
            classes,
            ..*self
        }
    }

    /// All classes, as many at a time as are fetched ahead; scores alone are read as fast without.
    #[inline(always)]
    pub(crate) fn stretches(&mut self) -> impl Iterator<Item = (Part, Columns<'_, F>)> {
        let (classes, length) = (self.classes, self.stretch());
        let mut rest = self.reborrow();
        (0..classes).step_by(length).map(move |start| {
            let stretch = rest.split_off(length);
            if stretch.targets.is_some() || stretch.gradient.is_some() {
                stretch.fetch();
            }
            let len = stretch.classes;
            (Part { start, len }, stretch)
        })
    }

    /// How many columns are fetched ahead, a multiple of [`LANES`].
    #[inline(always)]
    pub(crate) fn stretch(&self) -> usize {
        let length = STRETCH / self.rows.max(1);
        (length - length % LANES).max(LANES)
    }

    pub(crate) fn fetch(&self) {
        let read = self.scores.iter().chain(&self.targets);
        read.for_each(fetch);
        if let Some(gradient) = &self.gradient {
            fetch(&gradient.view());
        }
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

#[inline(always)]
fn columns_of<'a, F: Float>(rows: ArrayView2<'a, F>) -> impl Iterator<Item = &'a [F]> {
    let columns = rows.reversed_axes().into_outer_iter();
    columns.map(|column| column.to_slice().unwrap_or_default())
}

/// What there is of a class, row by row; empty where there is none, or no use for it.
#[derive(Default)]
pub(crate) struct Column<'c, F> {
    scores: &'c [F],
    targets: &'c [F],
    gradient: &'c mut [F],
    in_place: bool,
}

/// What there is of a class for a strip of rows; NaN behind the last row.
pub(crate) struct Strip<'c, F> {
    pub(crate) index: usize,
    scores: &'c [F],
    targets: &'c [F],
    gradient: &'c mut [F],
    in_place: bool,
}

impl<'c, F: Float> Column<'c, F> {
    /// The scores, each strip with its number; NaN behind the last row.
    #[inline(always)]
    pub(crate) fn scores(&self) -> impl Iterator<Item = (usize, [F; ROWS])> {
        let scores = if self.in_place {
            &*self.gradient
        } else {
            self.scores
        };
        let strips = scores.chunks(ROWS).map(padded).enumerate();
        strips.take(STRIPS)
    }

    #[inline(always)]
    pub(crate) fn strips(mut self) -> impl Iterator<Item = Strip<'c, F>> {
        (0..self.count()).map(move |index| self.next(index))
    }

    /// How many strips there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        let rows = self.scores.len().max(self.gradient.len());
        rows.div_ceil(ROWS).min(STRIPS)
    }

    /// The next strip, which is empty behind the last.
    #[inline(always)]
    pub(crate) fn next(&mut self, index: usize) -> Strip<'c, F> {
        let gradient = &mut self.gradient;
        Strip {
            index,
            scores: next(&mut self.scores),
            targets: next(&mut self.targets),
            gradient: gradient
                .split_off_mut(..gradient.len().min(ROWS))
                .unwrap_or_default(),
            in_place: self.in_place,
        }
    }
}

impl<F: Float> Strip<'_, F> {
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.scores.is_empty() && self.gradient.is_empty()
    }

    #[inline(always)]
    pub(crate) fn scores(&self) -> [F; ROWS] {
        padded(if self.in_place {
            self.gradient
        } else {
            self.scores
        })
    }

    #[inline(always)]
    pub(crate) fn targets(&self) -> [F; ROWS] {
        padded(self.targets)
    }

    /// What was written to the gradient.
    #[inline(always)]
    pub(crate) fn kept(&self) -> [F; ROWS] {
        padded(self.gradient)
    }

    #[inline(always)]
    pub(crate) fn write(self, values: &[F; ROWS]) {
        match self.gradient.first_chunk_mut() {
            Some(to) => *to = *values,
            None => {
                for (to, &value) in self.gradient.iter_mut().zip(values) {
                    *to = value;
                }
            }
        }
    }
}

/// Takes off as many elements as a strip has, or as there are.
#[inline(always)]
fn next<'s, F>(rest: &mut &'s [F]) -> &'s [F] {
    rest.split_off(..rest.len().min(ROWS)).unwrap_or_default()
}

#[inline(always)]
fn padded<F: Float>(elements: &[F]) -> [F; ROWS] {
    match elements.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut padded = [F::nan(); ROWS];
            for (to, &x) in padded.iter_mut().zip(elements) {
                *to = x;
            }
            padded
        }
    }
}

/// The largest numbers of a part, and how far from its start they were first met.
pub(crate) struct LargestAcross<F> {
    values: Strips<F>,
    offsets: Strips<F>,
}

impl<F: Float> LargestAcross<F> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            values: [[F::neg_infinity(); ROWS]; STRIPS],
            offsets: [[F::zero(); ROWS]; STRIPS],
        }
    }

    /// The largest number of each row, and its offset.
    #[inline(always)]
    pub(crate) fn of_rows(&self) -> impl Iterator<Item = (F, usize)> {
        let offsets = self.offsets.as_flattened().iter();
        let offsets = offsets.map(|offset| offset.widen() as usize);
        self.values.as_flattened().iter().copied().zip(offsets)
    }

    /// Takes a strip of a class into account.
    #[inline(always)]
    pub(crate) fn look(&mut self, offset: F, strip: usize, x: &[F; ROWS]) {
        let (values, offsets) = (&mut self.values[strip], &mut self.offsets[strip]);
        for i in 0..ROWS {
            let is_greater = x[i] > values[i];
            values[i] = update(is_greater, x[i], values[i]);
            offsets[i] = update(is_greater, offset, offsets[i]);
        }
    }
}

/// [`Lanes`] of several rows, of `f64` at most half as many.
pub(crate) struct LanesAcross {
    sums: [Strips<f64>; LANES],
}

impl LanesAcross {
    pub(super) const ZERO: Self = Self {
        sums: [[[0.0; ROWS]; STRIPS]; LANES],
    };

    /// Adds a strip of the values of a class, to the lane of its place in the part.
    #[inline(always)]
    pub(crate) fn add<F: Float>(&mut self, place: usize, strip: usize, values: &[F; ROWS]) {
        let (hi, lo) = self.sums[place % LANES].split_at_mut(rows_across::<F>() / ROWS);
        let hi = &mut hi[strip];
        let mut none = [0.0; ROWS];
        let lo = lo.get_mut(strip).unwrap_or(&mut none);
        for i in 0..ROWS {
            F::add_to(&mut hi[i], &mut lo[i], values[i]);
        }
    }

    /// The lanes of a row.
    #[inline(always)]
    pub(crate) fn of_row<F: Float>(&self, row: usize) -> Lanes {
        let (strip, i) = (row / ROWS, row % ROWS);
        Lanes::of(|lane| {
            let (hi, lo) = self.sums[lane].split_at(rows_across::<F>() / ROWS);
            (hi[strip][i], lo.get(strip).map_or(0.0, |lo| lo[i]))
        })
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.sums.as_flattened_mut().as_flattened_mut().fill(0.0);
    }
}
