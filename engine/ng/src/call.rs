//! Calls as rtpengine's clients see them: dialogues between two tags, each with its media sections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use offhook_proto::{Command, LatchMode};

use crate::end::{End, splice};
use crate::failure::{Failure, SESSION_LIMIT};
use crate::limits::{CALLS, DIALOGUES};
use crate::mute::Mute;
use crate::root::Ng;
use crate::solo::Solo;

/// Everything under one call-id.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) created: Duration,
    /// When a message about it came last.
    pub(crate) signalled: Duration,
    /// Whether nobody is heard at all.
    pub(crate) mute: Mute,
    /// Whether what is answered is recorded.
    pub(crate) record: bool,
    /// When to look whether it still has media.
    pub(crate) look: Option<Duration>,
    /// When its one timer is due.
    pub(crate) timer: Option<Duration>,
    pub(crate) dialogues: Vec<Dialogue>,
    /// Who publishes, who subscribes, and who was created.
    pub(crate) solos: Vec<Solo>,
}

/// RTP and RTCP of one of the engine's legs.
pub(crate) type Place = (SocketAddr, SocketAddr);

/// Two sides that talk to each other. The branches of a fork are dialogues of their own.
#[derive(Debug)]
pub(crate) struct Dialogue {
    /// Never used twice.
    pub(crate) number: u64,
    pub(crate) created: Duration,
    pub(crate) sides: [Side; 2],
    /// By the place of their `m=` line; none where the engine carries nothing.
    pub(crate) sections: Vec<Option<Section>>,
    /// Whether both sides are known.
    pub(crate) answered: bool,
    /// Whether no recording of the call is to have it.
    pub(crate) unrecorded: bool,
    /// When it will be deleted, unless a message about it comes before.
    pub(crate) ends: Option<Duration>,
}

/// One side of a dialogue.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) tag: Option<Vec<u8>>,
    pub(crate) branch: Option<Vec<u8>>,
    pub(crate) label: Option<Vec<u8>>,
    /// Where the engine receives from it.
    pub(crate) local: IpAddr,
    /// What is written for it instead of `local`.
    pub(crate) advertised: Option<IpAddr>,
    pub(crate) latch: LatchMode,
    /// Whether the other side does not hear it.
    pub(crate) mute: Mute,
}

/// One media section of a dialogue.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) ends: [End; 2],
    pub(crate) spliced: bool,
}

