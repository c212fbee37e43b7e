//! A linear model of the diabetes data, trained with the squared error and with the Huber loss, on the targets as they
//! are and with outliers among them.
//!
//! The squared error follows the outliers, since their gradient grows with their distance; the gradient of the Huber
//! loss stops growing at δ. ndarray-stats standardises the inputs and measures the fit on samples held out, whose
//! targets are clean.
//!
//! ```text
//! cargo run --release --example diabetes
//! cargo run --release --example diabetes -- --outliers 0.2 --delta 20
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
use ndarray::{Array1, Axis, concatenate, stack};
use ndarray_loss::{Aggregate, ElementwiseLoss, HuberLoss, LossError, SquaredError};
use ndarray_stats::{CorrelationExt, DeviationExt};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use standardise::standardise;

const LEARNING_RATE: f64 = 0.05;

/// A linear model of the diabetes data: squared error against Huber loss, with outliers.
#[derive(Parser)]
struct Arguments {
    /// Steps of gradient descent, each over all samples
    #[arg(long, default_value_t = 2000)]
    epochs: u32,

    /// Decides which targets become outliers, and the initial weights
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Share of the training targets that become outliers
    #[arg(long, default_value_t = 0.1)]
    outliers: f64,

    /// From which error on the Huber loss is linear; the targets go from 25 to 346
    #[arg(long, default_value_t = 50.0)]
    delta: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (train, test) = load_diabetes()?;
    let spoiled = Samples {
        inputs: train.inputs.clone(),
        targets: with_outliers(&train.targets, &arguments)?,
    };
    let huber = HuberLoss::new(arguments.delta)?;

    println!(
        "{} samples to train with, {} to test with\n",
        train.targets.len(),
        test.targets.len()
    );
    println!(
        "loss            training targets   mean absolute error   root mean square error   correlation"
    );
    for (name, samples) in [("as they are", &train), ("with outliers", &spoiled)] {
        let squared = fit(SquaredError, samples, &arguments)?;
        report("squared error", name, &squared, &test)?;
        let robust = fit(huber, samples, &arguments)?;
        report("Huber", name, &robust, &test)?;
    }
    Ok(())
}

/// The samples to train and to test with, their inputs standardised.
fn load_diabetes() -> Result<(Samples, Samples), Box<dyn Error>> {
    let format = Format {
        delimiter: b' ',
        header: false,
    };
    let inputs = read_table("diabetes_data_raw.csv.gz", format)?;
    let targets = read_table("diabetes_target.csv.gz", format)?;
    let table = concatenate(Axis(1), &[inputs.view(), targets.view()])?;
    let (mut train, mut test) = hold_out_a_fifth(&table);
    standardise(&mut train.inputs, &mut test.inputs)?;
    Ok((train, test))
}

/// The targets, some of them, chosen at random, too large by 1000: a slipped digit.
fn with_outliers(
    targets: &Array1<f64>,
    arguments: &Arguments,
) -> Result<Array1<f64>, Box<dyn Error>> {
    if !(0.0..=1.0).contains(&arguments.outliers) {
        return Err("--outliers must be between 0 and 1".into());
    }
    let count = (arguments.outliers * targets.len() as f64).round() as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut targets = targets.clone();
    for i in index::sample(&mut rng, targets.len(), count) {
        targets[i] += 1000.0;
    }
    Ok(targets)
}

fn fit(
    loss: impl ElementwiseLoss<f64>,
    samples: &Samples,
    arguments: &Arguments,
) -> Result<LinearModel, LossError> {
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut model = LinearModel::random(samples.inputs.ncols(), &mut rng);
    for _ in 0..arguments.epochs {
        let mut predictions = model.predict(&samples.inputs);
        loss.objective_and_gradient_in_place(&mut predictions, &samples.targets, Aggregate::Mean)?;
        let gradient = predictions;
        model.descend(&samples.inputs, &gradient, LEARNING_RATE);
    }
    Ok(model)
}

fn report(
    loss: &str,
    targets: &str,
    model: &LinearModel,
    test: &Samples,
) -> Result<(), Box<dyn Error>> {
    let predictions = model.predict(&test.inputs);
    let absolute = predictions.mean_abs_err(&test.targets)?;
    let root_mean_square = predictions.root_mean_sq_err(&test.targets)?;
    let correlation = correlation(&predictions, &test.targets)?;
    println!("{loss:15} {targets:16} {absolute:21.1} {root_mean_square:24.1} {correlation:13.3}");
    Ok(())
}

fn correlation(a: &Array1<f64>, b: &Array1<f64>) -> Result<f64, Box<dyn Error>> {
    let rows = stack(Axis(0), &[a.view(), b.view()])?;
    Ok(rows.pearson_correlation()?[[0, 1]])
}
