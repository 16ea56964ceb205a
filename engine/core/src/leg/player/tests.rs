use std::sync::Arc;

use offhook_audio::g711::{ALAW_SILENCE, ULAW_SILENCE};
use offhook_proto::Keys;

use super::*;
use crate::EncodedPrompt;

fn prompt(bytes: std::ops::Range<u8>) -> Segment {
    Segment::Audio(Arc::new(EncodedPrompt::new(Codec::Pcmu, bytes.collect::<Vec<_>>())))
}

fn media() -> Media {
    Media { ptime_ms: 10, ..Media::default() }
}

/// All that a play sends, at most 100 packets.
fn play(segments: Vec<Segment>, times: u32, media: &Media) -> Vec<Vec<u8>> {
    part(segments, Extent::times(times), media).0
}

/// What a play of so much of a list sends, at most 100 packets, and where it ends.
fn part(segments: Vec<Segment>, extent: Extent, media: &Media) -> (Vec<Vec<u8>>, u64) {
    let mut player = Player::new("p".into(), segments, extent, media, Time(0));
    let mut packets = Vec::new();
    while packets.len() < 100 {
        let mut out = [0; 1_000];
        let now = player.next_tick();
        let (tick, _) = player.advance(now, media.ptime_ms);
        match player.tick(tick, media, &mut out) {
            Tick::Audio(len) => packets.push(out[..len].to_vec()),
            Tick::Event { .. } => packets.push(out[..4].to_vec()),
            Tick::Pause | Tick::Silence => packets.push(Vec::new()),
            Tick::End => break,
        }
    }
    (packets, player.position_ms(media))
}

#[test]
fn parts_follow_each_other_without_a_seam_and_the_last_packet_is_filled_up() {
    let packets = play(vec![prompt(0..100), Segment::SilenceMs(1), prompt(100..120)], 1, &media());
    let all: Vec<u8> = packets.concat();
    assert_eq!(all[..100], (0..100).collect::<Vec<u8>>());
    assert_eq!(all[100..108], [ULAW_SILENCE; 8]);
    assert_eq!(all[108..128], (100..120).collect::<Vec<u8>>());
    assert_eq!(all[128..], [ULAW_SILENCE; 32]);
}

#[test]
fn a_list_is_played_as_often_as_asked() {
    let all = play(vec![prompt(0..80)], 3, &media()).concat();
    assert_eq!(all, (0..80).collect::<Vec<u8>>().repeat(3));
    assert_eq!(play(vec![prompt(0..80)], 0, &media()).len(), 100, "until stopped");
}

#[test]
fn an_endless_tone_goes_round_without_a_seam() {
    let tone = EncodedPrompt::new(Codec::Pcmu, (0..50).collect::<Vec<u8>>()).endless();
    let all = play(vec![Segment::Audio(Arc::new(tone))], 1, &media()).concat();
    assert!(all.iter().enumerate().all(|(at, &byte)| usize::from(byte) == at % 50));
}

#[test]
fn a_list_of_nothing_ends() {
    assert_eq!(
        play(vec![Segment::SilenceMs(0), prompt(0..0), Segment::Keys("".into())], 0, &media()).len(),
        0
    );
}

#[test]
fn a_prompt_is_converted_to_the_other_law_and_one_of_another_codec_is_passed_over() {
    let silent = EncodedPrompt::new(Codec::Pcmu, vec![ULAW_SILENCE; 80]);
    let a_law = Media { codec: Codec::Pcma, ..media() };
    assert_eq!(play(vec![Segment::Audio(Arc::new(silent))], 1, &a_law), [[ALAW_SILENCE; 80]]);
    assert_eq!(
        play(vec![prompt(0..80)], 1, &Media { codec: Codec::L16 { rate_hz: 8_000 }, ..media() }).len(),
        0
    );
}

#[test]
fn a_key_grows_ends_three_times_and_is_followed_by_a_pause() {
    let packets = play(vec![Segment::Keys("5#".into())], 1, &Media { ptime_ms: 20, ..media() });
    let durations = |event: u8| {
        let step = |end: u8, ms: u16| [&[event, end | 10], &(ms * 8).to_be_bytes()[..]].concat();
        let growing = [20, 40, 60, 80].map(|ms| step(0, ms));
        let mut all = growing.to_vec();
        all.extend(vec![step(0x80, 100); 3]);
        all.extend(vec![Vec::new(); 3]);
        all
    };
    assert_eq!(packets, [durations(5), durations(11)].concat());
}

#[test]
fn a_key_has_the_times_and_the_level_that_it_is_given() {
    let keys = Keys { on_ms: 40, off_ms: 80, level_dbm0: Some(-20), ..Keys::from("5") };
    let packets = play(vec![Segment::Keys(keys)], 1, &Media { ptime_ms: 20, ..media() });
    let step = |end: u8, ms: u16| [&[5, end | 20], &(ms * 8).to_be_bytes()[..]].concat();
    let end = step(0x80, 40);
    let wanted = [step(0, 20), end.clone(), end.clone(), end, Vec::new(), Vec::new()];
    assert_eq!(packets, wanted);
}