impl Call {
    /// A call of nobody yet.
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            created: now,
            signalled: now,
            mute: Mute::default(),
            record: false,
            look: None,
            timer: None,
            dialogues: Vec::new(),
            solos: Vec::new(),
        }
    }

    /// Whether it has no party any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.dialogues.is_empty() && self.solos.is_empty()
    }

    pub(crate) fn find(&self, number: u64) -> Option<&Dialogue> {
        self.dialogues.iter().find(|dialogue| dialogue.number == number)
    }

    pub(crate) fn find_mut(&mut self, number: u64) -> Option<&mut Dialogue> {
        self.dialogues.iter_mut().find(|dialogue| dialogue.number == number)
    }

    /// The dialogue that an offer of `from` belongs to, and which side `from` is.
    pub(crate) fn of_offer(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        branch: Option<&[u8]>,
    ) -> Option<(u64, usize)> {
        if let Some(to) = to {
            return self.between(from, to);
        }
        self.dialogues.iter().find_map(|dialogue| {
            let side = dialogue.side_of(from)?;
            let other = &dialogue.sides[1 - side];
            (other.tag.is_none() && other.branch.as_deref() == branch).then_some((dialogue.number, side))
        })
    }

    /// The dialogue that an answer of `to` to an offer of `from` belongs to, and which side `from` is: that of the two tags,
    /// else one of this branch, else one that waits for an answer, else the last that `from` offered (a fork that the proxy
    /// does not tell apart: the last answer holds).
    pub(crate) fn of_answer(&self, from: &[u8], to: &[u8], branch: Option<&[u8]>) -> Option<(u64, usize)> {
        let offered = || {
            let sides = |dialogue: &Dialogue| dialogue.side_of(from).map(|side| (dialogue.number, side));
            self.dialogues.iter().filter_map(move |dialogue| sides(dialogue).map(|found| (dialogue, found)))
        };
        let of_branch = || {
            let branch = branch?;
            offered().find(|(dialogue, (_, side))| dialogue.sides[1 - side].branch.as_deref() == Some(branch))
        };
        let waiting = || offered().find(|(dialogue, (_, side))| dialogue.sides[1 - side].tag.is_none());
        self.between(from, to).or_else(|| {
            of_branch().or_else(waiting).or_else(|| offered().next_back()).map(|(_, found)| found)
        })
    }

    /// The dialogue of two tags, and which side the first is.
    fn between(&self, from: &[u8], to: &[u8]) -> Option<(u64, usize)> {
        self.dialogues.iter().find_map(|dialogue| {
            let side = dialogue.side_of(from)?;
            (dialogue.sides[1 - side].tag.as_deref() == Some(to)).then_some((dialogue.number, side))
        })
    }

    /// Numbers of the dialogues that a `delete` means.
    pub(crate) fn of_delete(
        &self,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        branch: Option<&[u8]>,
    ) -> Vec<u64> {
        let means = |dialogue: &&Dialogue| {
            let Some(from) = from else { return true };
            let Some(side) = dialogue.side_of(from) else { return false };
            let other = &dialogue.sides[1 - side];
            let of_branch = branch.is_none_or(|branch| {
                dialogue.sides.iter().any(|side| side.branch.as_deref() == Some(branch))
                    || dialogue.sides.iter().all(|side| side.branch.is_none())
            });
            to.is_none_or(|to| other.tag.as_deref().is_none_or(|tag| tag == to)) && of_branch
        };
        self.dialogues.iter().filter(means).map(|dialogue| dialogue.number).collect()
    }

    /// Every leg.
    pub(crate) fn legs(&self) -> impl Iterator<Item = &str> {
        self.dialogues.iter().flat_map(Dialogue::legs).chain(self.solos.iter().flat_map(Solo::legs))
    }

    /// Has the next answers tell the engine everything, since it has refused something that it was told.
    pub(crate) fn forget_told(&mut self) {
        self.ends_mut().for_each(|end| end.told = false);
    }

    /// Every end.
    pub(crate) fn ends_mut(&mut self) -> impl Iterator<Item = &mut End> {
        let sections = self.dialogues.iter_mut().flat_map(|dialogue| dialogue.sections.iter_mut().flatten());
        let of_solos = self.solos.iter_mut().flat_map(Solo::ends_mut);
        sections.flat_map(|section| &mut section.ends).chain(of_solos)
    }
}

impl Ng {
    /// The call of an id, made where there is none yet, when it has room for one more party of the kind that is counted.
    pub(crate) fn room_for_party(
        &mut self,
        call_id: &[u8],
        count: impl Fn(&Call) -> usize,
    ) -> Result<&mut Call, Failure> {
        let full = match self.calls.get(call_id) {
            Some(call) => count(call) >= DIALOGUES,
            None => self.calls.len() >= CALLS,
        };
        if full {
            self.totals.rejected += 1;
            return Err(Failure::LoadLimit(SESSION_LIMIT));
        }
        let now = self.now;
        Ok(self.calls.entry(call_id.to_vec()).or_insert_with(|| Call::new(now)))
    }
}

impl Dialogue {
    /// Which side a tag is.
    pub(crate) fn side_of(&self, tag: &[u8]) -> Option<usize> {
        self.sides.iter().position(|side| side.tag.as_deref() == Some(tag))
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().flatten().flat_map(|section| &section.ends).map(|end| end.leg.as_str())
    }
}

impl Section {
    /// Joins the two legs, each hearing the other unless that one is mute, or not to be heard by it.
    pub(crate) fn splice(&self, mute: [bool; 2]) -> Command {
        let [a, b] = &self.ends;
        let blocked = [mute[0] || b.unheard.is_on(), mute[1] || a.unheard.is_on()];
        splice([&a.leg, &b.leg], blocked)
    }
}
