//! Plays: from sources to what a worker can send.

use std::sync::Arc;

use offhook_proto::{Error, Media, Play, PlaySource};

use super::execute::Refusal;
use super::op::{Stage, Task};
use super::spoken::spelled_out;
use super::{Director, DirectorOutput};
use crate::leg::encoding::packet_ms;
use crate::prompt::{Segment, keys};
use crate::{EncodedPrompt, Extent, OpId, PromptId, Time, WorkerCommand};

impl Director {
    pub(super) fn play(&mut self, op: OpId, body: &Play) -> Result<Stage, Refusal> {
        let media = self.entry(&body.leg)?.media.clone();
        let sources = spelled_out(&body.sources);
        let mut segments = Vec::with_capacity(sources.len());
        for source in sources.iter() {
            segments.push(self.segment(source, &media)?);
        }
        // Everything that can be refused has been; now the files are asked for.
        let mut waiting = Vec::new();
        for (source, _) in sources.iter().zip(&segments).filter(|(_, segment)| segment.is_none()) {
            if let PlaySource::File(file) = source {
                self.next_prompt += 1;
                let prompt = PromptId(self.next_prompt);
                self.loading.insert(prompt, op);
                let (file, form) = (file.clone(), (&media).into());
                self.outputs.push_back(DirectorOutput::LoadPrompt { prompt, file, form });
                waiting.push(prompt);
            }
        }
        if waiting.is_empty() {
            return Ok(self.start_play(op, body, segments.into_iter().flatten().collect())?);
        }
        Ok(Stage::Loading { segments, waiting })
    }

    /// Takes the result of [`DirectorOutput::LoadPrompt`].
    pub fn handle_prompt(&mut self, now: Time, prompt: PromptId, result: Result<Arc<EncodedPrompt>, Error>) {
        self.now = now;
        let Some(op) = self.loading.remove(&prompt) else { return };
        if let Err(error) = self.on_prompt(op, prompt, result) {
            self.finish(op, Err(error));
        }
        self.run_ready();
    }

    fn on_prompt(
        &mut self,
        op: OpId,
        prompt: PromptId,
        result: Result<Arc<EncodedPrompt>, Error>,
    ) -> Result<(), Error> {
        let Some(playing) = self.ops.get_mut(&op) else { return Ok(()) };
        let (Task::Play(body), Stage::Loading { segments, waiting }) = (&playing.task, &mut playing.stage)
        else {
            return Ok(());
        };
        let loaded = result?;
        let empty = segments.iter().enumerate().filter(|(_, segment)| segment.is_none()).map(|(at, _)| at);
        let place = waiting.iter().position(|waiting| *waiting == prompt).and_then(|at| {
            waiting.remove(at);
            empty.take(at + 1).last()
        });
        if let Some(place) = place {
            segments[place] = Some(Segment::Audio(loaded));
        }
        if waiting.is_empty() {
            let (body, segments) = (body.clone(), std::mem::take(segments).into_iter().flatten().collect());
            let stage = self.start_play(op, &body, segments)?;
            if let Some(playing) = self.ops.get_mut(&op) {
                playing.stage = stage;
            }
        }
        Ok(())
    }

    fn start_play(&mut self, op: OpId, body: &Play, segments: Vec<Segment>) -> Result<Stage, Error> {
        let ptime_ms = packet_ms(&self.entry(&body.leg)?.media);
        let play_ms = segments.iter().map(|segment| segment.duration_ms(ptime_ms)).sum::<Option<u64>>();
        let play = body.play.clone();
        let extent = Extent { times: body.times, start_ms: body.start_ms, limit_ms: body.limit_ms };
        self.tell_leg(&body.leg, |leg| WorkerCommand::Play { op, leg, play, segments, extent })?;
        Ok(Stage::Working { play_ms })
    }

    /// A source as something to send; none for a file, which has to be loaded.
    fn segment(&mut self, source: &PlaySource, media: &Media) -> Result<Option<Segment>, Error> {
        Ok(Some(match source {
            PlaySource::File(_) | PlaySource::Number { .. } => return Ok(None),
            PlaySource::Tone { name, country } => {
                Segment::Audio(self.tones.tone(*name, country.as_deref(), media.into())?)
            }
            PlaySource::Dtmf(digits) if media.telephone_event.is_some() => {
                Segment::Keys(digits.as_str().into())
            }
            PlaySource::Dtmf(digits) => Segment::Audio(Arc::new(keys(&digits.as_str().into(), media)?)),
            PlaySource::Keys(of) if media.telephone_event.is_some() => Segment::Keys(of.clone()),
            PlaySource::Keys(of) => Segment::Audio(Arc::new(keys(of, media)?)),
            PlaySource::SilenceMs(ms) => Segment::SilenceMs(*ms),
        }))
    }
}
