use super::*;

const NOW: u64 = 1_800_000_000_000;

fn register(contact: &str, cseq: u32) -> Register {
    Register {
        aor: "alice".to_owned(),
        authorization: Vec::new(),
        contacts: vec![contact.to_owned()],
        expires_s: Some(120),
        call_id: "one".to_owned(),
        cseq,
        flow: Flow { tcp: false, address: "127.0.0.9:5070".parse().expect("an address") },
    }
}

fn empty(secret: u128) -> Registrar {
    Registrar::new("realm", &[Algorithm::Sha256, Algorithm::Md5], secret)
}

fn nonce(registrar: &mut Registrar, now_ms: u64) -> String {
    let Verdict::Challenge(values) = registrar.register(now_ms, &register("<sip:a@b>", 1), |_| None) else {
        panic!("a REGISTER without credentials is challenged");
    };
    let at = values[0].find("nonce=\"").expect("a nonce") + 7;
    values[0][at..].split('"').next().expect("its end").to_owned()
}

fn signed(mut register: Register, nonce: &str, nc: u32, user: &str, password: &str) -> Register {
    let algorithm = Algorithm::Sha256;
    let secret = algorithm.hex(&format!("{user}:realm:{password}"));
    let request = algorithm.hex("REGISTER:sip:realm");
    let response = algorithm.hex(&format!("{secret}:{nonce}:{nc:08x}:c:auth:{request}"));
    register.authorization = vec![format!(
        "Digest username=\"{user}\", realm=\"realm\", nonce=\"{nonce}\", uri=\"sip:realm\", algorithm=SHA-256, \
         qop=auth, nc={nc:08x}, cnonce=\"c\", response=\"{response}\""
    )];
    register
}

fn passwords(user: &str) -> Option<String> {
    matches!(user, "alice" | "bob").then(|| format!("{user}-pw"))
}

fn accept(registrar: &mut Registrar, now_ms: u64, request: Register) -> Verdict {
    let nonce = nonce(registrar, now_ms);
    let request = signed(request, &nonce, 1, "alice", "alice-pw");
    registrar.register(now_ms, &request, passwords)
}

#[test]
fn a_challenge_offers_the_digests_in_their_order() {
    let mut registrar = empty(1);
    let Verdict::Challenge(values) = registrar.register(NOW, &register("<sip:a@b>", 1), passwords) else {
        panic!("challenged");
    };
    assert!(values[0].contains("algorithm=SHA-256") && values[1].contains("algorithm=MD5"), "{values:?}");
}

#[test]
fn the_right_password_binds_and_the_newest_contact_wins() {
    let mut registrar = empty(1);
    let first = accept(&mut registrar, NOW, register("<sip:a@10.0.0.1>", 1));
    let Verdict::Accepted { contacts, change } = first else { panic!("{first:?}") };
    assert_eq!(contacts, ["<sip:a@10.0.0.1>;expires=120;q=1.000"]);
    assert_eq!(change.expect("a change").contact.as_deref(), Some("sip:a@10.0.0.1"));
    accept(&mut registrar, NOW + 1, register("<sip:a@10.0.0.2>", 2));
    assert_eq!(registrar.best(NOW + 2, "alice").expect("bound").uri, "sip:a@10.0.0.2");
    accept(&mut registrar, NOW + 3, register("<sip:a@10.0.0.3>;q=0.3", 3));
    assert_eq!(registrar.best(NOW + 4, "alice").expect("bound").uri, "sip:a@10.0.0.2");
}

#[test]
fn a_binding_ends_with_its_time_with_expires_0_and_with_a_star() {
    let mut registrar = empty(1);
    accept(&mut registrar, NOW, register("<sip:a@10.0.0.1>", 1));
    assert!(registrar.best(NOW + 120_000, "alice").is_none());
    assert_eq!(registrar.expire(NOW + 120_000), [Change { aor: "alice".to_owned(), contact: None }]);

    accept(&mut registrar, NOW, register("<sip:a@10.0.0.1>", 1));
    accept(&mut registrar, NOW + 1, register("<sip:a@10.0.0.1>;expires=0", 2));
    assert!(registrar.best(NOW + 2, "alice").is_none());

    accept(&mut registrar, NOW + 3, register("<sip:a@10.0.0.1>", 3));
    let mut star = register("*", 4);
    assert!(matches!(accept(&mut registrar, NOW + 4, star.clone()), Verdict::Refused(400, ..)));
    star.expires_s = Some(0);
    assert!(matches!(accept(&mut registrar, NOW + 5, star), Verdict::Accepted { .. }));
    assert!(registrar.best(NOW + 6, "alice").is_none());
}

