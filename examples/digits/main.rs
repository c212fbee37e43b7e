//! Trains a small network on handwritten digits: 64 pixels, 64 rectified hidden units, 10 classes.
//!
//! The forward and the backward pass are written by hand; the loss, its gradient and the accuracies are this crate's.
//! The loss is one of three: cross-entropy from logits, cross-entropy of an explicit softmax, and the multiclass
//! hinge. A fifth of the images, always the same, is held out as a test.
//!
//! ```text
//! cargo run --release --example digits
//! cargo run --release --example digits -- --loss hinge --epochs 60 --seed 3
//! ```
//!
//! `--dump FOLDER` writes all that another program needs to train the same network in the same way, and the curves to
//! compare its own with: `benches/peers/training.py` does so in PyTorch.

#[path = "../common/chart.rs"]
mod chart;
#[path = "../common/data.rs"]
mod data;
mod dump;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use chart::{Curve, Panel, Scale};
use clap::{Parser, ValueEnum};
use data::{Format, Samples, hold_out_a_fifth, read_table};
use dump::Dump;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::{Array1, Array2, Axis, Zip};
use ndarray_loss::{
    Aggregate, CategoricalCrossentropy, CategoricalCrossentropyWithLogits, ItemwiseLoss, LossError,
    MulticlassHingeLoss, aggregate, categorical_accuracy, categorical_crossentropy,
    categorical_crossentropy_with_logits, multiclass_hinge_loss, softmax, softmax_vjp,
};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HIDDEN_UNITS: usize = 64;
const CLASSES: usize = 10;
const BATCH_SIZE: usize = 32;
const MOMENTUM: f32 = 0.9;
const WEIGHT_DECAY: f32 = 3e-4;
const MARGIN: f32 = 1.0;

/// Trains a small network on handwritten digits.
#[derive(Parser)]
struct Arguments {
    /// What is minimised
    #[arg(long, value_enum, default_value_t = Loss::Logits)]
    loss: Loss,

    /// How often the network sees every training image
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,

    /// Decides the initial weights and the order of the batches
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Folder for the picture of the curves
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    out: PathBuf,

    /// Folder for the data, the initial weights, the order of the images and the losses, as CSV
    #[arg(long, value_name = "FOLDER")]
    dump: Option<PathBuf>,

    /// Fail if the share of test images that the network gets right is below this, between 0 and 1
    #[arg(long, value_name = "SHARE")]
    require_accuracy: Option<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (train, test) = load_digits()?;
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut network = Network::new(&mut rng);
    let dump = match &arguments.dump {
        None => None,
        Some(folder) => {
            let dump = Dump::new(folder)?;
            dump.start(&network, &train, &test)?;
            Some(dump)
        }
    };

    let start = Instant::now();
    let history = fit(&mut network, &train, &test, &arguments, &mut rng)?;
    let seconds = start.elapsed().as_secs_f64();
    if let Some(dump) = dump {
        dump.end(&history)?;
    }

    let on_train = network.evaluate(&train, arguments.loss)?;
    let on_test = network.evaluate(&test, arguments.loss)?;
    println!(
        "{} epochs in {seconds:.1} s, --loss {} --seed {}\n",
        arguments.epochs,
        arguments.loss.name(),
        arguments.seed
    );
    println!("        images     loss    top-1    top-3");
    on_train.print("train", train.len());
    on_test.print("test", test.len());
    println!("\ncurves: {}", draw(&history, &arguments)?.display());

    match arguments.require_accuracy {
        Some(required) if on_test.top_1 < required => {
            Err(format!("test accuracy {} is below {required}", on_test.top_1).into())
        }
        _ => Ok(()),
    }
}

/// Images with a label each.
struct Images {
    pixels: Array2<f32>,
    labels: Array1<usize>,
}

