//! One engine leg: what is wanted of it, what it is known to be, and the next command that closes the difference.
//!
//! Three aspects are driven independently, each with at most one command in flight, so that a lost, late or doubled reply
//! never leaves more than "unknown" behind; unknown is closed like any other difference, by a command that is idempotent.

use std::net::SocketAddr;

use offhook_proto::{
    Command, DtmfMode, ErrorCode, LegCreate, LegCreated, LegDelete, LegInfo, LegPark, LegQuery, LegState,
    LegUpdate, Play, PlaySource, PlayStop, Splice, Unsplice,
};

use crate::EngineReply;
use crate::sip::RemoteMedia;
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

/// What a reply changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that anybody waits for.
    None,
    /// The leg is open.
    Opened,
    /// The link is as wanted.
    Linked,
    /// What becomes of its keys.
    Keys,
    /// The leg is not there any more although it is wanted.
    Gone,
    /// The engine will not do it.
    Refused(Aspect, ErrorCode),
    /// The play cannot be played.
    Mute,
    /// The leg is deleted.
    Closed,
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
    keep_one_in: u16,
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
}

impl Leg {
    /// A leg that is to be opened.
    pub(crate) fn new(create: LegCreate, remote: Option<RemoteMedia>, keep_one_in: u16) -> Self {
        Self {
            name: create.leg.clone(),
            wanted: true,
            keys_wanted: create.dtmf,
            keys_known: None,
            create,
            open: None,
            remote_wanted: remote,
            remote_known: None,
            link_wanted: Link::Free,
            link_known: None,
            play_wanted: None,
            play_known: None,
            keep_one_in,
            busy: [false; 3],
            verify: false,
            failures: 0,
            since_us: None,
            doubtful: false,
            stale: false,
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

    pub(crate) fn codec_first(&self) -> Option<offhook_proto::Codec> {
        self.remote_wanted.as_ref().map(|remote| remote.media.codec)
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
                create.remote = Some(remote.remote);
                create.media = remote.media.clone();
                create.srtp = remote.srtp.clone();
                create.rtcp_mux = remote.rtcp_mux;
            }
            // The same parameters again, should the first request have been executed (LegExists otherwise).
            self.create = create.clone();
            self.remote_known = self.remote_wanted.clone();
            return Some(Command::LegCreate(create));
        }
        if self.verify {
            return Some(Command::LegQuery(LegQuery { leg: self.name.clone() }));
        }
        self.next_update()
    }

