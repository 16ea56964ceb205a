//! The last comparison, put into a README: date, machine, plot and tables.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Report, plot, table};
use crate::cli::{BenchArgs, ReadmeArgs};

/// Reads `compare.json` from the results, and writes what it tells between the two marks of the README.
///
/// # Errors
/// There is no comparison in the results, or no place for it in the README.
pub(crate) fn write(args: &BenchArgs, asked: &ReadmeArgs) -> Result<()> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("{}", path.display()));
    let found = args.results.join("compare.json");
    let report: Report =
        serde_json::from_str(&read(&found)?).with_context(|| format!("{}", found.display()))?;
    let text = put(&read(&asked.readme)?, &section(&report))
        .with_context(|| format!("{} has no line {BEGIN} with {END} behind it", asked.readme.display()))?;
    let to = asked.readme.with_file_name(PLOT);
    plot::write(&report, &to)?;
    fs::write(&asked.readme, text)?;
    println!("Written: {} and {}", asked.readme.display(), to.display());
    Ok(())
}

fn section(report: &Report) -> String {
    format!(
        "{}\n{}\n![{CAPTION}]({PLOT})\n\n<details><summary>All figures</summary>\n\n{}\n\n</details>",
        table::heading(report),
        table::in_short(report),
        table::all(report).trim()
    )
}

/// The README with the comparison in its place; none when it has no place for it.
fn put(readme: &str, section: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{section}\n{END}{after}"))
}

const BEGIN: &str = "<!-- make compare-readme -->";
const END: &str = "<!-- end of make compare-readme -->";
/// From the README's folder.
const PLOT: &str = "benches/compare.svg";
const CAPTION: &str = "CPU per packet, lossless rate, delay and memory, by number of calls";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_comparison_takes_the_place_of_the_one_before_and_nothing_else_changes() {
        let readme = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = put(&readme, "new").expect("a place");
        assert_eq!(once, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(put(&once, "new"), Some(once.clone()));
    }

    #[test]
    fn a_readme_without_a_place_stays_as_it_is() {
        assert_eq!(put("a", "b"), None);
        assert_eq!(put(&format!("{END}{BEGIN}"), "b"), None);
    }
}
