//! `publish`: media that is offered to the engine itself, for others to subscribe to.

use offhook_proto::Ptime;

use crate::end::{End, Signalled, leg_name};
use crate::failure::Failure;
use crate::flags::{Flags, is_plain_rtp, unsupported_protocol};
use crate::root::Ng;
use crate::sdp::{Direction, Format, Sdp, Section, choose};
use crate::secure::crypto_of;
use crate::solo::{Line, Opening};
use crate::transaction::{Plan, Then};

impl Ng {
    /// Opens legs for what a party publishes, in place of what it published before; the reply accepts one codec for each section.
    pub(crate) fn publish(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let sdp = flags.sdp()?;
        let tag = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        flags.check()?;
        let source = flags.source_address();
        let written = sdp.sections.iter().find_map(|section| sdp.connection(section));
        let ipv6 = source.or(written).is_some_and(|address| address.is_ipv6());
        let local = self.local_address(flags.interfaces().0, ipv6)?;
        let mut refusal = Failure::error("No codec in the offer that this engine carries");
        let mut lines = Vec::with_capacity(sdp.sections.len());
        for section in &sdp.sections {
            lines.push(match self.published(&sdp, section, flags) {
                Ok(line) => line,
                Err(reason) => {
                    refusal = reason;
                    refused(section)
                }
            });
        }
        if lines.iter().all(|line| line.end.is_none()) {
            return Err(refusal);
        }
        let solo = self.solo(tag.to_vec(), Direction::RecvOnly, local, lines, flags)?;
        let commands = self.open_solo(call_id, solo)?;
        let opening =
            Opening { call_id: call_id.to_vec(), tag: tag.to_vec(), from: Vec::new(), is_new: true };
        Ok(Plan::new(commands, Then::Opening(Box::new(opening))))
    }

    /// A section that can be taken.
    fn published(&mut self, sdp: &Sdp, section: &Section, flags: &Flags<'_>) -> Result<Line, Failure> {
        let none = || Failure::error("No codec in the offer that this engine carries");
        if section.kind != "audio" || section.port == 0 || !section.port_count.is_empty() {
            return Err(none());
        }
        let crypto = crypto_of(section);
        if !is_plain_rtp(&section.protocol) && crypto.is_empty() {
            return Err(unsupported_protocol(&section.protocol));
        }
        sdp.connection(section).ok_or_else(|| Failure::error("Failed to parse SDP"))?;
        let codecs = flags.codecs();
        let mut formats = Format::of(section);
        formats.retain(|format| format.is_carried() && !codecs.leaves_out(format));
        codecs.prefer(&mut formats);
        let wanted_ms = flags.ptime_ms().or(section.ptime_ms());
        let ptime = Ptime { wanted_ms, ..section.ptime() };
        let media = choose(&formats, ptime).ok_or_else(none)?.0;
        formats.retain(|format| {
            let number = Some(format.payload_type);
            number == Some(media.payload_type)
                || number == media.telephone_event
                || number == media.comfort_noise
        });
        let latch = flags.latch()?;
        let mut end = End::new(leg_name(self.next_number(), "p"), media);
        end.signalled = Signalled {
            remote: sdp.remote(section, flags.source_address()),
            ptime: section.ptime(),
            protocol: section.protocol.clone(),
            formats: formats.clone(),
            crypto,
            mux: section.has("rtcp-mux"),
            mux_flags: flags.mux(),
        };
        let agreed = end.write_answer(true, &mut self.random);
        (end.remote, end.latch) = (end.signalled.remote, latch);
        (end.srtp, end.mux) = (agreed.srtp, agreed.mux);
        Ok(Line { end: Some(end), formats, ..refused(section) })
    }
}

fn refused(section: &Section) -> Line {
    Line {
        end: None,
        kind: section.kind.clone(),
        protocol: section.protocol.clone(),
        offered: section.formats.join(" "),
        formats: Vec::new(),
        of: None,
    }
}
