//! Who is not heard, by whom.

use offhook_ng::Dict;
use offhook_proto::{Command, Idle, Splice};

use crate::world::{SDP, World, command, joined};

/// The splices among commands, by their legs and who hears.
pub(crate) fn splices(told: &[Command]) -> Vec<(String, String, bool, bool)> {
    let spliced = told.iter().filter_map(|command| match command {
        Command::Splice(Splice { a, b, a_hears_b, b_hears_a, .. }) => {
            Some((a.clone(), b.clone(), *a_hears_b, *b_hears_a))
        }
        _ => None,
    });
    spliced.collect()
}

/// Whether `b` hears `a`, and `a` hears `b`, by the last splice, and who listens to copies: `+` begins, `-` ends.
fn heard(told: &[Command]) -> (Option<(bool, bool)>, Vec<char>) {
    let spliced =
        splices(told).pop().map(
            |(a, _, a_hears, b_hears)| {
                if a.ends_with('a') { (b_hears, a_hears) } else { (a_hears, b_hears) }
            },
        );
    let copies = told.iter().filter_map(|command| match command {
        Command::Listen(_) => Some('+'),
        Command::ListenStop(_) => Some('-'),
        _ => None,
    });
    (spliced, copies.collect())
}

/// Two who talk, and one who has subscribed to the first.
fn world() -> World {
    let mut world = joined("");
    subscribe(&mut world, &[]);
    world
}

fn subscribe(world: &mut World, flags: &[&str]) -> Vec<Command> {
    let flags: Vec<_> = flags.iter().map(|flag| offhook_ng::Value::from(*flag)).collect();
    let request = command("subscribe request").with("from-tag", "a").with("to-tag", "ear");
    let offered = world.ask(&request.with("to-label", "third ear").with("flags", flags));
    assert_eq!(offered.text("result"), Some("ok"), "{offered:?}");
    world.told_by(&command("subscribe answer").with("to-tag", "ear").with("sdp", SDP))
}

fn of_a(name: &str) -> Dict {
    command(name).with("from-tag", "a")
}

#[test]
fn a_blocked_party_is_heard_by_nobody_who_has_subscribed_to_it_either() {
    let mut world = world();
    assert_eq!(heard(&world.told_by(&of_a("block media"))), (Some((false, true)), vec!['-']));
    assert_eq!(heard(&subscribe(&mut world, &[])), (None, vec![]), "who comes meanwhile hears nothing");
    assert_eq!(heard(&world.told_by(&of_a("unblock media"))), (Some((true, true)), vec!['+']));
}

#[test]
fn who_publishes_is_blocked_and_recorded_by_name_but_not_played_to() {
    let mut world = World::new();
    world.ask(&command("publish").with("from-tag", "mic").with("sdp", SDP));
    let request = command("subscribe request").with("from-tag", "mic").with("to-tag", "ear");
    assert_eq!(world.ask(&request).text("result"), Some("ok"));
    world.told_by(&command("subscribe answer").with("to-tag", "ear").with("sdp", SDP));
    let of_mic = |name: &str| command(name).with("from-tag", "mic");
    assert_eq!(heard(&world.told_by(&of_mic("block media"))), (None, vec!['-']));
    assert_eq!(heard(&world.told_by(&of_mic("unblock media"))), (None, vec!['+']));
    world.told_by(&of_mic("start recording"));
    assert!(world.recorded[0].contains("-p ng/c-") && world.recorded[0].ends_with("Leg"));
    let play = of_mic("play media").with("file", "x.wav");
    assert_eq!(world.refused(&play), "From-tag given, but no such tag exists");
}

#[test]
fn one_flow_of_a_party_is_blocked_by_the_tag_or_the_label_of_who_hears_it() {
    let mut world = world();
    let to = |name: &str, key: &str, hearer: &str| of_a(name).with(key, hearer);
    assert_eq!(heard(&world.told_by(&to("block media", "to-tag", "b"))), (Some((false, true)), vec!['+']));
    assert_eq!(heard(&world.told_by(&to("block media", "to-tag", "ear"))), (Some((false, true)), vec!['-']));
    assert_eq!(heard(&world.told_by(&to("unblock media", "to-tag", "b"))), (Some((true, true)), vec!['-']));
    assert_eq!(heard(&world.told_by(&to("unblock media", "to-label", "third ear"))).1, ['+']);
    let told = world.told_by(&to("silence media", "to-label", "third ear"));
    assert_eq!(heard(&told), (Some((true, true)), vec!['-']));
    let silenced = told.iter().filter_map(|command| match command {
        Command::LegUpdate(update) => Some((update.leg.clone(), update.idle?)),
        _ => None,
    });
    let silenced: Vec<_> = silenced.collect();
    assert!(matches!(&silenced[..], [(leg, Idle::Silence)] if leg.ends_with("-s")), "{silenced:?}");
    let nobody = to("block media", "to-tag", "nobody");
    assert_eq!(world.refused(&nobody), "To-tag given, but no such tag exists");
    let deaf = command("block media").with("from-tag", "b").with("to-tag", "ear");
    assert_eq!(world.refused(&deaf), "No media flow from the one party to the other");
}

#[test]
fn flows_are_blocked_by_how_they_came_about() {
    let mut world = world();
    let all = |name: &str, all: &str| of_a(name).with("all", all);
    assert_eq!(heard(&world.told_by(&all("block media", "offer-answer"))), (Some((false, true)), vec!['+']));
    assert_eq!(heard(&world.told_by(&all("block media", "except-offer-answer"))).1, ['-']);
    assert_eq!(heard(&world.told_by(&all("unblock media", "flows"))), (Some((true, true)), vec!['+']));
    assert_eq!(heard(&world.told_by(&all("block media", "none"))), (Some((false, true)), vec!['-']));
}

#[test]
fn a_call_that_is_unblocked_keeps_those_blocked_who_were_by_name_unless_all_are_meant() {
    let mut world = world();
    world.told_by(&of_a("block media"));
    assert_eq!(heard(&world.told_by(&command("block media"))), (Some((false, false)), vec!['-']));
    assert_eq!(heard(&world.told_by(&command("unblock media"))), (Some((false, true)), vec!['-']));
    world.told_by(&command("block media"));
    let all = command("unblock media").with("all", "all");
    assert_eq!(heard(&world.told_by(&all)), (Some((true, true)), vec!['+']));
}

#[test]
fn a_subscription_that_is_inactive_is_described_as_that_and_hears_nothing() {
    let mut world = world();
    assert_eq!(heard(&subscribe(&mut world, &["inactive"])), (None, vec![]));
    let request = command("subscribe request").with("from-tag", "a").with("to-tag", "ear");
    let inactive = request.clone().with("flags", vec![offhook_ng::Value::from("inactive")]);
    assert!(world.ask(&inactive).text("sdp").is_some_and(|sdp| sdp.contains("a=inactive\r\n")));
    assert!(world.ask(&request).text("sdp").is_some_and(|sdp| sdp.contains("a=sendonly\r\n")));
    assert_eq!(heard(&subscribe(&mut world, &[])), (None, vec!['+']), "again");
}

#[test]
fn a_party_that_is_named_gets_the_label_of_the_request() {
    let mut world = joined("");
    world.told_by(&of_a("block DTMF").with("set-label", "till"));
    world.told_by(&command("unblock DTMF").with("label", "till"));
    assert_eq!(world.keys.len(), 2);
    assert_eq!(world.keys[0].0, world.keys[1].0);
}
