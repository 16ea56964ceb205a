//! One engine leg: what is wanted of it, what it is known to be, and the next command that closes the difference.
//!
//! Three aspects are driven independently, each with at most one command in flight, so that a lost, late or doubled reply
//! never leaves more than "unknown" behind; unknown is closed like any other difference, by a command that is idempotent.

mod next;
mod reply;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use offhook_proto::{AudioDirection, Codec, DtmfMode, LegCreate, LegInfo, LegState, PlaySource};

pub(crate) use reply::Change;

use crate::sip::{Direction, RemoteMedia};
use crate::view::KeysStatus;

/// Independently driven parts of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// Its existence and its peer's address.
    Life,
    /// Parked or spliced.
    Link,
    /// What it is played.
    Play,
}

pub(crate) const ASPECTS: [Aspect; 3] = [Aspect::Life, Aspect::Link, Aspect::Play];

/// What a leg is joined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nobody, and nobody asked.
    Free,
    /// Nobody; its packets end in the kernel.
    Parked,
    /// Another leg, which is `b` of the splice.
    Spliced {
        partner: String,
        /// This leg hears the partner.
        hears: bool,
        /// The partner hears this leg.
        heard: bool,
    },
}

/// A prompt, a tone, music.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Program {
    /// Name of the play, new for each.
    pub(crate) name: String,
    pub(crate) sources: Vec<PlaySource>,
    /// 0 = until stopped.
    pub(crate) times: u32,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) name: String,
    wanted: bool,
    create: LegCreate,
    /// Where it receives, once open.
    pub(crate) open: Option<(SocketAddr, SocketAddr)>,
    remote_wanted: Option<RemoteMedia>,
    remote_known: Option<RemoteMedia>,
    keys_wanted: DtmfMode,
    keys_known: Option<DtmfMode>,
    link_wanted: Link,
    link_known: Option<Link>,
    play_wanted: Option<Program>,
    play_known: Option<String>,
    /// What it spoke in an earlier run of ours, until its peer says it again.
    codec_kept: Option<Codec>,
    keep_one_in: u16,
    /// Milliseconds without audio in a conversation that are told, unless the peer holds.
    one_way_after_ms: u32,
    /// Directions that the engine has told as without audio, and not otherwise since.
    one_way: BTreeSet<AudioDirection>,
    busy: [bool; 3],
    /// A refusal made its existence doubtful.
    verify: bool,
    /// Created so often without success, or lost so often.
    pub(crate) failures: u32,
    /// Moment that the splice is measured from, in microseconds on our clock.
    pub(crate) since_us: Option<u64>,
    /// Delete even though nothing is known to exist: a create may have been executed.
    doubtful: bool,
    /// The engine has one of this name that is not as wanted: it goes first.
    stale: bool,
    /// The engine has reported that it hears nothing of the peer, and has heard nothing since.
    silent: bool,
    /// It has heard the peer since the leg was opened there.
    heard: bool,
    /// It was heard where the leg was before.
    heard_before: bool,
    /// No such report has come since the engine was asked about it.
    silence_asked: bool,
    /// What it was known to be played when the engine was asked about it.
    play_asked: Option<String>,
}

impl Leg {
    /// A leg that is to be opened.
    pub(crate) fn new(create: LegCreate, remote: Option<RemoteMedia>, keep_one_in: u16) -> Self {
        Self {
            name: create.leg.clone(),
            wanted: true,
            keys_wanted: create.dtmf,
            keys_known: None,
            one_way_after_ms: create.one_way_after_ms.unwrap_or_default(),
            create,
            open: None,
            remote_wanted: remote,
            remote_known: None,
            link_wanted: Link::Free,
            link_known: None,
            play_wanted: None,
            play_known: None,
            codec_kept: None,
            keep_one_in,
            one_way: BTreeSet::new(),
            busy: [false; 3],
            verify: false,
            failures: 0,
            since_us: None,
            doubtful: false,
            stale: false,
            silent: false,
            heard: false,
            heard_before: false,
            silence_asked: false,
            play_asked: None,
        }
    }

    /// A leg that the engine has kept through our restart.
    pub(crate) fn adopt(&mut self, info: &LegInfo) {
        self.open = Some((info.rtp, info.rtcp));
        (self.keys_wanted, self.keys_known) = (info.dtmf, Some(info.dtmf));
        self.remote_known.clone_from(&self.remote_wanted);
        self.link_known = match info.state {
            LegState::Parked => Some(Link::Parked),
            LegState::Idle => Some(Link::Free),
            LegState::Spliced => None,
        };
        self.play_known.clone_from(&info.playing);
        self.codec_kept = Some(info.codec);
        self.silent = self.reported_silent(info);
    }

    /// The engine reports that it hears nothing of the peer any more, or hears it again.
    pub(crate) fn on_silence(&mut self, silent: bool) {
        self.silent = silent;
        self.silence_asked = false;
    }

    /// The engine reports that a direction has no audio, or has it again. Returns whether that is news.
    pub(crate) fn on_one_way(&mut self, direction: AudioDirection, is_lost: bool) -> bool {
        if is_lost { self.one_way.insert(direction) } else { self.one_way.remove(&direction) }
    }

    /// What was reported of directions is over. Returns whether anything was.
    pub(crate) fn forget_one_way(&mut self) -> bool {
        !std::mem::take(&mut self.one_way).is_empty()
    }

    /// Directions that have no audio.
    pub(crate) fn one_way(&self) -> impl Iterator<Item = AudioDirection> {
        self.one_way.iter().copied()
    }

