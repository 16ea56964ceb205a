//! `transform`: what comes to one port leaves in another encoding for an address, without a party on either side.

use std::net::{IpAddr, SocketAddr};

use offhook_proto::{Error, LatchMode, Media, Ptime, Remote};

use crate::call::{Dialogue, Section, Side};
use crate::create::TAKEN;
use crate::end::{End, learn_ports, leg_name};
use crate::failure::{Failure, UNKNOWN_CALL};
use crate::flags::Flags;
use crate::limits::SECTIONS;
use crate::mute::Mute;
use crate::root::{Body, Ng, first_error};
use crate::sdp::{Format, choose};
use crate::transaction::{Plan, Then};
use crate::value::{Dict, Value};

/// A transformation whose legs are being opened: what is to be answered.
#[derive(Debug)]
pub(crate) struct Transforming {
    call_id: Vec<u8>,
    tag: Vec<u8>,
    dialogue: u64,
    /// What the client calls each medium, where it does.
    ids: Vec<Option<Vec<u8>>>,
}

/// What is wanted of one medium.
struct Wish {
    id: Option<Vec<u8>>,
    input: Media,
    output: Media,
    destination: SocketAddr,
}

impl Ng {
    /// Opens two legs for each medium: one that receives, and one that sends what the first one hears. The reply says where the
    /// first ones are.
    pub(crate) fn transform(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = self.name_or_new(flags, "call-id")?;
        let tag = self.name_or_new(flags, "from-tag")?;
        let label = flags.name("label")?.map(<[u8]>::to_vec);
        let latch = flags.latch()?;
        let wishes = wishes(dict, flags.ptime_ms())?;
        if self.calls.get(&call_id).is_some_and(|call| call.has_tag(&tag)) {
            return Err(Failure::error(TAKEN));
        }
        let interface = flags.interfaces().0;
        let mut commands = Vec::new();
        let mut sections = Vec::with_capacity(wishes.len());
        let mut locals = [IpAddr::from([0, 0, 0, 0]); 2];
        for wish in &wishes {
            let ipv6 = wish.destination.is_ipv6();
            let near = self.local_address(interface, flags.wants_ipv6().unwrap_or(ipv6))?;
            let far = self.local_address(interface, ipv6)?;
            let number = self.next_number();
            let mut input = End::new(leg_name(number, "a"), wish.input.clone());
            input.latch = latch;
            let mut output = End::new(leg_name(number, "b"), wish.output.clone());
            output.remote = Some(Remote { rtp: wish.destination, rtcp: None });
            commands.push(input.create(near, None));
            commands.push(output.create(far, Some(input.leg.clone())));
            let section = Section { ends: [input, output], spliced: true };
            commands.push(section.splice(BLOCKED));
            sections.push(Some(section));
            locals = [near, far];
        }
        let dialogue = self.next_number();
        let side = |tag: Vec<u8>, side: usize| Side {
            tag: Some(tag),
            branch: None,
            label: None,
            local: locals[side],
            advertised: None,
            latch: LatchMode::Strict,
            mute: Mute { blocked: BLOCKED[side], ..Mute::default() },
        };
        let media_address = flags.media_address();
        let fits = |address: &IpAddr| address.is_ipv6() == locals[0].is_ipv6();
        let entry = Side { label, advertised: media_address.filter(fits), ..side(tag.clone(), 0) };
        let exit = side(self.made_up_name(), 1);
        let opened = Dialogue {
            number: dialogue,
            created: self.now,
            sides: [entry, exit],
            sections,
            answered: true,
            unrecorded: false,
            ends: None,
        };
        let now = self.now;
        let call = self.room_for_party(&call_id, |call| call.dialogues.len())?;
        call.signalled = now;
        call.dialogues.push(opened);
        self.watch(&call_id);
        let ids = wishes.into_iter().map(|wish| wish.id).collect();
        let transforming = Transforming { call_id, tag, dialogue, ids };
        Ok(Plan::new(commands, Then::Transform(Box::new(transforming))))
    }

