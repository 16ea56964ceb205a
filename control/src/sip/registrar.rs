//! Where the phones are (RFC 3261 section 10): credentials, nonces, bindings. Time is an argument.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::digest::{Algorithm, Credentials, same};
use super::flow::Flow;
use super::flows::Flows;
use super::limits::{
    CONTACTS_PER_AOR, NONCE_MS, NONCES, REGISTRATION_S, SHUT_OUT_ENTRIES, SHUT_OUT_MS, WRONG_PASSWORDS,
};
use super::phone::Phone;
use super::text::{address_uri, parameter, split_list};

/// One REGISTER, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    /// User of the To URI.
    pub(crate) aor: String,
    /// Authorization header values.
    pub(crate) authorization: Vec<String>,
    /// Contact header values.
    pub(crate) contacts: Vec<String>,
    /// Expires header, in seconds.
    pub(crate) expires_s: Option<u32>,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    /// Where it came from.
    pub(crate) flow: Flow,
}

impl Register {
    /// Whose wrong passwords are counted together.
    fn source(&self) -> (IpAddr, String) {
        (self.flow.address.ip(), self.aor.clone())
    }
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// 401 with these WWW-Authenticate values.
    Challenge(Vec<String>),
    /// Any other refusal: status, reason, and seconds to wait where there are.
    Refused(u16, &'static str, Option<u32>),
    /// 200 with these Contact values; the address of record's best contact where it has changed.
    Accepted { contacts: Vec<String>, change: Option<Change> },
}

/// What the core hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) aor: String,
    pub(crate) contact: Option<String>,
}

/// One phone of one address of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Binding {
    /// Its Contact URI.
    pub(crate) uri: String,
    /// Where its REGISTER came from, and our requests go.
    pub(crate) flow: Flow,
    /// Preference in thousandths (RFC 3261 section 20.10).
    q: u16,
    expires_ms: u64,
    /// Order of arrival: among equals the newest wins.
    order: u64,
    pub(crate) call_id: String,
    cseq: u32,
    /// Name of the phone itself (RFC 5626 section 4.1).
    #[serde(default)]
    pub(crate) instance: Option<String>,
}

/// All phones.
#[derive(Debug)]
pub(crate) struct Registrar {
    realm: String,
    digests: Vec<Algorithm>,
    secret: u128,
    bindings: HashMap<String, Vec<Binding>>,
    flows: Flows,
    nonce_counts: HashMap<String, u32>,
    /// Those made before are taken no more.
    nonces_from_ms: u64,
    wrong: HashMap<(IpAddr, String), Wrong>,
    order: u64,
    challenges: u64,
}

#[derive(Clone, Debug, Default)]
struct Wrong {
    count: u32,
    last_ms: u64,
    /// Hash of the last one.
    last: String,
}

impl Registrar {
    /// An empty one that challenges with `digests` in their order. `secret` signs its nonces and must be random.
    pub(crate) fn new(realm: &str, digests: &[Algorithm], secret: u128) -> Self {
        Self {
            realm: realm.to_owned(),
            digests: digests.to_vec(),
            secret,
            bindings: HashMap::new(),
            flows: Flows::default(),
            nonce_counts: HashMap::new(),
            nonces_from_ms: 0,
            wrong: HashMap::new(),
            order: 0,
            challenges: 0,
        }
    }

    /// Judges a REGISTER. `password` looks a user up.
    pub(crate) fn register(
        &mut self,
        now_ms: u64,
        register: &Register,
        password: impl FnOnce(&str) -> Option<String>,
    ) -> Verdict {
        match self.judged(now_ms, register, password) {
            Ok(credentials) if self.is_new_count(&credentials) => {
                self.wrong.remove(&register.source());
                self.bind(now_ms, register)
            }
            Ok(_) => Verdict::Challenge(self.challenge(now_ms, register, true)),
            Err(refusal) => refusal,
        }
    }

