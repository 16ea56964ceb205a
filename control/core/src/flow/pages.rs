//! Lists page by page: in an order that stays, so that nothing is missed between one page and the next.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::api::{ApiError, ApiReply, More, PageWish};
use crate::call::State as CallState;
use crate::core::Core;
use crate::flow::api::{Answer, bad};
use crate::limits::LISTING;
use crate::view::CallView;
use crate::{AgentId, CallId};

impl Core {
    /// `GET /agents`, in the order of their ids.
    pub(super) fn list_agents(&self, wish: &PageWish) -> Answer {
        let from = wish.after.clone().map_or(Bound::Unbounded, |id| Bound::Excluded(AgentId(id)));
        let known = self.agents.range((from, Bound::Unbounded)).map(|(id, _)| id);
        let (ids, more) = page(known.filter(|id| !id.is_guest()), wish.limit)?;
        let next = ids.last().filter(|_| more).map(|id| More::Next(id.0.clone()));
        let views = ids.into_iter().filter_map(|id| self.agent_view(id)).collect();
        Ok(ApiReply::Agents(views).cut(next))
    }

    /// `GET /calls`, in the order of their numbers: those that live, and the last that have ended.
    pub(super) fn list_calls(&self, wish: &PageWish) -> Answer {
        let number = |id: &String| id.parse::<u64>().map_err(|_| bad("after", "is the id of no call"));
        let after = wish.after.as_ref().map(number).transpose()?;
        let past = self.projection.calls().filter_map(|call| Some((call.id.parse::<u64>().ok()?, call)));
        let past: BTreeMap<u64, &CallView> = past.collect();
        let live = self.calls.values().filter(|call| call.state != CallState::Over).map(|call| call.id.0);
        let known: BTreeSet<u64> = live.chain(past.keys().copied()).collect();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (ids, more) = page(known.range((from, Bound::Unbounded)), wish.limit)?;
        let next = ids.last().filter(|_| more).map(|id| More::Next(id.to_string()));
        let view =
            |id: &u64| past.get(id).map(|call| (*call).clone()).or_else(|| self.call_view(CallId(*id)));
        Ok(ApiReply::Calls(ids.into_iter().filter_map(view).collect()).cut(next))
    }
}

/// The first of what is found, at most so many, and whether there is more.
pub(super) fn page<T>(
    mut found: impl Iterator<Item = T>,
    limit: Option<usize>,
) -> Result<(Vec<T>, bool), ApiError> {
    let limit = limit.unwrap_or(LISTING);
    if !(1..=LISTING).contains(&limit) {
        return Err(bad("limit", "must be 1 to 10,000"));
    }
    let first = found.by_ref().take(limit).collect();
    Ok((first, found.next().is_some()))
}
