//! `/compliance` and `/do_not_call`: how campaigns stand, and who is not called (BY-08).

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header;
use offhook_control_core::api::{ApiReply, ApiRequest, NumbersBody};
use offhook_control_core::limits::LISTING;

use super::body::{Body, Name, read};
use super::problem::Problem;
use super::{Api, respond};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/compliance", get(ledger))
        .route("/do_not_call", get(list).post(add))
        .route("/do_not_call/import", post(import).layer(DefaultBodyLimit::max(IMPORT_BYTES)))
        .route("/do_not_call/{number}", get(one).put(put).delete(remove))
}

async fn ledger(State(api): State<Api>) -> Response {
    api.ask(ApiRequest::Compliance).await
}

/// `?after=` goes on after a number, `?limit=` takes at most so many, `?format=csv` gives CSV with a header line.
async fn list(State(api): State<Api>, Query(fields): Query<Vec<(String, String)>>) -> Response {
    let (mut after, mut limit, mut csv) = (None, LISTING, false);
    for (name, value) in fields {
        match (name.as_str(), value.as_str()) {
            ("after", number) => after = Some(number.to_owned()),
            ("limit", number) => match number.parse() {
                Ok(number) => limit = number,
                Err(_) => return Problem::bad("limit must be a number").into_response(),
            },
            ("format", "csv") => csv = true,
            ("format", "json") => csv = false,
            ("format", _) => return Problem::bad("format must be csv or json").into_response(),
            (other, _) => {
                let message = format!("{other} is not known here; known are after, limit and format");
                return Problem::bad(message).into_response();
            }
        }
    }
    match api.reply(ApiRequest::DoNotCall { after, limit }).await {
        Ok(ApiReply::Numbers(numbers)) if csv => {
            let lines = std::iter::once("number").chain(numbers.iter().map(String::as_str));
            let text: String = lines.flat_map(|line| [line, "\r\n"]).collect();
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], text).into_response()
        }
        Ok(reply) => respond(&reply),
        Err(problem) => problem.into_response(),
    }
}

async fn one(State(api): State<Api>, Name(number): Name) -> Response {
    api.ask(ApiRequest::Number(number)).await
}

async fn put(State(api): State<Api>, Name(number): Name) -> Response {
    api.ask(ApiRequest::ListNumbers(vec![number])).await
}

async fn remove(State(api): State<Api>, Name(number): Name) -> Response {
    api.ask(ApiRequest::UnlistNumber(number)).await
}

async fn add(State(api): State<Api>, Body(body): Body<NumbersBody>) -> Response {
    api.ask(ApiRequest::ListNumbers(body.numbers)).await
}

/// CSV with a header line that has a column `number` (RFC 4180); other columns are not looked at.
async fn import(State(api): State<Api>, request: Request) -> Response {
    let numbers = match read(request, IMPORT_BYTES).await {
        Ok(bytes) => numbers(&bytes),
        Err(problem) => Err(problem),
    };
    match numbers {
        Ok(numbers) => api.ask(ApiRequest::ListNumbers(numbers)).await,
        Err(problem) => problem.into_response(),
    }
}

fn numbers(bytes: &[u8]) -> Result<Vec<String>, Problem> {
    // A mark that spreadsheets put in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let columns = reader.headers().map_err(|error| Problem::bad(error.to_string()))?;
    let column = columns.iter().position(|column| column == "number");
    let column = column.ok_or_else(|| Problem::bad("the header line has no column `number`"))?;
    let field = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.map_err(|error| Problem::bad(error.to_string()))?;
        Ok(record.get(column).unwrap_or_default().to_owned())
    };
    reader.records().map(field).collect()
}

/// Largest CSV file.
const IMPORT_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_08_a_do_not_call_list_is_read_from_the_column_number() {
        let read = |text: &str| numbers(text.as_bytes()).map_err(|problem| format!("{problem:?}"));
        let text = "\u{feff}name,number\r\nEve,+4420\r\n\"Bob, B.\", +4421 \r\n";
        assert_eq!(read(text), Ok(vec!["+4420".to_owned(), "+4421".to_owned()]));
        assert!(read("name\r\nEve\r\n").expect_err("refused").contains("number"));
        assert!(read("number,name\r\n+4420\r\n").is_err(), "a field is missing");
    }
}