#[test]
fn an_older_cseq_changes_nothing() {
    let mut registrar = empty(1);
    accept(&mut registrar, NOW, register("<sip:a@10.0.0.1>", 5));
    assert!(matches!(
        accept(&mut registrar, NOW + 1, register("<sip:a@10.0.0.1>;expires=0", 5)),
        Verdict::Refused(..)
    ));
    assert!(registrar.best(NOW + 2, "alice").is_some());
}

#[test]
fn a_nonce_is_refused_as_stale_when_old_replayed_or_made_up() {
    let mut registrar = empty(1);
    let stale =
        |verdict: Verdict| matches!(verdict, Verdict::Challenge(values) if values[0].contains("stale=true"));
    let ours = nonce(&mut registrar, NOW);
    let request = signed(register("<sip:a@b>", 1), &ours, 1, "alice", "alice-pw");
    assert!(matches!(registrar.register(NOW, &request, passwords), Verdict::Accepted { .. }));
    assert!(stale(registrar.register(NOW, &request, passwords)), "a count is taken once");
    let next = signed(register("<sip:a@b>", 2), &ours, 2, "alice", "alice-pw");
    assert!(matches!(registrar.register(NOW, &next, passwords), Verdict::Accepted { .. }));
    let late = signed(register("<sip:a@b>", 3), &ours, 3, "alice", "alice-pw");
    assert!(stale(registrar.register(NOW + NONCE_MS, &late, passwords)), "too old");
    let foreign = nonce(&mut empty(2), NOW);
    let made_up = signed(register("<sip:a@b>", 4), &foreign, 1, "alice", "alice-pw");
    assert!(stale(registrar.register(NOW, &made_up, passwords)), "not ours");
}

#[test]
fn nobody_registers_for_another() {
    let mut registrar = empty(1);
    let nonce = nonce(&mut registrar, NOW);
    let request = signed(register("<sip:a@b>", 1), &nonce, 1, "bob", "bob-pw");
    assert!(matches!(registrar.register(NOW, &request, passwords), Verdict::Refused(403, ..)));
}

#[test]
fn wrong_passwords_shut_their_source_out_for_a_while() {
    let mut registrar = empty(1);
    for attempt in 0..WRONG_PASSWORDS {
        let nonce = nonce(&mut registrar, NOW);
        let request = signed(register("<sip:a@b>", 1), &nonce, attempt + 1, "alice", "guess");
        assert_eq!(
            registrar.register(NOW, &request, passwords),
            Verdict::Refused(403, "Wrong user or password", None)
        );
    }
    let shut = accept(&mut registrar, NOW, register("<sip:a@b>", 1));
    assert_eq!(shut, Verdict::Refused(403, "Too many wrong passwords", Some(60)));
    assert!(matches!(
        accept(&mut registrar, NOW + SHUT_OUT_MS, register("<sip:a@b>", 1)),
        Verdict::Accepted { .. }
    ));
}

#[test]
fn bindings_survive_a_restart() {
    let mut registrar = empty(1);
    accept(&mut registrar, NOW, register("<sip:a@10.0.0.1>", 1));
    let text = serde_json::to_string(&registrar.save()).expect("serialises");
    let mut next = empty(2);
    let there = next.restore(NOW + 1, serde_json::from_str(&text).expect("reads"));
    assert_eq!(there, [Change { aor: "alice".to_owned(), contact: Some("sip:a@10.0.0.1".to_owned()) }]);
    assert!(empty(3).restore(NOW + 120_000, registrar.save()).is_empty());
}

