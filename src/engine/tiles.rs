//! Element-wise work on arrays that are not contiguous together: tile by tile, each operand in place where it is
//! contiguous within the tile, else by way of the stack.

use std::ops::Range;
use std::slice::{ChunksExact, ChunksExactMut};

use ndarray::iter::{AxisIter, AxisIterMut};
use ndarray::{ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMutD, Axis, Ix1, Ix2, Slice};

use super::copying::{SQUARE, copy_tile, copy_tile_back, fetch};
use super::elementwise::{Operands, Weights, Work};
use super::parallel::{CHUNK, Divisible};
use super::reduce::{Lanes, Pair};
use super::span::{Span, Stream, WeightStream};
use crate::BinaryLabels;
use crate::float::{Float, Target};

/// The elements of a leaf at most: more than where all is contiguous, for longer runs in each direction.
const LEAF: usize = 8 * CHUNK;
/// The elements of a tile at most.
const TILE: usize = 8192;
/// From so many columns on, the kernel runs along the rows, and what is contiguous there stays in place.
const LONG: usize = 48;
/// The rows of a tile where rows of one operand lie along columns of another: few, so that they are long, but a line of
/// memory of what lies along columns.
const FEW_ROWS: usize = 16;
/// The bytes of an operand that is at hand in the cache anyway.
const AT_HAND: usize = 512 * 1024;

/// Work in leaves of at most [`LEAF`] elements, small in every direction that is contiguous for one of the operands.
pub(super) struct Tiling<'a, 'k, F, T> {
    operands: Operands<'a, F, T>,
    work: Work<'k, F>,
    /// Whether what lies along different axes is fetched ahead.
    fetches: bool,
}

impl<'a, 'k, F: Float, T: Target<F>> Tiling<'a, 'k, F, T> {
    pub(super) fn new(operands: Operands<'a, F, T>, work: Work<'k, F>) -> Self {
        let bytes = operands.targets.len() * size_of::<F>();
        Self {
            operands: operands.with_plane_last(),
            work,
            fetches: bytes > AT_HAND,
        }
    }
}

impl<F: Float, T: Target<F>> Divisible for Tiling<'_, '_, F, T> {
    fn size(&self) -> usize {
        self.operands.targets.len()
    }

    fn divide(self) -> Result<(Self, Self), Self> {
        if self.size() <= LEAF {
            return Err(self);
        }
        let axis = self.operands.axis_to_divide();
        let middle = self.operands.shape()[axis].next_power_of_two() / 2;
        let (left, right) = self.operands.split_at(Axis(axis), middle);
        let half = |operands| Self { operands, ..self };
        Ok((half(left), half(right)))
    }

    fn run(self) -> Pair {
        let mut leaf = Leaf {
            work: self.work,
            fetches: self.fetches,
            room: Room::default(),
            lanes: Lanes::ZERO,
        };
        leaf.planes(self.operands);
        leaf.lanes.total()
    }
}

/// Room for the tiles that are copied, made when it is first needed.
struct Room<F> {
    predictions: Option<[F; TILE]>,
    targets: Option<[F; TILE]>,
    weights: Option<[F; TILE]>,
    loss: Option<[F; TILE]>,
    gradient: Option<[F; TILE]>,
}

impl<F> Default for Room<F> {
    fn default() -> Self {
        Self {
            predictions: None,
            targets: None,
            weights: None,
            loss: None,
            gradient: None,
        }
    }
}

fn room<F: Float>(spare: &mut Option<[F; TILE]>, size: usize) -> &mut [F] {
    &mut spare.get_or_insert_with(|| [F::zero(); TILE])[..size]
}

/// Columns in pieces of much the same length, of at most so many.
fn even(columns: usize, most: usize) -> usize {
    let pieces = columns.div_ceil(most);
    columns.div_ceil(pieces).next_multiple_of(SQUARE)
}

/// A leaf under way.
struct Leaf<'k, F> {
    work: Work<'k, F>,
    fetches: bool,
    room: Room<F>,
    lanes: Lanes,
}

