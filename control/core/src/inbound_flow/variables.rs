//! Variables, and texts that hold them: `{ANI}`.

use std::collections::BTreeMap;

/// Variables that a flow finds set, by name.
pub(super) const GIVEN: [&str; 10] = [
    "ANI",
    "DNIS",
    "OriginalANI",
    "OriginalDNIS",
    "ContactID",
    "Queue",
    "Position",
    "EstimatedWait",
    "EstimatedWaitMinutes",
    "_ERR",
];

/// Whether a text can name a variable: a letter or `_`, then letters, digits and `_`, at most 32.
pub fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The variables that a text holds.
///
/// # Errors
/// What is wrong with its braces.
pub(super) fn used(text: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        no_end(before)?;
        let Some((name, tail)) = after.split_once('}') else {
            return Err("has a { without its }".to_owned());
        };
        if !is_name(name) {
            return Err(format!("holds {{{name}}}, which names no variable"));
        }
        found.push(name);
        rest = tail;
    }
    no_end(rest)?;
    Ok(found)
}

fn no_end(text: &str) -> Result<(), String> {
    if text.contains('}') { Err("has a } without its {".to_owned()) } else { Ok(()) }
}

/// The text with its variables filled in.
///
/// # Errors
/// The first variable that is not set.
pub(super) fn fill(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let value = variables.get(name).ok_or_else(|| format!("{{{name}}} is not set"))?;
        filled.push_str(value);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_filled_with_its_variables() {
        let variables = [("ANI".to_owned(), "+311".to_owned()), ("n".to_owned(), "2".to_owned())].into();
        assert_eq!(fill("a {ANI}-{n}!", &variables).as_deref(), Ok("a +311-2!"));
        assert_eq!(fill("plain", &variables).as_deref(), Ok("plain"));
        assert_eq!(fill("{DNIS}", &variables), Err("{DNIS} is not set".to_owned()));
    }

    #[test]
    fn braces_that_hold_no_name_are_found() {
        assert_eq!(used("a {ANI}{b}"), Ok(vec!["ANI", "b"]));
        for broken in ["{", "}", "{ANI", "ANI}", "{}", "{a b}", "{1}", "{{ANI}}"] {
            assert!(used(broken).is_err(), "{broken}");
        }
    }
}
