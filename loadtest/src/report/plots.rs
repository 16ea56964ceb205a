//! Plots as SVG text, to be set into the page.

use plotters::coord::Shift;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

const SIZE: (u32, u32) = (540, 290);
const INK: RGBColor = RGBColor(71, 85, 105);
const GRID: RGBColor = RGBColor(226, 232, 240);
pub(crate) const TEAL: RGBColor = RGBColor(13, 148, 136);
pub(crate) const INDIGO: RGBColor = RGBColor(79, 70, 229);
pub(crate) const AMBER: RGBColor = RGBColor(217, 119, 6);

/// A line with a name.
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) colour: RGBColor,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) filled: bool,
}

/// Lines over a common axis, from zero up.
pub(crate) fn lines(x: &str, y: &str, series: &[Series<'_>]) -> String {
    svg(|area| draw_lines(area, x, y, series, |x| format!("{x:.0}"), number))
}

/// Milliseconds, on a logarithmic scale from 1 µs, over percentiles that draw ever closer to 100.
pub(crate) fn nines(series: &[Series<'_>]) -> String {
    let stretched: Vec<Series<'_>> =
        series.iter().map(|s| Series { points: stretch(&s.points), ..*s }).collect();
    let label = |nines: &f64| match *nines as u32 {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        n => format!("99.{} %", "9".repeat(n as usize - 2)).replace("99. ", "99 "),
    };
    let delay = |power: f64, _: f64| match power {
        p if p.fract().abs() > 0.01 => String::new(),
        p if p < 3.0 => format!("{:.0} µs", 10_f64.powf(p)),
        p if p < 6.0 => format!("{:.0} ms", 10_f64.powf(p - 3.0)),
        p => format!("{:.0} s", 10_f64.powf(p - 6.0)),
    };
    svg(|area| draw_lines(area, "percentile of packets", "", &stretched, label, delay))
}

/// How many values fall into each of about forty equal steps.
pub(crate) fn histogram(x: &str, y: &str, values: &[f64], colour: RGBColor) -> String {
    let Some(&max) = values.last().filter(|max| **max > 0.0) else { return String::new() };
    let step = nice_step(max / 30.0);
    let mut counts = vec![0_u32; (max / step) as usize + 1];
    for value in values {
        counts[((value / step) as usize).min((max / step) as usize)] += 1;
    }
    svg(|area| draw_bars(area, x, y, step, &counts, colour))
}

/// Nines of a percentile, and powers of ten of a microsecond.
fn stretch(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).max(1e-12).log10();
    let power = |ms: f64| (ms * 1_000.0).max(1.0).log10();
    points.iter().map(|&(percentile, ms)| (nines(percentile), power(ms))).collect()
}

/// The next of 1, 2, 5 times a power of ten.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.max(1e-3).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(10.0 * power)
}

/// Runs a drawing; an empty string when it fails, which leaves the page whole.
fn svg(draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    if drawn.is_err() {
        return String::new();
    }
    // Scales with the column that it stands in.
    let (width, height) = SIZE;
    text.replacen(&format!("width=\"{width}\" height=\"{height}\""), "class=\"plot\"", 1)
}

fn draw_lines(
    area: &Area<'_>,
    x: &str,
    y: &str,
    series: &[Series<'_>],
    x_label: impl Fn(&f64) -> String,
    y_label: impl Fn(f64, f64) -> String,
) -> Drawn {
    let points = || series.iter().flat_map(|s| s.points.iter());
    let (x_max, y_max) = points().fold((0.0_f64, 0.0_f64), |(a, b), &(x, y)| (a.max(x), b.max(y)));
    if x_max <= 0.0 {
        return Ok(());
    }
    // Room above for the names of several lines.
    let room = if series.len() > 1 { 1.3 } else { 1.08 };
    let y_max = if y_max > 0.0 { y_max * room } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..x_max, 0.0..y_max)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .x_desc(x)
        .y_desc(y)
        .x_labels(7)
        .y_labels(5)
        .x_label_formatter(&x_label)
        .y_label_formatter(&|value| y_label(*value, y_max))
        .draw()?;
    for one in series {
        let style = one.colour.stroke_width(2);
        if one.filled {
            chart.draw_series(AreaSeries::new(one.points.iter().copied(), 0.0, one.colour.mix(0.14)))?;
        }
        let colour = one.colour;
        chart
            .draw_series(LineSeries::new(one.points.iter().copied(), style))?
            .label(one.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(3)));
    }
    if series.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(TRANSPARENT)
            .label_font(("sans-serif", 13).into_font().color(&INK))
            .draw()?;
    }
    Ok(())
}

fn draw_bars(area: &Area<'_>, x: &str, y: &str, step: f64, counts: &[u32], colour: RGBColor) -> Drawn {
    let top = f64::from(counts.iter().copied().max().unwrap_or(1)) * 1.08;
    let end = counts.len() as f64 * step;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .x_desc(x)
        .y_desc(y)
        .x_labels(8)
        .y_labels(5)
        .x_label_formatter(&|value| number(*value, end))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    let bars = counts.iter().enumerate().map(|(at, &count)| {
        let from = at as f64 * step;
        let corners = [(from + step * 0.06, 0.0), (from + step * 0.94, f64::from(count))];
        Rectangle::new(corners, colour.filled())
    });
    chart.draw_series(bars)?;
    Ok(())
}

/// A number with as many decimals as the scale needs.
fn number(value: f64, scale: f64) -> String {
    match scale {
        s if s >= 10_000.0 => format!("{:.0}k", value / 1_000.0),
        s if s >= 10.0 => format!("{value:.0}"),
        s if s >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_drawn_on_a_logarithmic_scale_that_says_how_long_they_are() {
        let points = vec![(0.0, 0.02), (90.0, 2.0), (99.9, 177.0)];
        let text = nines(&[Series { name: "a", colour: TEAL, points, filled: false }]);
        let labels: Vec<&str> = text
            .lines()
            .filter(|line| ["µs", "ms", "s"].iter().any(|unit| line.ends_with(&format!(" {unit}"))))
            .collect();
        assert!(
            labels.contains(&"1 µs") && labels.contains(&"100 µs") && labels.contains(&"10 ms"),
            "{labels:?}"
        );
        assert!(labels.iter().all(|label| label.len() <= 7), "{labels:?}");
    }

    #[test]
    fn plots_are_svg_and_nothing_to_plot_is_an_empty_picture_not_a_panic() {
        let points = vec![(0.0, 1.0), (90.0, 2.0), (99.9, 5.0)];
        let series = || [Series { name: "a", colour: TEAL, points: points.clone(), filled: true }];
        assert!(nines(&series()).starts_with("<svg"));
        assert!(lines("s", "calls", &series()).contains("</svg>"));
        assert!(histogram("ms", "calls", &[0.4, 1.0, 250.0], TEAL).contains("</svg>"));
        assert!(histogram("ms", "calls", &[0.01, 0.02], TEAL).contains("</svg>"));
        assert_eq!(histogram("ms", "calls", &[], TEAL), "");
        lines("s", "calls", &[]);
    }
}