impl<F: Float> Leaf<'_, F> {
    fn planes<T: Target<F>>(&mut self, mut operands: Operands<'_, F, T>) {
        while operands.shape().len() > 2 {
            let length = operands.shape()[0];
            if length == 0 {
                return;
            }
            if length > 1 {
                let (first, others) = operands.split_at(Axis(0), 1);
                self.planes(first);
                operands = others;
            } else {
                operands = operands.first();
            }
        }
        if let Some(plane) = operands.into_plane() {
            self.plane(plane);
        }
    }

    fn plane<T: Target<F>>(&mut self, mut plane: Plane<'_, F, T>) {
        let (rows, columns) = plane.targets.dim();
        if rows == 0 || columns == 0 {
            return;
        }
        let width = match columns {
            LONG.. if plane.some_columns_are_in_place() => even(columns, TILE / FEW_ROWS),
            LONG.. => even(columns, TILE / 2),
            _ => columns,
        };
        let height = match TILE / width {
            // Whole squares, where columns become rows.
            height @ FEW_ROWS.. => height - height % FEW_ROWS,
            height => height,
        };
        if self.fetches && columns >= LONG && plane.some_columns_are_in_place() {
            plane.fetch();
        }
        for left in (0..columns).step_by(width) {
            for top in (0..rows).step_by(height) {
                let bottom = (top + height).min(rows);
                let right = (left + width).min(columns);
                self.tile(plane.tile(top..bottom, left..right), columns >= LONG);
            }
        }
    }

    /// `along_rows`: whether the kernel sees row after row, or the tile at once.
    fn tile<T: Target<F>>(&mut self, tile: Plane<'_, F, T>, along_rows: bool) {
        let Self {
            work, room, lanes, ..
        } = self;
        let (rows, columns) = tile.targets.dim();
        let width = if along_rows && !tile.is_whole() {
            columns
        } else {
            rows * columns
        };
        let is_in_place = tile.predictions.is_none();
        let mut predictions = tile
            .predictions
            .as_ref()
            .map(|view| Input::of(view, None, width, false, &mut room.predictions));
        let mut targets = Input::of(&tile.targets, work.pair, width, true, &mut room.targets);
        let mut weights: Option<&mut dyn Iterator<Item = Stream<'_, F>>> = None;
        let (mut floats, mut mask);
        match &tile.weights {
            Weights::None => {}
            Weights::Floats(view) => {
                floats = Input::of(view, None, width, true, &mut room.weights);
                weights = Some(&mut floats);
            }
            Weights::Mask(view) => {
                mask = Input::of(view, None, width, true, &mut room.weights);
                weights = Some(&mut mask);
            }
        }
        let mut loss = tile
            .loss
            .map(|view| Output::of(view, width, false, &mut room.loss));
        let mut gradient = tile
            .gradient
            .map(|view| Output::of(view, width, is_in_place, &mut room.gradient));
        let mut losses = loss.as_mut().map(Output::lines);
        let mut gradients = gradient.as_mut().map(Output::lines);
        for _ in 0..rows * columns / width {
            // There is a line of everything that there is: nothing is left out here.
            let Some(targets) = targets.next() else {
                continue;
            };
            let weights = weights.as_mut().and_then(|weights| weights.next());
            let span = Span {
                size: width,
                predictions: match predictions.as_mut().and_then(Input::next) {
                    Some(Stream::Slice(predictions)) => Some(predictions),
                    Some(Stream::Constant(_)) | None => None,
                },
                targets,
                weights: weights.map_or(WeightStream::None, WeightStream::Floats),
                loss: losses.as_mut().and_then(Lines::next),
                gradient: gradients.as_mut().and_then(Lines::next),
            };
            work.run(span, lanes);
        }
        for output in [loss, gradient].into_iter().flatten() {
            output.finish();
        }
    }
}

