//! `answer`: what was offered and answered takes effect, and the two sides hear each other.

use rand_chacha::ChaCha20Rng;

use offhook_proto::{Command, LegQuery, Media, Ptime, Unsplice};

use crate::call::Dialogue;
use crate::codecs;
use crate::end::{Signalled, delete_leg};
use crate::failure::{Failure, UNKNOWN_CALL};
use crate::flags::Flags;
use crate::offer::{Fate, Rewrite};
use crate::root::Ng;
use crate::sdp::{Format, Sdp, choose, opus_of};
use crate::secure::{MuxFlags, crypto_of};
use crate::transaction::{Plan, Then};

impl Ng {
    pub(crate) fn answer(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let sdp = flags.sdp()?;
        let from = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        let to = flags.name("to-tag")?.ok_or_else(|| Failure::error("No to-tag in message"))?;
        flags.check()?;
        let dropping = flags.drops_traffic()?;
        let (latch, source, branch) = (flags.latch()?, flags.source_address(), flags.branch()?);
        let now = self.now;
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        let (number, offerer) = call
            .of_answer(from, to, branch)
            .ok_or_else(|| Failure::error("From-tag given, but no such tag exists"))?;
        call.signalled = now;
        call.record = flags.record_call().unwrap_or(call.record);
        let record = call.record;
        call.mute.dropped = dropping.unwrap_or(call.mute.dropped);
        let mute = call.mute.is_on();
        let label = flags.name("label")?;
        let dialogue = call.find_mut(number).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        if sdp.sections.len() > dialogue.sections.len() {
            return Err(Failure::error("The answer has more media sections than the offer"));
        }
        // What cannot be accepted changes nothing, and closes no leg.
        let fates: Vec<Fate> = (0..sdp.sections.len())
            .map(|index| dialogue.fate_of_answer(index, offerer, &sdp, flags.has("single-codec")))
            .collect::<Result<_, _>>()?;
        (dialogue.ends, dialogue.answered) = (None, true);
        dialogue.unrecorded |= flags.has("exclude-recording");
        let answering = &mut dialogue.sides[1 - offerer];
        (answering.tag, answering.latch) = (Some(to.to_vec()), latch);
        if let Some(label) = label {
            answering.label = Some(label.to_vec());
        }
        let mut commands = Vec::new();
        for (index, (answered, fate)) in sdp.sections.iter().zip(&fates).enumerate() {
            if let Fate::Carried { formats, theirs, .. } = fate {
                let signalled = Signalled {
                    remote: sdp.remote(answered, source),
                    ptime: answered.ptime(),
                    protocol: answered.protocol.clone(),
                    formats: theirs.clone(),
                    crypto: crypto_of(answered),
                    mux: answered.has("rtcp-mux"),
                    mux_flags: MuxFlags::default(),
                };
                let direction = sdp.direction(answered);
                commands.extend(dialogue.take_effect(
                    mute,
                    index,
                    offerer,
                    signalled,
                    if offerer == 0 { [&formats[..], &theirs[..]] } else { [&theirs[..], &formats[..]] },
                    &mut self.random,
                )?);
                if let Some(section) = &mut dialogue.sections[index] {
                    section.ends[1 - offerer].direction = direction;
                }
            } else if let Some(section) = dialogue.sections[index].take() {
                commands.extend(section.ends.map(|end| delete_leg(end.leg)));
            }
        }
        if dropping.is_some() {
            commands.extend(self.gates_of_all(call_id));
        }
        if record {
            self.record_answered(call_id, number);
        }
        let rewrite = Rewrite {
            call_id: call_id.to_vec(),
            dialogue: number,
            to: offerer,
            sdp,
            sections: fates,
            replace_origin: flags.replaces_origin(),
            original_direction: flags.has("original-sendrecv"),
            rtcp: flags.rtcp_attribute(),
            marked: flags.has("loop-protect"),
            opened: Vec::new(),
            new_dialogue: false,
        };
        Ok(Plan::new(commands, Then::Rewrite(Box::new(rewrite))))
    }
}

