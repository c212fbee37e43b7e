//! Logistic regression on the breast cancer data, with four losses on the same scores: binary cross-entropy from
//! logits and of probabilities, the hinge of log-odds and of probabilities.
//!
//! The probabilities are σ(score), and their gradient goes back through σ. Where all goes well the two forms of a loss do
//! the same; the second table shows where it does not.
//!
//! ```text
//! cargo run --release --example breast_cancer
//! ```

#[path = "common/data.rs"]
mod data;
#[path = "common/linear_model.rs"]
mod linear_model;
#[path = "common/standardise.rs"]
mod standardise;

use std::error::Error;

use clap::Parser;
use data::{Format, Samples, hold_out_a_fifth, read_table};
use linear_model::LinearModel;
use ndarray::{Array1, Array2, array};
use ndarray_loss::{
    Aggregate, BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    ElementwiseLoss, LossError, Scores, aggregate, binary_accuracy, sigmoid, sigmoid_vjp,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use standardise::standardise;

const LEARNING_RATE: f64 = 0.1;
const MARGIN: f64 = 1.0;

/// Logistic regression on the breast cancer data, with four losses.
#[derive(Parser)]
struct Arguments {
    /// Steps of gradient descent, each over all samples
    #[arg(long, default_value_t = 300)]
    epochs: u32,

    /// Decides the initial weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let format = Format {
        delimiter: b',',
        header: true,
    };
    let (mut train, mut test) = hold_out_a_fifth(&read_table("breast_cancer.csv", format)?);
    standardise(&mut train.inputs, &mut test.inputs)?;
    let (train, test) = (Tumours::new(train), Tumours::new(test));

    println!(
        "loss                            train loss   test loss   train accuracy   test accuracy"
    );
    for loss in Loss::ALL {
        let model = fit(loss, &train, &arguments)?;
        let (train_loss, train_accuracy) = evaluate(&model, loss, &train)?;
        let (test_loss, test_accuracy) = evaluate(&model, loss, &test)?;
        println!(
            "{:30} {train_loss:11.4} {test_loss:11.4} {:14.2} % {:13.2} %",
            loss.name(),
            100.0 * train_accuracy,
            100.0 * test_accuracy,
        );
    }
    show_confident_mistake()?;
    Ok(())
}

/// Features of cell nuclei; whether the tumour is benign.
struct Tumours {
    features: Array2<f64>,
    benign: Array1<bool>,
}

impl Tumours {
    fn new(samples: Samples) -> Self {
        Self {
            features: samples.inputs,
            benign: samples.targets.mapv(|class| class == 1.0),
        }
    }
}

/// A loss of scores, the log-odds of a benign tumour.
#[derive(Clone, Copy)]
enum Loss {
    CrossentropyOfLogits,
    CrossentropyOfProbabilities,
    HingeOfLogOdds,
    HingeOfProbabilities,
}

impl Loss {
    const ALL: [Self; 4] = [
        Self::CrossentropyOfLogits,
        Self::CrossentropyOfProbabilities,
        Self::HingeOfLogOdds,
        Self::HingeOfProbabilities,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CrossentropyOfLogits => "cross-entropy from logits",
            Self::CrossentropyOfProbabilities => "cross-entropy of probabilities",
            Self::HingeOfLogOdds => "hinge of log-odds",
            Self::HingeOfProbabilities => "hinge of probabilities",
        }
    }

    /// The mean loss and its gradient with respect to the scores.
    fn objective_and_gradient(
        self,
        scores: &Array1<f64>,
        benign: &Array1<bool>,
    ) -> Result<(f64, Array1<f64>), LossError> {
        let hinge = |scores| BinaryHingeLoss::new(MARGIN, scores, BinaryLabels::ZeroOne);
        match self {
            Self::CrossentropyOfLogits => BinaryCrossentropyWithLogits::default()
                .objective_and_gradient(scores, benign, Aggregate::Mean),
            Self::CrossentropyOfProbabilities => {
                through_sigmoid(BinaryCrossentropy, scores, benign)
            }
            Self::HingeOfLogOdds => {
                hinge(Scores::LogOdds)?.objective_and_gradient(scores, benign, Aggregate::Mean)
            }
            Self::HingeOfProbabilities => {
                through_sigmoid(hinge(Scores::Probabilities)?, scores, benign)
            }
        }
    }
}

/// A loss of p = σ(score); its gradient goes back through σ.
fn through_sigmoid(
    loss: impl ElementwiseLoss<f64>,
    scores: &Array1<f64>,
    benign: &Array1<bool>,
) -> Result<(f64, Array1<f64>), LossError> {
    let p = sigmoid(scores)?;
    let (objective, gradient) = loss.objective_and_gradient(&p, benign, Aggregate::Mean)?;
    Ok((objective, sigmoid_vjp(scores, &gradient)?))
}

fn fit(loss: Loss, train: &Tumours, arguments: &Arguments) -> Result<LinearModel, LossError> {
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut model = LinearModel::random(train.features.ncols(), &mut rng);
    for _ in 0..arguments.epochs {
        let scores = model.predict(&train.features);
        let (_, gradient) = loss.objective_and_gradient(&scores, &train.benign)?;
        model.descend(&train.features, &gradient, LEARNING_RATE);
    }
    Ok(model)
}

/// The mean loss and the accuracy.
fn evaluate(model: &LinearModel, loss: Loss, tumours: &Tumours) -> Result<(f64, f64), LossError> {
    let scores = model.predict(&tumours.features);
    let (objective, _) = loss.objective_and_gradient(&scores, &tumours.benign)?;
    // A score of 0 is a probability of ½.
    let right = binary_accuracy(&scores, &tumours.benign, 0.0)?;
    Ok((objective, aggregate(&right, Aggregate::Mean)?))
}

/// A score of 40 for a malignant tumour: σ(40) rounds to 1, and with it go the loss and the gradient.
fn show_confident_mistake() -> Result<(), LossError> {
    println!("\nOne malignant tumour, taken for benign with a score of 40:");
    println!("loss                                  loss     gradient");
    for loss in Loss::ALL {
        let (objective, gradient) = loss.objective_and_gradient(&array![40.0], &array![false])?;
        println!("{:30} {objective:11.4} {:12.4}", loss.name(), gradient[0]);
    }
    Ok(())
}
