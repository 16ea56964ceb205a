//! Interfaces, addresses and ways that come and go under an engine whose kernel forwards.

use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use offhook_proto::{Command, Play, PlaySource, ToneName};

use crate::may_load;
use crate::network::{ENGINE, FAR, NEAR, Networks, come_in, follow, ip, party, set_up, start};
use crate::past_the_worker::{Party, figures, talk, talk_until};
use crate::support::{Client, PATIENCE, assert_one_stream, number, spoken};

/// Whether the other hears what one says.
fn reaches(from: &mut Party, to: &Party, word: u32) -> bool {
    from.phone.say(from.leg.rtp, word);
    while let Some(heard) = to.phone.hear_within(SOON) {
        if number(&heard) == word {
            return true;
        }
    }
    false
}

/// Two talk until they hear each other and every word passes by the worker. Words may be lost while the network is changed.
fn talk_until_all_pass(client: &mut Client, near: &mut Party, far: &mut Party) {
    let began = Instant::now();
    for round in 0.. {
        let before = figures(client).kernel_packets;
        let all = (0..10).all(|at| {
            let word = 1_000_000 + round * 10 + at;
            reaches(near, far, word) && reaches(far, near, word)
        });
        if all && figures(client).kernel_packets - before == 20 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "they never pass: {:?}", figures(client));
    }
    near.phone.heard();
    far.phone.heard();
}

/// Long enough for a word to arrive where nothing is in its way; one that takes longer is said again.
const SOON: Duration = Duration::from_millis(100);

#[test]
fn an_interface_that_is_made_after_the_start_is_as_good_as_the_others() {
    for (kind, words) in [("vlan", "type vlan id 7"), ("macvlan", "type macvlan")] {
        let Some(networks) = may_load().then(|| Networks::lay(kind)).flatten() else { return };
        let engine = start(&networks, &[]);
        let mut client = engine.client();
        if !ip(&format!("-n {} link add link wire2 name late {words}", networks.names[ENGINE])) {
            eprintln!("not tested: this kernel has no {kind}");
            continue;
        }
        networks.change(FAR, &format!("link add link wire name late {words}"));
        for (at, host) in [(ENGINE, 1), (FAR, 2)] {
            networks.enter(at);
            // The interface below does not answer for the address of the one on it.
            std::fs::write("/proc/sys/net/ipv4/conf/all/arp_ignore", "1").expect("it is there");
            networks.change(at, &format!("address add 10.77.7.{host}/24 dev late"));
            networks.change(at, "link set late up");
        }
        let mut near = party(&networks, &mut client, NEAR, "near", 1);
        let mut far = party(&networks, &mut client, FAR, "far", 7);
        client.splice("near", "far");
        talk_until_all_pass(&mut client, &mut near, &mut far);
        networks.enter(FAR);
        let before = come_in("late");
        talk(&mut near, &mut far, 10);
        assert!(come_in("late") >= before + 10, "by the new one");
    }
}