impl Images {
    fn new(samples: &Samples) -> Self {
        Self {
            pixels: samples.inputs.mapv(|grey| grey as f32 / 16.0),
            labels: samples.targets.mapv(|label| label as usize),
        }
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn select(&self, indices: &[usize]) -> Self {
        Self {
            pixels: self.pixels.select(Axis(0), indices),
            labels: self.labels.select(Axis(0), indices),
        }
    }
}

fn load_digits() -> Result<(Images, Images), Box<dyn Error>> {
    let format = Format {
        delimiter: b',',
        header: false,
    };
    let (train, test) = hold_out_a_fifth(&read_table("digits.csv.gz", format)?);
    Ok((Images::new(&train), Images::new(&test)))
}

#[derive(Clone, Copy, ValueEnum)]
enum Loss {
    /// Cross-entropy of the softmax, straight from the logits
    Logits,
    /// Softmax first, then the cross-entropy of its probabilities
    Crossentropy,
    /// Multiclass hinge: the right score leads by a margin
    Hinge,
}

impl Loss {
    /// As on the command line.
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The loss of every image.
    fn of_each(
        self,
        scores: &Array2<f32>,
        labels: &Array1<usize>,
    ) -> Result<Array1<f32>, LossError> {
        match self {
            Self::Logits => categorical_crossentropy_with_logits(scores, labels),
            Self::Crossentropy => categorical_crossentropy(&softmax(scores)?, labels),
            Self::Hinge => multiclass_hinge_loss(scores, labels, MARGIN),
        }
    }

    /// The mean loss; the scores become its gradient with respect to them.
    fn objective_and_gradient_in_place(
        self,
        scores: &mut Array2<f32>,
        labels: &Array1<usize>,
    ) -> Result<f32, LossError> {
        let by = Aggregate::Mean;
        match self {
            Self::Logits => CategoricalCrossentropyWithLogits::default()
                .objective_and_gradient_in_place(scores, labels, by),
            Self::Crossentropy => {
                let probabilities = softmax(&*scores)?;
                let (objective, gradient) =
                    CategoricalCrossentropy.objective_and_gradient(&probabilities, labels, by)?;
                *scores = softmax_vjp(&*scores, &gradient)?;
                Ok(objective)
            }
            Self::Hinge => MulticlassHingeLoss::new(MARGIN)?
                .objective_and_gradient_in_place(scores, labels, by),
        }
    }
}

/// inputs · weights + bias, with the velocities of gradient descent with momentum.
struct Layer {
    weights: Array2<f32>,
    bias: Array1<f32>,
    weights_velocity: Array2<f32>,
    bias_velocity: Array1<f32>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Self {
        let bound = (6.0 / inputs as f32).sqrt();
        Self {
            weights: Array2::from_shape_simple_fn((inputs, outputs), || {
                rng.random_range(-bound..bound)
            }),
            bias: Array1::zeros(outputs),
            weights_velocity: Array2::zeros((inputs, outputs)),
            bias_velocity: Array1::zeros(outputs),
        }
    }

    fn forward(&self, inputs: &Array2<f32>) -> Array2<f32> {
        inputs.dot(&self.weights) + &self.bias
    }

    /// One step, from the gradient with respect to this layer's outputs for these inputs.
    fn descend(&mut self, inputs: &Array2<f32>, gradient: &Array2<f32>, rate: f32) {
        self.weights_velocity *= MOMENTUM;
        self.weights_velocity += &inputs.t().dot(gradient);
        self.weights_velocity
            .scaled_add(WEIGHT_DECAY, &self.weights);
        self.weights.scaled_add(-rate, &self.weights_velocity);

        self.bias_velocity *= MOMENTUM;
        self.bias_velocity += &gradient.sum_axis(Axis(0));
        self.bias.scaled_add(-rate, &self.bias_velocity);
    }
}

struct Network {
    hidden: Layer,
    output: Layer,
}

impl Network {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            hidden: Layer::new(64, HIDDEN_UNITS, rng),
            output: Layer::new(HIDDEN_UNITS, CLASSES, rng),
        }
    }

    fn activations(&self, pixels: &Array2<f32>) -> Array2<f32> {
        let mut activations = self.hidden.forward(pixels);
        activations.mapv_inplace(|x| x.max(0.0));
        activations
    }

    fn scores(&self, pixels: &Array2<f32>) -> Array2<f32> {
        self.output.forward(&self.activations(pixels))
    }

    /// Forward, loss, backward, and one step downhill.
    fn train_step(&mut self, batch: &Images, loss: Loss, rate: f32) -> Result<f32, LossError> {
        let activations = self.activations(&batch.pixels);
        let mut scores = self.output.forward(&activations);

        let objective = loss.objective_and_gradient_in_place(&mut scores, &batch.labels)?;
        let scores_gradient = scores;

        let mut hidden_gradient = scores_gradient.dot(&self.output.weights.t());
        Zip::from(&mut hidden_gradient)
            .and(&activations)
            .for_each(|gradient, &activation| {
                if activation == 0.0 {
                    *gradient = 0.0;
                }
            });
        self.output.descend(&activations, &scores_gradient, rate);
        self.hidden.descend(&batch.pixels, &hidden_gradient, rate);
        Ok(objective)
    }

    fn evaluate(&self, images: &Images, loss: Loss) -> Result<Measures, LossError> {
        let scores = self.scores(&images.pixels);
        let accuracy = |top_k| {
            let right = categorical_accuracy(&scores, &images.labels, top_k)?;
            aggregate(&right, Aggregate::Mean)
        };
        Ok(Measures {
            loss: aggregate(&loss.of_each(&scores, &images.labels)?, Aggregate::Mean)?,
            top_1: accuracy(1)?,
            top_3: accuracy(3)?,
        })
    }
}

