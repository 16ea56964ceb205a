//! What the page is made of: sections, tables, tiles, escaped text.

use jiff::Timestamp;

use super::Quantiles;
use super::checks::grouped;

/// A figure in large type, with its unit and a caption; `class` colours it.
pub(super) fn tile(class: &str, value: &str, unit: &str, caption: &str) -> String {
    format!("<div class=\"tile {class}\"><b>{value} <small>{unit}</small></b><span>{caption}</span></div>")
}

/// Times in milliseconds, a row each; what never happened is left out.
pub(super) fn quantile_table(rows: &[(&str, &Quantiles)]) -> String {
    let head = ["p50", "p90", "p99", "p99.9", "max", "count"]
        .map(|name| format!("<th class=\"n\">{name}</th>"))
        .concat();
    let rows = rows.iter().filter(|(_, q)| q.count > 0).map(|(name, q)| {
        let cells = [q.p50, q.p90, q.p99, q.p999, q.max]
            .map(|ms| format!("<td class=\"n\">{}</td>", milliseconds(ms)));
        format!("<tr><td>{name}</td>{}<td class=\"n\">{}</td></tr>", cells.concat(), grouped(q.count))
    });
    format!("<table><tr><th>milliseconds</th>{head}</tr>{}</table>", rows.collect::<String>())
}

fn milliseconds(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.0}") }
}

/// A heading, what it is about, and the thing itself.
pub(super) fn section(title: &str, lead: &str, body: &str) -> String {
    format!("<section><h2>{title}</h2><p>{lead}</p>{body}</section>")
}

/// With a capital letter first.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Text that cannot be taken for markup.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `2026-11-20 14:05 UTC` of seconds since 1970.
pub(super) fn date(unix_s: u64) -> String {
    let at = Timestamp::from_second(unix_s.cast_signed());
    at.map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_132_800), "2026-11-20 00:00 UTC");
    }

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escape("<script>\"&"), "&lt;script&gt;&quot;&amp;");
        assert_eq!(capitalised("é"), "É");
    }
}