#[test]
fn a_call_whose_packets_begin_to_come_by_a_new_interface_goes_on_and_then_in_the_kernel() {
    let Some(networks) = may_load().then(|| Networks::lay("turned")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until(&mut client, 2, &mut near, &mut far);
    networks.lay_another();
    networks.change(ENGINE, "route add 10.77.2.2/32 via 10.77.3.2 dev wire3");
    networks.change(FAR, "route replace default via 10.77.3.1");
    talk_until_all_pass(&mut client, &mut near, &mut far);
    networks.enter(ENGINE);
    let before = come_in("wire3");
    talk(&mut near, &mut far, 10);
    assert!(come_in("wire3") >= before + 10, "by the new one");
}

#[test]
fn an_interface_that_is_made_anew_with_its_old_number_forwards_again() {
    let Some(networks) = may_load().then(|| Networks::lay("anew")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until(&mut client, 2, &mut near, &mut far);
    let number = std::fs::read_to_string("/proc/thread-self/net/igmp").expect("it is there");
    let number: u32 = number
        .lines()
        .find_map(|line| line.split_once("wire2")?.0.trim().parse().ok())
        .expect("wire2 is there");
    let made =
        format!("link add wire2 index {number} type veth peer name wire netns {}", networks.names[FAR]);
    for (at, words) in [
        (ENGINE, "link delete wire2"),
        (ENGINE, &made),
        (ENGINE, "address add 10.77.2.1/24 dev wire2"),
        (ENGINE, "link set wire2 up"),
        (FAR, "address add 10.77.2.2/24 dev wire"),
        (FAR, "link set wire up"),
        (FAR, "route add default via 10.77.2.1"),
    ] {
        networks.change(at, words);
    }
    talk_until_all_pass(&mut client, &mut near, &mut far);
}

#[test]
fn an_interface_that_becomes_the_port_of_a_bridge_leaves_its_packets_to_that() {
    let Some(networks) = may_load().then(|| Networks::lay("bridge")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until(&mut client, 2, &mut near, &mut far);
    for words in [
        "link add bridged type bridge",
        "link set wire2 master bridged",
        "address del 10.77.2.1/24 dev wire2",
        "address add 10.77.2.1/24 dev bridged",
        "link set bridged up",
    ] {
        networks.change(ENGINE, words);
    }
    talk_until_all_pass(&mut client, &mut near, &mut far);
    // What a port has taken in has not come in by the bridge.
    let before = come_in("bridged");
    talk(&mut near, &mut far, 10);
    assert!(come_in("bridged") >= before + 10, "by the bridge");
}

#[test]
fn a_rule_for_routes_is_heeded_without_leaving_the_kernel() {
    let Some(networks) = may_load().then(|| Networks::lay("policy")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    networks.lay_another();
    networks.change(ENGINE, "route add 10.77.2.2/32 via 10.77.3.2 dev wire3 table 77");
    talk_until_all_pass(&mut client, &mut near, &mut far);
    let [there, back] = ["rule add to 10.77.2.2 lookup 77", "rule del to 10.77.2.2 lookup 77"];
    follow(&networks, &mut client, &mut near, &mut far, [there, back]);
}

#[test]
fn an_address_that_goes_takes_its_calls_out_of_the_kernel_and_brings_them_back() {
    let Some(networks) = may_load().then(|| Networks::lay("address")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until_all_pass(&mut client, &mut near, &mut far);
    networks.change(ENGINE, "address del 10.77.1.1/24 dev wire1");
    let (began, before) = (Instant::now(), figures(&mut client).kernel_packets);
    // Nobody has the address: nothing that is sent there is heard.
    far.phone.heard();
    let mut said = 1_000_000;
    loop {
        near.phone.say(near.leg.rtp, said);
        said += 1;
        if far.phone.hear_within(SOON).is_none() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it is forwarded still");
    }
    assert!(figures(&mut client).kernel_packets >= before);
    networks.change(ENGINE, "address add 10.77.1.1/24 dev wire1");
    loop {
        near.phone.say(near.leg.rtp, said);
        let heard = far.phone.hear_within(SOON);
        if heard.is_some_and(|packet| number(&packet) == said) {
            break;
        }
        said += 1;
        assert!(began.elapsed() < PATIENCE, "it is not heard any more");
    }
}

#[test]
fn packets_that_come_as_one_are_heard_one_by_one() {
    let Some(networks) = may_load().then(|| Networks::lay("joined")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until(&mut client, 2, &mut near, &mut far);
    setsockopt(&near.phone.rtp, sockopt::UdpGsoSegment, &172).expect("set");
    let mut heard = Vec::new();
    for round in 0..20 {
        let mut joined = Vec::new();
        for word in 0..3 {
            let payload = spoken(near.phone.next.ssrc, round * 3 + word).to_vec();
            joined.extend(crate::support::Packet { payload, ..near.phone.next.clone() }.write());
            near.phone.next.sequence = near.phone.next.sequence.wrapping_add(1);
            near.phone.next.timestamp = near.phone.next.timestamp.wrapping_add(160);
        }
        near.phone.rtp.send_to(&joined, near.leg.rtp).expect("sent");
        heard.extend((0..3).map(|_| far.phone.hear()));
    }
    assert_one_stream(&heard);
    assert!(heard.iter().map(number).eq(0..60));
}

#[test]
fn what_a_steered_engine_makes_goes_the_way_of_its_address() {
    let Some(networks) = may_load().then(|| Networks::lay("source")).flatten() else { return };
    networks.lay_another();
    networks.change(ENGINE, "route add 10.77.2.2/32 via 10.77.3.2 dev wire3 table 77");
    networks.change(ENGINE, "rule add from 10.77.1.1 to 10.77.2.2 lookup 77");
    let engine = start(&networks, &["--steer"]);
    let mut client = engine.client();
    let far = party(&networks, &mut client, FAR, "far", 2);
    networks.enter(FAR);
    let before = come_in("other");
    let sources = vec![PlaySource::Tone { name: ToneName::Ringback, country: None }];
    client.done(Command::Play(Play { times: 0, ..Play::new("far", sources) }));
    for _ in 0..20 {
        far.phone.hear();
    }
    assert!(come_in("other") >= before + 20, "by the rule for its address");
}
