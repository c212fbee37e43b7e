//! Weights that are broadcast to the losses, read in the order of these.

use ndarray::{ArrayViewD, Axis, Dimension, IxDyn, Slice};

use super::elementwise::{Weights, of_mask};
use crate::float::Float;

/// Weights that repeat, from one of the losses on in their row-major order: a sum then has the bits that it has with
/// weights of the full shape.
#[derive(Clone)]
pub(crate) struct Repeated<'a, F> {
    elements: Elements<'a, F>,
    /// Of the losses, with as few axes as there can be.
    shape: IxDyn,
    /// Of the elements along these axes, 0 where they repeat.
    strides: IxDyn,
    start: usize,
}

#[derive(Clone, Copy)]
enum Elements<'a, F> {
    Floats(&'a [F]),
    Mask(&'a [bool]),
}

impl<'a, F: Float> Repeated<'a, F> {
    /// `None` if what is repeated does not lie in row-major order, and if there is nothing.
    pub(super) fn of(weights: &Weights<'a, F>) -> Option<Self> {
        let (elements, (shape, strides)) = match weights {
            Weights::None => return None,
            Weights::Floats(view) => (Elements::Floats(elements(view)?), axes(view.view())),
            Weights::Mask(view) => (Elements::Mask(elements(view)?), axes(view.view())),
        };
        Some(Self {
            elements,
            shape,
            strides,
            start: 0,
        })
    }

    pub(super) fn split_at(self, middle: usize) -> (Self, Self) {
        let right = Self {
            start: self.start + middle,
            ..self.clone()
        };
        (self, right)
    }

    /// As many of them as there is room for.
    pub(super) fn fill(&self, to: &mut [F]) {
        let axes = (self.shape.slice(), self.strides.slice());
        match self.elements {
            Elements::Floats(elements) => fill(elements, axes, self.start, to, |weight| weight),
            Elements::Mask(elements) => fill(elements, axes, self.start, to, of_mask),
        }
    }
}

/// What the view repeats, in row-major order.
fn elements<'a, A>(view: &ArrayViewD<'a, A>) -> Option<&'a [A]> {
    if view.is_empty() {
        return None;
    }
    let mut once = view.clone();
    for axis in (0..view.ndim()).map(Axis) {
        if view.stride_of(axis) == 0 {
            once.slice_axis_inplace(axis, Slice::from(..1));
        }
    }
    once.to_slice()
}

/// Lengths and strides, with neighbours made one where they can be.
fn axes<A>(mut view: ArrayViewD<'_, A>) -> (IxDyn, IxDyn) {
    let mut axis = 1;
    while axis < view.ndim() {
        if view.merge_axes(Axis(axis - 1), Axis(axis)) {
            // One of the two has length 1 now.
            let gone = if view.len_of(Axis(axis)) == 1 {
                axis
            } else {
                axis - 1
            };
            view = view.index_axis_move(Axis(gone), 0);
        } else {
            axis += 1;
        }
    }
    let shape = view.raw_dim();
    let mut strides = shape.clone();
    for (to, stride) in strides.slice_mut().iter_mut().zip(view.strides()) {
        *to = stride.unsigned_abs();
    }
    (shape, strides)
}

/// Elements along axes, given by length and stride, from a place on.
fn fill<A: Copy, F: Copy>(
    elements: &[A],
    (shape, strides): (&[usize], &[usize]),
    start: usize,
    to: &mut [F],
    convert: impl Fn(A) -> F + Copy,
) {
    let ([_, inner_shape @ ..], [stride, inner_strides @ ..]) = (shape, strides) else {
        return;
    };
    if inner_shape.is_empty() {
        match (stride, elements) {
            (0, [element, ..]) => to.fill(convert(*element)),
            _ => {
                for (to, &element) in to.iter_mut().zip(&elements[start..]) {
                    *to = convert(element);
                }
            }
        }
        return;
    }
    let size = inner_shape.iter().product::<usize>().max(1);
    let inner = |index: usize, start: usize, to: &mut [F]| {
        let axes = (inner_shape, inner_strides);
        fill(&elements[index * stride..], axes, start, to, convert);
    };
    let (mut index, offset) = (start / size, start % size);
    let mut rest = to;
    if offset > 0 {
        let (head, behind) = rest.split_at_mut((size - offset).min(rest.len()));
        inner(index, offset, head);
        rest = behind;
        index += 1;
    }
    if *stride == 0 && size < rest.len() {
        inner(0, 0, &mut rest[..size]);
        let mut filled = size;
        while filled < rest.len() {
            let more = filled.min(rest.len() - filled);
            rest.copy_within(..more, filled);
            filled += more;
        }
    } else if let ([_], [0]) = (inner_shape, inner_strides) {
        repeat_each(&elements[index..], size, rest, convert);
    } else {
        for (offset, to) in rest.chunks_mut(size).enumerate() {
            inner(index + offset, 0, to);
        }
    }
}

