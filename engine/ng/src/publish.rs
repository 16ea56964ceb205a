//! `publish`: media that is offered to the engine itself, for others to subscribe to.

use crate::failure::Failure;
use crate::flags::{Flags, is_plain_rtp, unsupported_protocol};
use crate::offer::leg_name;
use crate::root::Ng;
use crate::sdp::{Direction, Format, Sdp, Section, choose};
use crate::solo::{Line, Opening, Solo};
use crate::transaction::{Plan, Then};

impl Ng {
    /// Opens legs for what a party publishes, in place of what it published before; the reply accepts one codec for each section.
    pub(crate) fn publish(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let sdp = flags.sdp()?;
        let tag = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        flags.check()?;
        let (latch, source) = (flags.latch()?, flags.source_address());
        let written = sdp.sections.iter().find_map(|section| sdp.connection(section));
        let ipv6 = source.or(written).is_some_and(|address| address.is_ipv6());
        let local = self.local_address(flags.interfaces().0, ipv6)?;
        let mut refusal = Failure::error("No codec in the offer that this engine carries");
        let mut lines = Vec::with_capacity(sdp.sections.len());
        for section in &sdp.sections {
            let mut line = line_of(&sdp, section, flags);
            match &mut line {
                Ok(line) => line.leg = Some(leg_name(self.next_number(), "p")),
                Err(reason) => refusal = reason.clone(),
            }
            lines.push(line.unwrap_or_else(|_| refused(section)));
        }
        if lines.iter().all(|line| line.leg.is_none()) {
            return Err(refusal);
        }
        let remotes: Vec<_> = sdp.sections.iter().map(|section| sdp.remote(section, source)).collect();
        let solo = Solo {
            tag: tag.to_vec(),
            label: flags.name("label")?.map(<[u8]>::to_vec),
            created: self.now,
            ends: None,
            direction: Direction::RecvOnly,
            advertised: flags.media_address().filter(|address| address.is_ipv6() == local.is_ipv6()),
            lines,
        };
        let commands = solo.create(local, latch, &remotes);
        let opening = Opening { call_id: call_id.to_vec(), tag: tag.to_vec(), from: Vec::new() };
        self.open_solo(call_id, solo)?;
        Ok(Plan::new(commands, Then::Opening(Box::new(opening))))
    }
}

/// What becomes of a section.
fn line_of(sdp: &Sdp, section: &Section, flags: &Flags<'_>) -> Result<Line, Failure> {
    let none = || Failure::error("No codec in the offer that this engine carries");
    if section.kind != "audio" || section.port == 0 || !section.port_count.is_empty() {
        return Err(none());
    }
    if !is_plain_rtp(&section.protocol) {
        return Err(unsupported_protocol(&section.protocol));
    }
    sdp.connection(section).ok_or_else(|| Failure::error("Failed to parse SDP"))?;
    let strip = flags.strip();
    let mut formats = Format::of(section);
    formats.retain(|format| format.is_carried() && !strip.takes(format));
    let media = choose(&formats, flags.ptime_ms().or(section.ptime_ms())).ok_or_else(none)?.0;
    formats.retain(|format| {
        let number = Some(format.payload_type);
        number == Some(media.payload_type) || number == media.telephone_event || number == media.comfort_noise
    });
    Ok(Line { formats, media, ..refused(section) })
}

fn refused(section: &Section) -> Line {
    Line {
        leg: None,
        ports: None,
        kind: section.kind.clone(),
        protocol: section.protocol.clone(),
        offered: section.formats.join(" "),
        formats: Vec::new(),
        media: offhook_proto::Media::default(),
        of: None,
    }
}