/// What the kernel reads of a tile, line by line.
enum Input<'b, F, T> {
    /// In place, or copied.
    Slices(ChunksExact<'b, F>),
    /// Each in place, or one value.
    Rows(AxisIter<'b, T, Ix1>, Option<BinaryLabels>),
    /// One value for all.
    Constant(F),
}

impl<'b, F: Float, T: Target<F>> Input<'b, F, T> {
    /// Lines of `width` elements; `is_constant_fine`: whether one value may stand for all of a line.
    fn of(
        view: &'b ArrayView2<'_, T>,
        pair: Option<BinaryLabels>,
        width: usize,
        is_constant_fine: bool,
        spare: &'b mut Option<[F; TILE]>,
    ) -> Self {
        if let Some(floats) = view.to_slice().and_then(T::as_floats) {
            return Self::Slices(floats.chunks_exact(width));
        }
        let is_one_line = width == view.len();
        let first = if is_one_line {
            Stream::of(view)
        } else {
            Stream::of(&view.row(0))
        };
        match first {
            Some(Stream::Constant(value)) if is_constant_fine && is_one_line => {
                Self::Constant(value.to_float(pair))
            }
            Some(Stream::Constant(_)) if is_constant_fine => Self::Rows(view.outer_iter(), pair),
            Some(Stream::Slice(row)) if !is_one_line && T::as_floats(row).is_some() => {
                Self::Rows(view.outer_iter(), pair)
            }
            _ => {
                let copy = room(spare, view.len());
                copy_tile(view, copy, pair);
                Self::Slices(copy.chunks_exact(width))
            }
        }
    }
}

impl<'b, F: Float, T: Target<F>> Iterator for Input<'b, F, T> {
    type Item = Stream<'b, F>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Slices(lines) => lines.next().map(Stream::Slice),
            Self::Rows(rows, pair) => {
                let row = rows.next()?;
                match row.to_slice().and_then(T::as_floats) {
                    Some(floats) => Some(Stream::Slice(floats)),
                    None => row.first().map(|x| Stream::Constant(x.to_float(*pair))),
                }
            }
            Self::Constant(value) => Some(Stream::Constant(*value)),
        }
    }
}

/// What the kernel writes of a tile.
struct Output<'a, 'b, F> {
    view: ArrayViewMut2<'a, F>,
    /// All of them, where they are not written in place.
    copy: Option<&'b mut [F]>,
    width: usize,
}

/// The same line by line.
enum Lines<'o, F> {
    Slices(ChunksExactMut<'o, F>),
    Rows(AxisIterMut<'o, F, Ix1>),
}

impl<'o, F> Lines<'o, F> {
    fn next(&mut self) -> Option<&'o mut [F]> {
        match self {
            Self::Slices(lines) => lines.next(),
            Self::Rows(rows) => rows.next()?.into_slice(),
        }
    }
}

impl<'a, 'b, F: Float> Output<'a, 'b, F> {
    /// `is_read`: whether the kernel reads what it overwrites.
    fn of(
        mut view: ArrayViewMut2<'a, F>,
        width: usize,
        is_read: bool,
        spare: &'b mut Option<[F; TILE]>,
    ) -> Self {
        let is_contiguous = view.is_standard_layout();
        let size = view.len();
        let are_rows = width < size && view.row_mut(0).is_standard_layout();
        let copy = (!is_contiguous && !are_rows).then(|| {
            let copy = room(spare, size);
            if is_read {
                copy_tile(&view.view(), copy, None);
            }
            copy
        });
        Self { view, copy, width }
    }

    fn lines(&mut self) -> Lines<'_, F> {
        let is_contiguous = self.view.is_standard_layout();
        match &mut self.copy {
            Some(copy) => Lines::Slices(copy.chunks_exact_mut(self.width)),
            None if is_contiguous => {
                let whole = self.view.as_slice_mut().unwrap_or_default();
                Lines::Slices(whole.chunks_exact_mut(self.width))
            }
            None => Lines::Rows(self.view.outer_iter_mut()),
        }
    }

    fn finish(self) {
        if let Some(copy) = self.copy {
            copy_tile_back(copy, self.view);
        }
    }
}

/// Two axes.
type Plane<'a, F, T> = Operands<'a, F, T, Ix2>;

