//! `/queue_events`, `/call_events`, `/archive`, `/callback_records`, `/refused_dials`: reports, page by page, as JSON or CSV (PV-08).
//!
//! `?from=2026-11-20T09:30:00Z` begins with the rows of that time, `?after=N` goes on after row N, `?limit=N` takes at most N
//! rows, `?format=csv` gives CSV with a header line. JSON says in `next` where the next page begins, CSV in the header
//! `x-next`; both are absent on an empty page.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use http::header;
use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::limits::REPORT_PAGE;
use offhook_control_core::report::{Page, Report, before};
use serde_json::Value;

use super::problem::Problem;
use super::{Api, respond};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/queue_events", report(Report::QueueEvents))
        .route("/call_events", report(Report::CallEvents))
        .route("/archive", report(Report::Archive))
        .route("/callback_records", report(Report::Callbacks))
        .route("/refused_dials", report(Report::RefusedDials))
}

fn report(report: Report) -> MethodRouter<Api> {
    get(async move |State(api): State<Api>, Query(fields): Query<Vec<(String, String)>>| {
        let wish = match Wish::read(fields) {
            Ok(wish) => wish,
            Err(problem) => return problem.into_response(),
        };
        let request = ApiRequest::Report { report, after: wish.after, limit: wish.limit };
        match api.reply(request).await {
            Ok(ApiReply::Report(page)) if wish.csv => csv(&page),
            Ok(reply) => respond(&reply),
            Err(problem) => problem.into_response(),
        }
    })
}

struct Wish {
    after: u64,
    limit: usize,
    csv: bool,
}

impl Wish {
    fn read(fields: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut wish = Self { after: 0, limit: DEFAULT_ROWS, csv: false };
        for (name, value) in fields {
            match (name.as_str(), value.as_str()) {
                ("after", number) => {
                    let row: u64 = number
                        .parse()
                        .map_err(|_| Problem::bad("after must be the number of a row".to_owned()))?;
                    wish.after = wish.after.max(row);
                }
                ("from", time) => {
                    let row = before(time).ok_or_else(|| {
                        Problem::bad("from must be a time such as 2026-11-20T09:30:00Z".to_owned())
                    })?;
                    wish.after = wish.after.max(row);
                }
                ("limit", number) => {
                    let limit = number.parse().ok().filter(|limit| (1..=REPORT_PAGE).contains(limit));
                    wish.limit =
                        limit.ok_or_else(|| Problem::bad(format!("limit must be 1 to {REPORT_PAGE}")))?;
                }
                ("format", "csv") => wish.csv = true,
                ("format", "json") => wish.csv = false,
                ("format", _) => return Err(Problem::bad("format must be csv or json".to_owned())),
                (other, _) => {
                    let known = "from, after, limit and format";
                    return Err(Problem::bad(format!("{other} is not known here; known are {known}")));
                }
            }
        }
        Ok(wish)
    }
}

/// A page as CSV.
fn csv(page: &Page) -> Response {
    let body = page.body();
    let mut response = table(page.columns(), body["rows"].as_array().map_or(&[], Vec::as_slice));
    if let Some(last) = page.last() {
        response.headers_mut().insert("x-next", last.into());
    }
    response
}

/// Rows as CSV (RFC 4180) under a header line.
pub(super) fn table(columns: &[&str], rows: &[Value]) -> Response {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut write = |fields: &[String]| writer.write_record(fields).expect("memory takes every record");
    write(&columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>());
    for row in rows {
        write(&columns.iter().map(|column| field(&row[column])).collect::<Vec<_>>());
    }
    let bytes = writer.into_inner().expect("memory takes every record");
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], bytes).into_response()
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // What callers and requests say may be made for the spreadsheet that opens this: with an apostrophe it is text.
        Value::String(text) if is_formula(text) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a spreadsheet would compute a text; a telephone number does no harm.
fn is_formula(text: &str) -> bool {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    let of_number = |c: char| c.is_ascii_digit() || " -.()/".contains(c);
    match first {
        "=" | "@" | "\t" | "\r" => true,
        "+" | "-" => !rest.chars().all(of_number),
        _ => false,
    }
}

/// Rows of a page where no limit is asked for.
const DEFAULT_ROWS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_control_core::report::EventRow;

    #[test]
    fn what_a_caller_is_named_is_no_formula_for_who_opens_the_file() {
        let shown = |text: &str| field(&Value::String(text.into()));
        for text in ["=HYPERLINK(\"http://x\")", "@SUM(1)", "+1+cmd|' /C calc'!A0", "-2+A1", "\t=1"] {
            assert_eq!(shown(text), format!("'{text}"));
        }
        for text in
            ["+31201234567", "+31 20-123.45 (6)", "-", "", "anonymous", "2026-11-20T09:30:00Z", "__Dialer_a"]
        {
            assert_eq!(shown(text), text);
        }
    }

    #[tokio::test]
    async fn pv_08_csv_has_the_columns_as_its_heading_and_quotes_what_needs_it() {
        let row = EventRow { call_id: "a\"b,c".into(), call_sequence: 2, ..EventRow::default() };
        let response = csv(&Page::Events(vec![(7, row)]));
        assert_eq!(response.headers()["x-next"], "7");
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.expect("it is in memory");
        let text = String::from_utf8(bytes.to_vec()).expect("it is text");
        let heading = "call_id,internal_iq_session_id,call_sequence,dte_start,duration_tot_sec,dte_speak_start,\
                       duration_speak_sec,originating,result_code,result_response,ciq,queue_key";
        assert_eq!(text, format!("{heading}\r\n\"a\"\"b,c\",,2,,0,,0,,,,,\r\n"));
    }
}
