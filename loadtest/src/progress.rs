//! What a person sees while the run goes on: one moving line on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Pause between lines where there is no terminal.
const PLAIN_PAUSE: Duration = Duration::from_secs(5);

/// The display.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    last: Option<Instant>,
}

impl Progress {
    /// A moving line when standard error is a terminal.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1_000);
            let style = ProgressStyle::with_template("{spinner:.cyan} {prefix:8} {bar:24.cyan/dim} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━╌"));
            bar
        });
        Self { bar, last: None }
    }

    /// Shows where a stage stands; `share` runs from 0 to 1.
    pub(crate) fn show(&mut self, stage: &'static str, share: f64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(stage);
            bar.set_position((share.clamp(0.0, 1.0) * 1_000.0) as u64);
            bar.set_message(message.to_owned());
        } else if self.last.is_none_or(|last| last.elapsed() >= PLAIN_PAUSE) {
            self.last = Some(Instant::now());
            eprintln!("{stage:8} {:3.0}%  {message}", share.clamp(0.0, 1.0) * 100.0);
        }
    }

    /// Prints a line that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the moving line away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
