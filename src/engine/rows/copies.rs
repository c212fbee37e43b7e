//! Parts of long rows that are copied: where they are not contiguous, or end before the part does.

use std::ops::Range;

use ndarray::{ArrayBase, ArrayView2, ArrayViewMut2, Axis, Ix2, RawData, ShapeBuilder, Slice};

use super::parts::{BLOCK, Part};
use crate::engine::copying::{copy_ahead, copy_back_ahead, fetch};
use crate::float::{Float, Target};

/// Room for a part of a long row.
pub(crate) type Block<F> = [F; BLOCK];

/// Room for the parts of so many rows, and for the kernel to work in; what it holds is unspecified.
#[repr(align(64))] // as `Lines`
pub(crate) struct Rooms<F, const ROWS: usize> {
    scores: [Block<F>; ROWS],
    targets: [Block<F>; ROWS],
    gradient: [Block<F>; ROWS],
    work: Workspace<F>,
}

/// Room to work in.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Workspace<F> {
    pub(crate) values: Block<F>,
    pub(crate) sums: Block<F>,
    /// In place of a gradient, where none is wanted.
    pub(crate) terms: Block<F>,
}

impl<F: Float, const ROWS: usize> Rooms<F, ROWS> {
    pub(crate) fn new() -> Self {
        let zeros = [F::zero(); BLOCK];
        Self {
            scores: [zeros; ROWS],
            targets: [zeros; ROWS],
            gradient: [zeros; ROWS],
            work: Workspace {
                values: zeros,
                sums: zeros,
                terms: zeros,
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
pub struct Room<'r, F> {
    pub(super) scores: &'r mut [Block<F>],
    pub(super) targets: &'r mut [Block<F>],
    pub(super) gradient: &'r mut [Block<F>],
    work: &'r mut Workspace<F>,
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

    /// For how many parts there is room.
    pub(crate) fn blocks(&self) -> usize {
        self.scores.len()
    }

    /// Room for the parts of targets.
    pub(crate) fn of_targets(&mut self) -> &mut [Block<F>] {
        self.targets
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
    pub(super) fn of_row(&mut self, row: usize) -> Option<Copies<'_, F>> {
        Some(Copies {
            scores: self.scores.get_mut(row)?,
            targets: self.targets.get_mut(row)?,
            gradient: self.gradient.get_mut(row)?,
            work: self.work,
        })
    }
}

/// Room for a part of one row.
pub(super) struct Copies<'c, F> {
    pub(super) scores: &'c mut Block<F>,
    pub(super) targets: &'c mut Block<F>,
    pub(super) gradient: &'c mut Block<F>,
    pub(super) work: &'c mut Workspace<F>,
}

/// Where the rows of an operand are.
pub(crate) enum Source<'a, F> {
    Slices(&'a [&'a [F]]),
    View(ArrayView2<'a, F>),
    /// Copies a part of some rows, as far as they go.
    Parts(&'a (dyn Fn(Range<usize>, Part, &mut [Block<F>]) + Sync)),
}

impl<F: Float> Source<'_, F> {
    /// Copies what is not contiguous, and pads it.
    #[inline(always)]
    pub(super) fn copy(
        &self,
        rows: Range<usize>,
        part: Part,
        classes: usize,
        padding: F,
        copies: &mut [Block<F>],
    ) {
        match self {
            Self::Slices(_) => return,
            Self::View(view) => {
                copy_part(&view.slice_axis(Axis(0), Slice::from(rows)), part, copies);
            }
            Self::Parts(copy) => copy(rows, part, copies),
        }
        pad(copies, part, classes, padding);
    }

    /// Whether it lies along columns, of several rows.
    #[inline(always)]
    pub(super) fn is_by_columns(&self) -> bool {
        matches!(self, Self::View(view) if are_contiguous_columns(view))
    }

    #[inline(always)]
    pub(super) fn are_slices(&self) -> bool {
        matches!(self, Self::Slices(_))
    }

    #[inline(always)]
    pub(super) fn view(&self) -> Option<ArrayView2<'_, F>> {
        match self {
            Self::View(view) => Some(view.view()),
            Self::Slices(_) | Self::Parts(_) => None,
        }
    }