    /// Says where the legs receive; undoes the request when the engine refused.
    pub(crate) fn finish_transform(
        &mut self,
        transforming: &Transforming,
        results: &[Result<Body, Error>],
    ) -> Result<Dict, Failure> {
        let Transforming { call_id, tag, dialogue, ids } = transforming;
        if let Some(error) = first_error(results) {
            let call = self.calls.get_mut(call_id);
            let ended: Vec<Dialogue> = call.map_or_else(Vec::new, |call| {
                call.dialogues.extract_if(.., |known| known.number == *dialogue).collect()
            });
            let legs = ended.iter().flat_map(Dialogue::legs).map(str::to_owned).collect();
            self.close_legs(legs);
            self.totals.rejected += u64::from(self.forget_empty(call_id));
            return Err(error.into());
        }
        let call = self.calls.get_mut(call_id);
        let dialogue = call.and_then(|call| call.find_mut(*dialogue));
        let dialogue = dialogue.ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        let advertised = dialogue.sides[0].advertised;
        let mut media = Vec::with_capacity(ids.len());
        for (section, id) in dialogue.sections.iter_mut().flatten().zip(ids) {
            results.iter().flatten().for_each(|body| learn_ports(section.ends.iter_mut(), body));
            let Some((rtp, _)) = section.ends[0].ports else { continue };
            let mut dict = Dict::default();
            if let Some(id) = id {
                dict.put("id", id.clone());
            }
            let address = advertised.unwrap_or(rtp.ip());
            dict.put("family", if address.is_ipv6() { "IP6" } else { "IP4" });
            dict.put("address", address.to_string()).put("port", rtp.port());
            media.push(Value::from(dict));
        }
        let reply = Dict::default().with("call-id", call_id.clone()).with("from-tag", tag.clone());
        Ok(reply.with("media", media).with("result", "ok"))
    }
}

/// What comes in is never sent back.
const BLOCKED: [bool; 2] = [false, true];

/// What is wanted, medium by medium.
fn wishes(dict: &Dict, ptime_ms: Option<u16>) -> Result<Vec<Wish>, Failure> {
    let Some(Value::List(list)) = dict.find("media") else {
        return Err(Failure::error("No media in message"));
    };
    if list.is_empty() || list.len() > SECTIONS {
        return Err(Failure::error(format!("media: must have 1 to {SECTIONS} entries")));
    }
    list.iter().map(|media| Wish::of(media, ptime_ms)).collect()
}

impl Wish {
    fn of(media: &Value, ptime_ms: Option<u16>) -> Result<Self, Failure> {
        let Value::Dict(media) = media else {
            return Err(Failure::error("media: must be a list of dictionaries"));
        };
        if media.text("type").is_some_and(|kind| kind != "audio") {
            return Err(Failure::error("Only audio is transformed"));
        }
        let pairs: Vec<(Format, Format)> = match media.find("codec") {
            Some(Value::List(list)) => list.iter().filter_map(pair).collect(),
            _ => Vec::new(),
        };
        let none = || Failure::error("No pair of codecs that this engine carries");
        let (inputs, outputs): (Vec<Format>, Vec<Format>) = pairs.into_iter().unzip();
        let ptime = Ptime::wanted(ptime_ms);
        let input = choose(&inputs, ptime).ok_or_else(none)?.0;
        let output = choose(&outputs, ptime).ok_or_else(none)?.0;
        let output = Media { repacketise: ptime_ms.is_some(), ..output };
        let destination = match media.find("destination") {
            Some(Value::Dict(destination)) => address_of(destination),
            _ => None,
        };
        let destination = destination.ok_or_else(|| Failure::error("Failed to parse network address"))?;
        Ok(Self { id: media.bytes("id").map(<[u8]>::to_vec), input, output, destination })
    }
}

/// What comes in and what goes out for it, where both are of a kind that the engine carries.
fn pair(codec: &Value) -> Option<(Format, Format)> {
    let Value::Dict(codec) = codec else { return None };
    let [input, output] = ["input", "output"].map(|key| match codec.find(key) {
        Some(Value::Dict(dict)) => format_of(dict),
        _ => None,
    });
    let (input, output) = (input?, output?);
    let alike = input.codec().is_some() && output.codec().is_some()
        || input.is_telephone_event() && output.is_telephone_event()
        || input.is_comfort_noise() && output.is_comfort_noise();
    alike.then_some((input, output))
}

/// A codec by its name, with the usual numbers where none are given.
fn format_of(dict: &Dict) -> Option<Format> {
    let number =
        |key: &str| dict.find(key).map(|value| value.int().and_then(|number| u32::try_from(number).ok()));
    let name = dict.text("codec")?;
    let usual = Format::own_named(name);
    let payload_type = match number("payload-type") {
        Some(number) => u8::try_from(number?).ok().filter(|number| *number < 128)?,
        None => usual.as_ref()?.payload_type,
    };
    let clock_rate = match number("clock-rate") {
        Some(number) => number?,
        None => usual.as_ref()?.clock_rate,
    };
    let channels = match number("channels") {
        Some(number) => u8::try_from(number?).ok()?,
        None => usual.map_or(1, |usual| usual.channels),
    };
    Some(Format {
        payload_type,
        name: name.to_owned(),
        clock_rate,
        channels,
        parameters: String::new(),
        ours: false,
    })
}

fn address_of(destination: &Dict) -> Option<SocketAddr> {
    let address: IpAddr = destination.text("address")?.parse().ok()?;
    let port = destination.find("port").and_then(Value::int).and_then(|port| u16::try_from(port).ok())?;
    let family = destination.text("family");
    let is_of_family = family.is_none_or(|family| family == if address.is_ipv6() { "IP6" } else { "IP4" });
    (port != 0 && is_of_family).then(|| SocketAddr::new(address, port))
}
