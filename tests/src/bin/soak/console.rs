//! What agents do at their consoles, and who asks for callbacks: over REST, with control dead now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use offhook_tests::e2e::Rest;
use serde_json::{Value, json};

use super::phones::password;
use super::plan::{Fate, Order};

/// A callback that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) order: Order,
    /// Its id; none when no answer came, or a refusal.
    pub(crate) id: Option<String>,
}

/// All agents' consoles, and the shop window where customers ask to be called back.
pub(crate) struct Console {
    rest: Rest,
    agents: Vec<String>,
    orders: std::vec::IntoIter<Order>,
    next: Option<Order>,
    stays: BTreeMap<String, Duration>,
    /// Since when a customer who stays has been seen talking, by call.
    talking: BTreeMap<String, Instant>,
    ended: BTreeSet<String>,
    looked: Option<Instant>,
    /// What was asked for so far.
    pub(crate) asked: Vec<Asked>,
    /// Requests that were answered with a refusal.
    pub(crate) refused: Vec<String>,
}

impl Console {
    pub(crate) fn new(rest: Rest, agents: Vec<String>, orders: Vec<Order>) -> Self {
        let stays = orders.iter().filter_map(|order| match order.fate {
            Fate::Stays(after) => Some((order.number.clone(), after)),
            Fate::Leaves | Fate::Busy | Fate::NotInUse | Fate::Declines | Fate::Silent => None,
        });
        let stays = stays.collect();
        let mut orders = orders.into_iter();
        let next = orders.next();
        Self {
            rest,
            agents,
            orders,
            next,
            stays,
            talking: BTreeMap::new(),
            ended: BTreeSet::new(),
            looked: None,
            asked: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Hires them all: every third accepts by hand what the others take at once.
    pub(crate) fn hire(&self) {
        for (index, agent) in self.agents.iter().enumerate() {
            let more = json!({ "auto_accept": index % 3 != 0, "password": password(agent) });
            self.rest.put_agent(agent, &json!({ "kind": "registered" }), &more);
        }
    }

    /// Has them log in and go off hook.
    pub(crate) fn open(&self) {
        for agent in &self.agents {
            self.rest.act(agent, "login");
            self.rest.status(agent, "available");
        }
    }

    /// How many have an open leg; none when control does not answer.
    pub(crate) fn off_hook(&self) -> Option<usize> {
        let agents = self.get("/api/v1/agents")?;
        Some(agents.as_array()?.iter().filter(|agent| agent["connection"] == "up").count())
    }

    /// Has them log out, as soon as each may.
    pub(crate) fn close(&self) -> bool {
        let mut gone = true;
        for agent in &self.agents {
            let answer = self.rest.ask("POST", &format!("/api/v1/agents/{agent}/logout"), &json!({}));
            gone &= answer.is_ok_and(|(status, _)| status < 300);
        }
        gone
    }

    /// Does what is due.
    pub(crate) fn work(&mut self, since_start: Duration) {
        while let Some(order) = self.next.take_if(|order| order.at <= since_start) {
            self.ask(order);
            self.next = self.orders.next();
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            self.accept();
            self.hang_up();
        }
    }

    /// Whether all callbacks were asked for.
    pub(crate) fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// A callback as control has it.
    pub(crate) fn callback(&self, id: &str) -> Option<Value> {
        self.get(&format!("{CALLBACKS}?_id={id}"))?.get(0).cloned()
    }

    /// All rows of a report, page by page.
    pub(crate) fn report(&self, name: &str) -> Option<Vec<Value>> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let page = self.get(&format!("/api/v1/{name}?limit=1000&after={after}"))?;
            rows.extend(page["rows"].as_array()?.iter().cloned());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return Some(rows),
            }
        }
    }

    fn ask(&mut self, order: Order) {
        let body = json!({ "_customer_number": order.number, "_call_direction": "USERTERMINATED" });
        let id = match self.rest.ask("POST", CALLBACKS, &body) {
            Ok((status, answer)) if status < 300 => answer["_id"].as_str().map(str::to_owned),
            Ok((status, answer)) => {
                self.refused.push(format!("{}: {status} {answer}", order.number));
                None
            }
            Err(_) => None,
        };
        self.asked.push(Asked { order, id });
    }

    fn accept(&self) {
        let agents = self.get("/api/v1/agents").unwrap_or_default();
        for agent in agents.as_array().into_iter().flatten() {
            if agent["status"] == "offered"
                && let Some(id) = agent["id"].as_str()
            {
                // Withdrawn in the meantime: then there is nothing to accept.
                let _ = self.rest.ask("POST", &format!("/api/v1/agents/{id}/accept"), &json!({}));
            }
        }
    }

    /// Agents hang up on customers who stay, or stay too long.
    fn hang_up(&mut self) {
        let calls = self.get("/api/v1/calls").unwrap_or_default();
        for call in calls.as_array().into_iter().flatten() {
            let (Some(id), Some(number), Some(agent)) =
                (call["id"].as_str(), call["number"].as_str(), call["agent"].as_str())
            else {
                continue;
            };
            if call["state"] != "spliced" {
                continue;
            }
            let after = self.stays.get(number).unwrap_or(&LONGEST);
            let since = *self.talking.entry(id.to_owned()).or_insert_with(Instant::now);
            if since.elapsed() >= *after && !self.ended.contains(id) {
                let answer = self.rest.ask("POST", &format!("/api/v1/agents/{agent}/hangup"), &json!({}));
                if answer.is_ok_and(|(status, _)| status < 300) {
                    self.ended.insert(id.to_owned());
                }
            }
        }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let (status, answer) = self.rest.ask("GET", path, &Value::Null).ok()?;
        (status < 300).then_some(answer)
    }
}

/// Talk that nobody else ends is ended by the agent: whoever was given a new offer has forgotten when to leave.
const LONGEST: Duration = Duration::from_secs(25);
/// How often consoles are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const CALLBACKS: &str = "/genesys/1/service/callback/callback";
