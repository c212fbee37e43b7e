//! Draws curves over the epochs, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SIZE: (u32, u32) = (1000, 430);
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];
const FONT: &str = "sans-serif";

/// Values after the first epoch, the second, ….
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<f64>,
}

/// One picture of the two.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) curves: [Curve; 2],
    pub(crate) scale: Scale,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Logarithmic,
    Percent,
}

/// Draws two panels side by side.
pub(crate) fn draw(path: &Path, title: &str, panels: &[Panel; 2]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let body = root.titled(title, (FONT, 22))?;
    for (area, panel) in body.split_evenly((1, 2)).iter().zip(panels) {
        draw_panel(area, panel)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<(), Box<dyn Error>> {
    let values = panel.curves.iter().flat_map(|curve| &curve.values);
    let (lowest, highest) = values
        .filter(|value| value.is_finite())
        .fold((f64::MAX, f64::MIN), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
    match panel.scale {
        Scale::Logarithmic => {
            // A loss of 0 has no logarithm: it is drawn at the bottom.
            let bottom = (0.7 * lowest).max(1e-4);
            let range = (bottom..(1.5 * highest).max(2.0 * bottom)).log_scale();
            draw_curves(area, panel, range, bottom, decimal_label)
        }
        Scale::Percent => {
            let margin = 0.05 * (1.0 - lowest).max(0.01);
            let bottom = lowest - margin;
            draw_curves(area, panel, bottom..1.0 + margin, bottom, percent_label)
        }
    }
}

fn percent_label(value: &f64) -> String {
    format!("{:.0} %", 100.0 * value)
}

/// 1, 2 and 5 times powers of ten; the other lines of a logarithmic scale have no label.
fn decimal_label(value: &f64) -> String {
    let rounded = format!("{value:.0e}");
    match (rounded.chars().next(), rounded.parse::<f64>()) {
        (Some('1' | '2' | '5'), Ok(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn draw_curves<Y>(
    area: &Area<'_>,
    panel: &Panel,
    range: Y,
    bottom: f64,
    label: fn(&f64) -> String,
) -> Result<(), Box<dyn Error>>
where
    Y: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
{
    let epochs = panel.curves[0].values.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(panel.title, (FONT, 18))
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(1.0..epochs.max(2.0), range)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&label)
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 15))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for (curve, colour) in panel.curves.iter().zip(COLOURS) {
        let style = colour.stroke_width(2);
        let points = curve.values.iter().enumerate();
        chart
            .draw_series(LineSeries::new(
                points.map(|(epoch, &value)| (epoch as f64 + 1.0, value.max(bottom))),
                style,
            ))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(match panel.scale {
            Scale::Logarithmic => SeriesLabelPosition::UpperRight,
            Scale::Percent => SeriesLabelPosition::LowerRight,
        })
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 15))
        .draw()?;
    Ok(())
}