    /// What a REGISTER gets whose sender has not shown to be who it says; none when it has. Nothing is kept but a count of wrong
    /// passwords.
    pub(crate) fn refusal(
        &mut self,
        now_ms: u64,
        register: &Register,
        password: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Verdict> {
        self.judged(now_ms, register, password).err()
    }

    fn judged(
        &mut self,
        now_ms: u64,
        register: &Register,
        password: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Credentials, Verdict> {
        let Some(credentials) = self.credentials(&register.authorization) else {
            return Err(Verdict::Challenge(self.challenge(now_ms, register, false)));
        };
        if let Some(wait_s) = self.shut_out(now_ms, &register.source()) {
            return Err(Verdict::Refused(403, "Too many wrong passwords", Some(wait_s)));
        }
        if !self.is_our_nonce(now_ms, &credentials.nonce, register) {
            return Err(Verdict::Challenge(self.challenge(now_ms, register, true)));
        }
        // The user must be the address of record: nobody registers for another.
        let known = password(&credentials.username).filter(|_| credentials.username == register.aor);
        let offered = credentials.algorithm().is_some_and(|algorithm| self.digests.contains(&algorithm));
        if !offered || !known.is_some_and(|password| credentials.matches("REGISTER", &password)) {
            self.count_wrong(now_ms, register);
            return Err(Verdict::Refused(403, "Wrong user or password", None));
        }
        Ok(credentials)
    }

    /// The best binding of an address of record: highest `q`, then the newest.
    pub(crate) fn best(&self, now_ms: u64, aor: &str) -> Option<&Binding> {
        self.bindings
            .get(aor)?
            .iter()
            .filter(|binding| binding.expires_ms > now_ms)
            .max_by_key(|binding| (binding.q, binding.order))
    }

    /// Where a phone that was called by its registration has registered from last; none when it is registered no more.
    pub(crate) fn flow_of(&self, now_ms: u64, phone: &Phone) -> Option<Flow> {
        let bindings = self.bindings.get(&phone.aor)?.iter();
        let its_own = bindings.filter(|binding| binding.expires_ms > now_ms && phone.is_at(binding));
        its_own.max_by_key(|binding| binding.order).map(|binding| binding.flow)
    }

    /// Whether a phone registered from this address and port.
    pub(crate) fn is_flow_of_phone(&self, flow: Flow) -> bool {
        self.flows.contains(flow)
    }

    /// Forgets what has run out; tells what changed.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.bindings.retain(|aor, bindings| {
            // Nearly always: this is asked every second of all phones.
            if bindings.iter().all(|binding| binding.expires_ms > now_ms) {
                return !bindings.is_empty();
            }
            let before = best_of(bindings).map(|binding| binding.uri.clone());
            self.flows.remove(bindings);
            bindings.retain(|binding| binding.expires_ms > now_ms);
            self.flows.add(bindings);
            let after = best_of(bindings).map(|binding| binding.uri.clone());
            if before != after {
                changes.push(Change { aor: aor.clone(), contact: after });
            }
            !bindings.is_empty()
        });
        self.nonce_counts.retain(|nonce, _| {
            nonce_time(nonce).is_some_and(|made_ms| now_ms.saturating_sub(made_ms) < NONCE_MS)
        });
        self.wrong.retain(|_, wrong| wrong.last_ms + SHUT_OUT_MS > now_ms);
        changes.sort_by(|a, b| a.aor.cmp(&b.aor));
        changes
    }

    /// All bindings, for the next run.
    pub(crate) fn save(&self) -> Vec<(String, Vec<Binding>)> {
        let mut all: Vec<_> =
            self.bindings.iter().map(|(aor, bindings)| (aor.clone(), bindings.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Takes up the bindings of an earlier run; tells who is there.
    pub(crate) fn restore(&mut self, now_ms: u64, saved: Vec<(String, Vec<Binding>)>) -> Vec<Change> {
        let last_ms = now_ms + u64::from(REGISTRATION_S.1) * 1_000;
        for (aor, mut bindings) in saved {
            // The calendar may have been set back meanwhile.
            bindings.iter_mut().for_each(|binding| binding.expires_ms = binding.expires_ms.min(last_ms));
            self.order = bindings.iter().map(|binding| binding.order).fold(self.order, u64::max);
            self.flows.add(&bindings);
            if let Some(before) = self.bindings.insert(aor, bindings) {
                self.flows.remove(&before);
            }
        }
        self.expire(now_ms);
        let mut there: Vec<Change> = self
            .bindings
            .iter()
            .map(|(aor, bindings)| Change {
                aor: aor.clone(),
                contact: best_of(bindings).map(|binding| binding.uri.clone()),
            })
            .collect();
        there.sort_by(|a, b| a.aor.cmp(&b.aor));
        there
    }

    /// Does what a REGISTER asks for, whose sender may.
    pub(crate) fn bind(&mut self, now_ms: u64, register: &Register) -> Verdict {
        let values: Vec<&str> = register.contacts.iter().flat_map(|value| split_list(value)).collect();
        let before = self.best(now_ms, &register.aor).map(|binding| binding.uri.clone());
        let mut bindings = self.bindings.remove(&register.aor).unwrap_or_default();
        self.flows.remove(&bindings);
        bindings.retain(|binding| binding.expires_ms > now_ms);
        let kept = bindings.clone();
        let outcome = if values.contains(&"*") {
            remove_all(&mut bindings, register, values.len())
        } else {
            self.add_each(now_ms, &mut bindings, register, &values)
        };
        if outcome.is_err() {
            bindings = kept;
        }
        let contacts = bindings
            .iter()
            .map(|binding| {
                let left_s = (binding.expires_ms - now_ms).div_ceil(1_000);
                format!("<{}>;expires={left_s};q={}.{:03}", binding.uri, binding.q / 1_000, binding.q % 1_000)
            })
            .collect();
        self.flows.add(&bindings);
        if !bindings.is_empty() {
            self.bindings.insert(register.aor.clone(), bindings);
        }
        if let Err((status, reason)) = outcome {
            return Verdict::Refused(status, reason, None);
        }
        let after = self.best(now_ms, &register.aor).map(|binding| binding.uri.clone());
        let change = (before != after).then(|| Change { aor: register.aor.clone(), contact: after });
        Verdict::Accepted { contacts, change }
    }

    fn add_each(
        &mut self,
        now_ms: u64,
        bindings: &mut Vec<Binding>,
        register: &Register,
        values: &[&str],
    ) -> Result<(), (u16, &'static str)> {
        for value in values {
            let uri = address_uri(value);
            if rsipstack::sip::Uri::try_from(uri).is_err() || uri.is_empty() || uri.len() > 512 {
                return Err((400, "Contact is not a SIP URI"));
            }
            let asked_s =
                parameter(value, "expires").and_then(|text| text.parse().ok()).or(register.expires_s);
            let old = bindings.iter().position(|binding| binding.uri == uri);
            if let Some(at) = old {
                let binding = &bindings[at];
                if binding.call_id == register.call_id && register.cseq <= binding.cseq {
                    return Err((500, "CSeq is older than the binding's"));
                }
                bindings.remove(at);
            }
            if asked_s == Some(0) {
                continue;
            }
            if bindings.len() >= CONTACTS_PER_AOR {
                let oldest = (0..bindings.len()).min_by_key(|&at| bindings[at].order).unwrap_or(0);
                bindings.remove(oldest);
            }
            let granted_s = asked_s.unwrap_or(REGISTRATION_S.1).clamp(REGISTRATION_S.0, REGISTRATION_S.1);
            self.order += 1;
            bindings.push(Binding {
                uri: uri.to_owned(),
                flow: register.flow,
                q: parameter(value, "q").and_then(thousandths).unwrap_or(1_000),
                expires_ms: now_ms + u64::from(granted_s) * 1_000,
                order: self.order,
                call_id: register.call_id.clone(),
                cseq: register.cseq,
                instance: parameter(value, "+sip.instance").map(str::to_owned),
            });
        }
        Ok(())
    }

    fn credentials(&self, authorization: &[String]) -> Option<Credentials> {
        let all = authorization.iter().filter_map(|value| Credentials::parse(value));
        all.into_iter().find(|credentials| credentials.realm == self.realm)
    }

    fn challenge(&mut self, now_ms: u64, register: &Register, stale: bool) -> Vec<String> {
        self.challenges += 1;
        let nonce = nonce_text(self.secret, register.flow.address.ip(), now_ms, self.challenges);
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm: &Algorithm| {
            let name = algorithm.name();
            format!(
                "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}",
                self.realm
            )
        };
        self.digests.iter().map(challenge).collect()
    }

    /// Whether we gave a nonce to whoever sends from this address, not long ago.
    fn is_our_nonce(&self, now_ms: u64, nonce: &str, register: &Register) -> bool {
        let number = nonce.split('-').nth(1).and_then(|text| u64::from_str_radix(text, 16).ok());
        let (Some(made_ms), Some(number)) = (nonce_time(nonce), number) else {
            return false;
        };
        let fresh = (self.nonces_from_ms..=now_ms).contains(&made_ms) && now_ms - made_ms < NONCE_MS;
        let to = register.flow.address.ip();
        fresh && same(nonce_text(self.secret, to, made_ms, number).as_bytes(), nonce.as_bytes())
    }

    /// A count is taken once (RFC 7616 section 3.4.5); without `qop` a nonce is.
    fn is_new_count(&mut self, credentials: &Credentials) -> bool {
        let count = credentials.nonce_count().unwrap_or(1);
        let key = credentials.nonce.clone();
        match self.nonce_counts.get(&key) {
            Some(&last) if count <= last => false,
            Some(_) => self.nonce_counts.insert(key, count).is_some(),
            None => {
                if self.nonce_counts.len() >= NONCES {
                    self.forget_older_nonces();
                }
                self.nonce_counts.insert(key, count).is_none()
            }
        }
    }

    /// Makes room: the older half is taken no more, whether it was used or not.
    fn forget_older_nonces(&mut self) {
        let mut made: Vec<u64> = self.nonce_counts.keys().filter_map(|nonce| nonce_time(nonce)).collect();
        let middle = made.len() / 2;
        self.nonces_from_ms = *made.select_nth_unstable(middle).1 + 1;
        let from_ms = self.nonces_from_ms;
        self.nonce_counts.retain(|nonce, _| nonce_time(nonce).is_some_and(|made_ms| made_ms >= from_ms));
    }

    fn shut_out(&self, now_ms: u64, source: &(IpAddr, String)) -> Option<u32> {
        let wrong = self.wrong.get(source).filter(|wrong| wrong.count >= WRONG_PASSWORDS)?;
        let left_ms = (wrong.last_ms + SHUT_OUT_MS).checked_sub(now_ms).filter(|&left| left > 0)?;
        u32::try_from(left_ms.div_ceil(1_000)).ok()
    }

    fn count_wrong(&mut self, now_ms: u64, register: &Register) {
        let source = register.source();
        if self.wrong.len() >= SHUT_OUT_ENTRIES && !self.wrong.contains_key(&source) {
            self.wrong.retain(|_, wrong| wrong.last_ms + SHUT_OUT_MS > now_ms);
            if self.wrong.len() >= SHUT_OUT_ENTRIES {
                self.wrong.clear();
            }
        }
        let wrong = self.wrong.entry(source).or_default();
        if wrong.last_ms + SHUT_OUT_MS <= now_ms {
            *wrong = Wrong::default();
        }
        // The same once more is a retransmission, for which there is no transaction.
        let last = Algorithm::Sha256.hex(&register.authorization.concat());
        wrong.count += u32::from(wrong.last != last);
        (wrong.last, wrong.last_ms) = (last, now_ms);
    }
}

fn best_of(bindings: &[Binding]) -> Option<&Binding> {
    bindings.iter().max_by_key(|binding| (binding.q, binding.order))
}

/// `Contact: *` with Expires 0 (RFC 3261 section 10.2.2).
fn remove_all(
    bindings: &mut Vec<Binding>,
    register: &Register,
    contacts: usize,
) -> Result<(), (u16, &'static str)> {
    if contacts != 1 || register.expires_s != Some(0) {
        return Err((400, "Contact * goes alone and with Expires 0"));
    }
    bindings.clear();
    Ok(())
}

fn thousandths(q: &str) -> Option<u16> {
    let value: f32 = q.parse().ok()?;
    // In range, so the cast cannot overflow.
    (0.0..=1.0).contains(&value).then_some((value * 1_000.0).round() as u16)
}

/// When a nonce was made.
fn nonce_time(nonce: &str) -> Option<u64> {
    u64::from_str_radix(nonce.split('-').next()?, 16).ok()
}

/// A nonce that only we can have made: its time and number, and a hash over both and whom it was sent to, with a secret at both ends.
/// No table is needed, so a flood of REGISTERs costs no memory; who brings it has been reached at that address.
fn nonce_text(secret: u128, to: IpAddr, made_ms: u64, number: u64) -> String {
    let hash = Algorithm::Sha256.hex(&format!("{secret:032x}:{to}:{made_ms}:{number}:{secret:032x}"));
    format!("{made_ms:x}-{number:x}-{}", &hash[..32])
}

#[cfg(test)]
#[path = "registrar_tests.rs"]
mod tests;
