//! What items aim at, whatever type it is of: read as classes or as floats, some items at a time. A type of targets is
//! compiled as far as here; all that follows, once for a type of floats.

use std::ops::Range;

use ndarray::{ArrayView, ArrayView1, ArrayView2, ArrayViewMut1, Axis, Dimension, Slice, Zip};

use super::ignored::Ignored;
use super::long::are_columns;
use crate::engine::copying::gather;
use crate::engine::rows::{Block, Panel, Part, copy_part, gather_short};
use crate::float::{Float, Target};

/// The targets of all items.
#[derive(Clone)]
pub(crate) enum Targets<L, D> {
    /// Nothing to aim at.
    None,
    /// One label an item.
    Labels(L),
    /// A row an item.
    Dense(D),
}

/// What has a part for each item.
pub(super) trait Divide: Sized {
    /// The first so many items, and the rest.
    fn divide(self, middle: usize) -> (Self, Self);
}

/// Labels of one type.
trait LabelSource<F>: Sync {
    /// The classes that some items aim at, where the labels are classes one after the other and none is left out.
    fn classes(&self, items: Range<usize>, ignored: &Ignored<'_, F>) -> Option<&[usize]>;

    /// The classes that some items aim at; of one that is left out, 0. Whether there are such.
    fn read(
        &self,
        items: Range<usize>,
        ignored: &Ignored<'_, F>,
        classes: &mut [usize],
        left_out: &mut [bool],
    ) -> bool;

    /// The class that an item aims at, unless it is left out.
    fn class(&self, item: usize, ignored: &Ignored<'_, F>) -> Option<usize>;
}

impl<F: Float, T: Target<F>> LabelSource<F> for ArrayView1<'_, T> {
    fn classes(&self, items: Range<usize>, ignored: &Ignored<'_, F>) -> Option<&[usize]> {
        if ignored.exist() {
            return None;
        }
        T::as_classes(self.to_slice()?)?.get(items)
    }

    fn read(
        &self,
        items: Range<usize>,
        ignored: &Ignored<'_, F>,
        classes: &mut [usize],
        left_out: &mut [bool],
    ) -> bool {
        let labels = self.slice_axis(Axis(0), Slice::from(items));
        // A strided iterator takes several times as long as this.
        let each = Zip::from(ArrayViewMut1::from(&mut *classes)).and(&labels);
        each.for_each(|class, label| *class = label.class());
        if !ignored.exist() {
            return false;
        }
        let ignored = ignored.among::<T>();
        let each = Zip::from(ArrayViewMut1::from(&mut *left_out)).and(&labels);
        each.for_each(|left_out, &label| *left_out = ignored.contain(label));
        let mut any = false;
        for (class, &left_out) in classes.iter_mut().zip(&*left_out) {
            // a mask: of a condition the compiler would make a branch
            *class &= usize::from(left_out).wrapping_sub(1);
            any |= left_out;
        }
        any
    }

    fn class(&self, item: usize, ignored: &Ignored<'_, F>) -> Option<usize> {
        let &label = self.get(item)?;
        (!ignored.among().contain(label)).then(|| label.class())
    }
}

/// Labels of any type, from an item on.
#[derive(Clone, Copy)]
pub(crate) struct AnyLabels<'t, F> {
    source: &'t dyn LabelSource<F>,
    start: usize,
}

impl<'t, F> AnyLabels<'t, F> {
    /// The classes that items aim at from `start` on, as many as there is room for; of one that is left out, 0. Whether
    /// there are such.
    pub(super) fn read<'c>(
        &self,
        start: usize,
        ignored: &Ignored<'_, F>,
        room: &'c mut [usize],
        left_out: &mut [bool],
    ) -> (&'c [usize], bool)
    where
        't: 'c,
    {
        let start = self.start + start;
        let items = start..start + room.len();
        if let Some(classes) = self.source.classes(items.clone(), ignored) {
            return (classes, false);
        }
        let any_left_out = self.source.read(items, ignored, room, left_out);
        (room, any_left_out)
    }

    /// See [`LabelSource::class`].
    pub(super) fn class(&self, item: usize, ignored: &Ignored<'_, F>) -> Option<usize> {
        self.source.class(self.start + item, ignored)
    }
}

/// Rows of one type that are no floats.
trait RowSource<F>: Sync {
    /// See [`are_columns`].
    fn are_columns(&self) -> bool;
    /// Copies some rows, one after the other.
    fn gather(&self, rows: Range<usize>, to: &mut [F]);
    /// See [`copy_part`].
    fn copy_part(&self, rows: Range<usize>, part: Part, copies: &mut [Block<F>]);
}

impl<F: Float, T: Target<F>> RowSource<F> for ArrayView2<'_, T> {
    fn are_columns(&self) -> bool {
        are_columns(self)
    }

    fn gather(&self, rows: Range<usize>, to: &mut [F]) {
        gather(&self.slice_axis(Axis(0), Slice::from(rows)), to);
    }

    fn copy_part(&self, rows: Range<usize>, part: Part, copies: &mut [Block<F>]) {
        copy_part(&self.slice_axis(Axis(0), Slice::from(rows)), part, copies);
    }
}

/// Rows of any type.
pub(crate) enum AnyRows<'t, F> {
    Floats(ArrayView2<'t, F>),
    Others(OtherRows<'t, F>),
}

/// Rows that are no floats.
pub(crate) struct OtherRows<'t, F> {
    source: &'t dyn RowSource<F>,
    rows: Range<usize>,
    classes: usize,
}

