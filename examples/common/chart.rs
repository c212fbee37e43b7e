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
            let floor = lowest.max(1e-6);
            let range = (floor * 0.7..highest.max(floor) * 1.5).log_scale();
            draw_curves(area, panel, range, |value| format!("{value}"))
        }
        Scale::Percent => {
            let margin = (1.0 - lowest).max(0.01) * 0.05;
            let range = lowest - margin..1.0 + margin;
            draw_curves(area, panel, range, |value| {
                format!("{:.0} %", 100.0 * value)
            })
        }
    }
}

fn draw_curves<Y>(
    area: &Area<'_>,
    panel: &Panel,
    range: Y,
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
        .draw()?;
    for (curve, colour) in panel.curves.iter().zip(COLOURS) {
        let style = colour.stroke_width(2);
        let points = curve.values.iter().enumerate();
        chart
            .draw_series(LineSeries::new(
                points.map(|(epoch, &value)| (epoch as f64 + 1.0, value)),
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
