//! `make behaviours`: every behaviour by its id, the tests that carry it, and how they end.
//!
//! The rows are those of SPECIFICATION.md. Its last column says where a behaviour is held (`core`, `e2e`, …), or begins with
//! `not yet`. It is an error when a test fails, when a place that the row names holds no test of that id, or when a test
//! carries an id that is no row.

mod run;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use self::run::Ran;
use self::table::Row;

fn main() -> ExitCode {
    match report() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("behaviours: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace has no directory")?;
    let path = root.join("SPECIFICATION.md");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let rows = table::rows(&text);
    if rows.is_empty() {
        return Err(format!("{}: no behaviour in it", path.display()));
    }
    let mut by_id: BTreeMap<String, Vec<Ran>> = BTreeMap::new();
    for ran in run::all(root)? {
        for id in table::ids_in(&ran.name) {
            by_id.entry(id).or_default().push(ran.clone());
        }
    }
    let mut trouble = Vec::new();
    let mut held = 0;
    for row in &rows {
        let tests = by_id.remove(&row.id).unwrap_or_default();
        held += usize::from(!tests.is_empty() && row.not_yet.is_none());
        print_row(row, &tests);
        trouble.extend(row.faults(&tests));
    }
    trouble.extend(by_id.keys().map(|id| format!("{id}: tests carry it, but it is no row")));
    println!("\n{held} of {} behaviours held", rows.len());
    for line in &trouble {
        println!("  !! {line}");
    }
    Ok(trouble.is_empty())
}

fn print_row(row: &Row, tests: &[Ran]) {
    println!("\n{:6} {}", row.id, row.statement);
    if let Some(reason) = &row.not_yet {
        println!("       {reason}");
    }
    for test in tests {
        let mark = if test.passed { "ok    " } else { "FAILED" };
        println!("       {mark} {} {}", test.place, test.name);
    }
}
