//! Element-wise work on arrays that are not contiguous together: tile by tile, each operand in place where it is
//! contiguous within the tile, else by way of the stack.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMutD, Axis, Ix2, Slice};

use super::copying::{copy_tile, copy_tile_back, fetch};
use super::elementwise::{Operands, Weights, Work};
use super::parallel::{CHUNK, Divisible};
use super::reduce::{Lanes, Pair};
use super::span::{Span, Stream, WeightStream};
use crate::BinaryLabels;
use crate::float::{Float, Target};

/// The elements of a leaf at most: more than where all is contiguous, for longer runs in each direction.
const LEAF: usize = 8 * CHUNK;
/// The elements of a tile at most.
const TILE: usize = 4096;
/// From so many columns on, the kernel runs along the rows, and what is contiguous there stays in place.
const LONG: usize = 48;
/// The rows of a tile where rows of one operand lie along columns of another: few, so that they are long.
const FEW_ROWS: usize = 8;
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
    &mut spare.get_or_insert([F::zero(); TILE])[..size]
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
            LONG.. if plane.some_columns_are_in_place() => columns.min(TILE / FEW_ROWS),
            LONG.. => columns.min(TILE / 2),
            _ => columns,
        };
        let height = TILE / width;
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
        let predictions = tile
            .predictions
            .as_ref()
            .map(|view| Input::of(view, None, width, false, &mut room.predictions));
        let targets = Input::of(&tile.targets, work.pair, width, true, &mut room.targets);
        let (floats, mask) = match &tile.weights {
            Weights::None => (None, None),
            Weights::Floats(view) => {
                let floats = Input::of(view, None, width, true, &mut room.weights);
                (Some(floats), None)
            }
            Weights::Mask(view) => {
                let mask = Input::of(view, None, width, true, &mut room.weights);
                (None, Some(mask))
            }
        };
        let mut loss = tile
            .loss
            .map(|view| Output::of(view, width, false, &mut room.loss));
        let mut gradient = tile
            .gradient
            .map(|view| Output::of(view, width, is_in_place, &mut room.gradient));
        for row in 0..rows * columns / width {
            let weights = floats.as_ref().and_then(|floats| floats.row(row));
            let weights = weights.or_else(|| mask.as_ref()?.row(row));
            // There is a row of everything that there is: nothing is left out here.
            let Some(targets) = targets.row(row) else {
                continue;
            };
            let span = Span {
                size: width,
                predictions: predictions.as_ref().and_then(|input| input.slice(row)),
                targets,
                weights: weights.map_or(WeightStream::None, WeightStream::Floats),
                loss: loss.as_mut().and_then(|output| output.row(row)),
                gradient: gradient.as_mut().and_then(|output| output.row(row)),
            };
            work.run(span, lanes);
        }
        for output in [loss, gradient].into_iter().flatten() {
            output.finish();
        }
    }
}

/// What the kernel reads of a tile, `width` elements at a time.
struct Input<'b, F, T> {
    view: ArrayView2<'b, T>,
    pair: Option<BinaryLabels>,
    /// All of them, where they are not read in place.
    copy: Option<&'b [F]>,
    width: usize,
}

impl<'b, F: Float, T: Target<F>> Input<'b, F, T> {
    /// `is_constant_fine`: whether one value may stand for all of a row.
    fn of(
        view: &'b ArrayView2<'_, T>,
        pair: Option<BinaryLabels>,
        width: usize,
        is_constant_fine: bool,
        spare: &'b mut Option<[F; TILE]>,
    ) -> Self {
        let mut input = Self {
            view: view.view(),
            pair,
            copy: None,
            width,
        };
        match input.row(0) {
            Some(Stream::Slice(_)) => {}
            Some(Stream::Constant(_)) if is_constant_fine => {}
            _ => {
                let copy = room(spare, view.len());
                copy_tile(view, copy, pair);
                input.copy = Some(copy);
            }
        }
        input
    }

    fn row(&self, row: usize) -> Option<Stream<'b, F>> {
        if let Some(copy) = self.copy {
            return copy[row * self.width..]
                .get(..self.width)
                .map(Stream::Slice);
        }
        let stream = if self.width == self.view.len() {
            Stream::of(&self.view)
        } else {
            Stream::of(&self.view.index_axis_move(Axis(0), row))
        };
        match stream? {
            Stream::Constant(value) => Some(Stream::Constant(value.to_float(self.pair))),
            Stream::Slice(row) => T::as_floats(row).map(Stream::Slice),
        }
    }

    fn slice(&self, row: usize) -> Option<&'b [F]> {
        match self.row(row)? {
            Stream::Slice(row) => Some(row),
            Stream::Constant(_) => None,
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

    fn row(&mut self, row: usize) -> Option<&mut [F]> {
        let whole = match &mut self.copy {
            Some(copy) => Some(&mut **copy),
            None if self.width == self.view.len() => self.view.as_slice_mut(),
            None => return self.view.row_mut(row).into_slice(),
        };
        whole?.get_mut(row * self.width..)?.get_mut(..self.width)
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
