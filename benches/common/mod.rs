//! What the benches share: data, the machine's limit, settings.

// Every bench is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::fmt::Display;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use ndarray::{Array, Array1, Array2, Axis, Dimension, ShapeBuilder};
use ndarray_loss::Float;
use pulp::{Arch, NullaryFnOnce};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

pub(crate) const SIZES: [usize; 3] = [1_000, 100_000, 10_000_000];
/// A single row; few classes, about as many as rows come in groups for, and many.
pub(crate) const SHAPES: [(usize, usize); 6] = [
    (1, 100),
    (128, 10),
    (65_536, 10),
    (4_096, 136),
    (1_024, 1_000),
    (256, 32_000),
];

/// Short measurements, for there are many of them.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
}

/// The result of a call that has to succeed, for else nothing is measured.
#[track_caller]
pub(crate) fn done<T, E: Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        #[allow(clippy::panic)] // a bench has nobody to hand the error to
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn f<F: Float>(x: f64) -> F {
    <F as num_traits::NumCast>::from(x).unwrap_or_else(F::nan)
}

/// The standard library's functions, as one has them without this crate.
pub(crate) mod standard {
    use num_traits::Float;

    pub(crate) fn ln<F: Float>(x: F) -> F {
        x.ln()
    }

    pub(crate) fn ln_1p<F: Float>(x: F) -> F {
        x.ln_1p()
    }

    pub(crate) fn exp<F: Float>(x: F) -> F {
        x.exp()
    }
}

/// `f32` or `f64`
pub(crate) fn type_name<F>() -> &'static str {
    std::any::type_name::<F>()
}

/// The values that predictions or targets have.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    Between(f64, f64),
    Either(f64, f64),
}

impl Values {
    pub(crate) fn array<F: Float, D: Dimension>(
        self,
        shape: impl ShapeBuilder<Dim = D>,
        seed: u64,
    ) -> Array<F, D> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Array::from_shape_simple_fn(shape, || match self {
            Self::Between(low, high) => f(low + (high - low) * random.random::<f64>()),
            Self::Either(low, high) => f(if random.random() { low } else { high }),
        })
    }
}

/// Rows that add up to 1.
pub(crate) fn distributions<F: Float>(items: usize, classes: usize, seed: u64) -> Array2<F> {
    let mut rows: Array2<F> = Values::Between(0.05, 1.05).array((items, classes), seed);
    for mut row in rows.rows_mut() {
        let sum = row.sum();
        row /= sum;
    }
    rows
}

pub(crate) fn labels(items: usize, classes: usize, seed: u64) -> Array1<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn(items, || random.random_range(0..classes))
}

pub(crate) fn one_hot<F: Float>(labels: &Array1<usize>, classes: usize) -> Array2<F> {
    let mut rows = Array2::zeros((labels.len(), classes));
    for (mut row, &label) in rows.axis_iter_mut(Axis(0)).zip(labels) {
        row[label] = F::one();
    }
    rows
}

/// The benches of one loss on arrays of one shape.
pub(crate) struct Group<'c, F> {
    group: BenchmarkGroup<'c, WallTime>,
    shape: String,
    element: std::marker::PhantomData<F>,
}

impl<'c, F: Float> Group<'c, F> {
    pub(crate) fn new(criterion: &'c mut Criterion, name: &str, shape: impl Display) -> Self {
        Self {
            group: criterion.benchmark_group(format!("{name}/{}", type_name::<F>())),
            shape: shape.to_string(),
            element: std::marker::PhantomData,
        }
    }

    /// Times a function that reads and writes so many elements.
    pub(crate) fn bench<R>(&mut self, name: &str, elements: usize, mut step: impl FnMut() -> R) {
        self.throughput(elements);
        self.group
            .bench_function(self.id(name), |bencher| bencher.iter(&mut step));
    }

    /// The same for a function that spoils what `restore` makes good; only the former is timed.
    pub(crate) fn bench_restored<S, R>(
        &mut self,
        name: &str,
        elements: usize,
        state: &mut S,
        mut restore: impl FnMut(&mut S),
        mut step: impl FnMut(&mut S) -> R,
    ) {
        self.throughput(elements);
        self.group.bench_function(self.id(name), |bencher| {
            bencher.iter_custom(|times| {
                let mut total = Duration::ZERO;
                for _ in 0..times {
                    restore(state);
                    let start = std::time::Instant::now();
                    std::hint::black_box(step(state));
                    total += start.elapsed();
                }
                total
            });
        });
    }

    /// The machine's limit: `o = a + s·b` on the same arrays, on one thread and on all.
    pub(crate) fn triad<D: Dimension>(
        &mut self,
        a: &Array<F, D>,
        b: &Array<F, D>,
        out: &mut Array<F, D>,
    ) {
        let (Some(a), Some(b), Some(out)) = (a.as_slice(), b.as_slice(), out.as_slice_mut()) else {
            return;
        };
        let arch = Arch::new();
        self.bench("triad, one thread", 3 * a.len(), || {
            arch.dispatch(Triad { a, b, out });
        });
        let piece = a.len().div_ceil(4 * rayon::current_num_threads());
        self.bench("triad, all threads", 3 * a.len(), || {
            out.par_chunks_mut(piece)
                .zip(a.par_chunks(piece).zip(b.par_chunks(piece)))
                .for_each(|(out, (a, b))| arch.dispatch(Triad { a, b, out }));
        });
    }

    fn throughput(&mut self, elements: usize) {
        self.group
            .throughput(Throughput::Bytes((elements * size_of::<F>()) as u64));
    }

    fn id(&self, name: &str) -> BenchmarkId {
        BenchmarkId::new(name, &self.shape)
    }
}

struct Triad<'a, F> {
    a: &'a [F],
    b: &'a [F],
    out: &'a mut [F],
}

impl<F: Float> NullaryFnOnce for Triad<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let scale = F::one() / (F::one() + F::one());
        for (o, (&a, &b)) in self.out.iter_mut().zip(self.a.iter().zip(self.b)) {
            *o = a + scale * b;
        }
    }
}
