//! One end of a media section: a leg of the engine, and what its party and we have told each other of it.

use std::net::IpAddr;

use offhook_proto::{
    Command, Crypto, DtmfMode, Idle, LatchMode, LegCreate, LegCreated, LegDelete, LegUpdate, Media, Ptime,
    Remote, Reply, SdesKeys, Splice, Srtp,
};

use crate::call::Place;
use crate::mute::Mute;
use crate::root::Body;
use crate::sdp::{Choice, Direction, Format, choose};
use crate::secure::{Agreed, MuxFlags, Written};

/// One end of a section.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) leg: String,
    /// Where it receives, once the engine has said so.
    pub(crate) ports: Option<Place>,
    /// As the engine knows it.
    pub(crate) remote: Option<Remote>,
    pub(crate) media: Media,
    pub(crate) latch: LatchMode,
    /// As last offered or answered.
    pub(crate) signalled: Signalled,
    /// Packet time that the client has asked for towards this side, whatever that side says, in milliseconds.
    pub(crate) asked_ptime_ms: Option<u16>,
    pub(crate) direction: Direction,
    pub(crate) recording: Option<Recording>,
    /// Ours towards this side, once there is a use for them.
    pub(crate) keys: Option<SdesKeys>,
    pub(crate) written: Written,
    /// As the engine knows it.
    pub(crate) srtp: Srtp,
    pub(crate) mux: bool,
    pub(crate) dtmf: DtmfMode,
    /// Whether the engine knows all this: it may have refused some of it.
    pub(crate) told: bool,
    /// Whether nobody is to hear its keys, and whether whoever does takes them in another form than it sends them in.
    pub(crate) blocks_keys: bool,
    pub(crate) converts_keys: bool,
    /// What keeps from it alone whom it is joined to or listens to.
    pub(crate) unheard: Mute,
    /// Whom `connect` has joined it to. It holds for as long as that end says the same.
    pub(crate) joined: Option<Joined>,
    /// The pair in which `mesh` has let it take part.
    pub(crate) takes_part: Option<[String; 2]>,
}

/// An end of any call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) call_id: Vec<u8>,
    pub(crate) leg: String,
}

/// What is recorded of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    Runs,
    Paused,
}

/// What a side said of one section, to take effect with the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signalled {
    pub(crate) remote: Option<Remote>,
    pub(crate) ptime: Ptime,
    pub(crate) protocol: String,
    /// Formats that passed the engine.
    pub(crate) formats: Vec<Format>,
    /// Its keys; none on a plain section.
    pub(crate) crypto: Vec<Crypto>,
    /// It would take, or takes, RTCP on its RTP port.
    pub(crate) mux: bool,
    pub(crate) mux_flags: MuxFlags,
}

impl End {
    /// One that nobody can speak to yet.
    pub(crate) fn new(leg: String, media: Media) -> Self {
        Self {
            leg,
            ports: None,
            remote: None,
            media,
            latch: LatchMode::Strict,
            signalled: Signalled::default(),
            asked_ptime_ms: None,
            direction: Direction::SendRecv,
            recording: None,
            keys: None,
            written: Written::default(),
            srtp: Srtp::Off,
            mux: false,
            dtmf: DtmfMode::Pass,
            told: true,
            blocks_keys: false,
            converts_keys: false,
            unheard: Mute::default(),
            joined: None,
            takes_part: None,
        }
    }

    /// What it carries of these formats, for a side that says so of packet times.
    pub(crate) fn choose(&self, formats: &[Format], said: Ptime) -> Option<Media> {
        let ptime = Ptime { wanted_ms: self.asked_ptime_ms.or(said.wanted_ms), ..said };
        let Choice(media) = choose(formats, ptime)?;
        Some(Media { repacketise: self.asked_ptime_ms.is_some(), ..media })
    }

    /// The command that opens its leg.
    pub(crate) fn create(&self, local: IpAddr, beside: Option<String>) -> Command {
        Command::LegCreate(LegCreate {
            leg: self.leg.clone(),
            address: Some(local),
            remote: self.remote,
            media: self.media.clone(),
            latch: self.latch,
            idle: Idle::None,
            beside,
            // Which direction a description has left open is not told to the leg.
            one_way_after_ms: Some(0),
            srtp: self.srtp.clone(),
            rtcp_mux: self.mux,
            ..LegCreate::default()
        })
    }

    /// What is to become of its keys, where the engine does not know yet.
    pub(crate) fn wanted_dtmf(&mut self, anew: bool) -> Option<DtmfMode> {
        let wanted = match (self.blocks_keys, self.converts_keys) {
            (true, _) => DtmfMode::Block,
            (false, true) => DtmfMode::Convert,
            (false, false) => DtmfMode::Pass,
        };
        let before = std::mem::replace(&mut self.dtmf, wanted);
        (anew || before != wanted).then_some(wanted)
    }

    /// The command that tells the leg what is new, if anything is.
    pub(crate) fn update(&mut self, media: Media, latch: LatchMode, agreed: Agreed) -> Option<Command> {
        // On hold the old way it says nowhere: what it said before still holds.
        let anew = !std::mem::replace(&mut self.told, true);
        let remote = self.signalled.remote.filter(|remote| anew || self.remote.as_ref() != Some(remote));
        let update = LegUpdate {
            leg: self.leg.clone(),
            remote,
            media: (anew || media != self.media).then(|| media.clone()),
            latch: (anew || latch != self.latch).then_some(latch),
            srtp: (anew || agreed.srtp != self.srtp).then(|| agreed.srtp.clone()),
            rtcp_mux: (anew || agreed.mux != self.mux).then_some(agreed.mux),
            dtmf: self.wanted_dtmf(anew),
            ..LegUpdate::default()
        };
        (self.media, self.latch) = (media, latch);
        (self.srtp, self.mux) = (agreed.srtp, agreed.mux);
        self.remote = remote.or(self.remote);
        let nothing = LegUpdate { leg: self.leg.clone(), ..LegUpdate::default() };
        (update != nothing).then_some(Command::LegUpdate(update))
    }
}

/// Takes note of where a leg receives, as `leg.create`, `leg.update` and `leg.query` all say it.
pub(crate) fn learn_ports<'a>(ends: impl Iterator<Item = &'a mut End>, body: &Body) {
    let Ok(created) = Reply::Ok(body.clone()).parse::<LegCreated>() else { return };
    for end in ends.filter(|end| end.leg == created.leg) {
        end.ports = Some((created.rtp, created.rtcp));
    }
}

/// Name of a leg that this family opens.
pub(crate) fn leg_name(number: u64, kind: &str) -> String {
    format!("ng-{number}-{kind}")
}

pub(crate) fn delete_leg(leg: String) -> Command {
    Command::LegDelete(LegDelete { leg })
}

/// Joins two legs, each hearing the other unless that one is blocked.
pub(crate) fn splice([a, b]: [&str; 2], blocked: [bool; 2]) -> Command {
    Command::Splice(Splice {
        a: a.to_owned(),
        b: b.to_owned(),
        a_hears_b: !blocked[1],
        b_hears_a: !blocked[0],
        replace: true,
        since_us: None,
    })
}
