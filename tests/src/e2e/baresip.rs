//! baresip, unmodified, as somebody's phone: it sends a tone and writes down what it hears.

use std::f64::consts::TAU;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::child::Child;
use super::{House, eventually};

/// What a baresip is started with.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// User that it answers as.
    pub user: &'static str,
    /// Its only codec, as in its `audio_codecs`.
    pub codec: &'static str,
    /// Sample rate and channels of that codec, as it codes.
    pub shape: (u32, u16),
    /// Encryption, as in its `mediaenc`; empty for none.
    pub mediaenc: &'static str,
    /// The tone that it says, in Hz.
    pub tone_hz: u32,
    /// Whether it says the tone for 4 s and nothing for 6, in turn, and asks to be sent no silence with Opus (`opus_dtx`; what it
    /// sends itself is as we ask, whole).
    pub pauses: bool,
}

/// A running baresip that answers every call. Killed when dropped.
#[derive(Debug)]
pub struct Baresip {
    address: SocketAddr,
    manner: Manner,
    folder: TempDir,
    process: Child,
}

impl Baresip {
    /// Starts one and waits until it takes calls.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(house: &House, address: SocketAddr, manner: Manner) -> Self {
        let account = format!("<sip:{}@{address};transport=udp>;regint=0", manner.user);
        Self::start_as(house, address, manner, &account, 60)
    }

    /// One that registers over TCP by its user's name and a password, is ready when it has, and registers anew each minute.
    ///
    /// # Panics
    /// When it does not.
    pub fn registered(house: &House, address: SocketAddr, manner: Manner, password: &str) -> Self {
        let (user, sip) = (manner.user, house.sip);
        let account = format!(
            "<sip:{user}@offhook;transport=tcp>;auth_user={user};auth_pass={password};outbound=\"sip:{sip};transport=tcp\";regint=60"
        );
        let phone = Self::start_as(house, address, manner, &account, 240);
        eventually("baresip is registered", || phone.log().contains("200 OK").then_some(()));
        phone
    }

    /// `account` is how it is to be called; it hangs up when it has said its tone for `tone_s`.
    fn start_as(house: &House, address: SocketAddr, manner: Manner, account: &str, tone_s: u32) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path();
        write_tone(&path.join("tone.wav"), manner, tone_s);
        let (rate_hz, channels) = manner.shape;
        // It binds its audio to all addresses, so that the kernel sends it from 127.0.0.1: that is what its SDP must name.
        let config = format!(
            "poll_method epoll\nsip_listen {address}\naudio_player aubridge,ear\naudio_source aufile,{tone}\n\
             audio_channels {channels}-{channels}\naudio_srate {rate_hz}-{rate_hz}\naudio_level no\n\
             opus_dtx {dtx}\nrtp_timeout 0\nnet_interface 127.0.0.1\nstatmode_default off\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule g722.so\nmodule l16.so\n\
             module opus.so\nmodule srtp.so\nmodule sndfile.so\nmodule aufile.so\nmodule aubridge.so\n\
             module_tmp account.so\nmodule_app menu.so\nsnd_path {folder}\n",
            dtx = if manner.pauses { "yes" } else { "no" },
            tone = path.join("tone.wav").display(),
            folder = path.display(),
        );
        let encrypted = match manner.mediaenc {
            "" => String::new(),
            mediaenc => format!(";mediaenc={mediaenc}"),
        };
        let account =
            format!("{account};answermode=auto;audio_codecs={};ptime=20{encrypted}\n", manner.codec,);
        for (name, text) in [("config", config), ("accounts", account), ("contacts", String::new())] {
            fs::write(path.join(name), text).expect("a configuration can be written");
        }
        let mut command = Command::new("baresip");
        command.args(["-f", &path.display().to_string()]);
        let log = house.folder().join(format!("baresip-{}.log", address.port()));
        let mut process = Child::start(&mut command, path, log);
        eventually("baresip is ready", || {
            let words = process.last_words();
            assert!(process.ended().is_none(), "baresip has ended:\n{words}");
            words.contains("baresip is ready").then_some(())
        });
        Self { address, manner, folder, process }
    }

    /// Its workplace setting, as an agent's phone.
    pub fn station(&self) -> Value {
        json!({ "kind": "sip", "uri": format!("sip:{}@{}", self.manner.user, self.address) })
    }

    /// The tone that it says, in Hz.
    pub fn tone_hz(&self) -> u32 {
        self.manner.tone_hz
    }

    /// What it says of itself.
    pub fn log(&self) -> String {
        self.process.last_words()
    }

    /// How strong a tone is in the second that it heard last: its share of all power, and its level in dB of full scale.
    /// None before there is a second.
    pub fn hears(&self, tone_hz: u32) -> Option<(f64, f64)> {
        let bytes = fs::read(self.dump()?).ok()?;
        let header = bytes.get(..HEADER)?;
        let channels = usize::from(u16::from_le_bytes([header[22], header[23]]));
        let rate_hz = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
        let frames = bytes[HEADER..].chunks_exact(2 * channels.max(1));
        let samples: Vec<f64> =
            frames.map(|frame| f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0).collect();
        let last = samples.get(samples.len().checked_sub(rate_hz as usize)?..)?;
        Some(tone(last, rate_hz, tone_hz))
    }

    /// The newest recording of what it heard.
    fn dump(&self) -> Option<PathBuf> {
        let files = fs::read_dir(self.folder.path()).ok()?.flatten().map(|file| file.path());
        files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).max()
    }
}

/// Share of power and level of a tone in a whole second (a discrete Fourier transform at one frequency).
fn tone(samples: &[f64], rate_hz: u32, tone_hz: u32) -> (f64, f64) {
    let step = TAU * f64::from(tone_hz) / f64::from(rate_hz);
    let (mut real, mut imaginary, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = step * at as f64;
        real += sample * angle.cos();
        imaginary += sample * angle.sin();
        power += sample * sample;
    }
    let count = samples.len() as f64;
    let amplitude = 2.0 * real.hypot(imaginary) / count;
    let share = amplitude * amplitude / 2.0 / (power / count).max(1e-12);
    (share, 20.0 * amplitude.max(1e-6).log10())
}

/// So long a tone at [`LEVEL`], as a WAV file of 16 bits.
fn write_tone(path: &std::path::Path, manner: Manner, tone_s: u32) {
    let (rate_hz, channels) = manner.shape;
    let step = TAU * f64::from(manner.tone_hz) / f64::from(rate_hz);
    let mut data = Vec::new();
    for at in 0..tone_s * rate_hz {
        let level = if manner.pauses && at / rate_hz % 10 >= 4 { 0.0 } else { LEVEL };
        let sample = (level * 32_767.0 * (step * f64::from(at)).sin()) as i16;
        for _ in 0..channels {
            data.extend(sample.to_le_bytes());
        }
    }
    let size = u32::try_from(data.len()).expect("minutes");
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((size + 36).to_le_bytes());
    wav.extend(*b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(channels.to_le_bytes());
    wav.extend(rate_hz.to_le_bytes());
    wav.extend((rate_hz * u32::from(channels) * 2).to_le_bytes());
    wav.extend((channels * 2).to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(*b"data");
    wav.extend(size.to_le_bytes());
    wav.extend(data);
    fs::write(path, wav).expect("a tone can be written");
}

/// Amplitude of the tones that are said: -12 dB of full scale.
const LEVEL: f64 = 0.251;
const HEADER: usize = 44;
