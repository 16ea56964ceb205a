//! One recording: frames by their timestamps in, a WAV file that can be played at any moment out.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Seek, Write};

use hound::{SampleFormat, WavSpec, WavWriter};
use offhook_engine_core::{Side, Time};
use offhook_proto::RecordMode;

use super::Frame;
use super::track::Track;

/// A recording that grows.
pub(crate) struct Recording<W: Write + Seek> {
    writer: WavWriter<W>,
    mode: RecordMode,
    /// Samples a second of each channel.
    rate_hz: u32,
    began: Time,
    tracks: [Track; 2],
    /// Samples of both sides that may still be added to, from `written` on.
    window: VecDeque<[i16; 2]>,
    /// Samples of each channel in the file, and the most that a WAV file can say it has.
    written: u64,
    most: u64,
    /// Length of the file when its header was last brought up to date.
    flushed: u64,
}

impl<W: Write + Seek> Recording<W> {
    /// A recording that begins now, of so many samples a second.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn new(began: Time, file: W, mode: RecordMode, rate_hz: u32) -> hound::Result<Self> {
        let spec = WavSpec {
            channels: if mode == RecordMode::Stereo { 2 } else { 1 },
            sample_rate: rate_hz,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::new(file, spec)?;
        writer.flush()?;
        let tracks = [Track::new(rate_hz), Track::new(rate_hz)];
        let most = u64::from(u32::MAX - HEADER_BYTES) / u64::from(spec.bits_per_sample / 8 * spec.channels);
        let window = VecDeque::new();
        Ok(Self { writer, mode, rate_hz, began, tracks, window, written: 0, most, flushed: 0 })
    }

    /// Puts a frame where its timestamp says, in place of what may be there: a packet that came twice is no louder. One that is
    /// too late, or cannot be decoded, is left out.
    pub(crate) fn add(&mut self, side: Side, frame: &Frame) {
        if self.mode == RecordMode::Leg && side == Side::Far {
            return;
        }
        let arrived = self.position_of(frame.at);
        let channel = usize::from(side == Side::Far);
        let Some((position, samples)) = self.tracks[channel].decode(arrived, self.written, frame) else {
            return;
        };
        let late = self.written.saturating_sub(position) as usize;
        let Some(samples) = samples.get(late..) else { return };
        let start = (position + late as u64 - self.written) as usize;
        if self.window.len() < start + samples.len() {
            self.window.resize(start + samples.len(), [0; 2]);
        }
        for (both, sample) in self.window.range_mut(start..).zip(samples) {
            both[channel] = *sample;
        }
    }

    /// Writes what is old enough that nothing will be added to it, and brings the header up to date once a second.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn advance(&mut self, now: Time) -> hound::Result<()> {
        let open = u64::from(self.rate_hz) * OPEN_MS / 1_000;
        let old_enough = self.position_of(now).saturating_sub(open);
        // Second by second, also when much has come together.
        while self.written < old_enough {
            let second = self.flushed + u64::from(self.rate_hz);
            self.write_until(old_enough.min(second))?;
            if self.written >= second {
                self.flushed = self.written;
                self.writer.flush()?;
            }
        }
        Ok(())
    }

    /// Writes the rest, a word that has begun to its end, and completes the file.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn end(mut self, at: Time) -> hound::Result<u64> {
        let heard = self.written + self.window.len() as u64;
        self.write_until(self.position_of(at).max(heard))?;
        let duration_ms = self.duration_ms();
        self.writer.finalize()?;
        Ok(duration_ms)
    }

    /// Length of the file in milliseconds.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.written * 1_000 / u64::from(self.rate_hz)
    }

    /// Samples from the beginning to a moment.
    fn position_of(&self, at: Time) -> u64 {
        at.since(self.began) * u64::from(self.rate_hz) / 1_000_000
    }

    fn write_until(&mut self, position: u64) -> hound::Result<()> {
        while self.written < position {
            if self.written >= self.most {
                let error = Error::new(ErrorKind::FileTooLarge, "a WAV file holds no more than 4 GB");
                return Err(hound::Error::IoError(error));
            }
            let [near, far] = self.window.pop_front().unwrap_or_default();
            match self.mode {
                RecordMode::Leg => self.writer.write_sample(near)?,
                RecordMode::Mixed => self.writer.write_sample(near.saturating_add(far))?,
                RecordMode::Stereo => {
                    self.writer.write_sample(near)?;
                    self.writer.write_sample(far)?;
                }
            }
            self.written += 1;
        }
        Ok(())
    }
}

