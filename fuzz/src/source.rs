//! Shapes, layouts and values out of the bytes of an input.

use arbitrary::Unstructured;
use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Axis, IxDyn, ShapeBuilder};

use crate::number::Number;

/// No array has more elements.
const MOST: usize = 10_000;

/// Decisions: from the input while it lasts, then from what it has been.
pub(crate) struct Source<'a> {
    bytes: Unstructured<'a>,
    state: u64,
}

/// A scrambled number (splitmix64).
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in (0, 1).
fn unit(raw: u64) -> f64 {
    ((raw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// What the numbers of an array are like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Palette {
    Ordinary,
    /// On a coarse grid, for ties and kinks.
    Grid,
    Wide,
    Probabilities,
    /// 0 and 1
    Bits,
    /// −1 and 1
    Signs,
    Edges,
    /// Any bits.
    Any,
    /// Ordinary, one in 64 an edge.
    Mixed,
    /// Probabilities, one in 64 an edge.
    MixedProbabilities,
}

const ALL: [Palette; 10] = [
    Palette::Ordinary,
    Palette::Grid,
    Palette::Wide,
    Palette::Probabilities,
    Palette::Bits,
    Palette::Signs,
    Palette::Edges,
    Palette::Any,
    Palette::Mixed,
    Palette::MixedProbabilities,
];

impl Palette {
    pub(crate) fn number<F: Number>(self, raw: u64) -> F {
        let choice = mix(raw);
        match self {
            Palette::Ordinary => F::of(unit(raw) * 8.0 - 4.0),
            Palette::Grid => F::of((raw % 17) as f64 * 0.25 - 2.0),
            Palette::Wide => F::of(unit(raw) * 240.0 - 120.0),
            Palette::Probabilities => F::of(unit(raw)),
            Palette::Bits => F::of((choice & 1) as f64),
            Palette::Signs => F::of((choice & 2) as f64 - 1.0),
            Palette::Any => F::of_bits(raw),
            Palette::Edges => {
                let (zero, one) = (F::zero(), F::one());
                let edges = [
                    zero,
                    -zero,
                    one,
                    -one,
                    F::of(0.5),
                    one - F::epsilon(),
                    one + F::epsilon(),
                    F::min_positive_value(),
                    F::of_bits(1),
                    F::max_value(),
                    -F::max_value(),
                    F::infinity(),
                    F::neg_infinity(),
                    F::nan(),
                    F::of(1e-30),
                    F::of(1000.0),
                ];
                edges[(choice % 16) as usize]
            }
            Palette::Mixed if choice.is_multiple_of(64) => Palette::Edges.number(choice >> 8),
            Palette::Mixed => Palette::Ordinary.number(raw),
            Palette::MixedProbabilities if choice.is_multiple_of(64) => {
                Palette::Edges.number(choice >> 8)
            }
            Palette::MixedProbabilities => Palette::Probabilities.number(raw),
        }
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self {
            bytes: Unstructured::new(data),
            state: mix(data.len() as u64),
        }
    }

    /// One of the first n numbers; the first is what an empty input and small bytes give.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let byte = if self.bytes.is_empty() {
            self.state = mix(self.state);
            (self.state >> 40) as usize
        } else {
            usize::from(self.bytes.arbitrary::<u8>().unwrap_or(0))
        };
        self.state = mix(self.state ^ byte as u64);
        byte % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Bits of no structure.
    pub(crate) fn raw(&mut self) -> u64 {
        let word = self.bytes.arbitrary::<u16>().unwrap_or(0);
        self.state = mix(self.state ^ u64::from(word));
        mix(self.state)
    }

    pub(crate) fn palette(&mut self) -> Palette {
        self.choose(&ALL)
    }

    /// A parameter of a loss, valid more often than not.
    pub(crate) fn parameter<F: Number>(&mut self) -> F {
        match self.below(8) {
            0 => F::one(),
            1 => F::of(0.75),
            2 => F::zero(),
            3 => Palette::Edges.number(self.raw()),
            4 => Palette::Any.number(self.raw()),
            5 => F::of(unit(self.raw()) * 10.0),
            _ => F::of(unit(self.raw())),
        }
    }

    /// A shape of 0 to 4 dimensions.
    pub(crate) fn shape(&mut self) -> Vec<usize> {
        const LENGTHS: [usize; 24] = [
            1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 256, 257, 511, 600, 1030,
            4097, 9001,
        ];
        let rank = self.choose(&[1, 2, 2, 3, 0, 4, 1, 2]);
        let mut shape: Vec<usize> = (0..rank)
            .map(|_| match self.below(16) {
                15 => 0,
                13 | 14 => self.choose(&LENGTHS),
                n if rank == 1 => LENGTHS[n + self.below(12)],
                n => n.min(1 + self.below(9)).max(1),
            })
            .collect();
        self.limit(&mut shape);
        shape
    }

    /// A shape of 0 to 4 dimensions, the last of which counts classes.
    pub(crate) fn shape_with_classes(&mut self) -> Vec<usize> {
        const CLASSES: [usize; 32] = [
            2, 3, 4, 5, 10, 1, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 66, 70, 127, 128, 129, 255,
            256, 257, 300, 511, 513, 600, 1000, 1030, 0,
        ];
        let mut shape = self.shape();
        if let Some(last) = shape.last_mut() {
            *last = self.choose(&CLASSES);
        }
        if shape.len() == 2 && self.one_in(2) {
            shape[0] = 1 + self.below(80);
        }
        self.limit(&mut shape);
        shape
    }

    fn limit(&mut self, shape: &mut [usize]) {
        let size = |shape: &[usize]| shape.iter().map(|&n| n.max(1)).product::<usize>();
        for axis in 0..shape.len() {
            if size(shape) > MOST {
                shape[axis] = shape[axis].min(2);
            }
        }
    }

    /// A shape that differs a little.
    pub(crate) fn other_shape(&mut self, shape: &[usize]) -> Vec<usize> {
        let mut other = shape.to_vec();
        match self.below(5) {
            0 => other.push(1),
            1 => drop(other.pop()),
            2 => other.insert(0, 1),
            _ => match other.len() {
                0 => other.push(3),
                n => {
                    let axis = self.below(n);
                    other[axis] = match self.below(3) {
                        0 => other[axis] + 1,
                        1 => other[axis].saturating_sub(1),
                        _ => 1,
                    };
                }
            },
        }
        other
    }

    pub(crate) fn layout(&mut self, rank: usize, may_broadcast: bool) -> Layout {
        let mut layout = Layout {
            order: (0..rank).collect(),
            steps: vec![1; rank],
            broadcast: vec![false; rank],
        };
        let kind = self.below(10);
        if matches!(kind, 3 | 6) {
            layout.order.reverse();
        }
        if matches!(kind, 4 | 7 | 8) {
            for i in 1..rank {
                let j = self.below(i + 1);
                layout.order.swap(i, j);
            }
        }
        for axis in 0..rank {
            layout.steps[axis] = match kind {
                5 => -1,
                6 => 2,
                7 => self.choose(&[1, -1, 2, -2, 3]),
                _ => 1,
            };
            layout.broadcast[axis] = may_broadcast && kind >= 8 && self.below(2) == 1;
        }
        layout
    }

    /// An array of numbers in some layout.
    pub(crate) fn numbers<F: Number>(&mut self, shape: &[usize], palette: Palette) -> Placed<F> {
        let seed = self.raw();
        let layout = self.layout(shape.len(), true);
        let numbers = layout.distinct(shape, |i| palette.number(mix(seed ^ i as u64)));
        Placed::new(layout, shape, &numbers, F::nan())
    }

    /// An array in some layout.
    pub(crate) fn array<A: Copy>(
        &mut self,
        shape: &[usize],
        padding: A,
        element: impl Fn(u64) -> A,
    ) -> Placed<A> {
        let seed = self.raw();
        let layout = self.layout(shape.len(), true);
        let elements = layout.distinct(shape, |i| element(mix(seed ^ i as u64)));
        Placed::new(layout, shape, &elements, padding)
    }
}

/// How an array lies in memory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The axes from the outermost in memory to the innermost.
    order: Vec<usize>,
    /// Every how many places there is an element; backwards where negative.
    steps: Vec<isize>,
    /// Along which axes all elements are one.
    broadcast: Vec<bool>,
}

