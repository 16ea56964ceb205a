//! RTP Bleed: a stranger sends to a leg before its peer does, to be taken for it.

use std::net::{IpAddr, SocketAddr};

use crate::support::{Phone, number, spoken};

/// What a stranger who comes first is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Neither heard nor sent to.
    Refused,
    /// Heard until the peer speaks, and not sent to before that one was asked for a second.
    Heard,
    /// Heard and sent to until the peer speaks.
    Believed,
    /// Taken for the peer for good.
    Learnt,
}

/// A stranger of each kind for a peer at 127.0.0.1: from anywhere, of its network, and on its address.
pub(crate) fn strangers() -> [Phone; 3] {
    [[127, 9, 9, 9], [127, 0, 0, 66], [127, 0, 0, 1]].map(|address| Phone::on(IpAddr::from(address)))
}

/// A call between `ann`, whose leg is at `at_a`, and `bob`. The stranger sends just so many packets as it needs, so that no
/// time that passes before the next step changes anything.
pub(crate) fn attempt(
    what: &str,
    (fate, packets): (Fate, u32),
    stranger: &mut Phone,
    [ann, bob]: [&mut Phone; 2],
    [at_a, at_b]: [SocketAddr; 2],
) {
    for n in 0..packets {
        stranger.say(at_a, n);
    }
    if fate != Fate::Refused {
        hear_until(bob, stranger, packets - 1);
    }
    bob.say(at_b, 7);
    let hearer = if matches!(fate, Fate::Believed | Fate::Learnt) { &*stranger } else { &*ann };
    assert_eq!(hearer.hear().payload, spoken(bob.next.ssrc, 7), "{what}");

    ann.say(at_a, 100);
    if fate == Fate::Learnt {
        bob.say(at_b, 8);
        assert_eq!(stranger.hear().payload, spoken(bob.next.ssrc, 8), "{what}: not safe, as README says");
        assert_eq!((ann.heard(), bob.heard()), (vec![], vec![]), "{what}");
        return;
    }
    hear_until(bob, ann, 100);
    for n in 200..240 {
        stranger.say(at_a, n);
    }
    ann.say(at_a, 101);
    assert_eq!(bob.hear().payload, spoken(ann.next.ssrc, 101), "{what}: nobody else is heard");
    bob.say(at_b, 8);
    assert_eq!(ann.hear().payload, spoken(bob.next.ssrc, 8), "{what}");
    assert_eq!(stranger.heard(), [], "{what}");
}

/// Takes what a phone hears up to a speaker's word. Where that one was refused before, nothing may come before it.
fn hear_until(hearer: &Phone, speaker: &Phone, word: u32) {
    loop {
        let heard = hearer.hear();
        assert_eq!(heard.payload, spoken(speaker.next.ssrc, number(&heard)), "somebody else is heard");
        if number(&heard) == word {
            return;
        }
    }
}
