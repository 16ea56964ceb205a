//! Whether a leg's peer is heard, and hears, while it talks with another one (BY-02).
//!
//! What comes is looked at by a timer, so that no packet costs more for it: a moment is all that a packet leaves. What the peer
//! hears is known by its reports alone.

use offhook_proto::AudioDirection;

use super::{Leg, Payload};
use crate::Time;
use crate::limits::{FEW_PACKETS, ONE_WAY_LOOK_MS};
use crate::rtcp::Block;

/// What is watched of a leg that talks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneWay {
    /// Since when the two can hear each other.
    since: Time,
    /// Since when nothing has come, once that was told.
    unheard: Option<Time>,
    ear: Ear,
}

/// What the peer's reports say of our stream.
#[derive(Clone, Copy, Debug)]
struct Ear {
    /// When a report counted last, and our packets by then.
    mark: (Time, u64),
    /// Highest sequence number in it.
    highest: Option<u32>,
    /// Since when it hears nothing.
    deaf: Option<Deaf>,
}

#[derive(Clone, Copy, Debug)]
struct Deaf {
    since: Time,
    told: bool,
}

/// What is to be told of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It has no audio, since then.
    OneWay(AudioDirection, Time),
    /// It has audio again.
    TwoWay(AudioDirection),
}

/// Fraction lost, in 256ths, from which on a peer hears nothing.
const ALL_LOST: u8 = 250;

impl OneWay {
    /// Begins to watch a leg that has been sent so many packets.
    pub(crate) fn new(now: Time, sent: u64) -> Self {
        Self { since: now, unheard: None, ear: Ear { mark: (now, sent), highest: None, deaf: None } }
    }
}

impl Leg {
    /// Takes note of a packet of the peer that can be heard.
    pub(crate) fn on_voice(&mut self, now: Time, payload: Payload) {
        match payload {
            Payload::Audio => self.last_audio = now,
            Payload::ComfortNoise => self.last_noise = now,
            // A key does not end a silence that was announced.
            Payload::TelephoneEvent if self.is_quiet() => self.last_noise = now,
            Payload::TelephoneEvent => self.last_audio = now,
        }
    }

    /// Whether its peer has announced that it is silent (RFC 3389 section 5).
    fn is_quiet(&self) -> bool {
        self.last_noise > self.last_audio
    }

    /// Whether its peer has just spoken.
    pub(crate) fn speaks(&self, now: Time) -> bool {
        self.last_audio.plus_ms(ONE_WAY_LOOK_MS) > now
    }

    /// Since when audio is missing that was told as missing.
    pub(crate) fn unheard_since(&self) -> Option<Time> {
        self.one_way.as_ref()?.unheard
    }

    /// Looks at whether its peer is heard. Returns when to look again, and what is to be told; none when nothing is watched.
    pub(crate) fn look_at_audio(&mut self, now: Time, partner_speaks: bool) -> Option<(Time, Option<News>)> {
        let (quiet, last_packet) = (self.is_quiet(), self.last_packet.unwrap_or_default());
        let last_audio = self.last_audio.max(self.last_noise);
        let one_way = self.one_way.as_mut()?;
        let since = one_way.since.max(last_audio);
        let due = since.plus_ms(u64::from(self.one_way_after_ms));
        let is_heard = due > now || quiet;
        let soon = now.plus_ms(ONE_WAY_LOOK_MS);
        let next = if due > now { due } else { soon };
        Some(match one_way.unheard {
            None if is_heard => (next, None),
            Some(unheard) if since > unheard => {
                one_way.unheard = None;
                (next, Some(News::TwoWay(AudioDirection::FromPeer)))
            }
            // Nothing at all comes, and nobody speaks: the peer may be gone, which is told otherwise, or both may have nothing to say.
            None if last_packet <= since && !partner_speaks => (soon, None),
            None => {
                one_way.unheard = Some(since);
                (soon, Some(News::OneWay(AudioDirection::FromPeer, since)))
            }
            Some(_) => (soon, None),
        })
    }

    /// Takes note of a report of the peer: what it says of our stream, none when it says nothing. Of a peer whose reports never say
    /// anything of any stream they are no news.
    pub(crate) fn on_report(&mut self, now: Time, block: Option<&Block>) -> Option<News> {
        if !self.reports.tells() {
            return None;
        }
        let (sent, _) = self.stream.sent();
        self.one_way.as_mut()?.ear.on_report(now, sent, block)
    }
}

impl Ear {
    fn on_report(&mut self, now: Time, sent: u64, block: Option<&Block>) -> Option<News> {
        let (since, sent_before) = self.mark;
        if sent.saturating_sub(sent_before) < FEW_PACKETS {
            return None;
        }
        self.mark = (now, sent);
        let before = std::mem::replace(&mut self.highest, block.map(|block| block.highest));
        // A receiver that gets nothing expects nothing (RFC 3550 A.3): its fraction is 0 then, and its highest number stands still.
        let hears = |block: &Block| block.fraction_lost < ALL_LOST && before != Some(block.highest);
        if block.is_some_and(hears) {
            return self.deaf.take().filter(|deaf| deaf.told).map(|_| News::TwoWay(AudioDirection::ToPeer));
        }
        let first = self.deaf.is_none();
        let deaf = self.deaf.get_or_insert(Deaf { since, told: false });
        let is_news = !first && !std::mem::replace(&mut deaf.told, true);
        is_news.then_some(News::OneWay(AudioDirection::ToPeer, deaf.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ear() -> Ear {
        OneWay::new(Time(0), 100).ear
    }

    fn block(fraction_lost: u8, highest: u32) -> Option<Block> {
        Some(Block { fraction_lost, highest, ..Block::default() })
    }

    /// Reports every five seconds, in each of which so many packets are sent. Returns what is told, and after which of them.
    fn told(per_report: u64, reports: &[Option<Block>]) -> Vec<(usize, News)> {
        let mut ear = ear();
        let news = reports.iter().enumerate().filter_map(|(at, block)| {
            let number = at as u64 + 1;
            let now = Time::from_ms(number * 5_000);
            ear.on_report(now, 100 + number * per_report, block.as_ref()).map(|news| (at, news))
        });
        news.collect()
    }

    const DEAF: News = News::OneWay(AudioDirection::ToPeer, Time(0));
    const HEARS: News = News::TwoWay(AudioDirection::ToPeer);

    #[test]
    fn by_02_a_peer_is_deaf_by_two_reports_in_turn_and_hears_again_by_one() {
        assert_eq!(told(250, &[block(255, 5), None, None, block(0, 400)]), [(1, DEAF), (3, HEARS)]);
        assert_eq!(told(250, &[None, block(20, 5), None, block(20, 9)]), [], "never twice in turn");
    }

    #[test]
    fn by_02_a_peer_whose_highest_number_stands_still_is_deaf_although_it_reports_no_loss() {
        let five_s = News::OneWay(AudioDirection::ToPeer, Time::from_ms(5_000));
        assert_eq!(
            told(250, &[block(0, 9), block(0, 9), block(0, 9), block(0, 10)]),
            [(2, five_s), (3, HEARS)]
        );
    }

    #[test]
    fn by_02_reports_say_nothing_while_nothing_is_sent() {
        assert_eq!(told(FEW_PACKETS - 1, &[None, None]), [], "two half reports make one");
        assert_eq!(told(0, &[None, block(255, 5), None, None]), []);
    }

    #[test]
    fn by_02_much_loss_is_not_all() {
        let lossy: Vec<_> = (1..20).map(|number| block(249, number * 10)).collect();
        assert_eq!(told(250, &lossy), []);
    }
}