impl Layout {
    fn reduced(&self, shape: &[usize]) -> Vec<usize> {
        let axes = shape.iter().zip(&self.broadcast);
        axes.map(|(&n, &one)| if one { n.min(1) } else { n })
            .collect()
    }

    /// The elements that are not the same one, by their number.
    pub(crate) fn distinct<A>(
        &self,
        shape: &[usize],
        mut element: impl FnMut(usize) -> A,
    ) -> ArrayD<A> {
        let mut next = 0;
        ArrayD::from_shape_simple_fn(IxDyn(&self.reduced(shape)), || {
            next += 1;
            element(next - 1)
        })
    }
}

/// An array in a layout.
#[derive(Clone)]
pub(crate) struct Placed<A> {
    memory: Vec<A>,
    shape: Vec<usize>,
    strides: Vec<usize>,
    reversed: Vec<bool>,
}

impl<A: Copy> Placed<A> {
    /// Puts the elements, one along axes that broadcast, in memory.
    pub(crate) fn new(layout: Layout, shape: &[usize], elements: &ArrayD<A>, padding: A) -> Self {
        let mut strides = vec![0; shape.len()];
        let mut extent = 1;
        for &axis in layout.order.iter().rev() {
            if !layout.broadcast[axis] {
                strides[axis] = extent * layout.steps[axis].unsigned_abs();
                extent = strides[axis] * shape[axis].max(1);
            }
        }
        let reversed: Vec<bool> = layout.steps.iter().map(|&step| step < 0).collect();
        let mut placed = Self {
            memory: vec![padding; extent],
            shape: elements.shape().to_vec(),
            strides,
            reversed,
        };
        placed.view_mut().assign(elements);
        placed.shape = shape.to_vec();
        placed
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn view(&self) -> ArrayViewD<'_, A> {
        let shape = IxDyn(&self.shape).strides(IxDyn(&self.strides));
        let mut view = ArrayViewD::from_shape(shape, &self.memory).expect("fits its memory");
        for (axis, _) in self.reversed.iter().enumerate().filter(|&(_, &back)| back) {
            view.invert_axis(Axis(axis));
        }
        view
    }

