//! Training on real data: the digits of `examples/data`, by softmax regression in f64.

#[path = "../examples/common/data.rs"]
mod data;

use std::error::Error;

use data::{Format, hold_out_a_fifth, read_table};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use ndarray_loss::{
    Aggregate, CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ItemwiseLoss, LossError,
    aggregate, categorical_accuracy,
};

const CLASSES: usize = 10;
const EPOCHS: usize = 10;
const BATCH_SIZE: usize = 32;
const LEARNING_RATE: f64 = 0.5;

struct Digits {
    pixels: Array2<f64>,
    labels: Array1<u8>,
}

fn digits() -> Result<[Digits; 2], Box<dyn Error>> {
    let format = Format {
        delimiter: b',',
        header: false,
    };
    let (train, test) = hold_out_a_fifth(&read_table("digits.csv.gz", format)?);
    Ok([train, test].map(|samples| Digits {
        pixels: samples.inputs / 16.0,
        labels: samples.targets.mapv(|label| label as u8),
    }))
}

/// The mean loss of logits for labels, and its gradient with respect to the logits.
type Objective = fn(&Array2<f64>, ArrayView1<'_, u8>) -> Result<(f64, Array2<f64>), LossError>;

fn from_logits(
    logits: &Array2<f64>,
    labels: ArrayView1<'_, u8>,
) -> Result<(f64, Array2<f64>), LossError> {
    CategoricalCrossentropyWithLogits::default().objective_and_gradient(
        logits,
        labels,
        Aggregate::Mean,
    )
}

fn through_softmax(
    logits: &Array2<f64>,
    labels: ArrayView1<'_, u8>,
) -> Result<(f64, Array2<f64>), LossError> {
    let mut p = logits.clone();
    for mut row in p.rows_mut() {
        let largest = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|x| (x - largest).exp());
        row /= row.sum();
    }
    let (objective, by_p) =
        CategoricalCrossentropy.objective_and_gradient(&p, labels, Aggregate::Mean)?;
    let weighted = &p * &by_p;
    let sums = weighted.sum_axis(Axis(1)).insert_axis(Axis(1));
    Ok((objective, weighted - p * sums))
}

struct SoftmaxRegression {
    weights: Array2<f64>,
    bias: Array1<f64>,
}

impl SoftmaxRegression {
    fn zeros() -> Self {
        Self {
            weights: Array2::zeros((64, CLASSES)),
            bias: Array1::zeros(CLASSES),
        }
    }

    fn logits(&self, pixels: ArrayView2<'_, f64>) -> Array2<f64> {
        pixels.dot(&self.weights) + &self.bias
    }

    /// Gradient descent over minibatches; the objective on all of the data before the first epoch and after each.
    fn fit(&mut self, digits: &Digits, objective: Objective) -> Result<Vec<f64>, LossError> {
        let mut curve =
            vec![objective(&self.logits(digits.pixels.view()), digits.labels.view())?.0];
        for _ in 0..EPOCHS {
            let labels = digits.labels.axis_chunks_iter(Axis(0), BATCH_SIZE);
            for (pixels, labels) in digits
                .pixels
                .axis_chunks_iter(Axis(0), BATCH_SIZE)
                .zip(labels)
            {
                let (_, gradient) = objective(&self.logits(pixels), labels)?;
                self.weights
                    .scaled_add(-LEARNING_RATE, &pixels.t().dot(&gradient));
                self.bias
                    .scaled_add(-LEARNING_RATE, &gradient.sum_axis(Axis(0)));
            }
            curve.push(objective(&self.logits(digits.pixels.view()), digits.labels.view())?.0);
        }
        Ok(curve)
    }
}

#[test]
fn logits_and_crossentropy_follow_the_same_curve() -> Result<(), Box<dyn Error>> {
    let [train, _] = digits()?;
    let fused = SoftmaxRegression::zeros().fit(&train, from_logits)?;
    let explicit = SoftmaxRegression::zeros().fit(&train, through_softmax)?;
    for (epoch, (&fused, &explicit)) in fused.iter().zip(&explicit).enumerate() {
        let apart = (fused - explicit).abs() / fused;
        assert!(
            apart < 1e-9,
            "after epoch {epoch}: {fused} from logits, {explicit} through a softmax, {apart:e} apart"
        );
    }
    Ok(())
}

#[test]
fn training_reduces_the_loss_and_finds_the_digits() -> Result<(), Box<dyn Error>> {
    let [train, test] = digits()?;
    let mut model = SoftmaxRegression::zeros();
    let curve = model.fit(&train, from_logits)?;
    let untrained = (CLASSES as f64).ln();
    assert!(
        (curve[0] - untrained).abs() < 1e-12,
        "the loss of equal logits is {}, not ln 10 = {untrained}",
        curve[0]
    );
    assert!(
        curve[1] < untrained / 2.0 && curve[EPOCHS] < curve[1],
        "the loss does not fall: {curve:?}"
    );
    let right = categorical_accuracy(&model.logits(test.pixels.view()), &test.labels, 1)?;
    let accuracy = aggregate(&right, Aggregate::Mean)?;
    assert!(accuracy > 0.93, "test accuracy {accuracy}");
    Ok(())
}
