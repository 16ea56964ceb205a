//! `/contacts` and `/lists`: preview dialling.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use offhook_control_core::ContactId;
use offhook_control_core::api::{ApiRequest, ContactBody, ContactFilter, DispositionBody};
use serde_json::{Map, Value};

use super::Api;
use super::body::{Body, Name, limit_of, read};
use super::problem::Problem;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/contacts", get(list).post(add))
        .route("/contacts/import", post(import).layer(DefaultBodyLimit::max(IMPORT_BYTES)))
        .route("/contacts/{id}", get(one).delete(remove))
        .route("/contacts/{id}/disposition", post(dispose))
        .route("/lists", get(lists))
}

async fn list(State(api): State<Api>, Query(fields): Query<Vec<(String, String)>>) -> Response {
    match filter(fields) {
        Ok(filter) => api.ask(ApiRequest::Contacts(filter)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn lists(State(api): State<Api>) -> Response {
    api.ask(ApiRequest::Lists).await
}

async fn one(State(api): State<Api>, Name(id): Name) -> Response {
    api.ask(ApiRequest::Contact(ContactId(id))).await
}

async fn add(State(api): State<Api>, Body(body): Body<ContactBody>) -> Response {
    api.ask(ApiRequest::AddContact(body)).await
}

async fn remove(State(api): State<Api>, Name(id): Name) -> Response {
    api.ask(ApiRequest::RemoveContact(ContactId(id))).await
}

async fn dispose(State(api): State<Api>, Name(id): Name, Body(body): Body<DispositionBody>) -> Response {
    api.ask(ApiRequest::Dispose(ContactId(id), body)).await
}

/// CSV with a header line (RFC 4180). `?queue=` and `?list=` hold for all rows that have no such column.
async fn import(
    State(api): State<Api>,
    Query(fields): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let bodies = match read(request, IMPORT_BYTES).await {
        Ok(bytes) => rows(fields, &bytes),
        Err(problem) => Err(problem),
    };
    match bodies {
        Ok(bodies) => api.ask(ApiRequest::ImportContacts(bodies)).await,
        Err(problem) => problem.into_response(),
    }
}

fn filter(fields: Vec<(String, String)>) -> Result<ContactFilter, Problem> {
    let mut filter = ContactFilter::default();
    for (name, value) in fields {
        match name.as_str() {
            "list" => filter.list = Some(value),
            "state" if STATES.contains(&value.as_str()) => filter.state = Some(value),
            "state" => return Err(Problem::bad(format!("state must be one of {}", STATES.join(", ")))),
            "after" => filter.after = Some(ContactId(value)),
            "limit" => filter.limit = Some(limit_of(&value)?),
            other => {
                let message = format!("{other} is not known here; known are list, state, after and limit");
                return Err(Problem::bad(message));
            }
        }
    }
    Ok(filter)
}

/// One contact for each row. The columns `number`, `queue`, `list` and `not_before` are the contact's, all others its data.
fn rows(fields: Vec<(String, String)>, bytes: &[u8]) -> Result<Vec<ContactBody>, Problem> {
    let mut every = ContactBody::default();
    for (name, value) in fields {
        match name.as_str() {
            "queue" => every.queue = value,
            "list" => every.list = Some(value),
            other => {
                return Err(Problem::bad(format!("{other} is not known here; known are queue and list")));
            }
        }
    }
    // A mark that spreadsheets put in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let columns = reader.headers().map_err(|error| refused(&error))?.clone();
    if !columns.iter().any(|column| column == "number") {
        return Err(Problem::bad("the header line has no column `number`"));
    }
    if let Some(twice) =
        columns.iter().enumerate().find(|(n, name)| columns.iter().take(*n).any(|c| c == *name))
    {
        return Err(Problem::bad(format!("the header line has the column {} twice", twice.1)));
    }
    let records = reader.records().map(|record| record.map_err(|error| refused(&error)));
    records.map(|record| Ok(contact(&every, &columns, &record?))).collect()
}

fn contact(every: &ContactBody, columns: &csv::StringRecord, record: &csv::StringRecord) -> ContactBody {
    let mut body = every.clone();
    let mut data = Map::new();
    for (column, value) in columns.iter().zip(record) {
        match (column, value) {
            (_, "") => {}
            ("number", value) => body.number = value.to_owned(),
            ("queue", value) => body.queue = value.to_owned(),
            ("list", value) => body.list = Some(value.to_owned()),
            ("not_before", value) => body.not_before = Some(value.to_owned()),
            (column, value) => {
                data.insert(column.to_owned(), Value::String(value.to_owned()));
            }
        }
    }
    body.data = Value::Object(data);
    body
}

/// Rows are counted as in the core's refusals: the first after the header line is row 1.
fn refused(error: &csv::Error) -> Problem {
    let Some(row) = error.position().map(csv::Position::record) else {
        return Problem::bad(error.to_string());
    };
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            Problem::bad(format!("row {row}: has {len} fields, the header line {expected_len}"))
        }
        csv::ErrorKind::Utf8 { err, .. } => Problem::bad(format!("row {row}: {err}")),
        _ => Problem::bad(format!("row {row}: {error}")),
    }
}

const STATES: [&str; 6] = ["queued", "offered", "dialling", "connected", "done", "disabled"];
/// Largest CSV file.
const IMPORT_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ContactBody>, String> {
        let fields = vec![("queue".to_owned(), "sales".to_owned()), ("list".to_owned(), "spring".to_owned())];
        rows(fields, text.as_bytes()).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn each_row_of_a_file_is_a_contact_with_its_other_columns_as_data() {
        let text = "\u{feff}number,name,queue,not_before\r\n+4420,\"Eve, the \"\"first\"\"\",,\r\n\
                    +4421,Bob,support,2026-11-20T09:30:00Z\r\n";
        let bodies = read(text).expect("it is read");
        let shown: Vec<_> = bodies.iter().map(|body| (body.number.as_str(), body.queue.as_str())).collect();
        assert_eq!(shown, [("+4420", "sales"), ("+4421", "support")]);
        assert_eq!(bodies[0].data, serde_json::json!({ "name": "Eve, the \"first\"" }));
        assert_eq!(bodies[0].not_before, None);
        assert_eq!(bodies[1].not_before.as_deref(), Some("2026-11-20T09:30:00Z"));
        assert!(bodies.iter().all(|body| body.list.as_deref() == Some("spring")));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_with_its_row() {
        for (text, word) in [
            ("", "number"),
            ("name\r\nEve\r\n", "number"),
            ("number,number\r\n1,2\r\n", "twice"),
            ("number,name\r\n+4420\r\n", "row 1: has 1 fields, the header line 2"),
            ("number,name\r\n1,2\r\n1,2,3\r\n", "row 2"),
        ] {
            let message = read(text).expect_err("it is refused");
            assert!(message.contains(word), "{text:?}: {message}");
        }
        assert!(rows(Vec::new(), b"number\n\xff\xfe\n").is_err(), "it is no UTF-8");
    }
}
