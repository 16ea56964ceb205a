//! The director and its workers under any order of requests and deliveries.

mod support;

use std::collections::BTreeMap;

use offhook_proto::{Command, EngineInfo, ErrorCode, LegPark, LegUnpark, Listen, Supervise, SuperviseMode};
use support::asking::{code, create, delete, info, query, splice, unsplice, world};
use support::world::Dice;

fn park(leg: &str) -> Command {
    Command::LegPark(LegPark { leg: leg.into(), keep_one_in: None })
}

fn listen(leg: &str, of: &str) -> Command {
    Command::Listen(Listen { leg: leg.into(), of: of.into() })
}

fn supervise(leg: &str, of: &str) -> Command {
    let (leg, of, mode) = (leg.into(), of.into(), SuperviseMode::Whisper);
    Command::Supervise(Supervise { leg, of, with: None, mode })
}

/// One at a time, the engine does exactly what a table of names and partners would.
#[test]
fn one_after_another_requests_do_what_a_naive_model_says() {
    for seed in 1..=60 {
        let (mut world, mut dice) = (world(), Dice(seed * 0x9E37_79B9));
        let mut model: BTreeMap<String, Option<String>> = BTreeMap::new();
        for _ in 0..150 {
            let pick = |dice: &mut Dice| format!("leg-{}", dice.below(8));
            let (a, b) = (pick(&mut dice), pick(&mut dice));
            let replace = dice.below(2) == 0;
            let part = |model: &mut BTreeMap<String, Option<String>>, leg: &str| {
                if let Some(partner) = model.get_mut(leg).and_then(Option::take) {
                    model.insert(partner, None);
                }
            };
            let missing = !model.contains_key(&a);
            let not_found = missing.then_some(ErrorCode::LegNotFound);
            let (command, expected) = match dice.below(6) {
                0 => {
                    model.entry(a.clone()).or_default();
                    (create(&a), None)
                }
                1 => {
                    part(&mut model, &a);
                    model.remove(&a);
                    (delete(&a), not_found)
                }
                2 => {
                    part(&mut model, &a);
                    (unsplice(&a), not_found)
                }
                3 => {
                    let spliced = model.get(&a).is_some_and(Option::is_some);
                    (park(&a), not_found.or(spliced.then_some(ErrorCode::AlreadySpliced)))
                }
                _ if a == b => (splice(&a, &b, replace), Some(ErrorCode::SameLeg)),
                _ => {
                    let third = |leg: &str, other: &str| {
                        model.get(leg).and_then(Option::as_deref).is_some_and(|partner| partner != other)
                    };
                    let expected = if missing || !model.contains_key(&b) {
                        Some(ErrorCode::LegNotFound)
                    } else if !replace && (third(&a, &b) || third(&b, &a)) {
                        Some(ErrorCode::AlreadySpliced)
                    } else {
                        part(&mut model, &a);
                        part(&mut model, &b);
                        model.insert(a.clone(), Some(b.clone()));
                        model.insert(b.clone(), Some(a.clone()));
                        None
                    };
                    (splice(&a, &b, replace), expected)
                }
            };
            assert_eq!(code(world.call(command.clone())), expected, "seed {seed}: {command:?}");
        }
        for (leg, partner) in &model {
            assert_eq!(info(&mut world, leg).spliced_to, *partner, "seed {seed}: {leg}");
        }
        assert_eq!(world.open.len(), model.len());
    }
}

/// All at once, in any order of delivery: everything is answered once, and the parts agree in the end.
#[test]
fn under_any_order_of_delivery_every_request_is_answered_once_and_the_parts_agree() {
    for seed in 1..=300_u64 {
        let (mut world, mut dice) = (world(), Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let mut exists: BTreeMap<String, bool> = BTreeMap::new();
        let mut expected = Vec::new();
        for _ in 0..120 {
            let (a, b) = (format!("leg-{}", dice.below(6)), format!("leg-{}", dice.below(6)));
            let was = exists.get(&a).copied().unwrap_or(false);
            match dice.below(12) {
                0 | 1 => {
                    expected.push((world.ask(create(&a)), None));
                    exists.insert(a, true);
                }
                2 => {
                    let refusal = (!was).then_some(ErrorCode::LegNotFound);
                    expected.push((world.ask(delete(&a)), refusal));
                    exists.insert(a, false);
                }
                3 => drop(world.ask(unsplice(&a))),
                4 => drop(world.ask(Command::LegUnpark(LegUnpark { leg: a }))),
                5 => {
                    let refusal = (!was).then_some(ErrorCode::LegNotFound);
                    expected.push((world.ask(query(&a)), refusal));
                }
                6 => drop(world.ask(listen(&a, &b))),
                7 => drop(world.ask(supervise(&a, &b))),
                8 => drop(world.ask(park(&a))),
                _ => drop(world.ask(splice(&a, &b, dice.below(3) > 0))),
            }
            for _ in 0..dice.below(6) {
                world.step(&mut dice);
            }
        }
        world.settle(&mut dice);
        assert!(
            world.answered.len() == 120 && world.answered.values().all(|times| *times == 1),
            "seed {seed}"
        );
        for (cookie, refusal) in expected {
            assert_eq!(code(world.replies[&cookie].clone()), refusal, "seed {seed}: {cookie}");
        }
        let legs: Vec<_> = exists.iter().filter(|(_, exists)| **exists).map(|(leg, _)| leg.clone()).collect();
        assert_eq!((world.open.len(), world.director.legs()), (legs.len(), legs.len()), "seed {seed}");
        for leg in &legs {
            let shown = info(&mut world, leg);
            if let Some(partner) = &shown.spliced_to {
                let other = info(&mut world, partner);
                assert_eq!(
                    (other.spliced_to.as_ref(), other.worker),
                    (Some(leg), shown.worker),
                    "seed {seed}"
                );
            }
        }
        let engine: EngineInfo = world.call(Command::Statistics).parse().expect("figures");
        assert_eq!(engine.workers.iter().map(|worker| worker.legs).sum::<u64>(), legs.len() as u64);
        assert_eq!(engine.ports_free, 100 - legs.len() as u64);
    }
}