/// Each element as often as that.
fn repeat_each<A: Copy, F: Copy>(
    elements: &[A],
    times: usize,
    to: &mut [F],
    convert: impl Fn(A) -> F + Copy,
) {
    #[inline(always)] // with `times` known, where it is small
    fn unrolled<A: Copy, F: Copy>(
        elements: &[A],
        times: usize,
        to: &mut [F],
        convert: impl Fn(A) -> F,
    ) {
        let mut parts = to.chunks_exact_mut(times);
        let whole = parts.len();
        for (to, &element) in parts.by_ref().zip(elements) {
            to.fill(convert(element));
        }
        let part = parts.into_remainder();
        if !part.is_empty() {
            part.fill(convert(elements[whole]));
        }
    }
    match times {
        2 => unrolled(elements, 2, to, convert),
        3 => unrolled(elements, 3, to, convert),
        4 => unrolled(elements, 4, to, convert),
        _ => unrolled(elements, times, to, convert),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, ErrorKind, IxDyn, ShapeError};

    use super::*;

    fn incompatible() -> ShapeError {
        ShapeError::from_kind(ErrorKind::IncompatibleShape)
    }

    #[test]
    fn any_part_of_any_broadcast() -> Result<(), ShapeError> {
        for (from, shape) in [
            (vec![2], vec![1, 3, 2]),
            (vec![3, 1], vec![4, 3, 5]),
            (vec![4, 1, 1], vec![4, 3, 5]),
            (vec![1, 3, 1], vec![4, 3, 5]),
            (vec![4, 1, 5], vec![4, 3, 5]),
            (vec![], vec![7]),
            (vec![5, 1], vec![5, 2]),
            (vec![5, 1], vec![5, 3]),
            (vec![5, 1], vec![5, 4]),
            (vec![4, 3], vec![4, 3]),
        ] {
            let size = from.iter().product::<usize>();
            let memory = Array::from_iter((0..size).map(|i| i as f64));
            let memory = memory.into_shape_with_order(IxDyn(&from))?;
            let view = memory.broadcast(IxDyn(&shape)).ok_or(incompatible())?;
            let all: Vec<f64> = view.iter().copied().collect();
            let repeated = Repeated::of(&Weights::Floats(view)).ok_or(incompatible())?;
            for start in 0..=all.len() {
                let (_, part) = repeated.clone().split_at(start);
                for end in start..=all.len() {
                    let mut got = vec![f64::NAN; end - start];
                    part.fill(&mut got);
                    assert_eq!(
                        got,
                        all[start..end],
                        "{from:?} to {shape:?}, {start}..{end}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn other_orders_and_empty_weights_are_left() {
        let empty = Array::from_elem(IxDyn(&[6, 5, 0]), 1.0_f64);
        assert!(Repeated::of(&Weights::Floats(empty.view())).is_none());
        assert!(Repeated::of(&Weights::Floats(empty.t())).is_none());
        let array = Array::from_elem(IxDyn(&[3, 4]), 1.0_f64);
        for view in [
            array.t(),
            array.slice_axis(Axis(1), Slice::new(0, None, -1)),
        ] {
            assert!(Repeated::of(&Weights::Floats(view)).is_none());
        }
    }
}
