//! `connect`: media of two parties of different dialogues, or calls, is joined without a further offer and answer.

use crate::call::Section;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::root::Ng;
use crate::transaction::Plan;
use crate::value::Dict;

impl Ng {
    /// Joins `from-tag` of `call-id` to `to-tag` of `to-call-id` (or of the same call). Both leave the partners that they had.
    pub(crate) fn connect(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let from = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        let to = flags.name("to-tag")?.ok_or_else(|| Failure::error("No to-tag in message"))?;
        let call_id = flags.call_id()?;
        let other_id = dict.bytes("to-call-id").filter(|id| !id.is_empty()).unwrap_or(call_id);
        let one = self.take_end(call_id, from)?;
        let other = self.take_end(other_id, to)?;
        let pair = Section { ends: [one, other], spliced: true };
        Ok(Plan::checked(vec![pair.splice([false, false])]))
    }

    /// The end of a party's first section. The dialogue has to be joined anew when it is to be heard again.
    fn take_end(&mut self, call_id: &[u8], tag: &[u8]) -> Result<crate::call::End, Failure> {
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        call.signalled = self.now;
        for dialogue in &mut call.dialogues {
            let Some(side) = dialogue.side_of(tag) else { continue };
            if let Some(section) = dialogue.sections.iter_mut().flatten().next() {
                section.spliced = false;
                return Ok(section.ends[side].clone());
            }
        }
        Err(Failure::error("From-tag given, but no such tag exists"))
    }
}