    /// A row that is contiguous.
    #[inline(always)]
    pub(super) fn line(&self, row: usize) -> Option<&[F]> {
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

/// Whether columns of several rows are contiguous.
#[inline(always)]
pub(in crate::engine) fn are_contiguous_columns<F>(rows: &ArrayView2<'_, F>) -> bool {
    rows.nrows() > 1 && rows.stride_of(Axis(0)) == 1
}

/// The rows as slices, if they are contiguous.
pub(in crate::engine) fn slices<'s, 'a, F: Float>(
    rows: &ArrayView2<'a, F>,
    slices: &'s mut [&'a [F]],
) -> Option<&'s [&'a [F]]> {
    if let Some(all) = rows.to_slice() {
        let rows = all.chunks_exact(rows.ncols().max(1));
        for (slice, row) in slices.iter_mut().zip(rows) {
            *slice = row;
        }
    } else {
        for (slice, row) in slices.iter_mut().zip(rows.reborrow().into_outer_iter()) {
            *slice = row.to_slice()?;
        }
    }
    Some(slices)
}

/// The rows as slices, which are contiguous.
pub(in crate::engine) fn slices_mut<'a, F: Float>(
    rows: ArrayViewMut2<'a, F>,
    slices: &mut [&'a mut [F]],
) {
    let classes = rows.ncols().max(1);
    if rows.is_standard_layout() {
        let all = rows.into_slice().unwrap_or_default();
        for (slice, row) in slices.iter_mut().zip(all.chunks_exact_mut(classes)) {
            *slice = row;
        }
    } else {
        for (slice, row) in slices.iter_mut().zip(rows.into_outer_iter_mut()) {
            *slice = row.into_slice().unwrap_or_default();
        }
    }
}

/// Whether every row is contiguous.
pub(in crate::engine) fn are_slices<S: RawData>(rows: &ArrayBase<S, Ix2>) -> bool {
    rows.ncols() <= 1 || rows.strides()[1] == 1
}

/// Copies a part of each row, as far as the rows go.
pub(in crate::engine) fn copy_part<F: Float, T: Target<F>>(
    rows: &ArrayView2<'_, T>,
    part: Part,
    copies: &mut [Block<F>],
) {
    let from = rows.slice_axis(Axis(1), within(part, rows.ncols()));
    let shape = from.raw_dim().strides(Ix2(BLOCK, 1));
    if let Ok(to) = ArrayViewMut2::from_shape(shape, copies.as_flattened_mut()) {
        copy_ahead(&from, to);
    }
}

/// Reads a little of every line of memory that a part of each row lies in, if they lie along columns.
pub(super) fn fetch_part<F: Float>(rows: &ArrayView2<'_, F>, part: Part) {
    let view = rows.slice_axis(Axis(1), within(part, rows.ncols()));
    if are_contiguous_columns(&view) {
        fetch(&view);
    }
}

/// The inverse of [`copy_part`].
pub(super) fn copy_part_back<F: Float>(
    copies: &[Block<F>],
    part: Part,
    rows: &mut ArrayViewMut2<'_, F>,
) {
    let span = within(part, rows.ncols());
    let to = rows.slice_axis_mut(Axis(1), span);
    let shape = to.raw_dim().strides(Ix2(BLOCK, 1));
    if let Ok(from) = ArrayView2::from_shape(shape, copies.as_flattened()) {
        copy_back_ahead(from, to);
    }
}

/// The classes of a part.
fn within(part: Part, classes: usize) -> Slice {
    Slice::from(part.start..classes.min(part.start + part.len))
}

pub(super) fn pad<F: Float>(copies: &mut [Block<F>], part: Part, classes: usize, padding: F) {
    let within = classes - part.start;
    if within < part.len {
        for copy in copies {
            copy[within..part.len].fill(padding);
        }
    }
}

/// This part of a row; a copy that is padded, where the row ends within it.
#[inline(always)]
pub(super) fn part_of<'b, F: Float>(
    row: &'b [F],
    part: Part,
    padding: F,
    copy: &'b mut Block<F>,
) -> &'b [F] {
    match row.get(part.start..part.start + part.len) {
        Some(whole) => whole,
        None => copy_of(row, part, padding, copy),
    }
}

/// A copy of this part of a row, padded.
#[inline(always)]
pub(super) fn copy_of<'b, F: Float>(
    row: &[F],
    part: Part,
    padding: F,
    copy: &'b mut Block<F>,
) -> &'b [F] {
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