impl Dialogue {
    /// What becomes of a section of an answer; with `single` only the first codec of it goes back.
    fn fate_of_answer(&self, index: usize, offerer: usize, sdp: &Sdp, single: bool) -> Result<Fate, Failure> {
        let answered = &sdp.sections[index];
        if answered.protocol.contains("TCP") {
            return Ok(Fate::Untouched);
        }
        let Some(section) = &self.sections[index] else { return Ok(Fate::Refused) };
        if answered.port == 0 || !section.ends[1 - offerer].fits(answered) {
            return Ok(Fate::Refused);
        }
        if sdp.connection(answered).is_none() {
            return Err(Failure::error("Failed to parse SDP"));
        }
        let offered = &section.ends[offerer].signalled;
        let written = &section.ends[1 - offerer].written.formats;
        let mut theirs = Format::of(answered);
        theirs.retain(|format| written.iter().any(|one| one.is_named(&format.encoding())));
        if choose(&theirs, Ptime::default()).is_none() {
            return Err(Failure::error("No codec in the answer that was offered"));
        }
        let (mut formats, theirs) = codecs::agreed(&offered.formats, theirs);
        if single {
            let first =
                formats.iter().find(|format| format.codec().is_some()).map(|first| first.payload_type);
            formats.retain(|format| Some(format.payload_type) == first || format.codec().is_none());
        }
        // The offering side gets its own protocol back.
        let protocol = Some(offered.protocol.clone()).filter(|protocol| !protocol.is_empty());
        let asked_ms = section.ends[offerer].asked_ptime_ms;
        let ptime_ms = asked_ms.or(answered.ptime_ms()).or(offered.ptime.wanted_ms);
        Ok(Fate::Carried { formats, theirs, protocol, ptime_ms })
    }

    /// Tells both legs what the two sides agreed on, each with formats of its own, and joins them.
    fn take_effect(
        &mut self,
        all_mute: bool,
        index: usize,
        offerer: usize,
        answered: Signalled,
        formats: [&[Format]; 2],
        random: &mut ChaCha20Rng,
    ) -> Result<Vec<Command>, Failure> {
        let sides = &self.sides;
        let Some(section) = &mut self.sections[index] else { return Ok(Vec::new()) };
        section.ends[1 - offerer].signalled = answered;
        section.ends.iter_mut().for_each(|end| (end.joined, end.takes_part) = (None, None));
        let agreed = section.agree(offerer, random)?;
        let (mut commands, mut updates) = (Vec::new(), Vec::new());
        let anew = section.ends.iter().any(|end| !end.told);
        let before = [section.ends[0].media.codec, section.ends[1].media.codec];
        let ends = &section.ends;
        let media = [0, 1].map(|side| ends[side].choose(formats[side], ends[side].signalled.ptime));
        let converts_keys = converts_keys(&media, offerer);
        for (((end, side), agreed), media) in section.ends.iter_mut().zip(sides).zip(agreed).zip(media) {
            let Some(mut media) = media else { continue };
            media.opus = opus_of(&end.signalled.formats);
            end.converts_keys = converts_keys;
            updates.extend(end.update(media, side.latch, agreed));
        }
        let codec_changes = before != [section.ends[0].media.codec, section.ends[1].media.codec];
        if section.spliced && codec_changes {
            // Joined legs would have to be converted into each other between the two updates.
            let leg = section.ends[0].leg.clone();
            commands.push(Command::Unsplice(Unsplice { leg, park: Vec::new() }));
        }
        commands.extend(updates);
        if !section.spliced || codec_changes || anew {
            section.spliced = true;
            commands.push(section.splice([0, 1].map(|side| all_mute || sides[side].mute.is_on())));
        }
        if section.ends[offerer].ports.is_none() {
            commands.push(Command::LegQuery(LegQuery { leg: section.ends[offerer].leg.clone() }));
        }
        Ok(commands)
    }
}

/// Whether keys have to change their form on the way: only one of the sides has telephone-events, and their audio is transcoded
/// anyway, or these were added to the offer.
fn converts_keys(media: &[Option<Media>; 2], offerer: usize) -> bool {
    let [Some(a), Some(b)] = media else { return false };
    let [offering, answering] = if offerer == 0 { [a, b] } else { [b, a] };
    match (offering.telephone_event, answering.telephone_event) {
        (Some(_), None) => a.codec != b.codec,
        (None, Some(_)) => true,
        (Some(_), Some(_)) | (None, None) => false,
    }
}
