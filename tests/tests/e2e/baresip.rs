//! baresip from Debian, unmodified, as agent's phone and as customer: what each hears is compared with what the other says.

use std::time::{Duration, Instant};

use offhook_tests::e2e::{Baresip, House, Manner, Settings, eventually, within};
use serde_json::{Value, json};

const OPUS: Manner = Manner {
    user: "phone",
    codec: "opus/48000/2",
    shape: (48_000, 2),
    mediaenc: "",
    tone_hz: 700,
    pauses: false,
};
const PCMA: Manner = Manner {
    user: "phone",
    codec: "PCMA/8000/1",
    shape: (8_000, 1),
    mediaenc: "",
    tone_hz: 700,
    pauses: false,
};
const CUSTOMER: &str = "+31201234567";

/// An agent and a customer with these phones talk for a while; both legs as the engine saw them.
fn talk(agent: Manner, customer: Manner, settings: &Settings) -> (Value, Value) {
    let house = House::open(settings);
    talk_in(&house, agent, customer, || {})
}

/// The same in a house; `lingers` is called while the agent waits for the customer, and again while they talk.
fn talk_in(house: &House, agent: Manner, customer: Manner, lingers: impl Fn()) -> (Value, Value) {
    let ann = Baresip::start(house, house.free(), agent);
    let customer = Baresip::start(house, house.trunk, Manner { user: CUSTOMER, tone_hz: 1_100, ..customer });
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    house.rest.act("ann", "login");
    house.rest.status("ann", "available");
    house.rest.await_agent("ann", "status", "available");
    lingers();
    house.rest.callback(CUSTOMER);
    for (hearer, speaker) in [(&ann, &customer), (&customer, &ann)] {
        let (mut share, mut level_db) = (0.0, 0.0);
        let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("a second of the other's tone, clean and at its level", || {
                (share, level_db) = hearer.hears(speaker.tone_hz())?;
                (share > 0.97 && (level_db + 12.0).abs() < 1.0).then_some(())
            });
        }));
        assert!(
            heard.is_ok(),
            "share {share:.3}, {level_db:.1} dB:\n{}\n---\n{}",
            hearer.log(),
            speaker.log()
        );
        let (own, _) = hearer.hears(hearer.tone_hz()).expect("a second was heard");
        assert!(own < 0.001, "it hears itself: {own}");
    }
    lingers();
    let legs = house.legs();
    let leg = |of: &str| legs.iter().find(|leg| leg["leg"].as_str().is_some_and(|name| name.contains(of)));
    let agent = leg("ann").or_else(|| leg("agent")).expect("the agent's leg").clone();
    let customer = legs.iter().find(|leg| leg["leg"] != agent["leg"]).expect("the customer's leg").clone();
    (agent, customer)
}

