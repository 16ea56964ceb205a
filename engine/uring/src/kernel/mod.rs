//! Forwarding: RTP packets rewritten and sent on by the kernel, without a socket and without this process.
//!
//! A program at the ingress of each interface (tcx, Linux 6.6) finds the rule for a packet's destination by a map, compares,
//! rewrites addresses and RTP header, counts in memory that is shared with this process, and redirects the packet to the interface
//! that leads to its hearer. What no rule describes goes to the stack as if there were no program. Other programs at the same
//! interfaces, also of this kind, go on undisturbed.

mod netlink;
mod program;
mod rule;
#[allow(unsafe_code)]
mod shared;
#[cfg(test)]
mod tests;

pub use self::netlink::{Interface, Netlink, Route, RouteWatch};
pub use self::rule::{Progress, Rule};

use self::shared::{RULE_BYTES, Shared};
use crate::bpf::{self, MapKind, MapShape, ProgramKind};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The program and its rules, for as long as this value lives. Shared by all workers.
#[derive(Debug)]
pub struct Forwarder {
    workers: u32,
    clock_start_ns: u64,
    ports: OwnedFd,
    shared: Shared,
    program: OwnedFd,
    places: Mutex<Places>,
    interfaces: Mutex<Interfaces>,
}

/// What is known of interfaces, by number.
#[derive(Debug, Default)]
struct Interfaces {
    /// Closing one takes the program out there.
    links: HashMap<u32, OwnedFd>,
    mtu_bytes: HashMap<u32, u32>,
}

/// Which rules there are.
#[derive(Debug)]
struct Places {
    /// Numbers of rules that nobody has.
    free: Vec<u32>,
    /// Between whom those in force forward, by number.
    ways: HashMap<u32, Way>,
    installed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    at: Ipv4Addr,
    source: Ipv4Addr,
    from: Ipv4Addr,
    to: Ipv4Addr,
    route: Route,
    /// Which of all rules that ever were: a number is given again.
    serial: u64,
}

/// A rule that is in force. Forgotten, it stays so.
#[derive(Debug)]
#[must_use]
pub struct Installed {
    number: u32,
    at: SocketAddrV4,
}

impl Forwarder {
    /// Forwards nothing yet, for so many workers, and by `rules` rules at most, of 128 bytes each. Times are counted from `clock_start_ns`, in nanoseconds
    /// of [`monotonic_ns`](crate::clock::monotonic_ns).
    ///
    /// # Errors
    /// The process may not (CAP_BPF and CAP_NET_ADMIN), there is no memory for so many rules, or the kernel cannot (Linux 6.6,
    /// CONFIG_BPF_SYSCALL and CONFIG_BPF_JIT).
    pub fn new(workers: u32, rules: u32, clock_start_ns: u64) -> io::Result<Self> {
        let rules = rules.max(1);
        let places = workers + rules;
        let ports = bpf::create_map(&MapShape {
            kind: MapKind::Hash,
            key_bytes: size_of::<Key>() as u32,
            value_bytes: size_of::<u32>() as u32,
            entries: rules,
            flags: 0,
            name: "offhook_ports",
        })?;
        let map = bpf::create_map(&MapShape {
            kind: MapKind::Array,
            key_bytes: size_of::<u32>() as u32,
            value_bytes: RULE_BYTES as u32,
            entries: places,
            flags: bpf::MAPPABLE,
            name: "offhook_rules",
        })?;
        let shared = Shared::new(&map, workers, places)?;
        let program = bpf::load(ProgramKind::Ingress, "offhook_forward", &program::forward(&ports, &map))?;
        Ok(Self {
            workers,
            clock_start_ns,
            ports,
            shared,
            program,
            places: Mutex::new(Places {
                free: (workers..places).rev().collect(),
                ways: HashMap::new(),
                installed: 0,
            }),
            interfaces: Mutex::default(),
        })
    }

