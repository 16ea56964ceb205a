use super::Admission::{Known, Refused};
use super::*;
use crate::limits::{LATCH_ANY_PACKETS, LATCH_SAME_ADDRESS_PACKETS, LATCH_SAME_NETWORK_PACKETS};

const SIGNALLED: &str = "192.0.2.10:4000";
const OTHER_PORT: &str = "192.0.2.10:4002";
const NEIGHBOUR: &str = "192.0.2.66:4000";
const SAME_PORT: &str = "203.0.113.66:4000";
const FAR: &str = "203.0.113.66:666";
const NOW: Time = Time::from_ms(10_000);
const LEARNT: Admission = Admission::Learnt { instead: false };
const LEARNT_INSTEAD: Admission = Admission::Learnt { instead: true };
const BELIEVED: Admission = Admission::Believed { instead: false };
const BELIEVED_INSTEAD: Admission = Admission::Believed { instead: true };
const MODES: [LatchMode; 6] = [
    LatchMode::Strict,
    LatchMode::Signalled,
    LatchMode::Any,
    LatchMode::Heuristic,
    LatchMode::Delayed,
    LatchMode::Immediate,
];

fn at(address: &str) -> SocketAddr {
    address.parse().expect("a literal address")
}

fn latch(mode: LatchMode) -> Latch {
    Latch::new(mode, Some(Remote { rtp: at(SIGNALLED), rtcp: None }))
}

/// Packets at one moment until one is not refused, and what is said of that.
fn packets_until_heard(latch: &mut Latch, source: &str) -> Option<(usize, Admission)> {
    (1..=1_000).map(|n| (n, latch.admit(NOW, at(source)))).find(|(_, said)| *said != Refused)
}

/// Lets sources speak every 20 ms, each from a moment on.
fn speak(latch: &mut Latch, from_ms: u64, to_ms: u64, speakers: &[(u64, &str)]) {
    for ms in (from_ms..to_ms).step_by(20) {
        for (_, source) in speakers.iter().filter(|(since_ms, _)| ms >= *since_ms) {
            latch.admit(NOW.plus_ms(ms), at(source));
        }
    }
}

/// Who is heard and who is sent to, as the last part of a table's line.
fn state(latch: &Latch) -> String {
    let name = |source: Option<SocketAddr>| match source {
        None => "nobody",
        Some(it) if it == at(SIGNALLED) => "peer",
        Some(it) if it == at(OTHER_PORT) => "port",
        Some(_) => "stranger",
    };
    let learnt = if latch.latched().is_some() { "!" } else { "" };
    format!("{}{learnt}>{}", name(latch.peer()), name(latch.destination()))
}

/// Who is heard > who is sent to, after 0.5, 1.3 and 3.1 s; `!` is learnt for good. The stranger speaks from the first moment
/// on, and so does the peer from 1 s on: at its address, from another port of it, or never.
#[test]
fn in_every_mode_a_stranger_who_spoke_first_loses_wherever_it_can() {
    let table = [
        (LatchMode::Strict, FAR, SIGNALLED, "nobody>peer peer!>peer peer!>peer"),
        (LatchMode::Strict, FAR, OTHER_PORT, "nobody>peer nobody>peer nobody>peer"),
        (LatchMode::Strict, NEIGHBOUR, SIGNALLED, "nobody>peer peer!>peer peer!>peer"),
        (LatchMode::Signalled, FAR, SIGNALLED, "nobody>peer peer!>peer peer!>peer"),
        (LatchMode::Signalled, FAR, OTHER_PORT, "nobody>peer port>port port>port"),
        (LatchMode::Signalled, FAR, "", "nobody>peer nobody>peer nobody>peer"),
        (LatchMode::Signalled, NEIGHBOUR, SIGNALLED, "stranger>peer peer!>peer peer!>peer"),
        (LatchMode::Signalled, NEIGHBOUR, OTHER_PORT, "stranger>peer port>port port!>port"),
        (LatchMode::Signalled, NEIGHBOUR, "", "stranger>peer stranger>stranger stranger!>stranger"),
        (LatchMode::Signalled, OTHER_PORT, SIGNALLED, "port>port peer!>peer peer!>peer"),
        (LatchMode::Any, FAR, SIGNALLED, "stranger>stranger peer!>peer peer!>peer"),
        // Its eighth packet was the first that was believed, at 0.14 s.
        (LatchMode::Any, FAR, OTHER_PORT, "stranger>stranger port>port port>port"),
        (LatchMode::Any, FAR, "", "stranger>stranger stranger>stranger stranger>stranger"),
        (LatchMode::Any, NEIGHBOUR, SIGNALLED, "stranger>stranger peer!>peer peer!>peer"),
        (LatchMode::Heuristic, FAR, SIGNALLED, "stranger>stranger peer!>peer peer!>peer"),
        (LatchMode::Heuristic, FAR, OTHER_PORT, "stranger>stranger port>port port!>port"),
        (LatchMode::Heuristic, FAR, "", "stranger>stranger stranger>stranger stranger!>stranger"),
        (LatchMode::Heuristic, SAME_PORT, SIGNALLED, "stranger>stranger peer!>peer peer!>peer"),
        (LatchMode::Heuristic, SAME_PORT, OTHER_PORT, "stranger>stranger port>port port!>port"),
        (LatchMode::Delayed, FAR, SIGNALLED, "stranger>stranger peer!>peer peer!>peer"),
        // The last one to speak is heard, and the first to speak after three seconds is learnt.
        (LatchMode::Delayed, FAR, OTHER_PORT, "stranger>stranger port>port stranger!>stranger"),
        (LatchMode::Delayed, FAR, "", "stranger>stranger stranger>stranger stranger!>stranger"),
        (LatchMode::Immediate, FAR, SIGNALLED, "stranger!>stranger stranger!>stranger stranger!>stranger"),
        (LatchMode::Immediate, FAR, OTHER_PORT, "stranger!>stranger stranger!>stranger stranger!>stranger"),
    ];
    for (mode, stranger, peer, expected) in table {
        let mut latch = latch(mode);
        let mut speakers = vec![(0, stranger)];
        speakers.extend(Some((1_000, peer)).filter(|(_, peer)| !peer.is_empty()));
        let mut said = Vec::new();
        for (from_ms, to_ms) in [(0, 500), (500, 1_300), (1_300, 3_100)] {
            speak(&mut latch, from_ms, to_ms, &speakers);
            said.push(state(&latch));
        }
        assert_eq!(said.join(" "), expected, "{mode:?}: {stranger}, then {peer}");
    }
}

