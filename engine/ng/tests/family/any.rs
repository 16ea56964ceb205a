//! Whatever is asked, in whatever order.

use std::time::Duration;

use offhook_ng::{Dict, Peer, Value};
use proptest::prelude::*;

use crate::parties::transformed;
use crate::world::{SDP, World};

fn any_request() -> impl Strategy<Value = Dict> {
    let names = [
        "offer",
        "answer",
        "delete",
        "query",
        "list",
        "ping",
        "play media",
        "stop media",
        "play DTMF",
        "block media",
        "unblock media",
        "publish",
        "subscribe request",
        "subscribe answer",
        "unsubscribe",
        "block DTMF",
        "connect",
        "create",
        "mesh",
        "create answer",
        "transform",
        "statistics",
        "start recording",
        "pause recording",
        "stop recording",
        "publish",
        "nonsense",
    ];
    let tag = || proptest::option::of(prop_oneof![Just("a"), Just("b"), Just("x")]);
    let sdps = [
        SDP.to_owned(),
        SDP.replace("4000", "0"),
        format!("{SDP}m=audio 5000 RTP/AVP 8\r\n"),
        "v=0\r\n".into(),
    ];
    let call_ids = proptest::sample::select(vec!["c", "d"]);
    let sdp = proptest::option::of(proptest::sample::select(sdps.to_vec()));
    (proptest::sample::select(names.to_vec()), call_ids, tag(), tag(), tag(), sdp, any::<bool>()).prop_map(
        |(name, call_id, from, to, branch, sdp, at_once)| {
            let mut dict = Dict::default().with("command", name).with("call-id", call_id).with("code", "5");
            dict.put("from-tags", vec![Value::from("a"), Value::from("b"), Value::from("x")]);
            dict.put("media", vec![transformed("PCMU", "opus", "127.0.0.9")]);
            for (key, value) in [("from-tag", from), ("to-tag", to), ("via-branch", branch)] {
                if let Some(value) = value {
                    dict.put(key, value);
                }
            }
            if let Some(sdp) = sdp {
                dict.put("sdp", sdp);
            }
            if at_once {
                dict.put("delete-delay", 0_u64);
            }
            dict
        },
    )
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_no_leg_outlives_its_call(
        steps in proptest::collection::vec((any_request(), 0_usize..6, 0_u64..40), 1..40),
    ) {
        let mut world = World::new();
        for (request, answers, seconds) in &steps {
            world.send(request);
            for _ in 0..*answers {
                world.answer_one();
            }
            if *seconds > 30 {
                world.settle();
                world.pass(Duration::from_secs(*seconds));
            }
        }
        world.settle();
        prop_assert_eq!(world.replies.len(), steps.len());
        prop_assert!(world.replies.values().all(|replies| replies.len() == 1));
        for call_id in ["c", "d"] {
            world.ask(&Dict::default().with("command", "delete").with("call-id", call_id).with("delete-delay", 0_u64));
        }
        prop_assert!(world.legs.is_empty(), "{:?}", world.legs);
    }

    #[test]
    fn any_bytes_after_a_cookie_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut world = World::new();
        let peer = Peer::Stream(1);
        world.ng.handle_datagram(world.now, peer, &[b"c1 ", &bytes[..]].concat());
        world.collect();
        world.settle();
        prop_assert_eq!(world.replies.len(), 1);
    }
}
