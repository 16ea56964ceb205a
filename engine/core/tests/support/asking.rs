//! Requests to the director of a world, and what is read of its replies.

use offhook_engine_core::PortRange;
use offhook_proto::{Command, ErrorCode, LegCreate, LegDelete, LegInfo, LegQuery, Reply, Splice, Unsplice};

use super::world::World;

pub const PORTS: PortRange = PortRange { first: 20_000, last: 20_199 };

pub fn world() -> World {
    World::new(3, 1_000, PORTS)
}

pub fn create(leg: &str) -> Command {
    Command::LegCreate(LegCreate { leg: leg.into(), ..LegCreate::default() })
}

pub fn delete(leg: &str) -> Command {
    Command::LegDelete(LegDelete { leg: leg.into() })
}

pub fn query(leg: &str) -> Command {
    Command::LegQuery(LegQuery { leg: leg.into() })
}

pub fn splice(a: &str, b: &str, replace: bool) -> Command {
    let (a, b) = (a.into(), b.into());
    Command::Splice(Splice { a, b, a_hears_b: true, b_hears_a: true, replace, since_us: None })
}

pub fn unsplice(leg: &str) -> Command {
    Command::Unsplice(Unsplice { leg: leg.into(), park: Vec::new() })
}

pub fn code(reply: Reply) -> Option<ErrorCode> {
    match reply {
        Reply::Ok(_) => None,
        Reply::Error(error) => Some(error.code),
    }
}

pub fn info(world: &mut World, leg: &str) -> LegInfo {
    world.call(query(leg)).parse().expect("the leg is there")
}
