//! The rows of SPECIFICATION.md, and ids in the names of tests.

use crate::run::Ran;

const GROUPS: [&str; 6] = ["PC", "PM", "CB", "QC", "PV", "BY"];

/// One behaviour.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) statement: String,
    /// Where tests of it must be found.
    pub(crate) places: Vec<String>,
    /// Why there is none, or only in part.
    pub(crate) not_yet: Option<String>,
}

impl Row {
    /// What contradicts the row.
    pub(crate) fn faults(&self, tests: &[Ran]) -> Vec<String> {
        let failed =
            tests.iter().filter(|test| !test.passed).map(|test| format!("{}: {} failed", self.id, test.name));
        let missing = self
            .places
            .iter()
            .filter(|place| tests.iter().all(|test| test.place != **place))
            .map(|place| format!("{}: no test in {place}", self.id));
        failed.chain(missing).collect()
    }
}

/// Rows `| id | statement | held by |` of the behaviours.
pub(crate) fn rows(markdown: &str) -> Vec<Row> {
    markdown.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let (id, statement, held) = (cells.next()?, cells.next()?, cells.next()?);
    let (group, number) = id.split_once('-')?;
    if !GROUPS.contains(&group) || number.len() != 2 || number.parse::<u8>().is_err() {
        return None;
    }
    let (places, not_yet) = match held.find("not yet") {
        Some(at) => (&held[..at], Some(held[at..].to_owned())),
        None => (held, None),
    };
    let places = places.split([',', ';']).map(str::trim).filter(|place| !place.is_empty()).map(str::to_owned);
    Some(Row { id: id.to_owned(), statement: statement.to_owned(), places: places.collect(), not_yet })
}

/// Ids that a test's name carries, as `pc_02` or in a row, as `cb_08_qc_02`.
pub(crate) fn ids_in(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.rsplit("::").next().unwrap_or(name).split('_').collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs
        .filter_map(|(group, number)| {
            let group = group.to_uppercase();
            let is_number = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
            (GROUPS.contains(&group.as_str()) && is_number).then(|| format!("{group}-{number}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(place: &str, passed: bool) -> Ran {
        Ran { place: place.to_owned(), name: "pc_02_x".to_owned(), passed }
    }

    #[test]
    fn a_row_says_where_it_is_held_or_why_not() {
        let rows = rows(
            "| id | statement |\n|---|---|\n| PC-02 | dials once | core, e2e |\n| BY-08 | a ledger | core; not yet: zones |\n| x | y | z |\n",
        );
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].places, ["core", "e2e"]);
        assert_eq!(rows[1].not_yet.as_deref(), Some("not yet: zones"));
        assert_eq!(rows[1].places, ["core"]);
    }

    #[test]
    fn a_name_carries_one_id_or_several() {
        assert_eq!(ids_in("callbacks::cb_08_qc_02_agent_first"), ["CB-08", "QC-02"]);
        assert!(ids_in("by_the_way_02").is_empty());
        assert!(ids_in("cb_08::helper").is_empty(), "only the function's own name counts");
    }

    #[test]
    fn a_promise_without_a_test_and_a_failed_test_are_faults() {
        let row = &rows("| PC-02 | dials once | core, e2e |")[0];
        assert!(row.faults(&[ran("core", true), ran("e2e", true)]).is_empty());
        assert_eq!(row.faults(&[ran("core", true)]), ["PC-02: no test in e2e"]);
        assert_eq!(row.faults(&[ran("core", false), ran("e2e", true)]), ["PC-02: pc_02_x failed"]);
    }
}
