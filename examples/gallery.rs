//! Draws every element-wise loss and its gradient into one picture, that of the crate's documentation.
//!
//! ```text
//! cargo run --release --example gallery
//! cargo run --release --example gallery -- --out docs
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use ndarray::Array1;
use ndarray_loss::{
    BinaryCrossentropy, BinaryCrossentropyWithLogits, BinaryHingeLoss, BinaryLabels,
    ElementwiseLoss, HuberLoss, LossError, Scores, SquaredError,
};
use plotters::coord::Shift;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SIZE: (u32, u32) = (940, 600);
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];
const FONT: &str = "sans-serif";
/// How many points a curve has.
const POINTS: usize = 121;

/// Draws every element-wise loss and its gradient.
#[derive(Parser)]
struct Arguments {
    /// Folder for the picture
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = Arguments::parse().out;
    fs::create_dir_all(&out)?;
    let path = out.join("losses.svg");
    draw(&path, &panels()?)?;
    println!("{}", path.display());
    Ok(())
}

/// A loss over its prediction.
struct Panel {
    title: &'static str,
    axis: &'static str,
    /// What is shown of the losses and the gradients.
    heights: (f64, f64),
    curves: Vec<Curve>,
}

impl Panel {
    /// The least and the largest prediction.
    fn domain(&self) -> (f64, f64) {
        let all = self.curves.iter().flat_map(|curve| &curve.predictions);
        all.fold((f64::MAX, f64::MIN), |(low, high), &p| {
            (low.min(p), high.max(p))
        })
    }
}

/// For one target, or one parameter.
struct Curve {
    name: &'static str,
    predictions: Array1<f64>,
    loss: Array1<f64>,
    gradient: Array1<f64>,
}

impl Curve {
    fn new(
        name: &'static str,
        (first, last): (f64, f64),
        target: f64,
        loss: impl ElementwiseLoss<f64>,
    ) -> Result<Self, LossError> {
        let predictions = Array1::linspace(first, last, POINTS);
        let targets = Array1::from_elem(POINTS, target);
        let (loss, gradient) = loss.loss_and_gradient(&predictions, &targets)?;
        Ok(Self {
            name,
            predictions,
            loss,
            gradient,
        })
    }
}

/// Curves of a loss for two classes.
fn of_both_classes<L>(domain: (f64, f64), loss: L) -> Result<Vec<Curve>, LossError>
where
    L: ElementwiseLoss<f64>,
{
    Ok(vec![
        Curve::new("t = 1", domain, 1.0, loss)?,
        Curve::new("t = 0", domain, 0.0, loss)?,
    ])
}

fn panels() -> Result<[Panel; 6], LossError> {
    let hinge = |scores| BinaryHingeLoss::new(1.0, scores, BinaryLabels::ZeroOne);
    let (differences, scores) = ((-3.0, 3.0), (-4.0, 4.0));
    // At its ends a wrong probability has an infinite loss.
    let probabilities = (0.002, 0.998);
    Ok([
        Panel {
            title: "squared_error",
            axis: "p − t",
            heights: (-4.0, 6.0),
            curves: vec![Curve::new("loss", differences, 0.0, SquaredError)?],
        },
        Panel {
            title: "huber_loss",
            axis: "p − t",
            heights: (-1.5, 3.0),
            curves: vec![
                Curve::new("δ = 1", differences, 0.0, HuberLoss::new(1.0)?)?,
                Curve::new("δ = ½", differences, 0.0, HuberLoss::new(0.5)?)?,
            ],
        },
        Panel {
            title: "binary_crossentropy",
            axis: "probability p",
            heights: (-6.0, 6.0),
            curves: of_both_classes(probabilities, BinaryCrossentropy)?,
        },
        Panel {
            title: "binary_crossentropy_with_logits",
            axis: "logit x",
            heights: (-1.5, 4.5),
            curves: of_both_classes(scores, BinaryCrossentropyWithLogits::default())?,
        },
        Panel {
            title: "binary_hinge_loss, Scores::LogOdds, δ = 1",
            axis: "score s",
            heights: (-1.5, 5.0),
            curves: of_both_classes(scores, hinge(Scores::LogOdds)?)?,
        },
        Panel {
            title: "binary_hinge_loss, Scores::Probabilities, δ = 1",
            axis: "probability p",
            heights: (-10.0, 10.0),
            curves: of_both_classes(probabilities, hinge(Scores::Probabilities)?)?,
        },
    ])
}

fn draw(path: &Path, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let body = root.titled("Losses (solid) and their gradients (dashed)", (FONT, 20))?;
    for (area, panel) in body.split_evenly((2, 3)).iter().zip(panels) {
        draw_panel(area, panel)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<(), Box<dyn Error>> {
    let (first, last) = panel.domain();
    let (low, high) = panel.heights;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .caption(panel.title, (FONT, 14))
        .x_label_area_size(36)
        .y_label_area_size(32)
        .build_cartesian_2d(first..last, low..high)?;
    chart
        .configure_mesh()
        .x_desc(panel.axis)
        .x_labels(7)
        .y_labels(7)
        .label_style((FONT, 12))
        .axis_desc_style((FONT, 13))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for (curve, colour) in panel.curves.iter().zip(COLOURS) {
        let style = colour.stroke_width(2);
        let within = |heights: &Array1<f64>| {
            let points = curve.predictions.iter().copied().zip(heights.to_vec());
            points.filter(|&(_, height)| (low..=high).contains(&height))
        };
        chart
            .draw_series(LineSeries::new(within(&curve.loss), style))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        chart.draw_series(DashedLineSeries::new(within(&curve.gradient), 5, 4, style))?;
    }
    if panel.curves.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperMiddle)
            .background_style(WHITE.mix(0.8))
            .label_font((FONT, 13))
            .draw()?;
    }
    Ok(())
}
