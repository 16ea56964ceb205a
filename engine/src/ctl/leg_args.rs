//! What is typed to open a leg or to change it.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use offhook_proto::{Codec, DtmfMode, Idle, LatchMode, LegCreate, LegUpdate, Media, Opus, Remote};

use super::args::parse_word;
use super::secure_args::SecureArgs;

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the new leg.
    leg: String,
    /// Local address to receive on.
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// Worker to live on, from 0; the least loaded one when absent.
    #[arg(long)]
    worker: Option<u16>,
    /// Leg whose worker to live on.
    #[arg(long, value_name = "LEG")]
    beside: Option<String>,
    /// Start parked.
    #[arg(long)]
    park: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Name of the leg.
    leg: String,
    /// Forget the learnt source and learn again.
    #[arg(long)]
    relatch: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    media: MediaArgs,
    #[command(flatten)]
    secure: SecureArgs,
    /// Where the peer receives RTP.
    #[arg(long, value_name = "ADDRESS:PORT")]
    remote: Option<SocketAddr>,
    /// Where the peer receives RTCP, when it is not the port after that of RTP.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "remote")]
    rtcp: Option<SocketAddr>,
    /// How the source is learnt: strict, signalled, any, heuristic, delayed or immediate (PROTOCOL.md, "Who is learnt").
    #[arg(long, value_parser = parse_word::<LatchMode>)]
    latch: Option<LatchMode>,
    #[arg(
        long,
        help = "What it is sent while it hears nobody: none, silence, comfort_noise[:MS] or keepalive[:MS]",
        value_parser = parse_idle
    )]
    idle: Option<Idle>,
    /// Report the leg after so many milliseconds without a packet; 0 never.
    #[arg(long, value_name = "MS")]
    silent_after_ms: Option<u32>,
    /// Report the leg after so many milliseconds without audio in a conversation; 0 never, 5000 when absent.
    #[arg(long, value_name = "MS")]
    one_way_after_ms: Option<u32>,
    /// What becomes of the keys pressed on it: pass, convert or block.
    #[arg(long, value_parser = parse_word::<DtmfMode>)]
    dtmf: Option<DtmfMode>,
}

#[derive(Debug, Args)]
pub(crate) struct MediaArgs {
    /// PCMU, PCMA, G722, opus, L16, or L16/16000 and so on to L16/48000.
    #[arg(long, value_parser = parse_word::<Codec>)]
    codec: Option<Codec>,
    /// RTP payload type of the audio, when it is not the codec's static one.
    #[arg(long, value_name = "N")]
    payload_type: Option<u8>,
    /// RTP payload type of telephone-events; 101 when absent.
    #[arg(long, value_name = "N")]
    telephone_event: Option<u8>,
    /// Clock rate of telephone-events, when it is not the audio's.
    #[arg(long, value_name = "HZ")]
    telephone_event_rate: Option<u32>,
    /// Milliseconds of audio in a packet; 20 when absent.
    #[arg(long, value_name = "MS")]
    ptime: Option<u8>,
    /// Longest packet that the peer takes, in milliseconds; any when absent.
    #[arg(long, value_name = "MS")]
    max_ptime: Option<u8>,
    /// Make packets of a partner of the same encoding anew, too, where they last otherwise than --ptime.
    #[arg(long)]
    repacketise: bool,
    /// What the peer asks for of Opus, as after its payload type in a=fmtp: usedtx=1;maxplaybackrate=16000.
    #[arg(long, value_name = "PARAMETERS", requires = "codec", value_parser = parse_fmtp)]
    opus: Option<Opus>,
}

impl CreateArgs {
    pub(super) fn command(self) -> LegCreate {
        let default = LegCreate::default();
        LegCreate {
            leg: self.leg,
            address: self.address,
            remote: self.common.remote(),
            media: self.common.media.media().unwrap_or_default(),
            latch: self.common.latch.unwrap_or(default.latch),
            idle: self.common.idle.unwrap_or(default.idle),
            worker: self.worker,
            beside: self.beside,
            park: self.park,
            silent_after_ms: self.common.silent_after_ms.unwrap_or(0),
            one_way_after_ms: self.common.one_way_after_ms,
            srtp: self.common.secure.srtp().unwrap_or_default(),
            rtcp_mux: self.common.secure.rtcp_mux.unwrap_or(false),
            dtmf: self.common.dtmf.unwrap_or_default(),
        }
    }
}

impl UpdateArgs {
    pub(super) fn command(self) -> LegUpdate {
        LegUpdate {
            leg: self.leg,
            remote: self.common.remote(),
            media: self.common.media.media(),
            latch: self.common.latch,
            idle: self.common.idle,
            silent_after_ms: self.common.silent_after_ms,
            one_way_after_ms: self.common.one_way_after_ms,
            srtp: self.common.secure.srtp(),
            rtcp_mux: self.common.secure.rtcp_mux,
            dtmf: self.common.dtmf,
            relatch: self.relatch,
        }
    }
}

impl CommonArgs {
    fn remote(&self) -> Option<Remote> {
        self.remote.map(|rtp| Remote { rtp, rtcp: self.rtcp })
    }
}

impl MediaArgs {
    /// `None` when nothing was said about the media.
    fn media(&self) -> Option<Media> {
        if self.codec.is_none()
            && self.payload_type.is_none()
            && self.telephone_event.is_none()
            && self.telephone_event_rate.is_none()
            && self.ptime.is_none()
            && self.max_ptime.is_none()
            && !self.repacketise
        {
            return None;
        }
        let default = Media::default();
        let codec = self.codec.unwrap_or(default.codec);
        Some(Media {
            codec,
            payload_type: self.payload_type.or(codec.static_payload_type()).unwrap_or(FIRST_DYNAMIC),
            telephone_event: self.telephone_event.or(default.telephone_event),
            telephone_event_rate_hz: self.telephone_event_rate,
            comfort_noise: default.comfort_noise,
            ptime_ms: self.ptime.unwrap_or(default.ptime_ms),
            max_ptime_ms: self.max_ptime,
            repacketise: self.repacketise,
            opus: self.opus.unwrap_or_default(),
        })
    }
}

/// The first dynamic payload type (RFC 3551 section 6).
const FIRST_DYNAMIC: u8 = 96;

fn parse_fmtp(text: &str) -> Result<Opus, std::convert::Infallible> {
    Ok(Opus::from_fmtp(text))
}

fn parse_idle(text: &str) -> Result<Idle, String> {
    let (kind, interval) =
        text.split_once(':').map_or((text, None), |(kind, interval)| (kind, Some(interval)));
    let interval_ms = |default: u32| match interval {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{text:?} is not a number of milliseconds")),
    };
    match kind {
        "none" => Ok(Idle::None),
        "silence" => Ok(Idle::Silence),
        "comfort_noise" => Ok(Idle::ComfortNoise { interval_ms: interval_ms(1_000)? }),
        "keepalive" => Ok(Idle::Keepalive { interval_ms: interval_ms(15_000)? }),
        _ => Err("none, silence, comfort_noise[:MS] or keepalive[:MS]".into()),
    }
}
