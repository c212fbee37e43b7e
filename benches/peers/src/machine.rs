//! What the machine itself can do: the simplest loops over the same arrays, on one thread for each large piece.

use std::convert::Infallible;
use std::error::Error;

use ndarray::Array1;
use pulp::{Arch, NullaryFnOnce};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::cell::Cell;
use crate::data::{self, Stream};
use crate::work::{Filling, Running, Work};

const LANES: usize = 64;
const SCALE: f32 = 0.5;

pub(crate) fn prepare(cell: &Cell) -> Result<Option<Box<dyn Work>>, Box<dyn Error>> {
    let n = cell.items * cell.classes;
    let numbers = |stream| {
        data::between(stream, 0.0, 4.0, n)
            .into_raw_vec_and_offset()
            .0
    };
    let alone = match cell.loss.as_str() {
        "one" => true,
        "all" => false,
        _ => return Ok(None),
    };
    // Few pieces, so that nothing but the memory counts.
    let piece = if alone {
        n
    } else {
        n.div_ceil(4 * rayon::current_num_threads())
            .next_multiple_of(LANES)
    };
    Ok(Some(match cell.section.as_str() {
        "triad" => {
            let (a, b) = (numbers(Stream::Predictions), numbers(Stream::Targets));
            filling(n, move |out| triad(&a, &b, out, piece))
        }
        "fill" => filling(n, move |out| fill(out, piece)),
        "sum" => {
            let values = numbers(Stream::Predictions);
            Box::new(Running(move || {
                Ok::<_, Infallible>(sum(&values, piece) / n as f32)
            }))
        }
        _ => return Ok(None),
    }))
}

fn filling(n: usize, mut step: impl FnMut(&mut [f32]) + Send + 'static) -> Box<dyn Work> {
    Box::new(Filling {
        buffer: Array1::zeros(n),
        step: move |buffer: &mut Array1<f32>| {
            if let Some(slice) = buffer.as_slice_mut() {
                step(slice);
            }
            Ok::<_, Infallible>(0.0)
        },
    })
}

struct Triad<'a> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl NullaryFnOnce for Triad<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (o, (&a, &b)) in self.out.iter_mut().zip(self.a.iter().zip(self.b)) {
            *o = a + SCALE * b;
        }
    }
}

/// `o = a + s·b`
fn triad(a: &[f32], b: &[f32], out: &mut [f32], piece: usize) {
    let arch = Arch::new();
    if piece >= out.len() {
        return arch.dispatch(Triad { a, b, out });
    }
    out.par_chunks_mut(piece)
        .zip(a.par_chunks(piece).zip(b.par_chunks(piece)))
        .for_each(|(out, (a, b))| arch.dispatch(Triad { a, b, out }));
}

fn fill(out: &mut [f32], piece: usize) {
    if piece >= out.len() {
        return out.fill(0.0);
    }
    out.par_chunks_mut(piece).for_each(|piece| piece.fill(0.0));
}

struct Sum<'a>(&'a [f32]);

impl NullaryFnOnce for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        let mut lanes = [0.0; LANES];
        let (blocks, rest) = self.0.as_chunks::<LANES>();
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane += x;
            }
        }
        lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
    }
}

/// In `f32`, as fast as it can be read.
fn sum(values: &[f32], piece: usize) -> f32 {
    let arch = Arch::new();
    if piece >= values.len() {
        return arch.dispatch(Sum(values));
    }
    values
        .par_chunks(piece)
        .map(|piece| arch.dispatch(Sum(piece)))
        .sum()
}