    /// Has the program see what comes in by an interface, by its number. Whether it did not yet.
    ///
    /// # Errors
    /// There is no such interface, or the kernel cannot (Linux 6.6).
    pub fn attach(&self, interface: u32) -> io::Result<bool> {
        match lock(&self.interfaces).links.entry(interface) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(place) => {
                place.insert(bpf::attach(&self.program, ProgramKind::Ingress, interface)?);
                Ok(true)
            }
        }
    }

    /// Whether the program sees what comes in by an interface, as far as is known.
    pub fn sees(&self, interface: u32) -> bool {
        lock(&self.interfaces).links.contains_key(&interface)
    }

    /// Has the program see what comes in by all these interfaces that are up and entrances, and forgets the others, some of which may
    /// have gone. Those that it did not see yet, and what came of it.
    pub fn follow<'a>(&self, interfaces: &'a [Interface]) -> Vec<(&'a Interface, io::Result<()>)> {
        let mut known = lock(&self.interfaces);
        let Interfaces { links, mtu_bytes } = &mut *known;
        *mtu_bytes = interfaces.iter().map(|interface| (interface.number, interface.mtu_bytes)).collect();
        let entrances = interfaces.iter().filter(|interface| interface.is_entrance);
        // An interface may have been made anew with the number of one that has gone.
        links.retain(|&number, link| {
            let is_there = entrances.clone().any(|interface| interface.number == number);
            is_there && bpf::is_attached(link).unwrap_or(false)
        });
        let mut followed = Vec::new();
        for interface in entrances.filter(|interface| interface.is_up) {
            if let Entry::Vacant(place) = links.entry(interface.number) {
                let link = bpf::attach(&self.program, ProgramKind::Ingress, interface.number);
                let outcome = link.map(|link| {
                    place.insert(link);
                });
                followed.push((interface, outcome));
            }
        }
        followed
    }

    /// Has a worker's rules in force until a moment of [`monotonic_ns`](crate::clock::monotonic_ns), unless it renews that before; not
    /// at all at first. So what a worker has no time to take back ends by itself.
    pub fn renew(&self, worker: u32, until_ns: u64) {
        assert!(worker < self.workers, "workers are numbered from 0");
        self.shared.renew(worker, until_ns);
    }

    /// Forwards by a rule from now on. There must be none for the same [`Rule::at`] yet.
    ///
    /// # Errors
    /// As many rules as there may be are in force ([`io::ErrorKind::OutOfMemory`]), or the kernel refuses.
    pub fn install(&self, rule: &Rule) -> io::Result<Installed> {
        let number = lock(&self.places).free.pop().ok_or(io::ErrorKind::OutOfMemory)?;
        let route = self.within_interface(rule.route);
        self.shared.write(number, &Rule { route, ..*rule }.words(self.clock_start_ns));
        if let Err(error) = bpf::update(&self.ports, &key(rule.at), &number.to_ne_bytes()) {
            lock(&self.places).free.push(number);
            return Err(error);
        }
        let mut places = lock(&self.places);
        places.installed += 1;
        let [at, source, from, to] = [rule.at, rule.source, rule.from, rule.to].map(|address| *address.ip());
        let way = Way { at, source, from, to, route, serial: places.installed };
        places.ways.insert(number, way);
        self.shared.switch_on(number);
        Ok(Installed { number, at: rule.at })
    }

    /// What a rule has done so far. No system call.
    pub fn progress(&self, rule: &Installed) -> Progress {
        self.shared.progress(rule.number)
    }

    /// Looks up anew how each rule's packets get where they go, by addresses of this machine and of a peer. A rule without a way, or
    /// whose own address has gone, leaves its packets to the stack.
    pub fn reroute(&self, look_up: impl Fn(Ipv4Addr, Ipv4Addr) -> Option<Route>) {
        let ways: Vec<(u32, Way)> =
            lock(&self.places).ways.iter().map(|(&number, &way)| (number, way)).collect();
        // Many rules share a way.
        let mut found = HashMap::new();
        let mut find = |from, to| *found.entry((from, to)).or_insert_with(|| look_up(from, to));
        for (number, way) in ways {
            self.reroute_way(number, way, &mut find, |_| true);
        }
    }

    /// The same for one rule. Whoever installs it has looked before it was among those that follow the network: what changed in
    /// between it is not told.
    pub fn reroute_one(
        &self,
        rule: &Installed,
        mut look_up: impl FnMut(Ipv4Addr, Ipv4Addr) -> Option<Route>,
    ) {
        let way = lock(&self.places).ways.get(&rule.number).copied();
        if let Some(way) = way {
            // Whoever follows the network knows better.
            self.reroute_way(rule.number, way, &mut look_up, |now| now.route == way.route);
        }
    }

    fn reroute_way(
        &self,
        number: u32,
        way: Way,
        look_up: &mut impl FnMut(Ipv4Addr, Ipv4Addr) -> Option<Route>,
        is_to_change: impl Fn(&Way) -> bool,
    ) {
        let back = look_up(way.at, way.source);
        let route = look_up(way.from, way.to).filter(|_| back.is_some());
        let route = route.map_or(NO_WAY, |route| self.within_interface(route));
        if route == way.route {
            return;
        }
        let mut places = lock(&self.places);
        let same = |place: &&mut Way| place.serial == way.serial && is_to_change(place);
        if let Some(place) = places.ways.get_mut(&number).filter(same) {
            place.route = route;
            self.shared.set_route(number, route);
        }
    }

    /// A route that leads nothing longer to its interface than that takes.
    fn within_interface(&self, route: Route) -> Route {
        let most = lock(&self.interfaces).mtu_bytes.get(&route.interface).copied().unwrap_or(u32::MAX);
        Route {
            mtu_bytes: u16::try_from(most).map_or(route.mtu_bytes, |most| most.min(route.mtu_bytes)),
            ..route
        }
    }

    /// Ends a rule. No packet is rewritten by it any more; the last one may be on its way through the kernel still.
    #[expect(clippy::needless_pass_by_value, reason = "a rule ends once")]
    pub fn withdraw(&self, rule: Installed) -> Progress {
        let Installed { number, at } = rule;
        lock(&self.places).ways.remove(&number);
        let is_free = self.shared.switch_off(number);
        // A packet that finds the rule by its port finds it off; a key that stays behind is set anew by the next rule.
        let _ = bpf::delete(&self.ports, &key(at));
        let progress = self.shared.progress(number);
        if is_free {
            lock(&self.places).free.push(number);
        }
        progress
    }
}

/// Number of the loopback's interface, in every network namespace.
pub const LOOPBACK: u32 = 1;

/// The route of a rule whose packets are left to the stack.
const NO_WAY: Route = Route { interface: 0, mtu_bytes: 0 };

/// `struct address` in forward.c.
type Key = [u8; 8];

fn key(address: SocketAddrV4) -> Key {
    let [a, b, c, d] = address.ip().octets();
    let [high, low] = address.port().to_be_bytes();
    [a, b, c, d, high, low, 0, 0]
}

/// What is behind these locks is whole between any two of its statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
