//! What the reply to a command says about a leg, whether the command was carried out or not.

use offhook_proto::{Command, ErrorCode, LegCreated, LegInfo, LegUpdate, Play, Reply, Splice};

use super::{Aspect, Leg, Link};
use crate::EngineReply;
use crate::limits::ENGINE_RETRIES;

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
    /// The engine has it. What was found out although no event told it, since events may be lost or be told to a run that died.
    Seen {
        /// It has fallen silent, or speaks again.
        silent: Option<bool>,
        /// A play that has ended.
        ended: Option<String>,
    },
    /// The leg is not there any more although it is wanted.
    Gone,
    /// The engine will not do it.
    Refused(Aspect, ErrorCode),
    /// The play cannot be played.
    Mute,
    /// The leg is deleted.
    Closed,
}

impl Leg {
    /// The reply to a command of [`Leg::next`].
    pub(crate) fn on_reply(&mut self, aspect: Aspect, command: &Command, result: EngineReply) -> Change {
        self.busy[aspect as usize] = false;
        let error = match result {
            Ok(Reply::Ok(body)) => {
                return self.on_done(command, Reply::Ok(body));
            }
            Ok(Reply::Error(error)) | Err(error) => error.code,
        };
        match error {
            ErrorCode::Timeout | ErrorCode::Busy => {
                self.on_unknown(command);
                self.failures += 1;
                if self.failures > ENGINE_RETRIES && aspect != Aspect::Play && self.wanted {
                    return Change::Refused(aspect, error);
                }
                Change::None
            }
            ErrorCode::LegNotFound => self.on_not_found(aspect, command),
            // Made by a request that was on its way when the engine's new run was not known as one.
            ErrorCode::LegExists if self.wanted && self.failures < ENGINE_RETRIES => {
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

    fn on_done(&mut self, command: &Command, reply: Reply) -> Change {
        self.failures = 0;
        match Sent::of(command) {
            Sent::Create => match reply.parse::<LegCreated>() {
                Ok(created) => {
                    self.open = Some((created.rtp, created.rtcp));
                    self.keys_known = Some(self.create.dtmf);
                    self.link_known = Some(if self.create.park { Link::Parked } else { Link::Free });
                    Change::Opened
                }
                Err(_) => Change::Refused(Aspect::Life, ErrorCode::BadReply),
            },
            Sent::Delete => {
                self.on_gone();
                Change::Closed
            }
            Sent::Query => {
                self.verify = false;
                reply.parse::<LegInfo>().map_or(Change::None, |info| self.on_seen(&info))
            }
            Sent::Park => {
                self.link_known = Some(Link::Parked);
                self.linked()
            }
            Sent::Splice(splice) => {
                self.link_known = Some(Link::Spliced {
                    partner: splice.b.clone(),
                    hears: splice.a_hears_b,
                    heard: splice.b_hears_a,
                });
                self.linked()
            }
            Sent::Play(play) => {
                // A play that ended before its reply came is not wanted any more.
                if self.play_wanted.as_ref().is_some_and(|wanted| wanted.name == play.play) || play.times == 0
                {
                    self.play_known = Some(play.play.clone());
                }
                Change::None
            }
            Sent::PlayStop => {
                self.play_known = None;
                Change::None
            }
            Sent::Update(update) if update.dtmf.is_some() => {
                self.keys_known = update.dtmf;
                Change::Keys
            }
            Sent::Update(_) | Sent::Foreign => Change::None,
        }
    }

    fn on_seen(&mut self, info: &LegInfo) -> Change {
        let silent = self.reported_silent(info);
        self.heard |= info.last_packet_ms.is_some();
        let changed = std::mem::take(&mut self.silence_asked) && self.silent != silent;
        if changed {
            self.silent = silent;
        }
        let idle = !self.busy[Aspect::Play as usize];
        let asked = self.play_asked.take().filter(|asked| idle && self.play_known.as_ref() == Some(asked));
        let ended = asked.filter(|play| info.playing.as_ref() != Some(play));
        Change::Seen { silent: changed.then_some(silent), ended }
    }

    fn linked(&self) -> Change {
        if self.is_linked() { Change::Linked } else { Change::None }
    }

    /// Whether the command was executed is not known.
    fn on_unknown(&mut self, command: &Command) {
        match Sent::of(command) {
            Sent::Update(_) => (self.remote_known, self.keys_known) = (None, None),
            Sent::Park | Sent::Splice(_) => self.link_known = None,
            Sent::Play(play) => self.play_known = Some(format!("{}?", play.play)),
            Sent::Create | Sent::Delete | Sent::Query | Sent::PlayStop | Sent::Foreign => {}
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
}

/// The commands of [`Leg::next`].
enum Sent<'a> {
    Create,
    Delete,
    Query,
    Update(&'a LegUpdate),
    /// Out of its splice and parked, however that is said.
    Park,
    Splice(&'a Splice),
    Play(&'a Play),
    PlayStop,
    /// None of them.
    Foreign,
}

impl<'a> Sent<'a> {
    fn of(command: &'a Command) -> Self {
        match command {
            Command::LegCreate(_) => Self::Create,
            Command::LegDelete(_) => Self::Delete,
            Command::LegQuery(_) => Self::Query,
            Command::LegUpdate(update) => Self::Update(update),
            Command::LegPark(_) | Command::Unsplice(_) => Self::Park,
            Command::Splice(splice) => Self::Splice(splice),
            Command::Play(play) => Self::Play(play),
            Command::PlayStop(_) => Self::PlayStop,
            Command::LegUnpark(_)
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
            | Command::EventAck(_) => Self::Foreign,
        }
    }
}
