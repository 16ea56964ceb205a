//! The last comparison, put into a README: date, machine, plot and tables.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::{BenchArgs, ReadmeArgs};

/// Reads `compare.md` and `compare.svg` from the results, and writes them between the two marks of the README.
///
/// # Errors
/// There is no comparison in the results, or no place for it in the README.
pub(crate) fn write(args: &BenchArgs, asked: &ReadmeArgs) -> Result<()> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("{}", path.display()));
    let (readme, tables) = (read(&asked.readme)?, read(&args.results.join("compare.md"))?);
    let text = put(&readme, &tables)
        .with_context(|| format!("{} has no line {BEGIN} with {END} behind it", asked.readme.display()))?;
    let plot = asked.readme.with_file_name(PLOT);
    fs::copy(args.results.join("compare.svg"), &plot).with_context(|| format!("{}", plot.display()))?;
    fs::write(&asked.readme, text)?;
    println!("Written: {} and {}", asked.readme.display(), plot.display());
    Ok(())
}

/// The README with the tables in their place; none when it has no place for them.
fn put(readme: &str, tables: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let (heading, tables) = tables.split_once("\n\n")?;
    Some(format!(
        "{before}{BEGIN}\n{heading}\n\n![{CAPTION}]({PLOT})\n\n<details><summary>All figures</summary>\n\n{}\n\n</details>\n{END}{after}",
        tables.trim()
    ))
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
        let once = put(&readme, "2026-11-21, 4 processors.\n\n### 100 calls\n\n| |\n").expect("a place");
        assert!(once.starts_with(&format!("a\n{BEGIN}\n2026-11-21, 4 processors.\n\n!")), "{once}");
        assert!(once.contains("### 100 calls\n\n| |\n\n</details>"), "{once}");
        assert!(once.ends_with(&format!("{END}\nb\n")) && !once.contains("old"), "{once}");
        let again = put(&once, "2026-11-21, 4 processors.\n\n### 100 calls\n\n| |\n");
        assert_eq!(again, Some(once));
    }

    #[test]
    fn a_readme_without_a_place_stays_as_it_is() {
        assert_eq!(put("a", "b\n\nc"), None);
        assert_eq!(put(&format!("{END}{BEGIN}"), "b\n\nc"), None);
    }
}
