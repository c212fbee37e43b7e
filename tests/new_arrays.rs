//! New arrays, which threads fill block by block, hold the bits that the same call writes into a buffer.
#![allow(clippy::unwrap_used)]

use ndarray::{Array, Array2, ArrayView, ArrayView2, Ix2, ShapeBuilder, arr0};
use ndarray_loss::{
    BinaryCrossentropy, ElementwiseLoss, Float, HuberLoss, LossError, Target, TargetShape,
};

/// About the edges of the blocks, and sizes that are shared among threads.
const SIZES: [usize; 9] = [0, 1, 1023, 1024, 1025, 4096, 60_000, 102_400, 300_007];

/// So costly that the work is divided as far as it can be.
#[derive(Clone, Copy)]
struct Costly;

impl ElementwiseLoss<f32> for Costly {
    fn value(self, prediction: f32, target: f32) -> f32 {
        prediction * target
    }

    fn derivative(self, _prediction: f32, target: f32) -> f32 {
        target
    }

    fn cost(self) -> f32 {
        1e9
    }
}

fn same<F: Float>(new: &Array2<F>, buffer: &Array2<F>, what: &str) {
    assert_eq!(new.strides(), buffer.strides(), "{what}");
    let bits = |x: &F| x.to_f64().map(f64::to_bits);
    assert!(new.iter().map(bits).eq(buffer.iter().map(bits)), "{what}");
}

fn check<F: Float, T: Target<F>, E: TargetShape<Ix2>>(
    loss: impl ElementwiseLoss<F>,
    predictions: ArrayView2<'_, F>,
    targets: ArrayView<'_, T, E>,
) -> Result<(), LossError> {
    let column_major = !predictions.is_standard_layout() && predictions.t().is_standard_layout();
    let buffer = || Array2::from_elem(predictions.dim().set_f(column_major), F::nan());
    let (mut losses, mut gradient) = (buffer(), buffer());
    loss.loss_into(predictions, targets.view(), &mut losses)?;
    loss.gradient_into(predictions, targets.view(), &mut gradient)?;
    let what = format!("{:?}, {:?}", predictions.dim(), predictions.strides());
    same(&loss.loss(predictions, targets.view())?, &losses, &what);
    same(
        &loss.gradient(predictions, targets.view())?,
        &gradient,
        &what,
    );
    let (new_losses, new_gradient) = loss.loss_and_gradient(predictions, targets)?;
    same(&new_losses, &losses, &what);
    same(&new_gradient, &gradient, &what);
    Ok(())
}

fn check_all<F: Float>(loss: impl ElementwiseLoss<F>) -> Result<(), LossError> {
    for size in SIZES {
        for columns in [1, 3] {
            let rows = size.div_ceil(columns);
            let number =
                |i: usize, j: usize| F::from(0.01 + ((i * 7 + j) % 97) as f64 / 100.0).unwrap();
            let predictions = Array2::from_shape_fn((rows, columns), |(i, j)| number(i, j));
            let targets = Array2::from_shape_fn((rows, columns), |(i, j)| (i + j) % 3 == 0);
            let by_column = Array::from_shape_fn((rows, columns).f(), |(i, j)| number(i, j));
            let as_floats = targets.mapv(|t| if t { F::one() } else { F::zero() });
            let mut turned = Array2::zeros((rows, columns).f());
            turned.assign(&as_floats);
            check(loss, predictions.view(), targets.view())?;
            check(loss, predictions.view(), as_floats.view())?;
            check(loss, predictions.view(), arr0(F::one()).view())?;
            check(loss, by_column.view(), turned.view())?;
            check(loss, by_column.view(), as_floats.view())?;
            check(loss, by_column.view(), arr0(true).view())?;
        }
    }
    Ok(())
}

/// What is written without being added up is done in longer stretches, where there are millions of elements.
#[test]
fn of_millions_of_elements() {
    let number = |i: usize| ((i * 7) % 8191) as f32 / 8192.0;
    let predictions = Array2::from_shape_fn((2_200_003, 1), |(i, _)| number(i));
    let targets = predictions.mapv(|p| p < 0.3);
    check(BinaryCrossentropy, predictions.view(), targets.view()).unwrap();
}

fn check_losses() {
    check_all::<f32>(BinaryCrossentropy).unwrap();
    check_all(HuberLoss::<f64>::default()).unwrap();
    check_all(Costly).unwrap();
}

#[test]
fn new_arrays_hold_what_a_buffer_would() {
    check_losses();
}

#[cfg(feature = "rayon")]
#[test]
fn on_any_number_of_threads() {
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(check_losses);
    }
}
