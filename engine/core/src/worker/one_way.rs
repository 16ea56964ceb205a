//! Conversations of which one direction is not heard (BY-02).

use offhook_proto::EventBody;

use super::Worker;
use crate::leg::one_way::{News, OneWay};
use crate::leg::timer::Timer;
use crate::rtcp::Block;
use crate::{LegIx, Time};

impl Worker {
    /// Begins or ends to watch a leg and its partner, as they hear each other or not. What is watched already goes on.
    pub(super) fn watch_pair(&mut self, leg: LegIx) {
        for leg in [Some(leg), self.partner(leg)].into_iter().flatten() {
            self.watch(leg);
        }
    }

    /// Watches a leg anew, if it is to be watched.
    pub(super) fn watch_again(&mut self, leg: LegIx) {
        self.legs[leg.index()].one_way = None;
        self.watch(leg);
    }

    fn watch(&mut self, leg: LegIx) {
        let talks = self.talks(leg);
        let now = self.now;
        let watched = &mut self.legs[leg.index()];
        if !talks || watched.one_way_after_ms == 0 {
            watched.one_way = None;
            watched.deadlines.stop(Timer::OneWay);
        } else if watched.one_way.is_none() {
            let (sent, _) = watched.stream.sent();
            watched.one_way = Some(Box::new(OneWay::new(now, sent)));
            let due = now.plus_ms(u64::from(watched.one_way_after_ms));
            watched.deadlines.set(Timer::OneWay, due.at_shared_tick());
        }
        self.rewind(leg);
    }

    /// Whether a leg and its partner hear each other, and nothing else.
    fn talks(&self, leg: LegIx) -> bool {
        let hears = |leg: LegIx| {
            let hearer = &self.legs[leg.index()];
            hearer.splice.is_some_and(|half| half.hears) && hearer.player.is_none()
        };
        self.partner(leg).is_some_and(|partner| hears(leg) && hears(partner))
    }

    pub(super) fn on_one_way_look(&mut self, leg: LegIx) {
        if self.now < self.hears_from {
            self.look_at_audio_at(leg, self.hears_from);
            return;
        }
        self.sync_pair(leg);
        let Some(partner) = self.partner(leg) else { return };
        let speaks = self.legs[partner.index()].speaks(self.now);
        let Some((next, news)) = self.legs[leg.index()].look_at_audio(self.now, speaks) else { return };
        self.look_at_audio_at(leg, next);
        self.tell_way(leg, news);
    }

    /// Takes note of what a report of the peer says of our stream.
    pub(super) fn on_report_of_ours(&mut self, leg: LegIx, block: Option<&Block>) {
        if self.legs[leg.index()].one_way.is_some() {
            // Our packets may have gone by.
            self.sync_pair(leg);
            let news = self.legs[leg.index()].on_report(self.now, block);
            self.tell_way(leg, news);
        }
    }

    fn look_at_audio_at(&mut self, leg: LegIx, at: Time) {
        self.legs[leg.index()].deadlines.set(Timer::OneWay, at.at_shared_tick());
    }

    fn tell_way(&mut self, leg: LegIx, news: Option<News>) {
        let leg = self.legs[leg.index()].name().to_owned();
        match news {
            Some(News::OneWay(direction, since)) => {
                let unheard_ms = self.now.since(since) / 1_000;
                self.event(EventBody::LegOneWay { leg, direction, unheard_ms });
            }
            Some(News::TwoWay(direction)) => self.event(EventBody::LegTwoWay { leg, direction }),
            None => {}
        }
    }
}
