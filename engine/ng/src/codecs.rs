//! What becomes of the codecs of an offer, by the wishes of rtpengine's clients: which are left out, and which are added, for
//! the engine to turn into what the offering side has.

use crate::sdp::Format;
use crate::value::{Dict, Value};

/// The wishes of one request, by names of codecs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Codecs<'a> {
    /// As if they had never been there.
    strip: Vec<&'a str>,
    /// Not offered on: the offering side may still be answered with them.
    mask: Vec<&'a str>,
    /// Neither left out nor, by `offer`, missing where the engine makes the offer itself.
    offer: Vec<&'a str>,
    except: Vec<&'a str>,
    /// Offered whether the offering side has them or not.
    transcode: Vec<&'a str>,
    /// Rather taken than others of what is published.
    accept: Vec<&'a str>,
}

impl<'a> Codecs<'a> {
    /// What the `codec` dictionary says, and the flags that say the same.
    pub(crate) fn of(dict: &'a Dict, flags: &[&'a str]) -> Self {
        let codec = match dict.find("codec") {
            Some(Value::Dict(codec)) => Some(codec),
            Some(_) | None => None,
        };
        let flagged =
            |start: &str| flags.iter().filter_map(|flag| flag.strip_prefix(start)).collect::<Vec<_>>();
        let named = |wish: &str| {
            let mut names = codec.map(|codec| codec.texts(wish)).unwrap_or_default();
            names.extend(flagged(&format!("codec-{wish}-")));
            names
        };
        Self {
            strip: named("strip"),
            mask: [named("mask"), named("consume")].concat(),
            offer: named("offer"),
            except: named("except"),
            transcode: [named("transcode"), flagged("transcode-")].concat(),
            accept: named("accept"),
        }
    }

    /// Whether a format is as if it had never been there.
    pub(crate) fn strips(&self, format: &Format) -> bool {
        self.takes(&self.strip, format)
    }

    /// Whether a format of a description is not passed on.
    pub(crate) fn leaves_out(&self, format: &Format) -> bool {
        self.strips(format) || self.takes(&self.mask, format)
    }

    /// Puts what is rather taken of a description before the rest.
    pub(crate) fn prefer(&self, formats: &mut [Format]) {
        let place = |format: &Format| self.accept.iter().position(|name| format.is_named(name));
        formats.sort_by_key(|format| place(format).unwrap_or(usize::MAX));
    }

    /// What somebody is offered who is to hear this, where anything is left of it; else this.
    pub(crate) fn offered_of(&self, own: Format) -> Vec<Format> {
        let accepted: Vec<Format> = Some(own.clone()).filter(|own| !self.strips(own)).into_iter().collect();
        let offered = self.offered(&accepted, &[]);
        if offered.is_empty() { vec![own] } else { offered }
    }

    /// Names of what is to be offered to a party that nobody else is there for.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &'a str> {
        self.offer.iter().chain(&self.transcode).copied()
    }

    /// What the other side is offered where this one may be answered with `accepted`, and its section has used the payload types
    /// `used`. Names of codecs that the engine has not are passed over.
    pub(crate) fn offered(&self, accepted: &[Format], used: &[String]) -> Vec<Format> {
        let mut offered: Vec<Format> =
            accepted.iter().filter(|format| !self.takes(&self.mask, format)).cloned().collect();
        if self.sweeps() {
            // What is taken back goes by the order in which it is.
            let place = |format: &Format| self.wanted().position(|name| format.is_named(name));
            offered.sort_by_key(|format| match format.codec() {
                Some(_) => place(format).unwrap_or(usize::MAX - 1),
                None => usize::MAX,
            });
        }
        let has_events = accepted.iter().any(Format::is_telephone_event);
        for name in &self.transcode {
            let Some(format) = Format::own_named(name) else { continue };
            let events = format!("telephone-event/{}", format.clock_rate);
            add(&mut offered, name, used);
            if has_events {
                add(&mut offered, &events, used);
            }
        }
        offered
    }

    /// Whether all codecs are left out but for some.
    fn sweeps(&self) -> bool {
        self.strip.iter().chain(&self.mask).any(|name| matches!(*name, "all" | "full"))
    }

    fn takes(&self, names: &[&str], format: &Format) -> bool {
        let named = |names: &[&str]| names.iter().any(|name| format.is_named(name));
        // What is left out with all the others is put back where it is asked for.
        let swept = names.contains(&"full") || names.contains(&"all") && !named(&self.transcode);
        (swept || named(names)) && !named(&self.offer) && !named(&self.except)
    }
}