impl<F: Float, T: Target<F>> Plane<'_, F, T> {
    /// Whether an operand's columns are contiguous.
    fn some_columns_are_in_place(&self) -> bool {
        self.each_strides()
            .any(|strides| strides[0] == 1 && strides[1] != 1)
    }

    /// Whether nothing is in place row by row that is not as a whole.
    fn is_whole(&self) -> bool {
        let columns = self.targets.ncols() as isize;
        self.each_strides()
            .all(|strides| strides[1] != 1 || strides[0] == columns)
    }

    /// Fetches all operands, each along its own axis.
    fn fetch(&self) {
        fetch(&self.targets);
        if let Some(predictions) = &self.predictions {
            fetch(predictions);
        }
        match &self.weights {
            Weights::None => {}
            Weights::Floats(weights) => fetch(weights),
            Weights::Mask(mask) => fetch(mask),
        }
        for output in [&self.loss, &self.gradient].into_iter().flatten() {
            fetch(&output.view());
        }
    }

    fn tile(&mut self, rows: Range<usize>, columns: Range<usize>) -> Plane<'_, F, T> {
        let tile = [Slice::from(rows), Slice::from(columns)];
        Plane {
            predictions: self.predictions.as_ref().map(|floats| part(floats, tile)),
            targets: part(&self.targets, tile),
            weights: match &self.weights {
                Weights::None => Weights::None,
                Weights::Floats(weights) => Weights::Floats(part(weights, tile)),
                Weights::Mask(mask) => Weights::Mask(part(mask, tile)),
            },
            loss: self.loss.as_mut().map(|loss| part_mut(loss, tile)),
            gradient: self.gradient.as_mut().map(|floats| part_mut(floats, tile)),
        }
    }
}

fn part<'v, A>(view: &'v ArrayView2<'_, A>, [rows, columns]: [Slice; 2]) -> ArrayView2<'v, A> {
    let mut part = view.view();
    part.slice_axis_inplace(Axis(0), rows);
    part.slice_axis_inplace(Axis(1), columns);
    part
}

fn part_mut<'v, A>(
    view: &'v mut ArrayViewMut2<'_, A>,
    [rows, columns]: [Slice; 2],
) -> ArrayViewMut2<'v, A> {
    let mut part = view.view_mut();
    part.slice_axis_inplace(Axis(0), rows);
    part.slice_axis_inplace(Axis(1), columns);
    part
}

impl<'a, F: Float, T: Target<F>> Operands<'a, F, T> {
    /// Puts two axes last: that along which the first operand is the fastest, and before it that along which another
    /// one is, or the longest.
    fn with_plane_last(self) -> Self {
        let (Some(column), other) = self.fastest_axes() else {
            return self;
        };
        let shape = self.shape();
        let others = (0..shape.len()).filter(|&axis| axis != column);
        let row = other.or_else(|| others.clone().max_by_key(|&axis| shape[axis]));
        let order = others
            .filter(|&axis| Some(axis) != row)
            .chain(row)
            .chain([column])
            .collect();
        self.in_order(order)
    }

    /// The same with two axes, where there are no more.
    fn into_plane(self) -> Option<Plane<'a, F, T>> {
        let view = |view| plane(view);
        Some(Plane {
            predictions: match self.predictions {
                Some(floats) => Some(view(floats)?),
                None => None,
            },
            targets: plane(self.targets)?,
            weights: match self.weights {
                Weights::None => Weights::None,
                Weights::Floats(weights) => Weights::Floats(view(weights)?),
                Weights::Mask(mask) => Weights::Mask(plane(mask)?),
            },
            loss: match self.loss {
                Some(loss) => Some(plane_mut(loss)?),
                None => None,
            },
            gradient: match self.gradient {
                Some(gradient) => Some(plane_mut(gradient)?),
                None => None,
            },
        })
    }
}

fn plane<A>(mut view: ArrayViewD<'_, A>) -> Option<ArrayView2<'_, A>> {
    while view.ndim() < 2 {
        view = view.insert_axis(Axis(0));
    }
    view.into_dimensionality().ok()
}

fn plane_mut<A>(mut view: ArrayViewMutD<'_, A>) -> Option<ArrayViewMut2<'_, A>> {
    while view.ndim() < 2 {
        view = view.insert_axis(Axis(0));
    }
    view.into_dimensionality().ok()
}
