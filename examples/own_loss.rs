//! A loss of your own: log-cosh, ln cosh(p − t), which is ½(p − t)² near 0 and |p − t| − ln 2 far away.
//!
//! Two functions of two numbers make it an `ElementwiseLoss`, with every method of the crate's own losses. Its gradient
//! is checked against central differences; then a line is fitted to points of which some lie far off.
//!
//! ```text
//! cargo run --release --example own_loss
//! ```

use std::error::Error;

use clap::Parser;
use ndarray::{Array1, array, aview0};
use ndarray_loss::math::{exp_m1, ln_1p};
use ndarray_loss::{Aggregate, ElementwiseLoss, Float, LossError, SquaredError, gradcheck};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// ln cosh(p − t)
#[derive(Debug, Clone, Copy)]
struct LogCosh;

impl<F: Float> ElementwiseLoss<F> for LogCosh {
    #[inline]
    fn value(self, prediction: F, target: F) -> F {
        self.value_and_derivative(prediction, target).0
    }

    /// tanh(p − t)
    #[inline]
    fn derivative(self, prediction: F, target: F) -> F {
        self.value_and_derivative(prediction, target).1
    }

    /// Both need e^(−2|d|), which never overflows, for d = p − t. With m = e^(−2|d|) − 1:
    ///
    /// ```text
    /// ln cosh d = |d| + ln(1 + m/2)        tanh |d| = −m / (2 + m)
    /// ```
    #[inline]
    fn value_and_derivative(self, prediction: F, target: F) -> (F, F) {
        let two = F::one() + F::one();
        let difference = prediction - target;
        let distance = difference.abs();
        let m = exp_m1(-two * distance);
        let slope = -m / (two + m);
        (distance + ln_1p(m / two), slope.copysign(difference))
    }
}

/// Fits a line with a loss of one's own.
#[derive(Parser)]
struct Arguments {
    /// Steps of gradient descent
    #[arg(long, default_value_t = 2000)]
    epochs: u32,

    /// Decides the points
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    check_gradient()?;

    let points = Points::draw(200, arguments.seed);
    println!("loss            slope   intercept");
    println!("true line      {SLOPE:6.3} {INTERCEPT:11.3}");
    points.fit("squared error", SquaredError, arguments.epochs)?;
    points.fit("log-cosh", LogCosh, arguments.epochs)?;
    Ok(())
}

/// Compares the gradient with central differences, on both sides of the target and far off.
fn check_gradient() -> Result<(), Box<dyn Error>> {
    let predictions = array![-800.0, -3.0, -0.7, -0.01, 0.1, 0.2, 1.5, 40.0, 1e5];
    let check = gradcheck(LogCosh, &predictions, aview0(&0.1))?;
    if !check.is_within(1e-8) {
        return Err(check.to_string().into());
    }
    println!(
        "gradient within {:.1e} of central differences\n",
        check.error
    );
    Ok(())
}

/// The line that the points lie around.
const SLOPE: f64 = 2.0;
const INTERCEPT: f64 = 1.0;

struct Points {
    x: Array1<f64>,
    y: Array1<f64>,
}

impl Points {
    /// Points near the line, but one in ten, where x is positive, far above it.
    fn draw(count: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = Array1::from_shape_simple_fn(count, || rng.random_range(-1.0..1.0));
        let y = x.mapv(|x| {
            let outlier = x > 0.0 && rng.random_bool(0.2);
            let noise = rng.random_range(-0.2..0.2);
            SLOPE * x + INTERCEPT + noise + if outlier { 20.0 } else { 0.0 }
        });
        Self { x, y }
    }

    /// Gradient descent from the line y = 0; prints where it ends.
    fn fit(
        &self,
        name: &str,
        loss: impl ElementwiseLoss<f64>,
        epochs: u32,
    ) -> Result<(), LossError> {
        const LEARNING_RATE: f64 = 0.1;
        let (mut slope, mut intercept) = (0.0, 0.0);
        for _ in 0..epochs {
            let predictions = slope * &self.x + intercept;
            let (_, gradient) =
                loss.objective_and_gradient(&predictions, &self.y, Aggregate::Mean)?;
            slope -= LEARNING_RATE * gradient.dot(&self.x);
            intercept -= LEARNING_RATE * gradient.sum();
        }
        println!("{name:14} {slope:6.3} {intercept:11.3}");
        Ok(())
    }
}