/// Adds a format of the engine's under a payload type of its own, audio after audio; nothing where it is there already, or all
/// types are taken.
fn add(offered: &mut Vec<Format>, name: &str, used: &[String]) {
    let Some(format) = Format::own_named(name).filter(|_| !offered.iter().any(|one| one.is_named(name)))
    else {
        return;
    };
    let free = |number: &u8| {
        !used.iter().any(|used| used.parse() == Ok(*number))
            && !offered.iter().any(|one| one.payload_type == *number)
    };
    // The static types mean one encoding each (RFC 3551 section 6).
    let usual = Some(format.payload_type).filter(|number| *number < 35 || free(number));
    let Some(payload_type) = usual.or_else(|| (96..=127).find(free)) else { return };
    let last_audio = offered.iter().rposition(|one| one.codec().is_some()).map_or(0, |last| last + 1);
    let at = if format.codec().is_some() { last_audio } else { offered.len() };
    offered.insert(at, Format { payload_type, ..format.as_ours() });
}

/// What the two sides carry by an answer: what goes back to the offering side, which has offered so, and what the answering side
/// keeps of its own. The same audio where they have any in common, so that nothing is transcoded without need.
pub(crate) fn agreed(offered: &[Format], mut answered: Vec<Format>) -> (Vec<Format>, Vec<Format>) {
    let was_offered = |format: &Format| offered.iter().any(|one| one.is_named(&format.encoding()));
    let common: Vec<Format> = answered.iter().filter(|format| was_offered(format)).cloned().collect();
    if common.iter().any(|format| format.codec().is_some()) {
        answered.retain(|format| format.codec().is_none() || was_offered(format));
        return (common, answered);
    }
    let audio = offered.iter().find(|format| format.codec().is_some());
    let others = offered.iter().filter(|format| format.codec().is_none());
    (audio.into_iter().chain(others).map(Format::as_ours).collect(), answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(payload_type: u8, name: &str) -> Format {
        Format { payload_type, ..Format::own_named(name).expect("the engine has it") }
    }

    fn offered(wishes: &[&str], formats: &[Format]) -> Vec<(u8, String)> {
        let dict = Dict::default();
        let codecs = Codecs::of(&dict, wishes);
        let used: Vec<String> = formats.iter().map(|format| format.payload_type.to_string()).collect();
        let accepted: Vec<Format> = formats.iter().filter(|format| !codecs.strips(format)).cloned().collect();
        let offered = codecs.offered(&accepted, &used);
        offered.iter().map(|format| (format.payload_type, format.encoding())).collect()
    }

    fn wanted(formats: &[(u8, &str)]) -> Vec<(u8, String)> {
        formats.iter().map(|(number, encoding)| (*number, (*encoding).to_owned())).collect()
    }

    #[test]
    fn what_is_added_has_types_that_nothing_else_has_and_events_of_its_clock() {
        let phone = [format(96, "opus"), format(97, "telephone-event/48000")];
        let both = [
            (96, "opus/48000/2"),
            (0, "PCMU/8000"),
            (97, "telephone-event/48000"),
            (101, "telephone-event/8000"),
        ];
        assert_eq!(offered(&["codec-transcode-PCMU"], &phone), wanted(&both));
        let masked = [(0, "PCMU/8000"), (97, "telephone-event/48000"), (101, "telephone-event/8000")];
        assert_eq!(offered(&["codec-mask-opus", "transcode-PCMU"], &phone), wanted(&masked));
        let taken = [format(0, "PCMU"), format(96, "telephone-event/8000")];
        let dynamic = [
            (0, "PCMU/8000"),
            (97, "opus/48000/2"),
            (96, "telephone-event/8000"),
            (110, "telephone-event/48000"),
        ];
        assert_eq!(offered(&["codec-transcode-opus"], &taken), wanted(&dynamic));
        assert_eq!(
            offered(&["codec-transcode-G729"], &taken[..1]),
            wanted(&[(0, "PCMU/8000")]),
            "there is none"
        );
    }

    #[test]
    fn what_is_there_is_not_added_and_what_was_swept_away_is_put_back() {
        let phone = [format(8, "PCMA"), format(0, "PCMU")];
        let both = wanted(&[(8, "PCMA/8000"), (0, "PCMU/8000")]);
        assert_eq!(offered(&["codec-transcode-PCMU"], &phone), both);
        assert_eq!(offered(&["codec-strip-all", "codec-transcode-PCMU"], &phone), both[1..]);
        assert_eq!(offered(&["codec-mask-all", "codec-except-PCMU"], &phone), both[1..]);
        let back = ["codec-strip-all", "codec-offer-PCMU", "codec-offer-PCMA"];
        assert_eq!(offered(&back, &phone), wanted(&[(0, "PCMU/8000"), (8, "PCMA/8000")]), "in another order");
        assert_eq!(offered(&back[1..], &phone), both, "nothing was swept away");
        assert_eq!(offered(&["codec-mask-full", "codec-transcode-PCMU"], &phone), both[1..]);
    }
}
