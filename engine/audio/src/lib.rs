//! The audio of the engine, as pure functions of samples and bytes: codecs, tones, DTMF, levels, comfort noise,
//! concealment, jitter buffer, resampling, mixing, transcoding and call progress detection.
//!
//! It never touches a socket, a clock, a file or a thread, and allocates only when an object is made. A media worker
//! drives it: packets go in with their timestamps, samples or payloads come out when the worker's tick asks for them.
//!
//! Samples are 16-bit linear, mono, unless a name says otherwise; 0 dBm0 is a sine 3.14 dB below full scale (G.711).

pub mod codec;
pub mod comfort_noise;
pub mod cpd;
pub mod dtmf;
pub mod fifo;
pub mod g711;
pub mod goertzel;
pub mod jitter;
pub mod level;
pub mod mix;
pub mod mix_minus;
pub mod packetise;
pub mod playout;
pub mod plc;
pub mod resample;
pub mod telephone_event;
pub mod tones;
pub mod transcode;

mod dot;
mod sample;

#[cfg(test)]
mod testing;