    fn next_update(&mut self) -> Option<Command> {
        let mut update = LegUpdate { leg: self.name.clone(), ..LegUpdate::default() };
        update.dtmf = Some(self.keys_wanted).filter(|_| self.keys_known != Some(self.keys_wanted));
        if let Some(wanted) = self.remote_wanted.as_ref().filter(|_| self.remote_known != self.remote_wanted)
        {
            update.remote = Some(wanted.remote);
            update.media = Some(wanted.media.clone());
            update.srtp = Some(wanted.srtp.clone());
            update.rtcp_mux = Some(wanted.rtcp_mux);
            self.remote_known.clone_from(&self.remote_wanted);
        }
        (update.dtmf.is_some() || update.remote.is_some()).then_some(Command::LegUpdate(update))
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
                leg: self.name.clone(),
                sources: program.sources.clone(),
                times: program.times,
                play: program.name.clone(),
            })),
            (None, Some(_)) => Some(Command::PlayStop(PlayStop { leg: self.name.clone(), play: None })),
            (Some(_), _) | (None, None) => None,
        }
    }

    /// The reply to a command of [`Leg::next`].
    pub(crate) fn on_reply(&mut self, aspect: Aspect, command: &Command, result: EngineReply) -> Change {
        self.busy[aspect as usize] = false;
        let error = match result {
            Ok(offhook_proto::Reply::Ok(body)) => {
                return self.on_done(command, offhook_proto::Reply::Ok(body));
            }
            Ok(offhook_proto::Reply::Error(error)) | Err(error) => error.code,
        };
        match error {
            ErrorCode::Timeout | ErrorCode::Busy => {
                self.on_unknown(command);
                self.failures += 1;
                if self.failures > crate::limits::ENGINE_RETRIES && aspect != Aspect::Play && self.wanted {
                    return Change::Refused(aspect, error);
                }
                Change::None
            }
            ErrorCode::LegNotFound => self.on_not_found(aspect, command),
            // Made by a request that was on its way when the engine's new run was not known as one.
            ErrorCode::LegExists if self.wanted && self.failures < crate::limits::ENGINE_RETRIES => {
                self.failures += 1;
                self.stale = true;
                Change::None
            }
            ErrorCode::LegExists
            | ErrorCode::BadRequest
            | ErrorCode::BadValue
            | ErrorCode::AlreadySpliced
            | ErrorCode::NotSpliced
            | ErrorCode::AlreadySupervised
            | ErrorCode::SameLeg
            | ErrorCode::OutOfPorts
            | ErrorCode::TooManyLegs
            | ErrorCode::CodecMismatch
            | ErrorCode::BadPrompt
            | ErrorCode::Unauthorized
            | ErrorCode::System
            | ErrorCode::BadReply => {
                self.on_unknown(command);
                if aspect == Aspect::Play {
                    self.play_wanted = None;
                    self.play_known = None;
                    return Change::Mute;
                }
                if !self.wanted && !matches!(command, Command::LegDelete(_)) {
                    return Change::None;
                }
                if !self.wanted {
                    // It will not be deleted either; the lease ends it.
                    self.on_gone();
                    return Change::Closed;
                }
                Change::Refused(aspect, error)
            }
        }
    }

    fn on_done(&mut self, command: &Command, reply: offhook_proto::Reply) -> Change {
        self.failures = 0;
        match command {
            Command::LegCreate(_) => match reply.parse::<LegCreated>() {
                Ok(created) => {
                    self.open = Some((created.rtp, created.rtcp));
                    self.keys_known = Some(self.create.dtmf);
                    self.link_known = Some(if self.create.park { Link::Parked } else { Link::Free });
                    Change::Opened
                }
                Err(_) => Change::Refused(Aspect::Life, ErrorCode::BadReply),
            },
            Command::LegDelete(_) => {
                self.on_gone();
                Change::Closed
            }
            Command::LegQuery(_) => {
                self.verify = false;
                Change::None
            }
            Command::LegPark(_) | Command::Unsplice(_) => {
                self.link_known = Some(Link::Parked);
                self.linked()
            }
            Command::Splice(splice) => {
                self.link_known = Some(Link::Spliced {
                    partner: splice.b.clone(),
                    hears: splice.a_hears_b,
                    heard: splice.b_hears_a,
                });
                self.linked()
            }
            Command::Play(play) => {
                // A play that ended before its reply came is not wanted any more.
                if self.play_wanted.as_ref().is_some_and(|wanted| wanted.name == play.play) || play.times == 0
                {
                    self.play_known = Some(play.play.clone());
                }
                Change::None
            }
            Command::PlayStop(_) => {
                self.play_known = None;
                Change::None
            }
            Command::LegUpdate(update) if update.dtmf.is_some() => {
                self.keys_known = update.dtmf;
                Change::Keys
            }
            Command::LegUpdate(_)
            | Command::LegUnpark(_)
            | Command::LegList(_)
            | Command::Ping
            | Command::Supervise(_)
            | Command::SuperviseStop(_)
            | Command::Listen(_)
            | Command::ListenStop(_)
            | Command::RecordStart(_)
            | Command::RecordPause(_)
            | Command::RecordResume(_)
            | Command::RecordStop(_)
            | Command::DetectStart(_)
            | Command::DetectStop(_)
            | Command::Statistics
            | Command::Subscribe(_)
            | Command::Unsubscribe
            | Command::EventAck(_) => Change::None,
        }
    }

    fn linked(&self) -> Change {
        if self.is_linked() { Change::Linked } else { Change::None }
    }

    /// Whether the command was executed is not known.
    fn on_unknown(&mut self, command: &Command) {
        match command {
            Command::LegUpdate(_) => (self.remote_known, self.keys_known) = (None, None),
            Command::LegPark(_) | Command::Unsplice(_) | Command::Splice(_) => self.link_known = None,
            Command::Play(play) => self.play_known = Some(format!("{}?", play.play)),
            Command::LegCreate(_)
            | Command::LegDelete(_)
            | Command::LegQuery(_)
            | Command::PlayStop(_)
            | Command::LegUnpark(_)
            | Command::LegList(_)
            | Command::Ping
            | Command::Supervise(_)
            | Command::SuperviseStop(_)
            | Command::Listen(_)
            | Command::ListenStop(_)
            | Command::RecordStart(_)
            | Command::RecordPause(_)
            | Command::RecordResume(_)
            | Command::RecordStop(_)
            | Command::DetectStart(_)
            | Command::DetectStop(_)
            | Command::Statistics
            | Command::Subscribe(_)
            | Command::Unsubscribe
            | Command::EventAck(_) => {}
        }
    }

    fn on_not_found(&mut self, aspect: Aspect, command: &Command) -> Change {
        self.on_unknown(command);
        self.stale = false;
        if !self.wanted && aspect == Aspect::Life {
            self.on_gone();
            return Change::Closed;
        }
        if self.open.is_none() {
            return Change::None;
        }
        if aspect == Aspect::Life || !matches!(command, Command::Splice(_)) {
            self.on_gone();
            return Change::Gone;
        }
        // Either of the two may be missing.
        self.verify = true;
        Change::Refused(Aspect::Link, ErrorCode::LegNotFound)
    }

    pub(crate) fn doubt(&mut self) {
        self.verify = self.open.is_some();
    }
}