/// The same peers without any stranger: nobody waits for anything, and all are learnt in the end.
#[test]
fn a_peer_who_is_alone_is_heard_and_sent_to_at_once_and_learnt_after_three_seconds() {
    for mode in MODES {
        for (source, name) in [(SIGNALLED, "peer"), (OTHER_PORT, "port"), (FAR, "stranger")] {
            let mut latch = latch(mode);
            let allowed = Nearness::of(mode, Some(at(SIGNALLED)), at(source)).is_some();
            speak(&mut latch, 0, 160, &[(0, source)]);
            let heard = if allowed { latch.peer() } else { None };
            assert_eq!(
                (latch.peer(), latch.destination()),
                (heard, heard.or(Some(at(SIGNALLED)))),
                "{mode:?} {name}"
            );
            speak(&mut latch, 160, 3_400, &[(0, source)]);
            assert_eq!(latch.latched(), allowed.then(|| at(source)), "{mode:?} {name}");
        }
    }
}

#[test]
fn every_mode_believes_each_kind_of_source_after_its_number_of_packets() {
    let after = |packets: u8| Some((usize::from(packets), BELIEVED));
    let (one, learnt) = (after(1), Some((1, LEARNT)));
    let near = after(LATCH_SAME_ADDRESS_PACKETS);
    let network = after(LATCH_SAME_NETWORK_PACKETS);
    let any = after(LATCH_ANY_PACKETS);
    for (mode, expected) in [
        (LatchMode::Strict, [learnt, None, None, None, None]),
        (LatchMode::Signalled, [learnt, near, network, None, None]),
        (LatchMode::Any, [learnt, near, network, any, any]),
        (LatchMode::Heuristic, [learnt, one, one, one, one]),
        (LatchMode::Delayed, [learnt, one, one, one, one]),
        (LatchMode::Immediate, [learnt, learnt, learnt, learnt, learnt]),
    ] {
        let heard = [SIGNALLED, OTHER_PORT, NEIGHBOUR, SAME_PORT, FAR]
            .map(|source| packets_until_heard(&mut latch(mode), source));
        assert_eq!(heard, expected, "{mode:?}");
    }
}

#[test]
fn in_heuristic_the_nearer_takes_the_place_of_the_farther_and_never_the_other_way_round() {
    let order = [FAR, SAME_PORT, OTHER_PORT];
    let mut latch = latch(LatchMode::Heuristic);
    for (n, source) in order.into_iter().enumerate() {
        let said = if n == 0 { BELIEVED } else { BELIEVED_INSTEAD };
        assert_eq!(latch.admit(NOW, at(source)), said);
        assert_eq!(latch.destination(), Some(at(source)));
        for farther in &order[..n] {
            assert_eq!(latch.admit(NOW, at(farther)), Refused, "{farther} after {source}");
        }
    }
    assert_eq!(latch.admit(NOW, at("192.0.2.10:5000")), BELIEVED_INSTEAD, "of equals the last");
    assert_eq!(latch.admit(NOW, at(SIGNALLED)), LEARNT_INSTEAD);
    assert_eq!(latch.admit(NOW, at(OTHER_PORT)), Refused);
}

#[test]
fn the_three_seconds_begin_with_the_first_source_that_is_heard() {
    let mut latch = latch(LatchMode::Heuristic);
    let later = NOW.plus_ms(60_000);
    assert_eq!(latch.admit(later, at(FAR)), BELIEVED);
    assert_eq!(latch.admit(later.plus_ms(2_999), at(FAR)), Known);
    assert_eq!(latch.latched(), None);
    assert_eq!(latch.admit(later.plus_ms(3_000), at(FAR)), LEARNT);
    assert_eq!(latch.admit(later.plus_ms(3_000), at(SIGNALLED)), Refused);
}