#[test]
fn a_key_longer_than_its_duration_field_goes_on_in_a_new_segment() {
    let media = Media { codec: Codec::Opus, ptime_ms: 20, ..media() };
    let keys = Keys { on_ms: 2_000, ..Keys::from("1") };
    let mut player = Player::new("p".into(), vec![Segment::Keys(keys)], Extent::times(1), &media, Time(0));
    let mut all = Vec::new();
    loop {
        let mut out = [0; 100];
        let (tick, _) = player.advance(player.next_tick(), 20);
        let Tick::Event { began, first } = player.tick(tick, &media, &mut out) else { break };
        all.push((began, first, u16::from_be_bytes([out[2], out[3]]), out[1] >> 7 == 1));
    }
    // 68 packets of 960 are 65,280; the rest of the 100 begins anew.
    assert_eq!(all[67], (Time(0), false, 65_280, false));
    assert_eq!(all[68], (Time::from_ms(1_360), false, 960, false));
    assert_eq!(all[99], (Time::from_ms(1_360), false, 32 * 960, true));
    assert_eq!(all[102..], [], "the end comes three times");
    assert_eq!(all.iter().filter(|(_, first, ..)| *first).count(), 1);
}

#[test]
fn a_late_tick_moves_the_rest_back_without_a_burst() {
    let mut player =
        Player::new("p".into(), vec![prompt(0..200)], Extent::times(1), &media(), Time::from_ms(100));
    assert_eq!(player.advance(Time::from_ms(105), 20), (Time::from_ms(100), false));
    assert_eq!(player.advance(Time::from_ms(190), 20), (Time::from_ms(180), true));
    assert_eq!(player.next_tick(), Time::from_ms(200));
}

#[test]
fn a_play_begins_where_it_is_told_to_and_later_rounds_at_the_beginning() {
    let list = || vec![prompt(0..80), Segment::SilenceMs(5), prompt(80..160)];
    let from = |start_ms, times| part(list(), Extent { times, start_ms, limit_ms: 0 }, &media()).0.concat();
    let whole = from(0, 1);
    assert_eq!(from(4, 1)[..168], whole[32..200]);
    assert_eq!(from(12, 1)[..104], whole[96..200], "within the silence");
    assert_eq!(from(15, 2)[..280], [&whole[120..200], &whole[..200]].concat());
    assert_eq!(from(25, 1), [0; 0], "at its end it is over");
    assert_eq!(from(40, 2)[..200], whole[..200], "its next round is not");
    assert_eq!(from(40, 0).len(), 100 * 80, "until stopped");
    let nothing = Extent { start_ms: 5, ..Extent::times(0) };
    assert_eq!(part(vec![Segment::SilenceMs(0)], nothing, &media()).0.len(), 0);
}

#[test]
fn a_play_tells_how_far_it_has_come_and_goes_on_from_there() {
    let tone = EncodedPrompt::new(Codec::Pcmu, (0..250).collect::<Vec<u8>>()).endless();
    let list = vec![prompt(0..80), Segment::SilenceMs(5), Segment::Audio(Arc::new(tone))];
    let so_long = |limit_ms| part(list.clone(), Extent { limit_ms, ..Extent::times(1) }, &media());
    let whole = so_long(200).0.concat();
    for limit_ms in [10, 20, 30, 70] {
        let (packets, position_ms) = so_long(limit_ms);
        assert_eq!(
            (packets.len() as u32 * 10, packets.concat()),
            (limit_ms, whole[..limit_ms as usize * 8].into())
        );
        // The tone's second round is its first again.
        assert_eq!(position_ms, u64::from(if limit_ms < 46 { limit_ms } else { 15 + (limit_ms - 15) % 32 }));
        let rest = Extent { start_ms: position_ms as u32, ..Extent::times(1) };
        let (rest, _) = part(list.clone(), rest, &media());
        assert_eq!(rest.concat()[..160], whole[position_ms as usize * 8..][..160], "{limit_ms} ms");
    }
}

#[test]
fn samples_packets_and_keys_are_begun_whole() {
    let media_of = |codec| Media { codec, ptime_ms: 10, telephone_event: Some(101), ..media() };
    let l16 = media_of(Codec::L16 { rate_hz: 44_100 });
    let run = EncodedPrompt::new(l16.codec, (0..250).collect::<Vec<u8>>());
    let from = |segment: Segment, start_ms, media: &Media| {
        part(vec![segment], Extent { start_ms, ..Extent::times(1) }, media).0.swap_remove(0)
    };
    assert_eq!(from(Segment::Audio(Arc::new(run)), 1, &l16)[..2], [88, 89], "44 samples");
    let opus = media_of(Codec::Opus);
    let packets = EncodedPrompt::packets(Codec::Opus, 10, (0..6).collect(), vec![2, 4, 6]);
    assert_eq!(from(Segment::Audio(Arc::new(packets)), 15, &opus), [2, 3]);
    let keys = Segment::Keys(Keys { on_ms: 40, off_ms: 40, ..Keys::from("123") });
    let key = from(keys.clone(), 170, &media());
    assert_eq!((key[0], key[1] >> 7), (3, 0), "the third, from its beginning");
    let (sent, _) = part(vec![keys.clone(), keys], Extent { limit_ms: 30, ..Extent::times(1) }, &media());
    let last = sent.iter().rfind(|packet| !packet.is_empty()).expect("keys");
    assert_eq!(
        (last[0], last[1] >> 7, sent.len()),
        (3, 1, 24),
        "keys are let go, and the next ones not begun"
    );
}
