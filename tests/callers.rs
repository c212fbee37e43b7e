//! Many callers at once, with a pool of as many threads: none waits for ever, all have the same bits, and a thread of the
//! pool that begins another caller's work while it waits for its own has room for that.
#![cfg(feature = "rayon")]
#![allow(clippy::unwrap_used)]

use std::thread;

use ndarray::{Array, Array2, Axis, Slice};
use ndarray_loss::*;

const CALLERS: usize = 8;
const ROUNDS: usize = 4;
/// Half as much again as is needed.
const STACK: usize = 3 << 18;

/// Rows in groups, singly, and shared by their sections.
const SHAPES: [(usize, usize); 10] = [
    (100, 1000),
    (1000, 100),
    (10_000, 10),
    (7, 4000),
    (3000, 10),
    (700, 150),
    (300, 257),
    (64, 1000),
    (300, 1000),
    (2, 40_000),
];

/// The bits of what is computed of a shape, in several layouts.
fn results(shape: (usize, usize)) -> Result<Vec<u64>, LossError> {
    let numbers = Array2::from_shape_fn(shape, |(item, class)| {
        ((item * 31 + class * 17) % 101) as f64 / 25.0 - 2.0
    });
    let columns = numbers.t().as_standard_layout().into_owned();
    let backwards = numbers.slice_axis(Axis(1), Slice::from(..).step_by(-1));
    let positive = numbers.exp() / 8.0;
    let labels = Array::from_shape_fn(shape.0, |item| item % shape.1);
    let mut gradient = Array2::zeros(shape);
    let softmax_loss = CategoricalCrossentropyWithLogits::default();
    let by = || Aggregate::Mean;
    let out = &mut gradient;
    let hinge = MulticlassHingeLoss::default();
    let values = [
        softmax_loss.objective_and_gradient_into(columns.t(), &labels, by(), out)?,
        softmax_loss.objective_and_gradient_into(backwards, &positive, by(), out)?,
        hinge.objective_and_gradient_into(backwards, &labels, by(), out)?,
        CategoricalCrossentropy.objective_and_gradient_into(&positive, &positive, by(), out)?,
        SquaredError.objective_and_gradient_into(&positive, backwards, by(), out)?,
        softmax_loss.objective_and_gradient_in_place(out, &labels, by())?,
    ];
    let product = softmax_vjp(columns.t(), &positive)?;
    let results = values.iter().chain(&gradient).chain(&product);
    Ok(results.map(|x| x.to_bits()).collect())
}

fn all() -> Vec<Vec<u64>> {
    SHAPES.map(|shape| results(shape).unwrap()).to_vec()
}

#[test]
fn callers_at_once() {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK);
    pool.num_threads(CALLERS).build_global().unwrap();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let expected = alone.unwrap().install(all);
    let caller = || {
        for _ in 0..ROUNDS {
            assert!(all() == expected, "not the bits of one thread");
        }
    };
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, caller).unwrap();
        }
    });
}