#[test]
fn sources_that_take_each_others_place_with_every_packet_are_told_of_once() {
    let mut latch = latch(LatchMode::Delayed);
    let mut told = Vec::new();
    for ms in (0..=3_000).step_by(20) {
        for source in [FAR, SAME_PORT] {
            let said = latch.admit(NOW.plus_ms(ms), at(source));
            if !matches!(said, Refused | Known) && latch.is_news(at(source)) {
                told.push(source);
            }
        }
    }
    assert_eq!((told, latch.latched()), (vec![FAR], Some(at(FAR))));
    latch.restart(LatchMode::Any, Some(Remote { rtp: at(SIGNALLED), rtcp: None }));
    for (source, news) in [(FAR, true), (OTHER_PORT, true), (SIGNALLED, true)] {
        packets_until_heard(&mut latch, source);
        assert_eq!(latch.is_news(at(source)), news, "{source}");
        assert!(!latch.is_news(at(source)), "{source}");
    }
}

#[test]
fn rtp_bleed_fails_a_stranger_never_becomes_the_destination() {
    let mut latch = latch(LatchMode::Signalled);
    for port in 1..=u16::MAX {
        assert_eq!(latch.admit(NOW, SocketAddr::new(at("203.0.113.66:0").ip(), port)), Refused);
        assert_eq!(latch.destination(), Some(at(SIGNALLED)));
    }
    assert_eq!(latch.admit(NOW, at(SIGNALLED)), LEARNT, "the peer still gets through after the flood");
}

#[test]
fn rtp_inject_fails_nobody_else_is_heard_after_the_latch() {
    for mode in MODES {
        let mut latch = latch(mode);
        assert_eq!(latch.admit(NOW, at(SIGNALLED)), LEARNT);
        for source in [OTHER_PORT, NEIGHBOUR, SAME_PORT, FAR] {
            assert_eq!(packets_until_heard(&mut latch, source), None, "{mode:?}");
        }
        assert_eq!(latch.admit(NOW, at(SIGNALLED)), Known);
        assert_eq!(latch.latched(), Some(at(SIGNALLED)));
    }
}

#[test]
fn after_the_budget_only_the_signalled_source_latches() {
    let mut latch = latch(LatchMode::Any);
    for port in 0..LATCH_BUDGET_PACKETS {
        assert_eq!(latch.admit(NOW, SocketAddr::new(at("203.0.113.1:0").ip(), port)), Refused);
    }
    assert_eq!(packets_until_heard(&mut latch, OTHER_PORT), None);
    assert_eq!(latch.admit(NOW, at(SIGNALLED)), LEARNT);
}

#[test]
fn a_nearer_source_is_not_kept_out_by_farther_ones() {
    let mut latch = latch(LatchMode::Any);
    for source in ["203.0.113.1:1", "203.0.113.2:1", "203.0.113.3:1", OTHER_PORT] {
        assert_eq!(latch.admit(NOW, at(source)), Refused);
    }
    assert_eq!(latch.admit(NOW, at(OTHER_PORT)), BELIEVED);
}

#[test]
fn nothing_is_learnt_or_sent_to_before_signalling_names_a_remote() {
    let mut latch = Latch::new(LatchMode::Signalled, None);
    assert_eq!(packets_until_heard(&mut latch, SIGNALLED), None);
    assert_eq!((latch.destination(), latch.rtcp_destination()), (None, None));
}

#[test]
fn rtcp_comes_from_the_signalled_port_or_the_address_of_rtp_only() {
    let mut latch = latch(LatchMode::Signalled);
    assert_eq!(latch.admit_rtcp(at("192.0.2.10:4005")), Refused, "no RTP was heard");
    assert_eq!(packets_until_heard(&mut latch, OTHER_PORT), Some((2, BELIEVED)));
    assert_eq!(latch.admit_rtcp(at("192.0.2.11:4001")), Refused);
    assert_eq!(latch.admit_rtcp(at("192.0.2.10:4005")), Known, "not learnt before RTP is");
    assert_eq!(latch.rtcp_destination(), Some(at("192.0.2.10:4001")));
    assert_eq!(latch.admit(NOW.plus_ms(3_000), at(OTHER_PORT)), LEARNT);
    assert_eq!(latch.admit_rtcp(at("192.0.2.10:4005")), LEARNT);
    assert_eq!(latch.admit_rtcp(at("192.0.2.10:4001")), Refused);
    assert_eq!(latch.rtcp_destination(), Some(at("192.0.2.10:4005")));
}

#[test]
fn a_restart_forgets_what_was_learnt() {
    let mut latch = latch(LatchMode::Signalled);
    assert_eq!(latch.admit(NOW, at(SIGNALLED)), LEARNT);
    latch.restart(LatchMode::Signalled, Some(Remote { rtp: at("198.51.100.7:6000"), rtcp: None }));
    assert_eq!(latch.admit(NOW, at(SIGNALLED)), Refused);
    assert_eq!(latch.admit(NOW, at("198.51.100.7:6000")), LEARNT);
}