impl<'t, F: Float> AnyRows<'t, F> {
    pub(super) fn of<T: Target<F>>(rows: &'t ArrayView2<'t, T>) -> Self {
        match T::as_float_rows(rows.view()) {
            Some(floats) => Self::Floats(floats),
            None => Self::Others(OtherRows {
                source: rows,
                rows: 0..rows.nrows(),
                classes: rows.ncols(),
            }),
        }
    }

    pub(super) fn nrows(&self) -> usize {
        match self {
            Self::Floats(view) => view.nrows(),
            Self::Others(others) => others.rows.len(),
        }
    }

    pub(super) fn ncols(&self) -> usize {
        match self {
            Self::Floats(view) => view.ncols(),
            Self::Others(others) => others.classes,
        }
    }

    /// See [`are_columns`].
    pub(super) fn are_columns(&self) -> bool {
        match self {
            Self::Floats(view) => are_columns(view),
            Self::Others(others) => others.rows.len() > 1 && others.source.are_columns(),
        }
    }

    /// The rows, if they are floats.
    pub(super) fn floats(&self) -> Option<&ArrayView2<'t, F>> {
        match self {
            Self::Floats(view) => Some(view),
            Self::Others(_) => None,
        }
    }

    /// All rows, if they are floats and lie one after the other.
    pub(super) fn slice(&self) -> Option<&[F]> {
        self.floats().and_then(|view| view.to_slice())
    }

    /// Some rows, one after the other; a copy where they are not.
    pub(super) fn consecutive<'r>(&'r self, rows: Range<usize>, copy: &'r mut [F]) -> &'r [F] {
        match self.slice() {
            Some(all) => self.of_all(all, rows),
            None => self.copied(rows, copy, gather),
        }
    }

    /// The same of at most [`ROWS`] short rows, where [`slice`](Self::slice) is known; the panel has as many classes.
    #[inline]
    pub(super) fn consecutive_short<'r>(
        &self,
        all: Option<&'r [F]>,
        rows: Range<usize>,
        panel: &mut Panel<F>,
        copy: &'r mut [F],
    ) -> &'r [F] {
        match all {
            Some(all) => self.of_all(all, rows),
            None => self.copied(rows, copy, |rows, copy| gather_short(rows, panel, copy)),
        }
    }

    #[inline]
    fn of_all<'r>(&self, all: &'r [F], rows: Range<usize>) -> &'r [F] {
        &all[rows.start * self.ncols()..rows.end * self.ncols()]
    }

    fn copied<'c>(
        &self,
        rows: Range<usize>,
        copy: &'c mut [F],
        gather_floats: impl FnOnce(&ArrayView2<'_, F>, &mut [F]),
    ) -> &'c [F] {
        let copy = &mut copy[..rows.len() * self.ncols()];
        match self {
            Self::Floats(view) => {
                gather_floats(&view.slice_axis(Axis(0), Slice::from(rows)), copy);
            }
            Self::Others(others) => others.source.gather(others.of(rows), copy),
        }
        copy
    }
}

impl<F> OtherRows<'_, F> {
    /// See [`copy_part`].
    pub(super) fn copy_part(&self, rows: Range<usize>, part: Part, copies: &mut [Block<F>]) {
        self.source.copy_part(self.of(rows), part, copies);
    }

    /// The same rows of all.
    fn of(&self, rows: Range<usize>) -> Range<usize> {
        self.rows.start + rows.start..self.rows.start + rows.end
    }
}

/// Targets of any type.
pub(crate) type AnyTargets<'t, F> = Targets<AnyLabels<'t, F>, AnyRows<'t, F>>;

impl<'t, F: Float> AnyTargets<'t, F> {
    pub(super) fn of<T: Target<F>>(
        targets: &'t Targets<ArrayView1<'t, T>, ArrayView2<'t, T>>,
    ) -> Self {
        match targets {
            Targets::None => Self::None,
            Targets::Labels(labels) => Self::Labels(AnyLabels {
                source: labels,
                start: 0,
            }),
            Targets::Dense(rows) => Self::Dense(AnyRows::of(rows)),
        }
    }
}

impl<L: Divide, D: Divide> Divide for Targets<L, D> {
    fn divide(self, middle: usize) -> (Self, Self) {
        match self {
            Self::None => (Self::None, Self::None),
            Self::Labels(labels) => {
                let (left, right) = labels.divide(middle);
                (Self::Labels(left), Self::Labels(right))
            }
            Self::Dense(rows) => {
                let (left, right) = rows.divide(middle);
                (Self::Dense(left), Self::Dense(right))
            }
        }
    }
}

impl<T, D: Dimension> Divide for ArrayView<'_, T, D> {
    fn divide(self, middle: usize) -> (Self, Self) {
        self.split_at(Axis(0), middle)
    }
}

impl<F> Divide for AnyLabels<'_, F> {
    fn divide(self, middle: usize) -> (Self, Self) {
        let Self { source, start } = self;
        let right = Self {
            source,
            start: start + middle,
        };
        (self, right)
    }
}

impl<F> Divide for AnyRows<'_, F> {
    fn divide(self, middle: usize) -> (Self, Self) {
        match self {
            Self::Floats(view) => {
                let (left, right) = view.split_at(Axis(0), middle);
                (Self::Floats(left), Self::Floats(right))
            }
            Self::Others(OtherRows {
                source,
                rows,
                classes,
            }) => {
                let middle = rows.start + middle;
                let part = |rows| {
                    Self::Others(OtherRows {
                        source,
                        rows,
                        classes,
                    })
                };
                (part(rows.start..middle), part(middle..rows.end))
            }
        }
    }
}
