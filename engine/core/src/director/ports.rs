//! Port pairs: even for RTP, the odd one above for RTCP.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::PortRange;

/// The free port pairs of each address, in the order in which they will be used.
///
/// The order is shuffled, so that a stranger cannot guess the next one, and a pair that is given back goes to the end, so that
/// late packets of its last leg meet nobody.
#[derive(Debug)]
pub(crate) struct Ports {
    free: Vec<(IpAddr, VecDeque<u16>)>,
}

impl Ports {
    /// All pairs of a range on each address.
    pub(crate) fn new(addresses: &[IpAddr], range: PortRange, random: &mut ChaCha8Rng) -> Self {
        let mut even: Vec<u16> =
            (range.first..range.last).filter(|port| port % 2 == 0 && *port > 0).collect();
        for at in (1..even.len()).rev() {
            even.swap(at, (random.next_u64() % (at as u64 + 1)) as usize);
        }
        Self { free: addresses.iter().map(|&address| (address, even.iter().copied().collect())).collect() }
    }

    /// Whether legs can receive on an address.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        self.free.iter().any(|(known, _)| *known == address)
    }

    /// Takes the next pair of an address: where RTP is received.
    pub(crate) fn take(&mut self, address: IpAddr) -> Option<SocketAddr> {
        let (_, free) = self.free.iter_mut().find(|(known, _)| *known == address)?;
        free.pop_front().map(|port| SocketAddr::new(address, port))
    }

    /// Gives a pair back.
    pub(crate) fn give_back(&mut self, rtp: SocketAddr) {
        if let Some((_, free)) = self.free.iter_mut().find(|(known, _)| *known == rtp.ip()) {
            free.push_back(rtp.port());
        }
    }

    /// How many pairs are free.
    pub(crate) fn count(&self) -> u64 {
        self.free.iter().map(|(_, free)| free.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn ports(first: u16, last: u16) -> Ports {
        Ports::new(&[HERE], PortRange { first, last }, &mut ChaCha8Rng::from_seed([1; 32]))
    }

    #[test]
    fn every_even_port_with_a_port_above_is_given_once() {
        let mut ports = ports(20_001, 20_011);
        let given: BTreeSet<u16> = std::iter::from_fn(|| ports.take(HERE)).map(|rtp| rtp.port()).collect();
        assert_eq!(given.into_iter().collect::<Vec<_>>(), [20_002, 20_004, 20_006, 20_008, 20_010]);
        assert_eq!(ports.count(), 0);
    }

    #[test]
    fn the_highest_port_has_no_pair() {
        assert_eq!(ports(65_534, 65_535).count(), 1);
        assert_eq!(ports(65_535, 65_535).count(), 0);
        assert_eq!(ports(7, 3).count(), 0);
    }

    #[test]
    fn a_pair_that_was_given_back_is_used_last() {
        let mut ports = ports(20_000, 20_019);
        let first = ports.take(HERE).expect("ten are free");
        ports.give_back(first);
        for _ in 0..9 {
            assert_ne!(ports.take(HERE), Some(first));
        }
        assert_eq!(ports.take(HERE), Some(first));
    }
}
