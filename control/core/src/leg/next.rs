//! The command that closes the difference between what is wanted of a leg and what it is known to be.

use offhook_proto::{
    Command, LegDelete, LegPark, LegQuery, LegUpdate, Play, PlayStop, Remote, Splice, Unsplice,
};

use super::{Aspect, Leg, Link};
use crate::sip::RemoteMedia;

impl Leg {
    /// The next command for an aspect; the caller sends it and brings back its reply.
    ///
    /// `partner_open`: whether the leg that this one is to be spliced with is open.
    pub(crate) fn next(&mut self, aspect: Aspect, partner_open: bool, now_us: u64) -> Option<Command> {
        if self.busy[aspect as usize] {
            return None;
        }
        let command = match aspect {
            Aspect::Life => self.next_life(),
            Aspect::Link if self.wanted && self.open.is_some() => self.next_link(partner_open, now_us),
            Aspect::Play if self.wanted && self.open.is_some() => self.next_play(),
            Aspect::Link | Aspect::Play => None,
        }?;
        self.busy[aspect as usize] = true;
        Some(command)
    }

    fn next_life(&mut self) -> Option<Command> {
        if !self.wanted {
            return (self.open.is_some() || self.doubtful)
                .then(|| Command::LegDelete(LegDelete { leg: self.name.clone() }));
        }
        if self.stale {
            return Some(Command::LegDelete(LegDelete { leg: self.name.clone() }));
        }
        if self.open.is_none() {
            if !std::mem::replace(&mut self.doubtful, true) {
                self.create.dtmf = self.keys_wanted;
            }
            let mut create = self.create.clone();
            if let Some(remote) = &self.remote_wanted {
                create.remote = place(remote);
                create.media = remote.media.clone();
                create.srtp = remote.srtp.clone();
                create.rtcp_mux = remote.rtcp_mux;
                create.one_way_after_ms = Some(self.one_way_limit_ms(remote));
            }
            // The same parameters again, should the first request have been executed (LegExists otherwise).
            self.create = create.clone();
            self.remote_known = self.remote_wanted.clone();
            return Some(Command::LegCreate(create));
        }
        if self.verify {
            self.play_asked.clone_from(&self.play_known);
            self.silence_asked = true;
            return Some(Command::LegQuery(LegQuery { leg: self.name.clone() }));
        }
        self.next_update()
    }

    fn next_update(&mut self) -> Option<Command> {
        let mut update = LegUpdate { leg: self.name.clone(), ..LegUpdate::default() };
        update.dtmf = Some(self.keys_wanted).filter(|_| self.keys_known != Some(self.keys_wanted));
        if let Some(wanted) = self.remote_wanted.as_ref().filter(|_| self.remote_known != self.remote_wanted)
        {
            update.remote = place(wanted);
            update.media = Some(wanted.media.clone());
            update.srtp = Some(wanted.srtp.clone());
            update.rtcp_mux = Some(wanted.rtcp_mux);
            update.one_way_after_ms = Some(self.one_way_limit_ms(wanted));
            self.remote_known.clone_from(&self.remote_wanted);
        }
        (update.dtmf.is_some() || update.media.is_some()).then_some(Command::LegUpdate(update))
    }

    fn next_link(&self, partner_open: bool, now_us: u64) -> Option<Command> {
        if self.link_known.as_ref() == Some(&self.link_wanted) {
            return None;
        }
        let leg = self.name.clone();
        match &self.link_wanted {
            Link::Free => None,
            Link::Parked if self.link_known == Some(Link::Free) => {
                Some(Command::LegPark(LegPark { leg, keep_one_in: Some(self.keep_one_in) }))
            }
            Link::Parked => Some(Command::Unsplice(Unsplice { park: vec![leg.clone()], leg })),
            Link::Spliced { partner, hears, heard } if partner_open => Some(Command::Splice(Splice {
                a: leg,
                b: partner.clone(),
                a_hears_b: *hears,
                b_hears_a: *heard,
                replace: true,
                since_us: self.since_us.map(|since| now_us.saturating_sub(since)),
            })),
            Link::Spliced { .. } => None,
        }
    }

    fn next_play(&self) -> Option<Command> {
        match (&self.play_wanted, &self.play_known) {
            (Some(program), known) if known.as_ref() != Some(&program.name) => Some(Command::Play(Play {
                times: program.times,
                play: program.name.clone(),
                ..Play::new(self.name.clone(), program.sources.clone())
            })),
            (None, Some(_)) => Some(Command::PlayStop(PlayStop { leg: self.name.clone(), play: None })),
            (Some(_), _) | (None, None) => None,
        }
    }
}

/// Where the peer receives. Zeros are a hold and no place (RFC 3264 section 8.4): then the engine keeps to what it knows.
fn place(remote: &RemoteMedia) -> Option<Remote> {
    Some(remote.remote).filter(|place| !place.rtp.ip().is_unspecified())
}
