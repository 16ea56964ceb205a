//! What an engine tells of phones that are called, are heard and fall silent.

use offhook_control_core::api::{ApiRequest, LoginBody};
use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::EventBody;

use super::{Bench, agent};

/// Ann's phone is called.
pub(crate) fn calling() -> (Bench, CallId) {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody { initiate: true }));
    let ann = bench.dialled("ann");
    (bench, ann)
}

pub(crate) fn says(bench: &mut Bench, event: EventBody) {
    bench.take(Input::EngineEvent { engine: EngineId(0), event });
}

pub(crate) fn silent(leg: &str) -> EventBody {
    EventBody::LegSilent { leg: leg.to_owned(), silent_ms: 3_000 }
}

pub(crate) fn alive(leg: &str) -> EventBody {
    EventBody::LegAlive { leg: leg.to_owned() }
}