/// How well the network does.
#[derive(Clone, Copy)]
struct Measures {
    loss: f32,
    top_1: f32,
    top_3: f32,
}

impl Measures {
    fn print(&self, name: &str, images: usize) {
        let Self { loss, top_1, top_3 } = self;
        let (top_1, top_3) = (100.0 * top_1, 100.0 * top_3);
        println!("{name:5} {images:8} {loss:8.4} {top_1:6.2} % {top_3:6.2} %");
    }
}

/// What happened in the first epoch, the second, ….
#[derive(Default)]
struct History {
    /// In which order the images were seen, and the losses of their batches.
    orders: Vec<Vec<usize>>,
    batches: Vec<Vec<f32>>,
    /// After the epoch.
    train: Vec<Measures>,
    test: Vec<Measures>,
}

fn fit(
    network: &mut Network,
    train: &Images,
    test: &Images,
    arguments: &Arguments,
    rng: &mut ChaCha8Rng,
) -> Result<History, Box<dyn Error>> {
    let loss = arguments.loss;
    let mut history = History::default();
    let mut order: Vec<usize> = (0..train.len()).collect();
    // Written to stderr, and only where that is a terminal.
    let progress = ProgressBar::new(arguments.epochs.into()).with_style(
        ProgressStyle::with_template("{bar:40} epoch {pos}/{len}, {msg}")?,
    );
    for epoch in 0..arguments.epochs {
        let rate = learning_rate(epoch as f32 / arguments.epochs as f32);
        order.shuffle(rng);
        let mut losses = Vec::new();
        for indices in order.chunks(BATCH_SIZE) {
            losses.push(network.train_step(&train.select(indices), loss, rate)?);
        }
        let (on_train, on_test) = (
            network.evaluate(train, loss)?,
            network.evaluate(test, loss)?,
        );
        progress.set_message(format!("test accuracy {:.1} %", 100.0 * on_test.top_1));
        progress.inc(1);
        history.orders.push(order.clone());
        history.batches.push(losses);
        history.train.push(on_train);
        history.test.push(on_test);
    }
    progress.finish_and_clear();
    Ok(history)
}

/// Falls in a straight line from the first epoch to the last.
fn learning_rate(progress: f32) -> f32 {
    0.1 * (1.0 - progress)
}

fn draw(history: &History, arguments: &Arguments) -> Result<PathBuf, Box<dyn Error>> {
    let name = arguments.loss.name();
    let curves = |measure: fn(&Measures) -> f32| {
        [("train", &history.train), ("test", &history.test)].map(|(name, measures)| Curve {
            name,
            values: measures.iter().map(|m| f64::from(measure(m))).collect(),
        })
    };
    let panels = [
        Panel {
            title: "mean loss",
            curves: curves(|measures| measures.loss),
            scale: Scale::Logarithmic,
        },
        Panel {
            title: "accuracy (top-1)",
            curves: curves(|measures| measures.top_1),
            scale: Scale::Percent,
        },
    ];
    let title = format!(
        "Handwritten digits, --loss {name} --seed {}",
        arguments.seed
    );
    fs::create_dir_all(&arguments.out)?;
    let path = arguments.out.join(format!("digits-{name}.svg"));
    chart::draw(&path, &title, &panels)?;
    Ok(path)
}