    /// Not of an array that is broadcast.
    pub(crate) fn view_mut(&mut self) -> ArrayViewMutD<'_, A> {
        let shape = IxDyn(&self.shape).strides(IxDyn(&self.strides));
        let mut view = ArrayViewMutD::from_shape(shape, &mut self.memory).expect("fits its memory");
        for (axis, _) in self.reversed.iter().enumerate().filter(|&(_, &back)| back) {
            view.invert_axis(Axis(axis));
        }
        view
    }

    /// All that lies in memory, what belongs to the array and what does not.
    pub(crate) fn memory(&self) -> &[A] {
        &self.memory
    }

    /// The same elements, one after the other.
    pub(crate) fn in_row_major_order(&self) -> Self {
        let mut memory = self.to_owned().into_raw_vec_and_offset().0;
        let mut strides = vec![0; self.shape.len()];
        let mut extent = 1;
        for (stride, length) in strides.iter_mut().zip(&self.shape).rev() {
            *stride = extent;
            extent *= length.max(&1);
        }
        // As in `new`, an array without elements has memory.
        memory.resize(extent, self.memory[0]);
        Self {
            memory,
            shape: self.shape.clone(),
            strides,
            reversed: vec![false; self.shape.len()],
        }
    }

    pub(crate) fn to_owned(&self) -> ArrayD<A> {
        // in row-major order, whatever the layout is; `to_owned` would keep it
        let elements = self.view().iter().copied().collect();
        ArrayD::from_shape_vec(IxDyn(&self.shape), elements).expect("as many as the shape says")
    }
}

impl<A: Copy + std::fmt::Debug> std::fmt::Debug for Placed<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 48;
        let view = self.view();
        let elements: Vec<A> = view.iter().copied().take(SHOWN).collect();
        let more = if view.len() > SHOWN { " …" } else { "" };
        write!(
            f,
            "shape {:?}, strides {:?}: {elements:?}{more}",
            self.shape,
            view.strides()
        )
    }
}