fn all_codecs() -> Settings {
    Settings { codecs: r#""opus", "G722", "PCMU", "PCMA""#, ..Settings::default() }
}

#[test]
fn an_agents_phone_with_opus_and_srtp_talks_with_a_customer_on_the_plain_telephone_network() {
    let settings = Settings { srtp: "required", ..all_codecs() };
    let (agent, customer) = talk(Manner { mediaenc: "srtp-mand", ..OPUS }, PCMA, &settings);
    assert_eq!((&agent["codec"], &customer["codec"]), (&json!("opus"), &json!("PCMA")));
    // The first that we offer.
    let suite = json!("AEAD_AES_256_GCM");
    assert_eq!((&agent["srtp"]["receive"], &agent["srtp"]["send"]), (&suite, &suite));
    assert_eq!(customer["srtp"], Value::Null);
    assert_eq!(agent["counters"]["drops"]["auth_failed"], 0);
}

#[test]
fn a_customer_with_srtp_talks_with_an_agents_plain_phone_and_nothing_is_transcoded() {
    let settings = Settings { trunk_srtp: "optional", ..all_codecs() };
    let (agent, customer) = talk(PCMA, Manner { mediaenc: "srtp", ..PCMA }, &settings);
    assert_eq!((&agent["codec"], &customer["codec"]), (&json!("PCMA"), &json!("PCMA")));
    assert_eq!(agent["srtp"], Value::Null);
    assert_eq!(customer["srtp"]["send"], "AEAD_AES_256_GCM");
    assert_eq!(customer["counters"]["drops"]["auth_failed"], 0);
}

#[test]
fn a_customer_with_opus_talks_with_an_agents_phone_with_g722() {
    let g722 = Manner { codec: "G722/16000/1", shape: (16_000, 1), ..PCMA };
    let (agent, customer) = talk(g722, OPUS, &all_codecs());
    assert_eq!((&agent["codec"], &customer["codec"]), (&json!("G722"), &json!("opus")));
}

#[test]
fn a_customer_with_linear_samples_at_16_khz_talks_with_an_agents_phone_with_opus() {
    let linear = Manner { codec: "L16/16000/1", shape: (16_000, 1), ..PCMA };
    let settings = Settings { codecs: r#""opus", "L16/16000", "PCMA""#, ..Settings::default() };
    let (agent, customer) = talk(OPUS, linear, &settings);
    assert_eq!((&agent["codec"], &customer["codec"]), (&json!("opus"), &json!("L16/16000")));
    assert_eq!(customer["quality"]["scale"], "wideband", "{customer}");
}

/// Two phones that pause talk, of which one, with Opus, asks for no silence.
fn talk_without_silence(agent: Manner, customer: Manner) {
    // As it is unless configured.
    let house = House::open(&Settings { silent_after_ms: 3_000, ..all_codecs() });
    let pausing = |manner| Manner { pauses: true, ..manner };
    let sent = || {
        let legs = house.legs();
        let opus = legs.iter().find(|leg| leg["codec"] == "opus" && leg["spliced_to"] != Value::Null)?;
        opus["counters"]["packets_sent"].as_u64()
    };
    let two_pauses = || {
        let (began, before) = (Instant::now(), sent());
        while began.elapsed() < Duration::from_secs(16) {
            std::thread::sleep(Duration::from_millis(500));
            for leg in house.legs() {
                // A leg that is a moment old may not have been spoken to yet.
                let silent_ms = leg["last_packet_ms"].as_u64().or(leg["age_ms"].as_u64());
                assert!(silent_ms.is_some_and(|ms| ms < 3_000), "{leg}");
            }
        }
        if let (Some(before), Some(after)) = (before, sent()) {
            let all = began.elapsed().as_millis() as u64 / 20;
            assert!(after - before < all * 7 / 10, "{} of {all} were sent", after - before);
        }
    };
    let (agent, customer) = talk_in(&house, pausing(agent), pausing(customer), two_pauses);
    for leg in [agent, customer] {
        assert_eq!(leg["counters"]["packets_lost"], 0, "{leg}");
        assert_eq!(leg["rtcp_report"]["packets_lost"], 0, "its phone misses nothing: {leg}");
    }
}

#[test]
fn an_agents_phone_that_asks_for_no_silence_is_sent_none_and_misses_nothing() {
    talk_without_silence(OPUS, PCMA);
}

#[test]
fn a_customer_who_asks_for_no_silence_is_sent_none_and_misses_nothing() {
    talk_without_silence(PCMA, OPUS);
}

#[test]
fn by_10_a_phone_registered_over_tcp_keeps_its_call_over_a_restart_of_control_and_is_reached_over_its_next_connection()
 {
    // It gives up at a challenge that it does not know.
    let mut house = House::open(&Settings { digests: r#""MD5""#, ..Settings::default() });
    house.rest.put_agent("ann", &json!({ "kind": "registered" }), &json!({ "password": "right" }));
    let pcmu = Manner { codec: "PCMU/8000/1", ..PCMA };
    let ann = Baresip::registered(&house, house.free(), Manner { user: "ann", ..pcmu }, "right");
    house.rest.act("ann", "login");
    house.rest.status("ann", "available");
    house.rest.await_agent("ann", "status", "available");
    let bindings = house.folder().join("bindings");
    let registered_from = || std::fs::read_to_string(&bindings).ok();
    let before = eventually("its registration is kept", registered_from);
    house.kill_control();
    house.start_control();
    house.is_well();

    let customer = Baresip::start(&house, house.trunk, Manner { user: CUSTOMER, tone_hz: 1_100, ..pcmu });
    house.rest.callback(CUSTOMER);
    for (hearer, speaker) in [(&ann, &customer), (&customer, &ann)] {
        eventually("a second of the other's tone", || {
            hearer.hears(speaker.tone_hz()).is_some_and(|(share, _)| share > 0.97).then_some(())
        });
    }
    // The connection was of the run before. The phone notices when it registers again, or sooner.
    within(Duration::from_secs(180), "it registers again", || registered_from().filter(|now| *now != before));
    house.rest.act("ann", "hangup");
    house.rest.await_agent("ann", "status", "available");
    house.rest.act("ann", "logout");
    eventually("the phone is told that the call is over", || {
        ann.log().contains("session closed").then_some(())
    });
}
