//! `/service/ewt-for-vq`: how long a customer will probably wait.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use offhook_control_core::api::ApiRequest;

use super::Api;
use super::problem::Problem;

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/service/ewt-for-vq", get(estimate))
}

async fn estimate(State(api): State<Api>, Query(fields): Query<Vec<(String, String)>>) -> Response {
    match read(fields) {
        Ok(request) => api.ask(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn read(fields: Vec<(String, String)>) -> Result<ApiRequest, Problem> {
    let (mut queue, mut position) = (None, None);
    for (name, value) in fields {
        match name.as_str() {
            "name" => queue = Some(value),
            "position" => {
                let place = value.parse().ok().filter(|place| (1..=1_000_000).contains(place));
                let wrong = || Problem::bad("position must be a number from 1 to 1000000");
                position = Some(place.ok_or_else(wrong)?);
            }
            // The way of estimating that a GMS client asks for; there is one here.
            "aqt" => {}
            other => {
                let message = format!("{other} is not known here; known are name, position and aqt");
                return Err(Problem::bad(message));
            }
        }
    }
    let queue = queue.ok_or_else(|| Problem::bad("name is missing: the queue's"))?;
    Ok(ApiRequest::Estimate { queue, position })
}