#[test]
fn a_flow_is_a_phones_as_long_as_anything_is_bound_to_it() {
    let mut registrar = empty(1);
    let (first, mut second) = (register("<sip:a@10.0.0.1>", 1), register("<sip:a@10.0.0.2>", 2));
    second.expires_s = Some(600);
    let flow = first.flow;
    let other = Flow { address: "127.0.0.9:5071".parse().expect("an address"), ..flow };
    assert!(!registrar.is_flow_of_phone(flow));
    accept(&mut registrar, NOW, first.clone());
    accept(&mut registrar, NOW, second.clone());
    accept(&mut registrar, NOW + 1, Register { cseq: 3, ..second.clone() });
    assert!(registrar.is_flow_of_phone(flow) && !registrar.is_flow_of_phone(other));
    registrar.expire(NOW + 130_000);
    assert!(registrar.is_flow_of_phone(flow), "the second is still there");

    let mut next = empty(1);
    next.restore(NOW + 130_000, registrar.save());
    assert!(next.is_flow_of_phone(flow), "also after a restart");
    accept(&mut next, NOW + 131_000, Register { cseq: 4, flow: other, ..second.clone() });
    assert!(next.is_flow_of_phone(other) && !next.is_flow_of_phone(flow), "it moved");
    accept(&mut next, NOW + 132_000, Register { cseq: 5, expires_s: Some(0), flow: other, ..second });
    assert!(!next.is_flow_of_phone(other));
}

#[test]
fn whoever_cannot_be_reached_at_an_address_shuts_nobody_out_there() {
    let mut registrar = empty(1);
    let stolen = nonce(&mut registrar, NOW);
    let elsewhere = Flow { tcp: false, address: "127.0.0.8:5070".parse().expect("an address") };
    for count in 1..=2 * WRONG_PASSWORDS {
        let forged = Register { flow: elsewhere, ..register("<sip:a@b>", count) };
        let forged = signed(forged, &stolen, count, "alice", "guess");
        let verdict = registrar.register(NOW, &forged, passwords);
        assert!(matches!(verdict, Verdict::Challenge(_)), "a nonce of another address: {verdict:?}");
    }
    assert!(registrar.wrong.is_empty());
}

#[test]
fn a_refusal_that_is_asked_for_again_is_one_wrong_password() {
    let mut registrar = empty(1);
    let nonce = nonce(&mut registrar, NOW);
    let wrong = signed(register("<sip:a@b>", 1), &nonce, 1, "alice", "guess");
    for _ in 0..2 * WRONG_PASSWORDS {
        let refusal = registrar.refusal(NOW, &wrong, passwords);
        assert_eq!(refusal, Some(Verdict::Refused(403, "Wrong user or password", None)));
    }
    let right = signed(register("<sip:a@b>", 2), &nonce, 2, "alice", "alice-pw");
    assert_eq!(registrar.refusal(NOW, &right, passwords), None);
    assert!(matches!(registrar.register(NOW, &right, passwords), Verdict::Accepted { .. }));
}

#[test]
fn phones_register_however_many_do() {
    let mut registrar = empty(1);
    let old = nonce(&mut registrar, NOW);
    for number in 0..NONCES {
        registrar.nonce_counts.insert(nonce_text(2, LOCALHOST, NOW + number as u64, 0), 1);
    }
    let now_ms = NOW + NONCES as u64;
    assert!(matches!(accept(&mut registrar, now_ms, register("<sip:a@b>", 1)), Verdict::Accepted { .. }));
    assert!(registrar.nonce_counts.len() <= NONCES / 2 + 1);
    let late = signed(register("<sip:a@b>", 2), &old, 1, "alice", "alice-pw");
    let verdict = registrar.register(now_ms, &late, passwords);
    assert!(
        matches!(verdict, Verdict::Challenge(_)),
        "nobody knows any more whether it was used: {verdict:?}"
    );
    let stale = nonce(&mut registrar, now_ms);
    assert!(registrar.is_our_nonce(now_ms, &stale, &register("<sip:a@b>", 3)));
}

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
