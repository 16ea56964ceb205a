//! A TOML table read key by key, that remembers what was wrong and where.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Everything wrong with one file.
#[derive(Clone)]
pub(super) struct Mistakes<'s> {
    source: &'s str,
    found: Rc<RefCell<Vec<Mistake>>>,
}

impl<'s> Mistakes<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, found: Rc::default() }
    }

    pub(super) fn add(&self, at: usize, message: String) {
        let before = &self.source[..self.source.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        self.found.borrow_mut().push(Mistake { line, column, message });
    }

    /// In the order of the file.
    pub(super) fn into_sorted(self) -> Vec<Mistake> {
        let mut found = self.found.take();
        found.sort();
        found.dedup();
        found
    }
}

/// A table of the file. Keys that nobody asked for are mistakes, found by [`Table::finish`].
pub(super) struct Table<'t, 's> {
    path: String,
    at: usize,
    values: Option<&'t DeTable<'s>>,
    asked: BTreeSet<&'static str>,
    mistakes: Mistakes<'s>,
}

impl<'t, 's> Table<'t, 's> {
    pub(super) fn root(values: &'t Spanned<DeTable<'s>>, mistakes: Mistakes<'s>) -> Self {
        Self { path: String::new(), at: 0, values: Some(values.get_ref()), asked: BTreeSet::new(), mistakes }
    }

    /// Whether the file has it at all.
    pub(super) fn is_present(&self) -> bool {
        self.values.is_some()
    }

    /// A table inside this one; without values when it is absent.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'t, 's> {
        let (at, values) = match self.value(key) {
            None => (self.at, None),
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => (value.span().start, Some(table)),
                other => {
                    self.wrong::<()>(key, value, other, "a table");
                    (value.span().start, None)
                }
            },
        };
        self.inner(self.name(key), at, values)
    }

    /// One table, or the tables of an array; one empty table when there is neither.
    pub(super) fn table_or_tables(&mut self, key: &'static str) -> Vec<Table<'t, 's>> {
        match self.value(key).map(Spanned::get_ref) {
            Some(DeValue::Array(array)) if !array.is_empty() => self.tables(key),
            Some(_) | None => vec![self.table(key)],
        }
    }

    /// The tables of an array of tables.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'t, 's>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong::<()>(key, value, value.get_ref(), &format!("tables, each under [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let path = format!("{}[{}]", self.name(key), index + 1);
                    tables.push(self.inner(path, item.span().start, Some(table)));
                }
                other => {
                    self.wrong::<()>(key, item, other, &format!("tables, each under [[{key}]]"));
                }
            }
        }
        tables
    }

    /// A string.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => self.wrong(key, value, other, "a string"),
        }
    }

    /// The path of a file, which is taken from this folder where it is relative.
    pub(super) fn path(&mut self, key: &'static str, folder: &Path) -> Option<PathBuf> {
        let path = self.text(key)?;
        if path.is_empty() {
            self.refuse(key, "must not be empty");
        }
        Some(folder.join(path))
    }

    /// A string, or a whole number as a string.
    pub(super) fn text_or_number(&mut self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::String(text) => Some(text.to_string()),
            other => self.wrong(key, value, other, "a whole number or a string"),
        }
    }

    /// A string that must be there and not be empty.
    pub(super) fn needed_text(&mut self, key: &'static str) -> String {
        let present = self.value(key).is_some();
        match self.text(key) {
            Some(text) if !text.is_empty() => text,
            Some(_) => {
                self.refuse(key, "must not be empty");
                String::new()
            }
            None => {
                if !present {
                    self.mistakes.add(self.at, format!("{} is missing", self.name(key)));
                }
                String::new()
            }
        }
    }

    /// A string that another type reads, such as an address.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, what: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse(key, &format!("must be {what}, not \"{text}\""));
        }
        parsed
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self.wrong(key, value, value.get_ref(), "a list of strings");
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref() {
                DeValue::String(text) => texts.push(text.to_string()),
                other => return self.wrong(key, item, other, "a list of strings"),
            }
        }
        Some(texts)
    }

    /// Every key of this table with its string.
    pub(super) fn pairs(&mut self) -> Vec<(String, String)> {
        let Some(values) = self.values else { return Vec::new() };
        let mut pairs = Vec::new();
        for (key, value) in values {
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::String(text) => pairs.push((name.to_owned(), text.to_string())),
                other => {
                    let message = format!("{} must be a string, not {}", self.name(name), kind(other));
                    self.mistakes.add(value.span().start, message);
                }
            }
        }
        pairs
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.wrong(key, value, other, "true or false"),
        }
    }

    /// A whole number within a range.
    pub(super) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display + Copy,
    {
        let (least, most) = (*range.start(), *range.end());
        let value = self.value(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            return self.wrong(
                key,
                value,
                value.get_ref(),
                &format!("a whole number from {least} to {most}"),
            );
        };
        let fits = i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number));
        if fits.is_none() {
            self.refuse(key, &format!("must be a whole number from {least} to {most}, not {number}"));
        }
        fits
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.refuse(key, &format!("must be one of {}, not \"{text}\"", names.join(", ")));
        }
        chosen
    }

    /// A mistake in the value of `key`, at that value.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str) {
        let at = self.value(key).map_or(self.at, |value| value.span().start);
        self.mistakes.add(at, format!("{} {why}", self.name(key)));
    }

    /// A mistake at a key that the file chose.
    pub(super) fn refuse_key(&self, key: &str, why: &str) {
        let found =
            self.values.and_then(|values| values.keys().find(|found| found.get_ref().as_ref() == key));
        let at = found.map_or(self.at, |found| found.span().start);
        self.mistakes.add(at, format!("{} {why}", self.name(key)));
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        let Some(values) = self.values else { return };
        for key in values.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(name) {
                continue;
            }
            let near = self.asked.iter().min_by_key(|known| distance(known, name));
            let hint = match near {
                Some(near) if distance(near, name) <= (name.chars().count() / 2).min(3) => {
                    format!("; did you mean {near}?")
                }
                _ => format!("; known here: {}", self.asked.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.mistakes.add(key.span().start, format!("{} is not known{hint}", self.name(name)));
        }
    }

    fn inner(&self, path: String, at: usize, values: Option<&'t DeTable<'s>>) -> Table<'t, 's> {
        Table { path, at, values, asked: BTreeSet::new(), mistakes: self.mistakes.clone() }
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'s>>> {
        self.asked.insert(key);
        self.values?.get(key)
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong<T>(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'s>>,
        found: &DeValue<'s>,
        wanted: &str,
    ) -> Option<T> {
        let message = format!("{} must be {wanted}, not {}", self.name(key), kind(found));
        self.mistakes.add(value.span().start, message);
        None
    }
}

/// `a string`, `an integer`.
fn kind(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    format!("{} {kind}", if kind.starts_with(['a', 'i']) { "an" } else { "a" })
}

/// Edits that turn one word into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = corner + usize::from(left != *right);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