    /// Milliseconds without audio that are told while the peer sends and hears as it says: none while it holds.
    fn one_way_limit_ms(&self, remote: &RemoteMedia) -> u32 {
        match remote.direction {
            Direction::SendRecv => self.one_way_after_ms,
            Direction::SendOnly | Direction::RecvOnly | Direction::Inactive => 0,
        }
    }

    /// The engine has heard the peer.
    pub(crate) fn on_heard(&mut self) {
        self.heard = true;
    }

    /// The peer has agreed to send to where the leg is now: it is heard there if it was heard before.
    pub(crate) fn on_followed(&mut self) {
        self.heard |= self.heard_before;
    }

    /// An earlier run of ours has heard the peer.
    pub(crate) fn on_heard_before(&mut self) {
        self.heard_before = true;
    }

    /// Whether the peer was ever heard, and sends to where the leg is now.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard
    }

    /// Whether the peer is not heard, and has not been for long.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// The engine was asked whether it still hears nothing of the peer. Returns whether that is so.
    pub(crate) fn on_silence_looked_at(&mut self, info: &LegInfo) -> bool {
        self.silent = self.reported_silent(info);
        self.heard |= !self.silent && info.last_packet_ms.is_some();
        self.silent
    }

    /// Whether the engine has reported the silence that it describes: it does so once, and maybe to a run that died.
    fn reported_silent(&self, info: &LegInfo) -> bool {
        let after_ms = u64::from(self.create.silent_after_ms);
        after_ms > 0 && info.last_packet_ms.unwrap_or(info.age_ms) >= after_ms
    }

    /// No longer wanted.
    pub(crate) fn close(&mut self) {
        self.wanted = false;
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether nothing of it is left in the engine, nor on the way there.
    pub(crate) fn is_closed(&self) -> bool {
        !self.wanted && self.open.is_none() && !self.doubtful && !self.busy[Aspect::Life as usize]
    }

    pub(crate) fn remote(&mut self, remote: RemoteMedia) {
        self.remote_wanted = Some(remote);
    }

    /// Whether we could tell another engine where the peer is: not after our own restart, until the peer says it again.
    pub(crate) fn knows_peer(&self) -> bool {
        self.remote_wanted.is_some()
    }

    /// Whether the engine has yet to confirm that it knows where the peer is: what it hears until then is not the peer, nor is
    /// what it does not hear.
    pub(crate) fn is_untold(&self) -> bool {
        self.remote_known != self.remote_wanted || self.busy[Aspect::Life as usize]
    }

    /// What becomes of the keys that are pressed on it.
    pub(crate) fn keys(&mut self, mode: DtmfMode) {
        self.keys_wanted = mode;
    }

    pub(crate) fn keys_status(&self) -> KeysStatus {
        let is_blocked = self.keys_known == Some(DtmfMode::Block);
        match (is_blocked, self.keys_wanted == DtmfMode::Block) {
            (true, _) => KeysStatus::Blocked,
            (false, true) => KeysStatus::Blocking,
            (false, false) => KeysStatus::Heard,
        }
    }

    pub(crate) fn codec_first(&self) -> Option<Codec> {
        self.remote_wanted.as_ref().map(|remote| remote.media.codec).or(self.codec_kept)
    }

    pub(crate) fn link(&mut self, link: Link) {
        if self.link_wanted != link && !matches!(link, Link::Spliced { .. }) {
            self.since_us = None;
        }
        self.link_wanted = link;
    }

    pub(crate) fn link_wanted(&self) -> &Link {
        &self.link_wanted
    }

    pub(crate) fn partner(&self) -> Option<&str> {
        match &self.link_wanted {
            Link::Spliced { partner, .. } => Some(partner),
            Link::Free | Link::Parked => None,
        }
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.open.is_some() && self.link_known.as_ref() == Some(&self.link_wanted)
    }

    pub(crate) fn play(&mut self, program: Option<Program>) {
        self.play_wanted = program;
    }

    /// Whether a play that ended is the one that is wanted; it is over then.
    pub(crate) fn on_play_ended(&mut self, play: &str) -> bool {
        if self.play_known.as_deref() == Some(play) {
            self.play_known = None;
        }
        if self.play_wanted.as_ref().is_some_and(|wanted| wanted.name == play) {
            self.play_wanted = None;
            return true;
        }
        false
    }

    /// The engine says that it released the leg, or it is another engine.
    pub(crate) fn on_gone(&mut self) {
        self.open = None;
        self.doubtful = false;
        self.stale = false;
        self.verify = false;
        self.remote_known = None;
        self.keys_known = None;
        self.link_known = None;
        self.play_known = None;
        self.heard_before |= self.heard;
        (self.silent, self.heard) = (false, false);
        self.one_way.clear();
    }

    /// Nothing is in flight any more: the engine is another one.
    pub(crate) fn forget_requests(&mut self) {
        self.busy = [false; 3];
    }

    /// It is to be opened on another engine; here it is not looked after any more.
    pub(crate) fn relocate(&mut self) {
        self.on_gone();
        self.forget_requests();
        self.create.beside = None;
    }

    /// Marks the splice's other leg as lost: the splice has to be made again.
    pub(crate) fn on_partner_gone(&mut self) {
        self.link_known = None;
    }

    /// Whether the engine still has it is asked before anything else.
    pub(crate) fn doubt(&mut self) {
        self.verify = self.open.is_some();
    }
}
