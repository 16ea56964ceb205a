//! The plot: four panels over the number of calls, a line per system with its range, which is cut off where it leaves the panel.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{Figure, Report};
use crate::systems::Kind;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Writes it as SVG.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(report: &Report, path: &Path) -> Result<()> {
    draw(report, path).map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let root = SVGBackend::new(path, (1_000, 760)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!(
        "Forwarding on one processor, {} ({}, {} processors, Linux {})",
        report.machine.date, report.machine.processor, report.machine.processors, report.machine.kernel
    );
    let root = root.titled(&title, ("sans-serif", 15))?;
    let panels = root.split_evenly((2, 2));
    for (panel, figure) in panels.iter().zip(figures(report)) {
        draw_panel(report, figure, panel)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(
    report: &Report,
    figure: Figure,
    panel: &Area<'_>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let calls = report.calls();
    let spreads = |system: Kind| {
        calls
            .iter()
            .enumerate()
            .filter_map(move |(at, &calls)| Some((at as f64, report.spread(system, calls, figure)?)))
    };
    let systems: Vec<Kind> = report.systems();
    // By the medians: one round in which the host took the processor away would flatten all others. The legend has its room.
    let highest = systems.iter().flat_map(|&system| spreads(system)).map(|(_, spread)| spread.median);
    let highest = highest.fold(0.0, f64::max).max(1e-9) * HEADROOM;
    let mut chart = ChartBuilder::on(panel)
        .caption(figure.name(), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.3..calls.len() as f64 - 0.7, 0.0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("calls")
        .x_labels(calls.len().max(2) * 2)
        .x_label_formatter(&|at| {
            let whole = at.round();
            let label =
                calls.get(whole.max(0.0) as usize).filter(|_| (at - whole).abs() < 0.01 && whole >= 0.0);
            label.map_or(String::new(), ToString::to_string)
        })
        .y_label_formatter(&|value| crate::units::figure(*value))
        .draw()?;
    for &system in &systems {
        let colour = colour(system);
        let points: Vec<_> = spreads(system).collect();
        if points.is_empty() {
            continue;
        }
        chart
            .draw_series(LineSeries::new(
                points.iter().map(|(at, spread)| (*at, spread.median)),
                colour.stroke_width(2),
            ))?
            .label(system.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|(at, spread)| {
            PathElement::new([(*at, spread.min), (*at, spread.max.min(highest))], colour.mix(0.6))
        }))?;
        chart.draw_series(
            points.iter().map(|(at, spread)| Circle::new((*at, spread.median), 3, colour.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

/// One for each panel. The whole processor tells more than the process, where it was looked at.
fn figures(report: &Report) -> [Figure; 4] {
    let looked_at = report.runs.iter().any(|run| Figure::ProcessorUs.of(run).is_some());
    let cpu = if looked_at { Figure::ProcessorUs } else { Figure::CpuUs };
    [cpu, Figure::LosslessPerS, Figure::HalfLoadP99Us, Figure::KibPerCall]
}

fn colour(system: Kind) -> RGBColor {
    match system {
        Kind::Offhook => RGBColor(0, 90, 200),
        Kind::Steered => RGBColor(90, 160, 240),
        Kind::InKernel => RGBColor(120, 60, 180),
        Kind::RtpengineOne => RGBColor(200, 60, 20),
        Kind::RtpengineMany => RGBColor(240, 150, 30),
        Kind::Epoll => RGBColor(110, 110, 110),
        Kind::Recvmmsg => RGBColor(170, 170, 170),
        Kind::Raw => RGBColor(60, 150, 60),
    }
}

/// Height of a panel, in its highest medians.
const HEADROOM: f64 = 1.65;