/// More than stands before the samples.
const HEADER_BYTES: u32 = 100;
/// How long a moment stays open for frames that come late.
const OPEN_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Result, SeekFrom};

    use offhook_audio::{codec, g711};
    use offhook_proto::Codec;

    use super::*;

    fn frame(ms: u64, timestamp: u32, level: i16) -> Frame {
        Frame::new(Time::from_ms(ms), Codec::Pcmu, 7, timestamp, 8_000, &[g711::linear_to_ulaw(level); 160])
            .expect("it fits")
    }

    fn wav(file: &[u8]) -> (u16, Vec<i16>) {
        let reader = hound::WavReader::new(Cursor::new(file)).expect("it can be played");
        (reader.spec().channels, reader.into_samples().map(|sample| sample.expect("a sample")).collect())
    }

    #[test]
    fn what_is_lost_or_late_keeps_its_length() {
        let mut file = Cursor::new(Vec::new());
        let mut recording = Recording::new(Time(0), &mut file, RecordMode::Leg, 8_000).expect("a file");
        recording.add(Side::Near, &frame(100, 5_000, 1_000));
        // 20 ms are lost, and the next two come in the wrong order and late.
        recording.add(Side::Near, &frame(190, 5_000 + 480, 3_000));
        recording.add(Side::Near, &frame(191, 5_000 + 320, 2_000));
        recording.add(Side::Far, &frame(100, 0, 9_000));
        recording.advance(Time::from_ms(900)).expect("it is written");
        assert_eq!(recording.end(Time::from_ms(1_000)).expect("it is written"), 1_000);
        let (channels, samples) = wav(file.get_ref());
        assert_eq!((channels, samples.len()), (1, 8_000));
        let level = |ms: usize| samples[ms * 8 + 4];
        assert!(level(105) > 900 && level(125) == 0, "{} {}", level(105), level(125));
        assert!(level(145) > 1_900 && level(165) > 2_900 && level(185) == 0);
    }

    #[test]
    fn every_rate_keeps_every_moment_and_what_a_wide_encoding_carries() {
        let codec = codec::Codec::L16 { rate_hz: 48_000 };
        for rate_hz in offhook_proto::limits::RECORD_RATES_HZ {
            let mut file = Cursor::new(Vec::new());
            let mut recording = Recording::new(Time(0), &mut file, RecordMode::Leg, rate_hz).expect("a file");
            let mut encoder = codec::Encoder::new(codec, 48_000, &codec::OpusConfig::default()).expect("one");
            // A second of a tone of 5 kHz, of which nothing is left at 8 kHz; a tenth of its packets are lost, and it begins late.
            let turn = std::f64::consts::TAU * 5_000.0 / 48_000.0;
            for n in (0..100_u32).filter(|n| n % 10 != 9) {
                let tone = |at: u32| (8_000.0 * (turn * f64::from(n * 480 + at)).sin()) as i16;
                let samples: Vec<i16> = (0..480).map(tone).collect();
                let mut payload = [0; 960];
                encoder.encode(&samples, &mut payload).expect("it encodes");
                let at = Time::from_ms(1_000 + u64::from(n) * 10);
                let kind = Codec::L16 { rate_hz: 48_000 };
                let frame = Frame::new(at, kind, 7, n * 480, 48_000, &payload).expect("it fits");
                recording.add(Side::Near, &frame);
                recording.advance(at).expect("it is written");
            }
            assert_eq!(recording.end(Time::from_ms(3_000)).expect("it is written"), 3_000);
            let reader = hound::WavReader::new(Cursor::new(file.get_ref())).expect("it can be played");
            assert_eq!(reader.spec().sample_rate, rate_hz);
            let samples: Vec<i16> = reader.into_samples().map(|sample| sample.expect("a sample")).collect();
            assert_eq!(samples.len(), 3 * rate_hz as usize);
            let ms = |ms: usize| ms * rate_hz as usize / 1_000;
            let loudest = |from, to| samples[ms(from)..ms(to)].iter().map(|s| s.unsigned_abs()).max();
            assert!(loudest(0, 998) < Some(100) && loudest(2_005, 3_000) < Some(100), "{rate_hz}");
            let wide = loudest(1_110, 1_180);
            assert_eq!(wide > Some(7_000), rate_hz > 8_000, "{rate_hz}: {wide:?}");
            assert_eq!(wide < Some(100), rate_hz == 8_000, "{rate_hz}: {wide:?}");
            // The filters at a loss's edges last 3 ms at most.
            assert!(loudest(1_094, 1_098) < Some(200), "{rate_hz}: a loss is silence");
        }
    }

    #[test]
    fn what_came_twice_is_as_loud_as_what_came_once() {
        let mut file = Cursor::new(Vec::new());
        let mut recording = Recording::new(Time(0), &mut file, RecordMode::Mixed, 8_000).expect("a file");
        for (ms, timestamp) in [(0, 0), (1, 0), (20, 160), (25, 0)] {
            recording.add(Side::Near, &frame(ms, timestamp, 1_000));
        }
        recording.end(Time::from_ms(40)).expect("it is written");
        let (_, samples) = wav(file.get_ref());
        assert_eq!(samples, [988; 320]);
    }

    #[test]
    fn stereo_keeps_the_sides_apart_and_mixed_adds_them() {
        for (mode, expected) in
            [(RecordMode::Stereo, vec![988, 1_980, 988]), (RecordMode::Mixed, vec![2_968, 2_968])]
        {
            let mut file = Cursor::new(Vec::new());
            let mut recording = Recording::new(Time(0), &mut file, mode, 8_000).expect("a file");
            recording.add(Side::Near, &frame(0, 0, 1_000));
            recording.add(Side::Far, &frame(0, 99, 2_000));
            recording.end(Time::from_ms(20)).expect("it is written");
            let (_, samples) = wav(file.get_ref());
            assert_eq!(samples[..expected.len()], expected, "{mode:?}");
        }
    }

    #[test]
    fn a_speaker_who_starts_anew_is_placed_by_arrival() {
        let mut file = Cursor::new(Vec::new());
        let mut recording = Recording::new(Time(0), &mut file, RecordMode::Leg, 8_000).expect("a file");
        recording.add(Side::Near, &frame(0, 0, 1_000));
        recording.add(Side::Near, &frame(500, 4_000_000_000, 1_000));
        recording.end(Time::from_ms(600)).expect("it is written");
        let (_, samples) = wav(file.get_ref());
        assert_eq!((samples[100] > 900, samples[2_000], samples[4_100] > 900), (true, 0, true));
    }

    /// A phone whose packet of 20 ms comes every `every_us`, recorded for a minute: what of a minute of its samples is there.
    fn heard_of(every_us: u64) -> usize {
        let mut file = Cursor::new(Vec::new());
        let mut recording = Recording::new(Time(0), &mut file, RecordMode::Leg, 8_000).expect("a file");
        for n in 0..60_000_000 / every_us {
            let frame = Frame { at: Time(n * every_us), ..frame(0, n as u32 * 160, 1_000) };
            recording.add(Side::Near, &frame);
            recording.advance(frame.at).expect("it is written");
        }
        recording.end(Time::from_ms(60_000)).expect("it is written");
        let (_, samples) = wav(file.get_ref());
        samples.iter().filter(|sample| **sample == 988).count()
    }

    #[test]
    fn a_phone_whose_clock_is_slow_or_fast_is_heard_to_the_end() {
        let minute = 60 * 8_000;
        for every_us in [25_000, 20_100, 20_002, 20_000] {
            assert_eq!(heard_of(every_us), minute * 20_000 / every_us as usize / 160 * 160, "{every_us}");
        }
        for every_us in [19_998, 19_900, 18_000] {
            assert!(heard_of(every_us) > minute * 99 / 100, "{every_us}");
        }
    }

    #[test]
    fn a_phone_that_stops_its_timestamps_for_a_while_loses_nothing() {
        let mut file = Cursor::new(Vec::new());
        let mut recording = Recording::new(Time(0), &mut file, RecordMode::Leg, 8_000).expect("a file");
        for n in 0..500 {
            let muted_ms = if n < 100 { 0 } else { 1_300 };
            let ms = n * 20 + muted_ms;
            recording.add(Side::Near, &frame(ms, n as u32 * 160, 1_000));
            recording.advance(Time::from_ms(ms)).expect("it is written");
        }
        recording.end(Time::from_ms(11_320)).expect("it is written");
        let (_, samples) = wav(file.get_ref());
        assert_eq!(samples.iter().filter(|sample| **sample == 988).count(), 500 * 160);
    }

    #[test]
    fn a_file_that_is_left_behind_can_be_played() {
        let mut file = Cursor::new(Vec::new());
        let mut recording = Recording::new(Time(0), &mut file, RecordMode::Mixed, 8_000).expect("a file");
        for ms in (0..3_000).step_by(20) {
            recording.add(Side::Near, &frame(ms, ms as u32 * 8, 1_000));
            recording.advance(Time::from_ms(ms)).expect("it is written");
        }
        std::mem::forget(recording);
        let (_, samples) = wav(file.get_ref());
        assert!(samples.len() >= 2 * 8_000, "{}", samples.len());
    }

    /// A disk that is full after so many bytes.
    struct Small<'a>(&'a mut Cursor<Vec<u8>>, usize);

    impl Write for Small<'_> {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            if self.0.get_ref().len() + bytes.len() > self.1 {
                return Err(Error::from(ErrorKind::StorageFull));
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    impl Seek for Small<'_> {
        fn seek(&mut self, to: SeekFrom) -> Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_panic() {
        let mut file = Cursor::new(Vec::new());
        let file = Small(&mut file, 20_000);
        let mut recording = Recording::new(Time(0), file, RecordMode::Mixed, 8_000).expect("a file");
        let failed = (0..10_000).step_by(20).find_map(|ms| recording.advance(Time::from_ms(ms)).err());
        assert!(failed.is_some_and(|error| error.to_string().contains("no storage space")));
        assert!(recording.duration_ms() > 1_000);
    }

    #[test]
    fn a_recording_that_is_as_long_as_a_file_can_be_ends_and_can_be_played() {
        for (mode, hours_at_48_khz) in
            [(RecordMode::Leg, 12), (RecordMode::Mixed, 12), (RecordMode::Stereo, 6)]
        {
            let mut file = Cursor::new(Vec::new());
            let mut recording = Recording::new(Time(0), &mut file, mode, 8_000).expect("a file");
            assert_eq!(recording.most / 48_000 / 3_600, hours_at_48_khz);
            recording.most = 12_000;
            recording.advance(Time::from_ms(1_900)).expect("there is room");
            let error = recording.advance(Time::from_ms(5_000)).expect_err("there is none");
            assert!(error.to_string().contains("4 GB"));
            drop(recording);
            let (channels, samples) = wav(file.get_ref());
            assert_eq!(samples.len(), 12_000 * usize::from(channels));
        }
    }

    #[test]
    fn a_full_disk_leaves_every_whole_second_to_be_played_also_of_what_came_together() {
        let mut file = Cursor::new(Vec::new());
        let small = Small(&mut file, 40_000);
        let mut recording = Recording::new(Time(0), small, RecordMode::Mixed, 8_000).expect("a file");
        assert!(recording.advance(Time::from_ms(10_000)).is_err());
        std::mem::forget(recording);
        assert_eq!(wav(file.get_ref()).1.len(), 2 * 8_000);
    }
}
