//! Who is next: nobody who waits is overtaken, and nobody is asked about what they cannot do (BY-07).
//!
//! A naive model: what waits, in which queue, since when. It leaves out whoever is to be asked first, or was shown to the agent
//! before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::options::CallDirection;
use offhook_control_core::record::{AgentProfile, Fact};
use offhook_control_core::view::{Notification, OfferView};
use offhook_control_core::{AgentId, OfferId};

use super::world::World;

#[derive(Debug, Default)]
pub(super) struct Order {
    /// By callback or contact.
    items: BTreeMap<String, Item>,
    skills: BTreeMap<AgentId, BTreeSet<String>>,
    /// Offers that were made before.
    seen: BTreeSet<OfferId>,
    /// Of the step that is being taken.
    offers: Vec<OfferView>,
    /// Dials are not held back for want of a trunk.
    pub(super) trunk_open: bool,
}

#[derive(Debug)]
struct Item {
    number: String,
    queue: String,
    /// Higher priority first, then the older one.
    place: (Reverse<i32>, u64),
    /// On the calendar, as that of the place: when it was asked for, and the place that it had then.
    arrival_ms: u64,
    first_ms: u64,
    /// Its place is beyond doubt.
    is_plain: bool,
    /// Before the step, and after it.
    state: [String; 2],
    first_due: Option<String>,
    shown_to: BTreeSet<AgentId>,
}

impl Order {
    fn add(
        &mut self,
        id: &str,
        target: [&str; 2],
        place: (Reverse<i32>, u64),
        arrival_ms: u64,
        is_plain: bool,
    ) {
        let [number, queue] = target.map(str::to_owned);
        let (state, shown_to, first_ms) = (<[String; 2]>::default(), BTreeSet::new(), place.1);
        let item =
            Item { number, queue, place, arrival_ms, first_ms, is_plain, state, first_due: None, shown_to };
        self.items.insert(id.to_owned(), item);
    }

    /// A callback is moved to another time. What is past is now: it overtakes nobody, and loses no place that it had by then.
    fn move_to(&mut self, id: &str, desired_ms: u64, unix_ms: u64) {
        let Some(item) = self.items.get_mut(id) else { return };
        let place_ms = if desired_ms > unix_ms { desired_ms } else { item.place.1.min(unix_ms) };
        item.place.1 = place_ms.max(item.arrival_ms);
    }

    fn learn_skills(&mut self, profile: &AgentProfile) {
        self.skills.insert(profile.id.clone(), profile.skills.iter().cloned().collect());
    }

    /// What waits will be told again.
    fn forget_states(&mut self) {
        self.offers.clear();
        for item in self.items.values_mut() {
            item.state = ["unknown"; 2].map(str::to_owned);
        }
    }
}

impl World {
    /// Control decides on a fact.
    pub(super) fn order_decision(&mut self, fact: &Fact) {
        let unix_ms = self.now().unix_ms;
        let priority = |queue: &str| self.config.queue(queue).map_or(0, |queue| queue.priority);
        match fact {
            Fact::CallbackAdded(spec) => {
                let own = spec.origin.as_ref().map(|origin| origin.priority);
                let priority = own.unwrap_or_else(|| priority(&spec.queue));
                let since_ms = if spec.scheduled { spec.desired_ms } else { spec.arrival_ms };
                let options = &spec.options;
                let is_plain =
                    options.direction == CallDirection::UserTerminated && options.confirm.is_none();
                let place = (Reverse(priority), since_ms);
                self.oracle.order.add(
                    &spec.id.0,
                    [&spec.number, &spec.queue],
                    place,
                    spec.arrival_ms,
                    is_plain,
                );
            }
            Fact::ContactAdded { id, spec } => {
                let place = (Reverse(priority(&spec.queue)), unix_ms);
                let is_plain = spec.not_before_ms.is_none();
                self.oracle.order.add(&id.0, [&spec.number, &spec.queue], place, unix_ms, is_plain);
            }
            Fact::CallbackMoved { id, desired_ms } => {
                self.oracle.order.move_to(&id.0, *desired_ms, unix_ms);
            }
            Fact::AgentSaved(profile) => self.oracle.order.learn_skills(profile),
            _ => {}
        }
    }

    /// Control died, and with it what was not on disk yet.
    pub(super) fn order_after_crash(&mut self) {
        let order = &mut self.oracle.order;
        order.forget_states();
        order.skills.clear();
        for item in order.items.values_mut() {
            item.place.1 = item.first_ms;
        }
        for record in &self.shell.journal {
            match &record.fact {
                Fact::AgentSaved(profile) => order.learn_skills(profile),
                Fact::CallbackMoved { id, desired_ms } => order.move_to(&id.0, *desired_ms, record.at_ms),
                _ => {}
            }
        }
    }

    /// Control tells something, before its records are durable.
    pub(super) fn order_note(&mut self, notification: &Notification) {
        let order = &mut self.oracle.order;
        match notification {
            Notification::Callback(view) => {
                if let Some(item) = order.items.get_mut(&view.id.0) {
                    item.state[1] = view.state.to_lowercase();
                }
            }
            Notification::Contact(view) => {
                if let Some(item) = order.items.get_mut(&view.id.0) {
                    item.state[1].clone_from(&view.state);
                    let first = item.first_due.get_or_insert_with(|| view.not_before.clone());
                    item.is_plain &= *first == view.not_before;
                }
            }
            Notification::Offer(view) => {
                let is_new = order.seen.insert(view.id.clone());
                if is_new && matches!(view.state.as_str(), "offered" | "accepted") {
                    order.offers.push((**view).clone());
                }
            }
            _ => {}
        }
    }

    /// A step of control is over.
    pub(super) fn judge_order(&mut self) {
        let offers = std::mem::take(&mut self.oracle.order.offers);
        for offer in &offers {
            if let Some(violation) = self.overtaken(offer) {
                self.violate(violation);
            }
        }
        for offer in offers {
            let shown = self.oracle.order.items.values_mut().filter(|item| item.number == offer.number);
            shown.for_each(|item| {
                item.shown_to.insert(offer.agent.clone());
            });
        }
        for item in self.oracle.order.items.values_mut() {
            let [before, after] = &mut item.state;
            before.clone_from(after);
        }
    }

    fn overtaken(&self, offer: &OfferView) -> Option<String> {
        let order = &self.oracle.order;
        let skills = order.skills.get(&offer.agent)?;
        let can = |queue: &str| {
            let skill = self.config.queue(queue).and_then(|queue| queue.skill.as_ref());
            skill.is_none_or(|skill| skills.contains(skill))
        };
        // Whoever talked before goes on where they can.
        let fresh = |item: &&Item| {
            matches!(item.state[0].as_str(), "" | "scheduled" | "queued" | "routing" | "offered")
        };
        let mut own = order.items.values().filter(|item| item.number == offer.number && item.is_plain);
        let given = own.next().filter(fresh)?;
        if own.next().is_some() {
            return None;
        }
        if !can(&given.queue) {
            return Some(format!("{} is asked about {}, who needs another skill", offer.agent, offer.number));
        }
        let waits = |item: &&Item| {
            item.is_plain
                && item.state.iter().all(|state| state == "queued")
                && order.trunk_open
                && can(&item.queue)
                && !item.shown_to.contains(&offer.agent)
        };
        let first = order.items.values().filter(waits).find(|item| item.place < given.place)?;
        Some(format!("{} gets {}, and {} has waited for longer", offer.agent, offer.number, first.number))
    }
}
